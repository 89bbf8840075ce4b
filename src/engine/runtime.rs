//! How the steps wait.

use std::thread;
use std::time::Duration;

use event_listener::{EventListener, Listener};

/// What waits for a time, or for another caller.
pub(crate) trait Runtime: Copy + Send + Sync {
    fn sleep(&self, pause: Duration) -> impl Future<Output = ()> + Send;

    /// Waits for an event, at most for `limit`.
    fn wait(
        &self,
        event: EventListener,
        limit: Option<Duration>,
    ) -> impl Future<Output = ()> + Send;
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

/// Waits without blocking a thread, in the tokio runtime that polls the step.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokio;

#[cfg(feature = "tokio")]
impl Runtime for Tokio {
    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    async fn wait(&self, event: EventListener, limit: Option<Duration>) {
        match limit {
            Some(limit) => drop(tokio::time::timeout(limit, event).await),
            None => event.await,
        }
    }
}
