//! Wrong runtimes, deadlines, shutdowns, and panics: an error or a panic of the caller, and never a
//! call that doesn't return.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use msal_cache::endpoint::{
    AsyncTokenEndpoint, TokenEndpoint, TokenRequest, TokenResponse, TransportError,
};
use msal_cache::store::{
    AsyncCacheStore, Batch, CacheStore, Load, Offload, Partition, Ready, RefreshGuard, Revision,
};
use msal_cache::{
    AcquireError, AsyncTokenCache, CredentialType, Entry, Error, Fields, Memory, Query, Result,
    SilentRequest, TokenCache,
};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::server::{Server, Way};
use super::stores::Waits;
use crate::common::{CLIENT, ENVIRONMENT, REALM, home, sign_in};

const SCOPE: [&str; 1] = ["Mail.Read"];
const LONG: Duration = Duration::from_secs(60);

/// A runtime of another kind: it polls on this thread, and parks it in between.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        thread::park();
    }
}

/// Runs a test that fails where it takes longer than a minute, and returns its result.
fn in_time<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> thread::Result<T> {
    let (done, received) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(test));
        let _ = done.send(result);
    });
    received.recv_timeout(LONG).expect("the call returns")
}

fn authority() -> String {
    format!("https://{ENVIRONMENT}/{REALM}")
}

fn alice() -> msal_cache::AccountInfo {
    msal_cache::AccountInfo::of(home("alice"))
}

async fn acquire<S: AsyncCacheStore + 'static>(
    cache: &AsyncTokenCache<S>,
    endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
) -> std::result::Result<String, AcquireError> {
    let client = cache.client(CLIENT, authority());
    let token = client.acquire_token_silent(SCOPE, &alice(), endpoint).await?;
    Ok(token.secret().expose().to_owned())
}

fn is_runtime_error<T>(result: std::result::Result<T, AcquireError>) -> bool {
    let Err(AcquireError::Cache(error)) = result else { return false };
    matches!(&*error, Error::Runtime { .. })
}

/// A store whose commits conflict at first.
#[derive(Debug)]
struct Conflicts {
    store: Memory,
    left: AtomicUsize,
}

impl CacheStore for Conflicts {
    msal_cache::store::delegate_store!(self => self.store, except commit);

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let one_less = |left: usize| left.checked_sub(1);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return Err(Error::Conflict);
        }
        self.store.commit(batch)
    }
}

#[test]
fn without_a_tokio_runtime_memory_works_and_the_rest_is_an_error() {
    in_time(|| {
        let (cache, server) = (AsyncTokenCache::in_memory(), Arc::new(Server::default()));
        block_on(cache.add(&server.sign_in("alice"))).unwrap();
        let found = block_on(cache.find(CredentialType::AccessToken, &Query::new())).unwrap();
        assert_eq!(found.len(), 1);
        let refused = block_on(acquire(&cache, &Way(server)));
        let text = refused.as_ref().unwrap_err().to_string();
        assert!(is_runtime_error(refused), "{text}");
        assert!(text.contains("#[tokio::main]"), "{text}");
        // Nothing is left in flight.
        block_on(cache.finish_refreshes());

        // The retry of a conflict waits without a timer of tokio.
        let store = Conflicts { store: Memory::new(), left: 5.into() };
        let cache = AsyncTokenCache::new(Ready(store));
        block_on(cache.add(&sign_in("alice", "User.Read", "1"))).unwrap();

        // A store that blocks has no thread to run on.
        let offloaded = AsyncTokenCache::new(Offload::new(Blocks(Memory::new())));
        let refused = block_on(offloaded.entries(None)).unwrap_err();
        assert!(matches!(refused, Error::Runtime { .. }), "{refused}");
    })
    .unwrap();
}

/// Memory that isn't immediate.
#[derive(Debug)]
struct Blocks(Memory);

impl CacheStore for Blocks {
    msal_cache::store::delegate_store!(self => self.0, except is_immediate);
}

#[test]
fn each_flavor_of_the_runtime_works() {
    let multi_thread = || Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let current_thread = || Builder::new_current_thread().enable_all().build();
    let without_drivers = || Builder::new_current_thread().build();
    for runtime in [multi_thread(), current_thread(), without_drivers()] {
        let runtime = runtime.unwrap();
        in_time(move || {
            let server = Arc::new(Server::default());
            let cache = AsyncTokenCache::new(Offload::new(Blocks(Memory::new())));
            runtime.block_on(async {
                cache.add(&server.sign_in("alice")).await.unwrap();
                assert!(acquire(&cache, &Way(server)).await.unwrap().starts_with("AT-alice-2"));
            });
        })
        .unwrap();
    }
}

#[test]
fn in_a_runtime_that_has_shut_down_calls_are_errors() {
    in_time(|| {
        let server = Arc::new(Server::default());
        let cache = AsyncTokenCache::new(Offload::new(Blocks(Memory::new())));
        let memory = AsyncTokenCache::in_memory();
        block_on(memory.add(&server.sign_in("alice"))).unwrap();
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _entered = handle.enter();
        let refused = block_on(cache.entries(None)).unwrap_err();
        assert!(matches!(refused, Error::Runtime { .. }), "{refused}");
        assert!(is_runtime_error(block_on(acquire(&memory, &Way(server)))));
        block_on(memory.finish_refreshes());
    })
    .unwrap();
}

/// A server that says when a request has arrived, and responds when it may.
#[derive(Default)]
struct Slow {
    server: Arc<Server>,
    arrived: AtomicBool,
    may_respond: Option<Semaphore>,
}

impl AsyncTokenEndpoint for Slow {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let response = Way(self.server.clone());
        self.arrived.store(true, Ordering::SeqCst);
        match &self.may_respond {
            Some(may_respond) => may_respond.acquire().await.unwrap().forget(),
            None => pending().await,
        }
        AsyncTokenEndpoint::send(&response, request).await
    }
}

async fn until(arrived: &AtomicBool) {
    while !arrived.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_shutdown_during_a_refresh_releases_its_followers_and_its_guard() {
    in_time(|| {
        let (cache, slow) = (TokenCache::in_memory(), Arc::new(Slow::default()));
        cache.add(&slow.server.sign_in("alice")).unwrap();
        let first = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let other = Builder::new_current_thread().enable_all().build().unwrap();
        let leader = AsyncTokenCache::from(cache.clone());
        let endpoint = slow.clone();
        first.spawn(async move { drop(acquire(&leader, &endpoint).await) });
        first.block_on(until(&slow.arrived));
        // A task of another runtime, a thread, and a caller that polls within the first runtime.
        let (asynchronous, way) = (AsyncTokenCache::from(cache.clone()), Way(slow.server.clone()));
        let follower = {
            let (cache, way) = (asynchronous.clone(), way.clone());
            thread::spawn(move || other.block_on(acquire(&cache, &way)))
        };
        let blocking = {
            let (client, way) = (cache.client(CLIENT, authority()), way.clone());
            thread::spawn(move || client.acquire_token_silent(SCOPE, &alice(), &way))
        };
        let waits = thread::spawn({
            let (handle, cache, slow) =
                (first.handle().clone(), asynchronous.clone(), slow.clone());
            move || {
                let _entered = handle.enter();
                block_on(acquire(&cache, &slow))
            }
        });
        thread::sleep(Duration::from_millis(50));
        first.shutdown_background();
        let secret = follower.join().unwrap().unwrap();
        assert!(secret.starts_with("AT-alice-2"), "{secret}");
        assert_eq!(blocking.join().unwrap().unwrap().secret().expose(), secret);
        // It follows one of the others, or is in the runtime that has shut down.
        let waited = waits.join().unwrap();
        assert!(is_runtime_error(waited.clone()) || waited.is_ok(), "{waited:?}");
        slow.server.assert_no_session_is_lost();
        block_on(asynchronous.finish_refreshes());
    })
    .unwrap();
}

#[test]
fn refreshes_that_are_finished_before_a_shutdown_lose_nothing() {
    in_time(|| {
        let slow = Slow { may_respond: Some(Semaphore::new(0)), ..Slow::default() };
        let (cache, slow) = (TokenCache::in_memory(), Arc::new(slow));
        cache.add(&slow.server.sign_in("alice")).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let asynchronous = AsyncTokenCache::from(cache.clone());
        runtime.block_on(async {
            let caller = tokio::spawn({
                let (cache, slow) = (asynchronous.clone(), slow.clone());
                async move { drop(acquire(&cache, &slow).await) }
            });
            until(&slow.arrived).await;
            caller.abort();
            let ended = timeout(Duration::from_millis(50), asynchronous.finish_refreshes()).await;
            assert!(ended.is_err(), "the server has not responded");
            slow.may_respond.as_ref().unwrap().add_permits(1);
            asynchronous.finish_refreshes().await;
        });
        drop(runtime);
        assert!(cache.serialize().unwrap().contains(&slow.server.valid("alice")));
    })
    .unwrap();
}

#[test]
fn a_blocking_call_that_follows_a_task_of_its_own_thread_ends_with_an_error() {
    let result = in_time(|| {
        let (cache, slow) = (TokenCache::in_memory(), Arc::new(Slow::default()));
        cache.add(&slow.server.sign_in("alice")).unwrap();
        let asynchronous = AsyncTokenCache::from(cache.clone());
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let leader = slow.clone();
            tokio::spawn(async move { drop(acquire(&asynchronous, &leader).await) });
            until(&slow.arrived).await;
            // The only thread of the runtime waits for a task that needs it.
            let client = cache.client(CLIENT, authority());
            let client = client.with_guard_wait(Duration::from_millis(50));
            client.acquire_token_silent(SCOPE, &alice(), &Way(slow.server.clone()))
        })
    });
    let error = result.unwrap().unwrap_err();
    let AcquireError::Cache(error) = &error else { panic!("{error:?}") };
    assert!(matches!(&**error, Error::Locked { .. }), "{error:?}");
}

/// A store whose verbs don't return while it hangs.
#[derive(Debug, Default)]
struct Hangs {
    store: Waits,
    hangs: AtomicBool,
}

impl Hangs {
    async fn pass(&self) {
        if self.hangs.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
    }
}

impl AsyncCacheStore for Hangs {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.pass().await;
        self.store.load(partition, known).await
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.pass().await;
        self.store.load_many(wanted).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.pass().await;
        self.store.commit(batch).await
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.pass().await;
        self.store.list(credential_type, known).await
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        self.pass().await;
        self.store.purge(now).await
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.pass().await;
        self.store.guard(partition, wait).await
    }
}

#[tokio::test]
async fn each_call_can_have_a_deadline_and_works_again_afterwards() {
    let (cache, server) = (AsyncTokenCache::new(Hangs::default()), Arc::new(Server::default()));
    let (client, way) = (cache.client(CLIENT, authority()), Way(server.clone()));
    let event = server.sign_in("alice");
    cache.add(&event).await.unwrap();
    let of_account = Query::new().home_account_id(home("alice"));
    let account = cache.find(CredentialType::Account, &of_account).await.unwrap().remove(0);
    let fields = Fields::new().set("note", "changed");
    let other = AsyncTokenCache::in_memory();
    let user = alice();
    let own = SilentRequest::new(SCOPE, &user);
    let token = client.acquire(&own, &way).await.unwrap();
    let rt = |entries: Vec<Entry>| entries.into_iter().next();
    let refresh_token =
        rt(cache.entries(Some(CredentialType::RefreshToken)).await.unwrap()).unwrap();
    let valid = server.valid("alice");
    macro_rules! each_ends_at_its_deadline {
        ($($call:expr),* $(,)?) => {$(
            cache.store().hangs.store(true, Ordering::SeqCst);
            let ended = timeout(Duration::from_millis(5), $call).await;
            assert!(ended.is_err(), "{} didn't reach the store", stringify!($call));
            cache.store().hangs.store(false, Ordering::SeqCst);
            let again = timeout(LONG, $call).await.unwrap();
            assert!(again.is_ok(), "{} works again", stringify!($call));
        )*};
    }
    let query = Query::new();
    let forced = own.clone().force_refresh(true);
    each_ends_at_its_deadline![
        cache.find(CredentialType::AccessToken, &query),
        cache.search(CredentialType::AccessToken, &of_account),
        cache.entries(None),
        cache.check(),
        cache.repair(),
        cache.serialize(),
        cache.copy_to(&other),
        cache.purge_expired(),
        cache.modify(CredentialType::Account, &account, Some(&fields)),
        cache.update_rt(&refresh_token, &valid),
        client.accounts(),
        client.account(user.home_account_id()),
        client.plan(&own),
        client.acquire(&own, &way),
        client.remove_tokens_for_client(),
        client.invalidate(&token),
        cache.remove_account(&account),
        client.remove_account(&user),
        cache.remove_user(user.home_account_id()),
        cache.add(&event),
    ];
    // A refresh runs on as a task, which hangs with the store; its followers have a deadline, too.
    cache.add(&event).await.unwrap();
    cache.store().hangs.store(true, Ordering::SeqCst);
    let deadline = Duration::from_millis(5);
    assert!(timeout(deadline, client.acquire(&forced, &way)).await.is_err());
    assert!(timeout(deadline, client.acquire(&forced, &way)).await.is_err());
}

/// A store that panics in one of its verbs.
#[derive(Debug, Default)]
struct Panics {
    store: Memory,
    /// The verb, or none.
    verb: std::sync::Mutex<&'static str>,
}

impl Panics {
    fn pass(&self, verb: &str) {
        let panics = *self.verb.lock().unwrap() == verb;
        assert!(!panics, "the store panics in {verb}");
    }
}

impl CacheStore for Panics {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.pass("load");
        self.store.load(partition, known)
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.pass("load_many");
        self.store.load_many(wanted)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.pass("commit");
        self.store.commit(batch)
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.pass("list");
        self.store.list(credential_type, known)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.pass("purge");
        self.store.purge(now)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.pass("guard");
        self.store.guard(partition, wait)
    }
}

/// An endpoint that panics once.
#[derive(Clone)]
struct PanicsOnce(Arc<AtomicBool>, Way);

impl PanicsOnce {
    fn pass(&self) {
        let panics = self.0.swap(false, Ordering::SeqCst);
        assert!(!panics, "the endpoint panics");
    }
}

impl AsyncTokenEndpoint for PanicsOnce {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        tokio::task::yield_now().await;
        self.pass();
        AsyncTokenEndpoint::send(&self.1, request).await
    }
}

impl TokenEndpoint for PanicsOnce {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        self.pass();
        TokenEndpoint::send(&self.1, request)
    }
}

#[test]
fn a_panic_of_a_store_reaches_its_caller_and_leaves_nothing_held() {
    for verb in ["load", "load_many", "commit", "guard"] {
        let panicked = in_time(move || {
            let server = Arc::new(Server::default());
            let cache = TokenCache::new(Panics::default());
            cache.add(&server.sign_in("alice")).unwrap();
            let way = Way(server.clone());
            let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = runtime.unwrap();
            let asynchronous = AsyncTokenCache::from(cache.clone());
            let panics_in = |verb| *cache.store().verb.lock().unwrap() = verb;
            panics_in(verb);
            let of_task = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async { drop(acquire(&asynchronous, &way).await) });
            }));
            // A panic of the commit loses the response; a new sign-in follows.
            panics_in("");
            cache.add(&server.sign_in("alice")).unwrap();
            panics_in(verb);
            let of_thread = catch_unwind(AssertUnwindSafe(|| {
                let client = cache.client(CLIENT, authority());
                drop(client.acquire_token_silent(SCOPE, &alice(), &way));
            }));
            panics_in("");
            cache.add(&server.sign_in("alice")).unwrap();
            runtime.block_on(acquire(&asynchronous, &way)).unwrap();
            let client = cache.client(CLIENT, authority());
            client.acquire_token_silent(SCOPE, &alice(), &way).unwrap();
            (of_task.is_err(), of_thread.is_err())
        });
        assert_eq!(panicked.unwrap(), (true, true), "{verb}");
    }
}

#[test]
fn after_a_panic_of_an_endpoint_a_follower_takes_over() {
    in_time(|| {
        let server = Arc::new(Server::default());
        let cache = TokenCache::in_memory();
        cache.add(&server.sign_in("alice")).unwrap();
        let endpoint = PanicsOnce(Arc::new(true.into()), Way(server.clone()));
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let asynchronous = AsyncTokenCache::from(cache.clone());
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (cache, endpoint) = (asynchronous.clone(), endpoint.clone());
                runtime.spawn(async move { acquire(&cache, &endpoint).await })
            })
            .collect();
        let results: Vec<_> = tasks.into_iter().map(|it| runtime.block_on(it)).collect();
        let panicked = results.iter().filter(|it| it.is_err()).count();
        assert_eq!(panicked, 1, "only the caller whose endpoint panics");
        assert!(results.into_iter().flatten().all(|it| it.is_ok()));

        // The same for threads.
        cache.add(&server.sign_in("alice")).unwrap();
        endpoint.0.store(true, Ordering::SeqCst);
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (client, endpoint) = (cache.client(CLIENT, authority()), endpoint.clone());
                let request = SilentRequest::new(SCOPE, &alice()).force_refresh(true);
                thread::spawn(move || client.acquire(&request, &endpoint).is_ok())
            })
            .collect();
        let results: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
        assert_eq!(results.iter().filter(|it| it.is_err()).count(), 1);
        server.assert_no_session_is_lost();
    })
    .unwrap();
}
