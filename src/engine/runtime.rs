//! How the steps wait.

use std::thread;
use std::time::Duration;

use event_listener::{EventListener, Listener};
use msal_cache_core::BoxFuture;

/// What waits for a time, or for another caller.
pub(crate) trait Runtime: Clone + Send + Sync {
    fn sleep(&self, pause: Duration) -> impl Future<Output = ()> + Send;

    /// Waits for an event, at most for `limit`.
    fn wait(
        &self,
        event: EventListener,
        limit: Option<Duration>,
    ) -> impl Future<Output = ()> + Send;
}

/// What runs work to its end, even if the caller's future is dropped. Once a refresh token has been
/// sent, the response must be stored: the server may have replaced the token.
pub(crate) trait Finish<'a>: Runtime {
    fn finish<T: Send + 'a>(&self, work: BoxFuture<'a, T>) -> impl Future<Output = T> + Send;
}

/// Blocks the thread, so each step is ready when it is first polled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads;

impl Runtime for Threads {
    async fn sleep(&self, pause: Duration) {
        if !pause.is_zero() {
            thread::sleep(pause);
        }
    }

    async fn wait(&self, event: EventListener, limit: Option<Duration>) {
        match limit {
            Some(limit) => drop(event.wait_timeout(limit)),
            None => event.wait(),
        }
    }
}

impl<'a> Finish<'a> for Threads {
    /// A thread doesn't abandon its call.
    async fn finish<T: Send + 'a>(&self, work: BoxFuture<'a, T>) -> T {
        work.await
    }
}
