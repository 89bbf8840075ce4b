//! How the steps wait.

#[cfg(feature = "tokio")]
use std::{future::poll_fn, pin::Pin, pin::pin, task::Poll};
use std::{thread, time::Duration};

use event_listener::{EventListener, Listener};
#[cfg(feature = "tokio")]
use futures_timer::Delay;

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

/// Waits without blocking a thread. The timer is not that of tokio: it works in any runtime, also where
/// time isn't enabled, or where the runtime shuts down.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokio;

#[cfg(feature = "tokio")]
impl Runtime for Tokio {
    async fn sleep(&self, pause: Duration) {
        Delay::new(pause).await;
    }

    async fn wait(&self, event: EventListener, limit: Option<Duration>) {
        let Some(limit) = limit else { return event.await };
        let (mut event, mut sleep) = (pin!(event), Delay::new(limit));
        poll_fn(|cx| match event.as_mut().poll(cx) {
            Poll::Pending => Pin::new(&mut sleep).poll(cx),
            ready @ Poll::Ready(()) => ready,
        })
        .await;
    }
}
