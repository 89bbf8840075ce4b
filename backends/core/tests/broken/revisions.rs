//! Revisions that are repeated.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use msal_cache_core::conformance::{Harness, Persistent};
use msal_cache_core::{
    Batch, CacheStore, Expect, Load, Memory, Partition, Record, Result, Revision, Snapshot,
    delegate_store,
};

use crate::wrapper::{everything, expecting, held};

/// How a store makes its revisions.
pub(crate) trait Numbering: Send + Sync + 'static {
    fn number(numbers: &mut Numbers, partition: &Partition, held: &Snapshot) -> u128;
}

/// The numbers of the states so far.
#[derive(Default)]
pub(crate) struct Numbers {
    given: HashMap<Revision, u128>,
    last: HashMap<Partition, u128>,
}

impl Numbers {
    /// Numbers the states of a partition.
    fn count(&mut self, of: &Partition, state: Revision) -> u128 {
        let last = self.last.entry(of.clone()).or_default();
        *self.given.entry(state).or_insert_with(|| {
            *last += 1;
            *last
        })
    }
}

macro_rules! numberings {
    ($($name:ident = |$numbers:ident, $partition:ident, $held:ident| $number:expr;)*) => {$(
        pub(crate) struct $name;

        impl Numbering for $name {
            fn number($numbers: &mut Numbers, $partition: &Partition, $held: &Snapshot) -> u128 {
                $number
            }
        }
    )*};
}

numberings! {
    RestartsEmptiedPartitions = |numbers, partition, held| {
        if held.records().is_empty() {
            numbers.last.remove(partition);
            return 0;
        }
        numbers.count(partition, held.revision())
    };
    CountsInEachPlace = |numbers, partition, held| {
        if held.records().is_empty() { 0 } else { 1000 + numbers.count(partition, held.revision()) }
    };
    UsesTheSizeAsRevision = |_numbers, _partition, held| {
        held.records().iter().map(|it| it.value().expose().len() as u128).sum()
    };
    UsesTheNumberOfRecordsAsRevision = |_numbers, _partition, held| held.records().len() as u128;
    HashesTheLastRecord = |_numbers, _partition, held| {
        hash(held.records().last().into_iter().map(|it| parts(it).to_vec()))
    };
    HashesKeysOnly = |_numbers, _partition, held| {
        hash(held.records().iter().map(|it| vec![it.key().as_bytes()]))
    };
    HashesWithoutLengths = |_numbers, _partition, held| {
        let whole = held.records().iter().flat_map(parts).collect::<Vec<_>>().concat();
        if whole.is_empty() { 0 } else { hash([vec![whole.as_slice()]]) }
    };
    NumbersEmptyPartitions = |numbers, partition, held| {
        let empty = u128::from(held.records().is_empty()) << 64;
        if empty > 0 && !numbers.last.contains_key(partition) { return 0 }
        let state = Revision::from_u128(held.revision().as_u128() | empty);
        numbers.count(partition, state) | empty
    };
}

fn parts(record: &Record) -> [&[u8]; 3] {
    [record.credential_type().as_str(), record.key(), record.value().expose()].map(str::as_bytes)
}

fn hash<'a>(parts: impl IntoIterator<Item = Vec<&'a [u8]>>) -> u128 {
    Revision::of_contents(parts.into_iter().flatten()).as_u128()
}

/// A correct store with other revisions.
pub(crate) struct Renumbered<N> {
    correct: Arc<Memory>,
    numbers: Arc<Mutex<Numbers>>,
    by: std::marker::PhantomData<N>,
}

impl<N: Numbering> Renumbered<N> {
    fn number(&self, partition: &Partition) -> (Revision, Snapshot) {
        let mut numbers = self.numbers.lock().unwrap();
        let held = held(&self.correct, partition);
        (Revision::from_u128(N::number(&mut numbers, partition, &held)), held)
    }
}

impl<N: Numbering> CacheStore for Renumbered<N> {
    delegate_store!(self => self.correct, except load, load_many, commit, purge);

    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        let (revision, held) = self.number(partition);
        Ok(if known == Some(revision) {
            Load::Unchanged
        } else {
            Load::Snapshot(Snapshot::new(revision, held.into_records()))
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let correct = expecting(batch, |_, change| match change.expect() {
            Expect::Revision(expected) => {
                let (revision, held) = self.number(change.partition());
                let right = expected == revision;
                Expect::Revision(if right { held.revision() } else { Revision::unique() })
            }
            Expect::Any => Expect::Any,
        });
        self.correct.commit(&correct)?;
        Ok(batch.changes().iter().map(|change| self.number(change.partition()).0).collect())
    }

    fn purge(&self, now: i64) -> Result<u64> {
        let purged = self.correct.purge(now);
        // Numbers the new state of each partition.
        let known: Vec<_> = self.numbers.lock().unwrap().last.keys().cloned().collect();
        for partition in &known {
            self.number(partition);
        }
        purged
    }
}

impl<N> fmt::Debug for Renumbered<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renumbered")
    }
}

/// A place with these revisions.
pub(crate) struct Numbered<N>(Renumbered<N>);

impl<N: Numbering> Harness for Numbered<N> {
    type Store = Renumbered<N>;

    fn new() -> Self {
        let (correct, numbers) = (Arc::default(), Arc::default());
        Self(Renumbered { correct, numbers, by: std::marker::PhantomData })
    }

    fn open(&self) -> Self::Store {
        let (correct, numbers) = (self.0.correct.clone(), self.0.numbers.clone());
        Renumbered { correct, numbers, by: std::marker::PhantomData }
    }
}

/// A place where each handle has a counter of its own.
pub(crate) struct NumberedByHandle(Numbered<CountsInEachPlace>);

impl Harness for NumberedByHandle {
    type Store = Renumbered<CountsInEachPlace>;

    fn new() -> Self {
        Self(Numbered::new())
    }

    fn open(&self) -> Self::Store {
        Renumbered { numbers: Arc::default(), ..self.0.open() }
    }
}

/// A place that keeps its records, but whose counter is lost with the last handle.
pub(crate) struct NumberedWhileOpen {
    correct: Arc<Memory>,
    numbers: Mutex<Weak<Mutex<Numbers>>>,
}

impl Harness for NumberedWhileOpen {
    type Store = Renumbered<CountsInEachPlace>;

    fn new() -> Self {
        Self { correct: Arc::default(), numbers: Mutex::default() }
    }

    fn open(&self) -> Self::Store {
        let mut numbers = self.numbers.lock().unwrap();
        let shared = numbers.upgrade().unwrap_or_default();
        *numbers = Arc::downgrade(&shared);
        let correct = self.correct.clone();
        Renumbered { correct, numbers: shared, by: std::marker::PhantomData }
    }
}

impl Persistent for NumberedWhileOpen {}

/// A place whose records are lost with the last handle.
pub(crate) struct EndsWithTheLastHandle(Mutex<Weak<Memory>>);

impl Harness for EndsWithTheLastHandle {
    type Store = Arc<Memory>;

    fn new() -> Self {
        Self(Mutex::default())
    }

    fn open(&self) -> Self::Store {
        let mut place = self.0.lock().unwrap();
        let shared = place.upgrade().unwrap_or_default();
        *place = Arc::downgrade(&shared);
        shared
    }
}

impl Persistent for EndsWithTheLastHandle {}

/// A place that changes the order of its records when it is opened.
pub(crate) struct SortedWhenOpened(Mutex<Arc<Memory>>);

impl Harness for SortedWhenOpened {
    type Store = Arc<Memory>;

    fn new() -> Self {
        Self(Mutex::default())
    }

    fn open(&self) -> Self::Store {
        let mut place = self.0.lock().unwrap();
        if Arc::strong_count(&place) == 1 {
            let mut records = everything(&**place).into_records();
            records.sort_by(|a, b| a.key().cmp(b.key()));
            let mut batch = Batch::new();
            for record in records {
                batch.change(record.partition(), Expect::Any).put(record.clone());
            }
            *place = Arc::default();
            place.commit(&batch).unwrap();
        }
        place.clone()
    }
}

impl Persistent for SortedWhenOpened {}
