//! Commits that fail in a wrong way.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use msal_cache_core::conformance::{Faults, Harness};
use msal_cache_core::{
    Batch, CacheStore, Change, Error, Expect, Memory, Op, Result, Revision, delegate_store,
};

use crate::wrapper::{add, held};

/// How a commit fails.
pub(crate) trait Failure: Send + Sync + 'static {
    fn fail(place: &Shared, batch: &Batch) -> Result<Vec<Revision>>;
}

/// What the handles of a place share.
#[derive(Default)]
pub(crate) struct Shared {
    correct: Memory,
    locked: AtomicBool,
}

macro_rules! failures {
    ($($name:ident = |$place:ident, $batch:ident| $fail:expr;)*) => {$(
        pub(crate) struct $name;

        impl Failure for $name {
            fn fail($place: &Shared, $batch: &Batch) -> Result<Vec<Revision>> {
                $fail
            }
        }
    )*};
}

failures! {
    FailsCorrectly = |_place, _batch| Err(failure());
    KeepsAPartOfAFailedCommit = |place, batch| {
        let first = &batch.changes()[0];
        let mut part = Batch::new();
        add(&mut part, first.partition(), first.expect(), first.ops());
        place.correct.commit(&part)?;
        Err(failure())
    };
    CommitsAndFails = |place, batch| place.correct.commit(batch).and(Err(failure()));
    ReportsAFaultAsSuccess = |_place, batch| Ok(vec![Revision::unique(); batch.changes().len()]);
    ReportsAFaultAsAConflict = |_place, _batch| Err(Error::Conflict);
    RollsBackToANewRevision = |place, batch| {
        let first = batch.changes()[0].partition();
        for record in held(&place.correct, first).records() {
            let mut same = Batch::new();
            add(&mut same, first, Expect::Any, [&Op::Put(record.clone())]);
            place.correct.commit(&same)?;
        }
        Err(failure())
    };
    LeavesItsLock = |place, _batch| {
        place.locked.store(true, Ordering::SeqCst);
        Err(failure())
    };
    QuotesTheFailedRecord = |_place, batch| {
        let quoted = batch.changes().iter().flat_map(Change::ops).find_map(|op| match op {
            Op::Put(record) if record.key() == "kw" => Some(record.value().expose().to_owned()),
            _ => None,
        });
        Err(Error::backend("broken", quoted.unwrap_or_default()))
    };
}

fn failure() -> Error {
    Error::backend("broken", "power failure")
}

pub(crate) struct Handle<F> {
    place: Arc<Shared>,
    fails: bool,
    by: PhantomData<F>,
}

impl<F: Failure> CacheStore for Handle<F> {
    delegate_store!(self => self.place.correct, except commit);

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        if self.place.locked.load(Ordering::SeqCst) {
            return Err(Error::backend("broken", "the lock is never released"));
        }
        if self.fails {
            return F::fail(&self.place, batch);
        }
        self.place.correct.commit(batch)
    }
}

impl<F: Failure> fmt::Debug for Handle<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

pub(crate) struct Failing<F>(Arc<Shared>, PhantomData<F>);

impl<F: Failure> Harness for Failing<F> {
    type Store = Handle<F>;

    fn new() -> Self {
        Self(Arc::default(), PhantomData)
    }

    fn open(&self) -> Self::Store {
        Handle { place: self.0.clone(), fails: false, by: PhantomData }
    }
}

impl<F: Failure> Faults for Failing<F> {
    fn open_failing(&self) -> Vec<Box<dyn CacheStore>> {
        vec![Box::new(Handle::<F> { place: self.0.clone(), fails: true, by: PhantomData })]
    }
}
