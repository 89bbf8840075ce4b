//! The memory use of look-ups and records. This is a separate binary, since it counts allocations.

#[allow(dead_code, reason = "shared with other tests")]
mod common;

use std::cell::Cell;

use common::{CLIENT, ENVIRONMENT, REALM, cache, client_info, home, id_token, sign_in};
use msal_cache::{CredentialType, Fields, Query, TokenCache};

fn exact_query(user: &str) -> Query {
    Query::new()
        .home_account_id(&*home(user))
        .environment(ENVIRONMENT)
        .client_id(CLIENT)
        .realm(REALM)
}

#[test]
fn a_warm_look_up_allocates_nothing() {
    let (cache, _) = cache();
    for user in ["alice", "bob"] {
        cache.add(&sign_in(user, "User.Read openid", "1")).unwrap();
        cache.add(&sign_in(user, "Mail.Read", "2")).unwrap();
    }
    let look_up = |credential_type: CredentialType, query: &dyn Fn() -> Query, expected: usize| {
        let find = || cache.search(credential_type.clone(), &query()).unwrap().count();
        assert_eq!(find(), expected);
        let counted = allocation_counter::measure(|| assert_eq!(find(), expected));
        assert_eq!(counted.count_total, 0, "{credential_type} {:?}", query());
    };
    let alice = home("alice");
    let query = || {
        Query::new().home_account_id(&alice).environment(ENVIRONMENT).client_id(CLIENT).realm(REALM)
    };
    look_up(CredentialType::AccessToken, &|| query().target(["openid", "User.Read"]), 1);
    look_up(CredentialType::AccessToken, &|| query().target(["user.read"]), 1);
    look_up(CredentialType::AccessToken, &|| query().target(["Files.Read"]), 0);
    look_up(CredentialType::AccessToken, &query, 2);
    look_up(CredentialType::RefreshToken, &|| query().field("realm", None), 2);
    look_up(CredentialType::IdToken, &query, 1);
    look_up(CredentialType::Account, &|| Query::new().home_account_id(&alice), 1);
    look_up(CredentialType::Account, &Query::new, 2);
    look_up(CredentialType::AppMetadata, &|| Query::new().client_id(CLIENT), 1);
}

/// A warm acquisition allocates for its request and the name of its partition, and for nothing else.
#[test]
fn a_warm_acquisition_allocates_for_its_request_only() {
    struct Unreachable;

    impl msal_cache::endpoint::TokenEndpoint for Unreachable {
        fn send(
            &self,
            _: &msal_cache::endpoint::TokenRequest,
        ) -> Result<msal_cache::endpoint::TokenResponse, msal_cache::endpoint::TransportError>
        {
            unreachable!("the token is cached")
        }
    }

    let (cache, _) = cache();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let client = cache.client(CLIENT, format!("https://{ENVIRONMENT}/{REALM}"));
    let alice = msal_cache::AccountInfo::of(home("alice"));
    let request = msal_cache::SilentRequest::new(["User.Read"], &alice);
    let acquire = || client.acquire(&request, &Unreachable).unwrap();
    acquire();
    let counted = allocation_counter::measure(|| drop(acquire()));
    assert!(counted.count_total <= 6, "{} allocations", counted.count_total);
}

/// An awaited look-up allocates nothing either.
#[cfg(feature = "tokio")]
#[test]
fn an_awaited_look_up_allocates_nothing() {
    use msal_cache::AsyncTokenCache;
    use msal_cache::store::Ready;

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let in_place = AsyncTokenCache::in_memory();
    let ready = AsyncTokenCache::new(Ready(msal_cache::Memory::new()));
    let query = exact_query("alice").target(["User.Read"]);
    macro_rules! check {
        ($cache:expr) => {
            runtime.block_on(async {
                $cache.add(&sign_in("alice", "User.Read", "1")).await.unwrap();
                assert_eq!(find(&$cache, &query).await, 1);
            });
            let counted = allocation_counter::measure(|| {
                runtime.block_on(async {
                    for _ in 0..100 {
                        assert_eq!(find(&$cache, &query).await, 1);
                    }
                });
            });
            // The runtime allocates, the look-ups don't.
            assert!(counted.count_total < 10, "{} allocations", counted.count_total);
        };
    }
    check!(in_place);
    check!(ready);
    // In another executor, nothing else allocates.
    let counted = allocation_counter::measure(|| {
        let waker = std::task::Waker::noop();
        let mut found = std::pin::pin!(find(&in_place, &query));
        let found = found.as_mut().poll(&mut std::task::Context::from_waker(waker));
        assert_eq!(found, std::task::Poll::Ready(1));
    });
    assert_eq!(counted.count_total, 0);
}

#[cfg(feature = "tokio")]
async fn find<S: msal_cache::store::AsyncCacheStore>(
    cache: &msal_cache::AsyncTokenCache<S>,
    query: &Query,
) -> usize {
    cache.search(CredentialType::AccessToken, query).await.unwrap().count()
}

#[test]
fn memory_use_is_close_to_the_size_of_the_records() {
    const USERS: usize = 500;
    // Realistic lengths: 1.5 KB for an access token, 1 KB for a refresh token.
    let secret = "s".repeat(1500);
    let only_access = |user: &str, scope: &str| {
        sign_in(user, scope, "").response(
            Fields::new()
                .set("access_token", &*secret)
                .set("client_info", client_info(user))
                .set("id_token", format!("{}{}", id_token(user), &secret[..1000]))
                .set("expires_in", 3600),
        )
    };
    let kept = Cell::new(None);
    let held = allocation_counter::measure(|| {
        let cache = TokenCache::in_memory();
        for user in (0..USERS).map(|user| format!("user{user:030}")) {
            cache.add(&sign_in(&user, "a", &secret[..1000])).unwrap();
            for scope in ["a", "b", "c", "d"] {
                cache.add(&only_access(&user, scope)).unwrap();
            }
            // This also keeps the decoded tokens in memory.
            let found = cache.find(CredentialType::AccessToken, &exact_query(&user));
            assert_eq!(found.unwrap().len(), 4);
        }
        kept.set(Some(cache));
    });
    let entries = kept.take().unwrap().entries(None).unwrap();
    let payload: usize = entries.iter().map(|it| it.key().len() + it.json().expose().len()).sum();
    let beyond = usize::try_from(held.bytes_current).unwrap() - payload;
    let of_one = |bytes: usize| bytes / USERS / 4;
    println!("overhead of a token: {} bytes, payload: {}", of_one(beyond), of_one(payload));
    assert!(beyond * 2 <= payload, "{beyond} bytes of overhead for {payload}");
}
