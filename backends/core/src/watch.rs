//! How a store tells that it may have changed.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_listener::{Event, EventListener};

/// Wakes those who look for changes of a store. Clones are one signal.
///
/// A store notifies the signals that [`CacheStore::watch`](crate::CacheStore::watch) has passed to
/// it whenever its contents may have changed. A notification without a change costs one conditional
/// read.
#[derive(Clone, Default)]
pub struct ChangeSignal(Arc<Event>);

impl ChangeSignal {
    /// A signal that wakes no one yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes all who wait for a change. It never blocks.
    #[inline]
    pub fn notify(&self) {
        self.0.notify(usize::MAX);
    }

    /// A listener for the next notification.
    #[doc(hidden)]
    #[must_use]
    pub fn listen(&self) -> EventListener {
        self.0.listen()
    }
}

impl fmt::Debug for ChangeSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangeSignal")
    }
}

/// A watch on a store, which ends when it is dropped; see
/// [`CacheStore::watch`](crate::CacheStore::watch).
#[must_use = "the watch ends when it is dropped"]
pub struct Watch {
    interval: Option<Duration>,
    /// Ends the watch when it is dropped.
    _held: Option<Box<dyn KeptWatch>>,
}

trait KeptWatch: Send + Sync {}
impl<T: Send + Sync> KeptWatch for T {}

impl Watch {
    /// How often a store is asked that reports nothing by itself, unless set.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

    /// A watch on a store that reports nothing by itself: it is asked each time this interval has
    /// passed.
    pub fn polling_every(interval: Duration) -> Self {
        Self { interval: Some(interval), _held: None }
    }

    /// A watch on a store that notifies the signal of each change, by any process, until `held` is
    /// dropped.
    pub fn notified(held: impl Send + Sync + 'static) -> Self {
        Self { interval: None, _held: Some(Box::new(held)) }
    }

    /// Adds polling, for notifications that may be lost.
    pub fn and_polling_every(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// How often the store has to be asked; `None` where it notifies of each change.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        self.interval
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("interval", &self.interval).finish_non_exhaustive()
    }
}

/// The signals that a store notifies of its changes.
#[derive(Clone, Debug, Default)]
pub struct Watchers(Arc<SharedWatchers>);

#[derive(Debug, Default)]
struct SharedWatchers {
    /// The number of signals: mostly there is none, and a commit needs no lock.
    count: AtomicUsize,
    next: AtomicU64,
    signals: Mutex<Vec<(u64, ChangeSignal)>>,
}

impl Watchers {
    /// A watch that notifies `signal` until it is dropped.
    pub fn watch(&self, signal: ChangeSignal) -> Watch {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut signals = self.0.lock();
        signals.push((number, signal));
        self.0.count.store(signals.len(), Ordering::SeqCst);
        Watch::notified(Watching { watchers: self.clone(), number })
    }

    /// Notifies all signals.
    #[inline]
    pub fn notify(&self) {
        if self.0.count.load(Ordering::SeqCst) > 0 {
            self.0.lock().iter().for_each(|(_, signal)| signal.notify());
        }
    }
}

impl SharedWatchers {
    fn lock(&self) -> MutexGuard<'_, Vec<(u64, ChangeSignal)>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Watching {
    watchers: Watchers,
    number: u64,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut signals = self.watchers.0.lock();
        signals.retain(|(number, _)| *number != self.number);
        self.watchers.0.count.store(signals.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use event_listener::Listener;

    use super::*;

    #[test]
    fn a_watch_notifies_its_signal_until_it_is_dropped() {
        let (watchers, signal) = (Watchers::default(), ChangeSignal::new());
        let watch = watchers.watch(signal.clone());
        let other = watchers.watch(ChangeSignal::new());
        assert_eq!(watch.interval(), None);
        let listener = signal.listen();
        watchers.notify();
        assert!(listener.wait_deadline(Instant::now()).is_some());
        drop(watch);
        let listener = signal.listen();
        watchers.notify();
        assert!(listener.wait_deadline(Instant::now()).is_none());
        assert_eq!(watchers.0.lock().len(), 1);
        drop(other);
        assert_eq!(watchers.0.count.load(Ordering::SeqCst), 0);
    }
}
