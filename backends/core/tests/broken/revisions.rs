//! Revisions that return.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use msal_cache_core::conformance::{Harness, Persistent};
use msal_cache_core::{
    Batch, CacheStore, Expect, Load, Memory, Partition, Record, Result, Revision, Snapshot,
    delegate_store,
};

use crate::wrapper::{everything, expecting, held};

/// How a store comes to its revisions.
pub(crate) trait Numbering: Send + Sync + 'static {
    fn number(numbers: &mut Numbers, partition: &Partition, held: &Snapshot) -> u128;
}

/// What has been numbered so far.
#[derive(Default)]
pub(crate) struct Numbers {
    given: HashMap<Revision, u128>,
    last: HashMap<Partition, u128>,
}

impl Numbers {
    /// Counts the states of `of`, each once.
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
    CountsFromOneWhenEmptied = |numbers, partition, held| {
        if held.records().is_empty() {
            numbers.last.remove(partition);
            return 0;
        }
        numbers.count(partition, held.revision())
    };
    CountsInEachPlace = |numbers, partition, held| {
        if held.records().is_empty() { 0 } else { 1000 + numbers.count(partition, held.revision()) }
    };
    TakesTheSize = |_numbers, _partition, held| {
        held.records().iter().map(|it| it.value().expose().len() as u128).sum()
    };
    CountsRecords = |_numbers, _partition, held| held.records().len() as u128;
    HashesTheLastRecord = |_numbers, _partition, held| {
        hash(held.records().last().into_iter().map(|it| parts(it).to_vec()))
    };
    HashesKeysAlone = |_numbers, _partition, held| {
        hash(held.records().iter().map(|it| vec![it.key().as_bytes()]))
    };
    HashesWithoutLengths = |_numbers, _partition, held| {
        let whole = held.records().iter().flat_map(parts).collect::<Vec<_>>().concat();
        if whole.is_empty() { 0 } else { hash([vec![whole.as_slice()]]) }
    };
    NumbersTheEmpty = |numbers, partition, held| {
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

/// A sound store under other numbers.
pub(crate) struct Renumbered<N> {
    sound: Arc<Memory>,
    numbers: Arc<Mutex<Numbers>>,
    by: std::marker::PhantomData<N>,
}

impl<N: Numbering> Renumbered<N> {
    fn number(&self, partition: &Partition) -> (Revision, Snapshot) {
        let mut numbers = self.numbers.lock().unwrap();
        let held = held(&self.sound, partition);
        (Revision::from_u128(N::number(&mut numbers, partition, &held)), held)
    }
}

impl<N: Numbering> CacheStore for Renumbered<N> {
    delegate_store!(self => self.sound, except load, load_many, commit, purge);

    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        let (revision, held) = self.number(partition);
        Ok(if known == Some(revision) {
            Load::Unchanged
        } else {
            Load::Snapshot(Snapshot::new(revision, held.into_records()))
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let sound = expecting(batch, |_, change| match change.expect() {
            Expect::Revision(expected) => {
                let (revision, held) = self.number(change.partition());
                let right = expected == revision;
                Expect::Revision(if right { held.revision() } else { Revision::unique() })
            }
            Expect::Any => Expect::Any,
        });
        self.sound.commit(&sound)?;
        Ok(batch.changes().iter().map(|change| self.number(change.partition()).0).collect())
    }

    fn purge(&self, now: i64) -> Result<u64> {
        let purged = self.sound.purge(now);
        // Whoever counts sees what has become of each partition.
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

/// A place whose revisions are numbered so.
pub(crate) struct Numbered<N>(Renumbered<N>);

impl<N: Numbering> Harness for Numbered<N> {
    type Store = Renumbered<N>;

    fn new() -> Self {
        let (sound, numbers) = (Arc::default(), Arc::default());
        Self(Renumbered { sound, numbers, by: std::marker::PhantomData })
    }

    fn open(&self) -> Self::Store {
        let (sound, numbers) = (self.0.sound.clone(), self.0.numbers.clone());
        Renumbered { sound, numbers, by: std::marker::PhantomData }
    }
}

/// A place where each handle counts for itself, from one.
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

/// A place whose contents are on a disk, and whose numbers are in memory, where the last handle
/// takes them with it.
pub(crate) struct NumberedWhileOpen {
    sound: Arc<Memory>,
    numbers: Mutex<Weak<Mutex<Numbers>>>,
}

impl Harness for NumberedWhileOpen {
    type Store = Renumbered<CountsInEachPlace>;

    fn new() -> Self {
        Self { sound: Arc::default(), numbers: Mutex::default() }
    }

    fn open(&self) -> Self::Store {
        let mut numbers = self.numbers.lock().unwrap();
        let shared = numbers.upgrade().unwrap_or_default();
        *numbers = Arc::downgrade(&shared);
        let sound = self.sound.clone();
        Renumbered { sound, numbers: shared, by: std::marker::PhantomData }
    }
}

impl Persistent for NumberedWhileOpen {}

/// A place that says to outlive its handles and doesn't.
pub(crate) struct LostWithTheLastHandle(Mutex<Weak<Memory>>);

impl Harness for LostWithTheLastHandle {
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

impl Persistent for LostWithTheLastHandle {}

/// A place that comes back in another order.
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
