//! Guards that exclude too little or too much.

use std::mem::{self, ManuallyDrop};
use std::thread::{self, ThreadId};
use std::time::Duration;

use msal_cache_core::{
    Batch, CacheStore, Change, Error, Guards, Memory, Partition, RefreshGuard, Result, Revision,
};

use crate::wrapper::Flaw;

macro_rules! guards {
    ($($(#[$doc:meta])* $flaw:ident = |$sound:ident, $of:ident, $wait:ident| $guard:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn guard(
                &self,
                $sound: &Memory,
                $of: &Partition,
                $wait: Duration,
            ) -> Result<RefreshGuard> {
                $guard
            }
        }
    )*};
}

/// A broken guard isn't waited for longer, so that the cases end.
const ENOUGH: Duration = Duration::from_millis(500);

guards! {
    ExcludesNothing = |_sound, _of, _wait| Ok(RefreshGuard::none());
    ExcludesEveryPartition = |sound, _of, wait| sound.guard(&Partition::unowned(), wait);
    GivesUpAtOnce = |sound, of, _wait| sound.guard(of, Duration::ZERO);
    WaitsToTheEnd = |sound, of, wait| sound.guard(of, Duration::ZERO).or_else(|_| {
        thread::sleep(wait.min(ENOUGH * 5));
        sound.guard(of, Duration::ZERO)
    });
    ReportsAHeldGuardAsAConflict = |sound, of, wait| {
        sound.guard(of, wait).map_err(|_| Error::Conflict)
    };
    NeverReleases = |sound, of, wait| {
        Ok(RefreshGuard::new(ManuallyDrop::new(sound.guard(of, wait.min(ENOUGH))?)))
    };
    ReleasesOnItsOwnThreadOnly = |sound, of, wait| {
        let held = sound.guard(of, wait.min(ENOUGH))?;
        Ok(RefreshGuard::new(OfThread { held: Some(held), thread: thread::current().id() }))
    };
    /// Looks whether the guard is free, and takes it a moment later.
    LooksBeforeItTakes = |sound, of, wait| {
        drop(sound.guard(of, wait)?);
        thread::sleep(Duration::from_millis(1));
        Ok(sound.guard(of, Duration::ZERO).unwrap_or(RefreshGuard::none()))
    };
}

struct OfThread {
    held: Option<RefreshGuard>,
    thread: ThreadId,
}

impl Drop for OfThread {
    fn drop(&mut self) {
        if self.thread != thread::current().id() {
            mem::forget(self.held.take());
        }
    }
}

/// A store whose handles don't know of each other.
#[derive(Default)]
pub(crate) struct ExcludesItsHandleOnly(Guards);

impl Flaw for ExcludesItsHandleOnly {
    fn guard(&self, _: &Memory, of: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.0.enter(of, wait)
    }
}

/// A store whose guard is its lock for writers.
#[derive(Default)]
pub(crate) struct StopsWriters;

impl Flaw for StopsWriters {
    fn commit(&self, sound: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        for partition in batch.changes().iter().map(Change::partition) {
            drop(sound.guard(partition, Duration::ZERO)?);
        }
        sound.commit(batch)
    }
}
