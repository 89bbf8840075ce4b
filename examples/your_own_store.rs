//! Implements `BlobStore`, the contract for a store of a single value that can be read and
//! compared-and-swapped. Here it is a variable; it could be an object in a bucket or a Kubernetes
//! secret.
//!
//! Run it with `cargo run --example your_own_store`. `store_in_redb` shows `CacheStore`, the
//! contract for a store of many records.

use std::error::Error as StdError;
use std::sync::Mutex;

use msal_cache::store::{Blob, BlobStore, Document, Revision};
use msal_cache::{CredentialType, Error, Event, Fields, Query, Result, TokenCache};

/// The value and its revision.
#[derive(Debug, Default)]
pub(crate) struct Variable(Mutex<(Revision, Vec<u8>)>);

impl BlobStore for Variable {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        let held = self.0.lock().map_err(poisoned)?;
        Ok(match held.0 {
            Revision::ABSENT => Blob::Absent,
            revision if known == Some(revision) => Blob::Unchanged,
            revision => Blob::Present(revision, held.1.clone().into()),
        })
    }

    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        let mut held = self.0.lock().map_err(poisoned)?;
        if held.0 != expected {
            return Err(Error::Conflict);
        }
        *held = (Revision::unique(), bytes.to_vec());
        Ok(held.0)
    }
}

fn poisoned<T>(_: T) -> Error {
    Error::backend("variable", "a thread panicked while it held the lock")
}

fn main() -> Result<(), Box<dyn StdError>> {
    let cache = TokenCache::new(Document::new(Variable::default()));
    cache.add(
        &Event::new("client")
            .token_endpoint("https://login.microsoftonline.com/contoso/oauth2/v2.0/token")
            .scope(["https://graph.microsoft.com/.default"])
            .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600)),
    )?;
    let query = Query::new().client_id("client").home_account_id(None);
    let found = cache.find(CredentialType::AccessToken, &query)?;
    println!("found: {found:#?}");
    let variable = cache.store().blob();
    let (_, bytes) = &*variable.0.lock().map_err(poisoned)?;
    println!("the value has {} bytes", bytes.len());
    Ok(())
}
