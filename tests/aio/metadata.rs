//! What a token says about where it came from and what it took.

use std::sync::Arc;
use std::time::Duration;

use msal_cache::acquire::{AcquireMetadata, AnsweredBy, RefreshReason, TokenSource};
use msal_cache::endpoint::{AsyncTokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::store::{
    Batch, CacheStore, Load, Partition, RefreshGuard, Revision, delegate_store,
};
use msal_cache::{AccountInfo, AsyncTokenCache, Client, Memory, Result, TokenCache};

use super::server::{Server, Way};
use crate::common::{CLIENT, ENVIRONMENT, REALM, home};

/// The time that a store and a server take.
const PAUSE: Duration = Duration::from_millis(20);
const SCOPE: [&str; 1] = ["Mail.Read"];

/// A store that takes its time.
#[derive(Clone, Debug, Default)]
struct Slow(Arc<Memory>);

impl CacheStore for Slow {
    delegate_store!(self => self.0, except load, commit, guard, is_immediate);

    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        std::thread::sleep(PAUSE);
        self.0.load(partition, known)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        std::thread::sleep(PAUSE);
        self.0.commit(batch)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        std::thread::sleep(PAUSE);
        self.0.guard(partition, wait)
    }
}

/// A server that takes its time.
#[derive(Clone)]
struct SlowWay(Way);

impl AsyncTokenEndpoint for SlowWay {
    async fn send(
        &self,
        request: &TokenRequest,
    ) -> std::result::Result<TokenResponse, TransportError> {
        tokio::time::sleep(PAUSE).await;
        AsyncTokenEndpoint::send(&self.0, request).await
    }
}

fn authority() -> String {
    format!("https://{ENVIRONMENT}/{REALM}")
}

fn alice() -> AccountInfo {
    AccountInfo::of(home("alice"))
}

fn acquire<S: CacheStore>(client: &Client<S>, way: &Way) -> AcquireMetadata {
    client.acquire_token_silent(SCOPE, &alice(), way).unwrap().metadata()
}

#[test]
fn a_token_says_which_level_had_it() {
    let (store, server) = (Slow::default(), Arc::new(Server::default()));
    let way = Way(server.clone());
    let cache = TokenCache::new(store.clone());
    cache.add(&server.sign_in("alice")).unwrap();
    let client = cache.client(CLIENT, authority());
    let issued = acquire(&client, &way);
    assert_eq!(issued.answered_by(), AnsweredBy::Server);
    assert_eq!(issued.refresh_reason(), Some(RefreshReason::Absent));
    assert_eq!(issued.requests(), 1);
    assert!(issued.time_in_store() >= 2 * PAUSE, "a read and a commit: {issued:?}");
    assert!(issued.time_waiting() >= PAUSE, "{issued:?}");
    assert!(issued.time_in_http() > Duration::ZERO, "{issued:?}");

    // The commit has changed more than the cache knows, so the next call reads.
    assert_eq!(acquire(&client, &way).answered_by(), AnsweredBy::Store);
    let known = acquire(&client, &way);
    assert_eq!(known.answered_by(), AnsweredBy::DecodedCache);
    assert_eq!((known.refresh_reason(), known.requests()), (None, 0));
    assert!(known.time_in_store() >= PAUSE, "{known:?}");
    assert_eq!(known.time_in_http() + known.time_waiting(), Duration::ZERO);

    // A cache that has read nothing yet.
    let other = TokenCache::new(store).client(CLIENT, authority());
    let read = acquire(&other, &way);
    assert_eq!(read.answered_by(), AnsweredBy::Store);
    assert!(read.time_in_store() >= PAUSE, "{read:?}");
    assert_eq!(acquire(&other, &way).answered_by(), AnsweredBy::DecodedCache);
}

#[test]
fn a_hit_in_memory_is_not_timed() {
    let (cache, server) = (TokenCache::in_memory(), Arc::new(Server::default()));
    let way = Way(server.clone());
    cache.add(&server.sign_in("alice")).unwrap();
    let client = cache.client(CLIENT, authority());
    acquire(&client, &way);
    acquire(&client, &way);
    let known = acquire(&client, &way);
    assert_eq!(known.answered_by(), AnsweredBy::DecodedCache);
    assert_eq!(known.time_in_store(), Duration::ZERO);
    assert!(size_of::<AcquireMetadata>() <= 24);
}

#[tokio::test]
async fn a_follower_has_waited_and_sent_nothing() {
    let server = Arc::new(Server::default());
    let cache = AsyncTokenCache::from(TokenCache::new(Slow::default()));
    cache.add(&server.sign_in("alice")).await.unwrap();
    let way = SlowWay(Way(server.clone()));
    let client = cache.client(CLIENT, authority());
    let user = alice();
    let acquire = || client.acquire_token_silent(SCOPE, &user, &way);
    let (one, two) = tokio::join!(acquire(), acquire());
    let mut both = [one.unwrap(), two.unwrap()];
    assert!(both.iter().all(|it| it.source() == TokenSource::IdentityProvider));
    both.sort_by_key(|it| it.metadata().requests());
    let [follower, leader] = both.map(|it| it.metadata());
    assert_eq!((follower.requests(), leader.requests()), (0, 1));
    assert_eq!(follower.answered_by(), AnsweredBy::Server);
    assert_eq!(follower.refresh_reason(), Some(RefreshReason::Absent));
    assert!(leader.time_in_http() >= PAUSE, "{leader:?}");
    assert_eq!(follower.time_in_http(), Duration::ZERO);
    assert!(follower.time_waiting() >= PAUSE, "{follower:?}");
    assert!(leader.time_in_store() >= PAUSE, "an offloaded store is timed: {leader:?}");
    // An offloaded hit waits, so it is timed.
    acquire().await.unwrap();
    let known = acquire().await.unwrap().metadata();
    assert_eq!(known.answered_by(), AnsweredBy::DecodedCache);
    assert!(known.time_in_store() >= PAUSE / 2, "{known:?}");
}
