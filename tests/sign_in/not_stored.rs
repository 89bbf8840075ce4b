//! A user has signed in, and the store can't be written.

use std::error::Error as _;

use msal_cache::store::{Batch, CacheStore, Revision, delegate_store};
use msal_cache::{Error, Memory};

use super::*;

/// A store that is full.
#[derive(Debug, Default)]
struct Full(Memory);

impl CacheStore for Full {
    delegate_store!(self => self.0, except commit);

    fn commit(&self, _: &Batch) -> msal_cache::Result<Vec<Revision>> {
        Err(Error::invalid("the store", "it is full"))
    }
}

#[test]
fn a_token_that_could_not_be_stored_is_in_the_error() {
    let server = Redeems::default();
    let client = TokenCache::new(Full::default()).client("client-id", AUTHORITY);
    let begun = client.sign_in(["User.Read"]).begin_sign_in("https://app.example/").unwrap();
    let asked = Asked::of(&begun.address);
    *server.asked.lock().unwrap() = Some(asked.clone());
    let failed = client.finish_sign_in(begun.state, &asked.good(), &server).unwrap_err();
    clean("the error", &format!("{failed} {failed:?}"));
    let cause = failed.source().unwrap().to_string();
    let SignInError::NotStored { token, .. } = failed else { panic!("{failed:?}") };
    assert_eq!(token.secret().expose(), "CANARY-at");
    assert_eq!(token.account().unwrap().home_account_id(), format!("alice.{TENANT}"));
    assert!(cause.contains("it is full"), "{cause}");
}
