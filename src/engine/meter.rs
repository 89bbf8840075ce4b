//! What an acquisition takes, measured while it runs.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::model::{Cost, micros};

/// The times of an acquisition, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    in_store: AtomicU64,
    in_http: AtomicU64,
    waiting: AtomicU64,
    requests: AtomicU32,
}

impl Meter {
    pub(crate) fn new(in_store: Duration) -> Self {
        let meter = Self::default();
        add(&meter.in_store, in_store);
        meter
    }

    pub(crate) async fn in_store<T>(&self, step: impl Future<Output = T>) -> T {
        measured(&self.in_store, step).await
    }

    pub(crate) async fn in_http<T>(&self, request: impl Future<Output = T>) -> T {
        self.requests.fetch_add(1, Ordering::Relaxed);
        measured(&self.in_http, request).await
    }

    pub(crate) async fn waiting<T>(&self, step: impl Future<Output = T>) -> T {
        measured(&self.waiting, step).await
    }

    pub(crate) fn cost(&self) -> Cost {
        let time = |it: &AtomicU64| micros(Duration::from_nanos(it.load(Ordering::Relaxed)));
        Cost {
            in_store: time(&self.in_store),
            in_http: time(&self.in_http),
            waiting: time(&self.waiting),
            requests: self.requests.load(Ordering::Relaxed),
        }
    }
}

/// Runs a step, and measures it from its start, or from the first time that it suspends: to read the
/// clock takes as long as a look-up in memory.
#[inline]
pub(crate) async fn timed<F: Future>(from_start: bool, step: F) -> (F::Output, Option<Duration>) {
    let mut started = from_start.then(Instant::now);
    let mut step = pin!(step);
    let done = poll_fn(|cx| {
        let polled = step.as_mut().poll(cx);
        if polled.is_pending() && started.is_none() {
            started = Some(Instant::now());
        }
        polled
    })
    .await;
    (done, started.map(|it| it.elapsed()))
}

async fn measured<T>(counter: &AtomicU64, step: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let done = step.await;
    add(counter, started.elapsed());
    done
}

fn add(counter: &AtomicU64, time: Duration) {
    counter.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}
