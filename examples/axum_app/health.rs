//! Whether the threads that run tasks are free: a task that wakes every 10 ms notes how late it is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

const TICK: Duration = Duration::from_millis(10);
/// Ten seconds.
const KEPT: usize = 1000;

/// How late the latest ticks were.
#[derive(Clone, Default)]
pub(crate) struct Lateness(Arc<Mutex<VecDeque<Duration>>>);

impl Lateness {
    /// Starts to measure, as long as the runtime runs.
    pub(crate) fn measure(&self) {
        let kept = self.0.clone();
        tokio::spawn(async move {
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                let late = ticks.tick().await.elapsed();
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == KEPT {
                    kept.pop_front();
                }
                kept.push_back(late);
            }
        });
    }

    /// The 99th percentile of the last ten seconds, and the maximum.
    pub(crate) fn p99_and_max(&self) -> (Duration, Duration) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<_> = kept.iter().copied().collect();
        drop(kept);
        sorted.sort_unstable();
        let max = sorted.last().copied().unwrap_or_default();
        let p99 = sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(max);
        (p99, max)
    }
}
