use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use msal_cache_core::Partition;

/// The tokens of the guards that this store holds, or believes to hold.
#[derive(Default)]
pub(crate) struct Leases(Mutex<HashMap<Partition, String>>);

impl Leases {
    /// The token with which a commit to this partition is checked.
    pub(crate) fn token(&self, partition: &Partition) -> Option<String> {
        self.lock().get(partition).cloned()
    }

    /// The caller has been told that the guard was lost.
    pub(crate) fn forget(&self, partition: &Partition) {
        self.lock().remove(partition);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<Partition, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
