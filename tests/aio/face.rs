//! The async face has the methods of the blocking one, with futures that can be moved to another
//! thread, over any store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use msal_cache::endpoint::{
    AsyncTokenEndpoint, SharedTokenEndpoint, TokenEndpoint, TokenRequest, TokenResponse,
    TransportError,
};
use msal_cache::store::{
    AsyncCacheStore, Blocking, BoxedCacheStore, CacheStore, Document, DynAsyncCacheStore, Offload,
    Ready,
};
use msal_cache::{
    AccountInfo, AsyncClient, AsyncTokenCache, CredentialType, Entry, Error, Event, Fields, Memory,
    Query, SilentRequest, TokenCache,
};

use crate::client::user;
use crate::common::{CLIENT, ENVIRONMENT, REALM, sign_in};

const SCOPE: [&str; 1] = ["User.Read"];

fn authority() -> String {
    format!("https://{ENVIRONMENT}/{REALM}")
}

/// The names of the public methods in a file.
fn methods(source: &str) -> BTreeSet<&str> {
    let lines = source.lines().map(str::trim);
    let after = lines.filter_map(|line| {
        line.strip_prefix("pub fn ").or_else(|| line.strip_prefix("pub async fn "))
    });
    after.filter_map(|rest| rest.split(['(', '<']).next()).collect()
}

#[test]
fn each_method_of_the_blocking_face_is_on_the_async_face() {
    for (blocking, asynchronous) in [
        (include_str!("../../src/cache.rs"), include_str!("../../src/aio/cache.rs")),
        (include_str!("../../src/client.rs"), include_str!("../../src/aio/client.rs")),
    ] {
        let mut blocking = methods(blocking);
        let asynchronous = methods(asynchronous);
        if blocking.contains("acquire") {
            // Both faces have these by one macro.
            let is_shared = |it: &str| matches!(it, "token_endpoint" | "authority");
            blocking.retain(|it| !it.starts_with("with_") && !is_shared(it));
        }
        assert!(blocking.len() > 10, "{blocking:?}");
        let missing: Vec<_> = blocking.difference(&asynchronous).collect();
        assert!(missing.is_empty(), "the async face has no {missing:?}");
    }
}

fn can_be_moved<T: Send>(value: T) -> T {
    value
}

/// Compiles only if all futures are `Send`.
#[allow(dead_code, reason = "it only has to compile")]
async fn all_futures_can_be_moved<S: AsyncCacheStore + 'static>(
    cache: &AsyncTokenCache<S>,
    client: &AsyncClient<S>,
    (entry, fields, query): (&Entry, &Fields, &Query),
    (account, request): (&AccountInfo, &SilentRequest),
    (event, endpoint): (&Event, &SharedTokenEndpoint),
) -> Result<(), Box<dyn std::error::Error>> {
    let section = || CredentialType::AccessToken;
    can_be_moved(cache.add(event)).await?;
    can_be_moved(cache.search(section(), query)).await?.count();
    can_be_moved(cache.find(section(), query)).await?;
    can_be_moved(cache.entries(None)).await?;
    can_be_moved(cache.modify(section(), entry, Some(fields))).await?;
    can_be_moved(cache.remove_rt(entry)).await?;
    can_be_moved(cache.update_rt(entry, "RT")).await?;
    can_be_moved(cache.remove_at(entry)).await?;
    can_be_moved(cache.remove_idt(entry)).await?;
    can_be_moved(cache.remove_account(entry)).await?;
    can_be_moved(cache.remove_user("uid.utid")).await?;
    can_be_moved(cache.purge_expired()).await?;
    can_be_moved(cache.verify()).await?;
    can_be_moved(cache.check()).await?;
    can_be_moved(cache.repair()).await?;
    can_be_moved(cache.serialize()).await?;
    can_be_moved(cache.deserialize("")).await?;
    can_be_moved(cache.copy_to(&AsyncTokenCache::in_memory())).await?;
    can_be_moved(cache.finish_refreshes()).await;
    can_be_moved(client.accounts()).await?;
    can_be_moved(client.accounts_named("alice")).await?;
    can_be_moved(client.account("uid.utid")).await?;
    can_be_moved(client.remove_account(account)).await?;
    can_be_moved(client.remove_tokens_for_client()).await?;
    can_be_moved(client.acquire_token_silent(SCOPE, account, endpoint)).await?;
    can_be_moved(client.acquire_token_for_client(SCOPE, endpoint)).await?;
    let token = can_be_moved(client.acquire(request, endpoint)).await?;
    can_be_moved(client.plan(request)).await?;
    can_be_moved(client.invalidate(&token)).await?;
    Ok(())
}

/// A handler of a web framework, over a store and an endpoint that are chosen at run time: its future
/// is `Send` whatever it borrows.
#[allow(dead_code, reason = "it only has to compile")]
fn handler(
    client: AsyncClient<BoxedCacheStore>,
    endpoint: SharedTokenEndpoint,
    entry: Entry,
) -> tokio::task::JoinHandle<bool> {
    tokio::spawn(async move {
        let (query, fields, event) = (Query::new(), Fields::new(), Event::new(CLIENT));
        let (account, request) = (user(), SilentRequest::for_client(SCOPE));
        let what = (&entry, &fields, &query);
        let how = (&event, &endpoint);
        let done =
            all_futures_can_be_moved(client.cache(), &client, what, (&account, &request), how);
        done.await.is_ok()
    })
}

/// A server that grants each request.
struct Grants;

fn granted() -> TokenResponse {
    let fields = Fields::new().set("access_token", "AT-2").set("expires_in", 3600);
    TokenResponse::new(200, fields)
}

impl TokenEndpoint for Grants {
    fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
        assert_ne!(std::thread::current().name(), Some("the thread of the tasks"));
        Ok(granted())
    }
}

struct AsyncGrants;

impl AsyncTokenEndpoint for AsyncGrants {
    async fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
        tokio::task::yield_now().await;
        Ok(granted())
    }
}

async fn signs_in_and_out<S: AsyncCacheStore + 'static>(
    cache: &AsyncTokenCache<S>,
    endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
) {
    cache.add(&sign_in("uid", "User.Read", "1")).await.unwrap();
    let client = cache.client(CLIENT, authority());
    let user = user();
    let request = SilentRequest::new(["Mail.Read"], &user);
    let token = client.acquire(&request, endpoint).await.unwrap();
    assert_eq!(token.secret().expose(), "AT-2");
    assert!(client.remove_account(&user).await.unwrap() > 0);
    assert!(client.accounts().await.unwrap().is_empty());
}

#[test]
fn stores_and_endpoints_can_be_chosen_at_run_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stores: [BoxedCacheStore; 3] = [
        Box::new(Ready(Memory::new())),
        Box::new(Offload::new(Memory::new())),
        Box::new(Offload::new(Box::new(Memory::new()) as Box<dyn CacheStore>)),
    ];
    let endpoints: [SharedTokenEndpoint; 3] = [
        Arc::new(AsyncGrants),
        Arc::new(Offload::new(Grants)),
        Arc::new(Offload::new(Box::new(Grants) as Box<dyn TokenEndpoint>)),
    ];
    for (store, endpoint) in stores.into_iter().zip(&endpoints) {
        runtime.block_on(signs_in_and_out(&AsyncTokenCache::new(store), endpoint));
    }
    let shared: Arc<dyn DynAsyncCacheStore> = Arc::new(Ready(Memory::new()));
    runtime.block_on(signs_in_and_out(&AsyncTokenCache::new(shared), &endpoints[0]));
}

#[test]
fn a_blocking_endpoint_is_offloaded_from_the_threads_of_tasks() {
    let thread = std::thread::Builder::new().name("the thread of the tasks".into());
    let body = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .thread_name("a thread for blocking work")
            .enable_all()
            .build()
            .unwrap();
        let endpoint = Offload::new(Grants);
        runtime.block_on(signs_in_and_out(&AsyncTokenCache::in_memory(), &endpoint));
    };
    thread.spawn(body).unwrap().join().unwrap();
}

#[test]
fn the_faces_are_made_from_each_other_and_share_the_cache() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let blocking = TokenCache::in_memory();
    let asynchronous = AsyncTokenCache::from(blocking.clone());
    runtime.block_on(asynchronous.add(&sign_in("uid", "User.Read", "1"))).unwrap();
    assert!(blocking.has_state_changed());
    assert_eq!(blocking.client(CLIENT, authority()).accounts().unwrap().len(), 1);
    let back: TokenCache = asynchronous.into();
    assert_eq!(back.remove_user(user().home_account_id()).unwrap(), 4);
    assert!(blocking.client(CLIENT, authority()).accounts().unwrap().is_empty());
    // Memory that started on the async side.
    let _: TokenCache = AsyncTokenCache::in_memory().into();
}

#[test]
fn a_store_that_is_async_itself_has_a_blocking_form() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let cache = AsyncTokenCache::new(Document::new(Offload::new(Variable::default())));
    let blocking = cache.to_blocking().unwrap();
    blocking.add(&sign_in("uid", "User.Read", "1")).unwrap();
    assert_eq!(runtime.block_on(cache.entries(None)).unwrap().len(), 5);
    runtime.block_on(async {
        assert!(matches!(cache.to_blocking(), Err(Error::Invalid { .. })));
        assert!(matches!(blocking.entries(None), Err(Error::Invalid { .. })));
        // On a thread of its own, and offloaded, it works.
        let other = blocking.clone();
        let entries = std::thread::spawn(move || other.entries(None)).join().unwrap();
        assert_eq!(entries.unwrap().len(), 5);
        let there_and_back = AsyncTokenCache::from(blocking.clone());
        assert_eq!(there_and_back.entries(None).await.unwrap().len(), 5);
    });
}

#[test]
fn a_blocking_store_that_hangs_takes_a_limited_number_of_threads() {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Hangs as long as a lock is held.
    #[derive(Debug, Default)]
    struct Hangs {
        lock: Mutex<()>,
        running: AtomicUsize,
        most: AtomicUsize,
    }

    impl msal_cache::store::BlobStore for Hangs {
        fn read(
            &self,
            _: Option<msal_cache::store::Revision>,
        ) -> msal_cache::Result<msal_cache::store::Blob> {
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            drop(self.lock.lock().unwrap());
            self.running.fetch_sub(1, Ordering::SeqCst);
            Ok(msal_cache::store::Blob::Absent)
        }

        fn swap(
            &self,
            _: msal_cache::store::Revision,
            _: &[u8],
        ) -> msal_cache::Result<msal_cache::store::Revision> {
            Err(Error::Conflict)
        }
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(5)
        .enable_all()
        .build()
        .unwrap();
    let store = Arc::new(Document::new(Hangs::default()));
    let cache = AsyncTokenCache::new(Offload::from(store.clone()).with_limit(4));
    let held = store.blob().lock.lock().unwrap();
    runtime.block_on(async {
        let calls: Vec<_> = (0..50)
            .map(|nth| {
                let cache = cache.clone();
                tokio::spawn(async move {
                    let query = Query::new().home_account_id(format!("u{nth}"));
                    cache.find(CredentialType::AccessToken, &query).await.map(|it| it.len())
                })
            })
            .collect();
        while store.blob().running.load(Ordering::SeqCst) < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // One of five threads is free for other work.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        drop(held);
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), 0);
        }
    });
    assert_eq!(store.blob().most.load(Ordering::SeqCst), 4);
}

/// A string in memory.
#[derive(Debug, Default)]
struct Variable(std::sync::Mutex<(msal_cache::store::Revision, Vec<u8>)>);

impl msal_cache::store::BlobStore for Variable {
    fn read(
        &self,
        known: Option<msal_cache::store::Revision>,
    ) -> msal_cache::Result<msal_cache::store::Blob> {
        use msal_cache::store::{Blob, Revision};
        let (revision, bytes) = self.0.lock().unwrap().clone();
        Ok(match revision {
            Revision::ABSENT => Blob::Absent,
            revision if known == Some(revision) => Blob::Unchanged,
            revision => Blob::Present(revision, bytes.into()),
        })
    }

    fn swap(
        &self,
        expected: msal_cache::store::Revision,
        bytes: &[u8],
    ) -> msal_cache::Result<msal_cache::store::Revision> {
        use msal_cache::store::Revision;
        let mut stored = self.0.lock().unwrap();
        if stored.0 != expected {
            return Err(Error::Conflict);
        }
        *stored = (Revision::unique(), bytes.to_vec());
        Ok(stored.0)
    }
}

/// Compiles only if the blocking form is a store.
#[allow(dead_code, reason = "it only has to compile")]
fn is_a_store(store: &impl CacheStore) {
    let _ = store;
}

#[allow(dead_code, reason = "it only has to compile")]
fn the_blocking_form_is_a_store<S: AsyncCacheStore>(store: &Blocking<S>) {
    is_a_store(store);
}
