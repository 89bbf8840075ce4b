use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener, Listener};

use crate::{Error, Partition, RefreshGuard, Result};

/// Guards of partitions among the threads and tasks of one process. They implement
/// [`CacheStore::guard`](crate::CacheStore::guard) for a store that only this process uses.
///
/// ```
/// use std::time::Duration;
/// use msal_cache_core::{Guards, Partition};
///
/// let guards = Guards::new();
/// let (alice, bob) = (Partition::user("alice"), Partition::user("bob"));
/// let held = guards.enter(&alice, Duration::ZERO)?;
/// assert!(guards.enter(&alice, Duration::ZERO).is_err());
/// assert!(guards.enter(&bob, Duration::ZERO).is_ok());
/// drop(held);
/// assert!(guards.enter(&alice, Duration::ZERO).is_ok());
/// # Ok::<(), msal_cache_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Guards(Arc<SharedGuards>);

#[derive(Default)]
struct SharedGuards {
    held: Mutex<HashSet<Partition>>,
    released: Event,
}

impl Guards {
    /// Guards that are all free.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the guard of a partition, or waits for it up to `wait`.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] where another thread or task still holds it at the end of `wait`.
    pub fn enter(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        let started = Instant::now();
        loop {
            let released = match self.try_enter(partition) {
                Ok(guard) => return Ok(guard),
                Err(released) => released,
            };
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(Self::locked(started.elapsed()));
            }
            released.wait_timeout(left);
        }
    }

    /// Takes the guard of a partition if it is free; else returns a listener that is notified when
    /// a guard is released.
    #[doc(hidden)]
    pub fn try_enter(&self, partition: &Partition) -> Result<RefreshGuard, EventListener> {
        let mut held = self.0.lock();
        if held.contains(partition) {
            // Made under the lock, so that it is notified of the next release.
            return Err(self.0.released.listen());
        }
        held.insert(partition.clone());
        drop(held);
        Ok(RefreshGuard::new(Entered { guards: self.0.clone(), partition: partition.clone() }))
    }

    /// The error of a caller that didn't get the guard in time.
    pub fn locked(waited: Duration) -> Error {
        Error::Locked {
            path: "the guard of a partition".into(),
            holder: Some("another refresh in this process".into()),
            waited,
        }
    }
}

impl SharedGuards {
    fn lock(&self) -> MutexGuard<'_, HashSet<Partition>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guards({} held)", self.0.lock().len())
    }
}

struct Entered {
    guards: Arc<SharedGuards>,
    partition: Partition,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.guards.lock().remove(&self.partition);
        // Waiters for other partitions wake too; there are few.
        self.guards.released.notify(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_wakes_waiters_also_after_a_panic() {
        let (guards, alice) = (Guards::new(), Partition::user("alice"));
        std::thread::scope(|threads| {
            let held = guards.enter(&alice, Duration::ZERO).unwrap();
            let waiter = threads.spawn(|| guards.enter(&alice, Duration::from_secs(60)).is_ok());
            drop(held);
            assert!(waiter.join().unwrap());
            let panics = threads.spawn(|| {
                let _held = guards.enter(&alice, Duration::from_secs(60)).unwrap();
                panic!("while it is held");
            });
            assert!(panics.join().is_err());
        });
        assert!(guards.enter(&alice, Duration::ZERO).is_ok());
        assert_eq!(format!("{guards:?}"), "Guards(0 held)");
    }

    #[test]
    fn a_guard_outlives_the_guards_and_is_released_on_another_thread() {
        let (guards, alice) = (Guards::new(), Partition::user("alice"));
        let held = guards.enter(&alice, Duration::ZERO).unwrap();
        let other = guards.clone();
        drop(guards);
        let waited = other.enter(&alice, Duration::from_millis(5)).unwrap_err();
        assert!(matches!(waited, Error::Locked { waited, .. } if waited.as_millis() >= 5));
        std::thread::spawn(move || drop(held)).join().unwrap();
        assert!(other.enter(&alice, Duration::ZERO).is_ok());
    }
}
