use std::collections::HashSet;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Error, Hold, Partition, Result};

/// Guards over partitions among the threads of one process: what
/// [`CacheStore::guard`](crate::CacheStore::guard) is for a store that one process has for itself.
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
#[derive(Default)]
pub struct Guards {
    held: Mutex<HashSet<Partition>>,
    released: Condvar,
}

impl Guards {
    /// Guards that nobody holds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the guard of a partition, or waits for it up to `wait`.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] where another thread still holds it then.
    pub fn enter(&self, partition: &Partition, wait: Duration) -> Result<Hold<'_>> {
        let started = Instant::now();
        let mut held = self.lock();
        while held.contains(partition) {
            let waited = started.elapsed();
            let Some(left) = wait.checked_sub(waited).filter(|left| !left.is_zero()) else {
                return Err(Error::Locked {
                    path: "the guard of a partition".into(),
                    holder: Some("another thread of this process".into()),
                    waited,
                });
            };
            held = self.released.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        held.insert(partition.clone());
        Ok(Hold::new(Entered { guards: self, partition: partition.clone() }))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Partition>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guards({} held)", self.lock().len())
    }
}

struct Entered<'a> {
    guards: &'a Guards,
    partition: Partition,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.guards.lock().remove(&self.partition);
        // Those who wait for other partitions wake in vain; there are few.
        self.guards.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_woken_also_by_a_panic() {
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
}
