//! Guards that exclude too little or too much.

use std::mem::{self, ManuallyDrop};
use std::thread::{self, ThreadId};
use std::time::Duration;

use msal_cache_core::{
    Batch, CacheStore, Change, Error, Guards, Memory, Partition, RefreshGuard, Result, Revision,
};

use crate::wrapper::Flaw;

macro_rules! guards {
    ($($(#[$doc:meta])* $flaw:ident = |$correct:ident, $of:ident, $wait:ident| $guard:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn guard(
                &self,
                $correct: &Memory,
                $of: &Partition,
                $wait: Duration,
            ) -> Result<RefreshGuard> {
                $guard
            }
        }
    )*};
}

/// The longest wait for a broken guard, so that the cases end.
const ENOUGH: Duration = Duration::from_millis(500);

guards! {
    ExcludesNothing = |_correct, _of, _wait| Ok(RefreshGuard::none());
    ExcludesEveryPartition = |correct, _of, wait| correct.guard(&Partition::unowned(), wait);
    GivesUpAtOnce = |correct, of, _wait| correct.guard(of, Duration::ZERO);
    WaitsToTheEnd = |correct, of, wait| correct.guard(of, Duration::ZERO).or_else(|_| {
        thread::sleep(wait.min(ENOUGH * 5));
        correct.guard(of, Duration::ZERO)
    });
    ReportsAHeldGuardAsAConflict = |correct, of, wait| {
        correct.guard(of, wait).map_err(|_| Error::Conflict)
    };
    NeverReleases = |correct, of, wait| {
        Ok(RefreshGuard::new(ManuallyDrop::new(correct.guard(of, wait.min(ENOUGH))?)))
    };
    ReleasesOnItsOwnThreadOnly = |correct, of, wait| {
        let held = correct.guard(of, wait.min(ENOUGH))?;
        Ok(RefreshGuard::new(OfThread { held: Some(held), thread: thread::current().id() }))
    };
    /// Checks whether the guard is free, and takes it later.
    ChecksBeforeItTakes = |correct, of, wait| {
        drop(correct.guard(of, wait)?);
        thread::sleep(Duration::from_millis(1));
        Ok(correct.guard(of, Duration::ZERO).unwrap_or(RefreshGuard::none()))
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

/// A store whose guards exclude only those of the same handle.
#[derive(Default)]
pub(crate) struct ExcludesItsHandleOnly(Guards);

impl Flaw for ExcludesItsHandleOnly {
    fn guard(&self, _: &Memory, of: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.0.enter(of, wait)
    }
}

/// A store whose guard locks out writers.
#[derive(Default)]
pub(crate) struct StopsWriters;

impl Flaw for StopsWriters {
    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        for partition in batch.changes().iter().map(Change::partition) {
            drop(correct.guard(partition, Duration::ZERO)?);
        }
        correct.commit(batch)
    }
}
