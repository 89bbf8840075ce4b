//! The records that a limit removes, and those that it never removes.

use std::sync::Arc;

use crate::common::{CLIENT, NOW, REALM, app_token, home, sign_in};
use msal_cache::clock::ManualClock;
use msal_cache::store::CacheStore;
use msal_cache::{CredentialType, Fields, Limits, Memory, Query, TokenCache};

fn limited(limits: Limits) -> (TokenCache, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = TokenCache::builder(Memory::new()).clock(clock.clone()).limits(limits).build();
    (cache, clock)
}

fn count<S: CacheStore>(cache: &TokenCache<S>, credential_type: CredentialType) -> usize {
    cache.entries(Some(credential_type)).unwrap().len()
}

fn targets(cache: &TokenCache, user: &str) -> Vec<String> {
    let query = Query::new().home_account_id(home(user));
    let found = cache.find(CredentialType::AccessToken, &query).unwrap();
    let target = |it: &msal_cache::Entry| it.access_token().unwrap().target().unwrap().to_owned();
    let mut targets: Vec<_> = found.iter().map(target).collect();
    targets.sort();
    targets
}

#[test]
fn the_least_recently_used_tokens_of_a_user_are_removed() {
    let (cache, clock) = limited(Limits::new().access_tokens_of_one_owner(3));
    for scope in ["a", "b", "c"] {
        cache.add(&sign_in("alice", scope, scope)).unwrap();
        clock.advance(1);
    }
    cache.add(&sign_in("bob", "a", "1")).unwrap();
    let query = Query::new().home_account_id(home("alice")).target(["a"]);
    assert_eq!(cache.search(CredentialType::AccessToken, &query).unwrap().count(), 1);
    clock.advance(1);
    cache.add(&sign_in("alice", "d", "d")).unwrap();
    assert_eq!(targets(&cache, "alice"), ["a", "c", "d"], "b is the least recently used");
    // A token that replaces another one removes no further token.
    cache.add(&sign_in("alice", "d", "again")).unwrap();
    assert_eq!(targets(&cache, "alice"), ["a", "c", "d"]);
    assert_eq!(targets(&cache, "bob"), ["a"], "other users are unchanged");
    assert_eq!(count(&cache, CredentialType::RefreshToken), 5, "never deleted by a limit");
}

#[test]
fn expired_tokens_are_removed_before_the_least_recently_used() {
    let (cache, clock) = limited(Limits::new().access_tokens(8));
    cache.add(&sign_in("short", "s", "s").response(short_lived())).unwrap();
    for user in 0..7 {
        clock.advance(1);
        cache.add(&sign_in(&format!("user{user}"), "a", "1")).unwrap();
    }
    assert_eq!(count(&cache, CredentialType::AccessToken), 8);
    clock.advance(60);
    // Use the oldest unexpired token.
    assert_eq!(targets(&cache, "user0"), ["a"]);
    cache.add(&sign_in("last", "a", "1")).unwrap();
    assert_eq!(count(&cache, CredentialType::AccessToken), 6);
    let left: Vec<_> =
        (0..7).filter(|it| !targets(&cache, &format!("user{it}")).is_empty()).collect();
    assert_eq!(left, [0, 3, 4, 5, 6]);
    assert_eq!(targets(&cache, "last"), ["a"]);
    assert_eq!(count(&cache, CredentialType::RefreshToken), 8, "never deleted by a limit");
    assert_eq!(count(&cache, CredentialType::Account), 9);
}

fn short_lived() -> Fields {
    Fields::new()
        .set("access_token", "s")
        .set("client_info", crate::common::client_info("short"))
        .set("id_token", crate::common::id_token("short"))
        .set("expires_in", 30)
}

#[test]
fn tokens_with_extended_keys_are_limited_too() {
    let (cache, clock) = limited(Limits::new().access_tokens(100));
    for path in 0..250 {
        clock.advance(1);
        let data = Fields::new().set("fmi_path", format!("agent{path}"));
        cache.add(&app_token("s", "1").data(data)).unwrap();
        assert!(count(&cache, CredentialType::AccessToken) <= 100);
    }
    let key = msal_cache::store::ext_cache_key([("fmi_path", "agent249")]).unwrap();
    let query = Query::new().home_account_id(None).client_id(CLIENT).realm(REALM);
    let newest = cache.find(CredentialType::AccessToken, &query.ext_cache_key(key)).unwrap();
    assert_eq!(newest.len(), 1);
}

#[test]
fn a_cache_works_without_decoded_records() {
    let (cache, _) = limited(Limits::new().decoded_bytes(0));
    cache.add(&sign_in("alice", "a", "1")).unwrap();
    assert_eq!(targets(&cache, "alice"), ["a"]);
    assert_eq!(cache.find(CredentialType::Account, &Query::new()).unwrap().len(), 1);
}
