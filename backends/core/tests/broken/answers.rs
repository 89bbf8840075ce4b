//! Loads and listings that return something wrong, and `Debug` that prints records.

use std::thread;
use std::time::Duration;

use event_listener::Listener;
use msal_cache_core::{
    CacheStore, ChangeSignal, CredentialType, Load, Memory, Partition, Record, Result, Revision,
    Snapshot, Watch,
};

use crate::wrapper::{Flaw, everything, held};

/// Flaws of a watch.
macro_rules! watches {
    ($($flaw:ident = |$correct:ident, $signal:ident| $watch:expr;)*) => {$(
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn watch(&self, $correct: &Memory, $signal: ChangeSignal) -> Result<Watch> {
                $watch
            }
        }
    )*};
}

watches! {
    NotifiesNothing = |_correct, signal| Ok(Watch::notified(signal));
    // The first report ends the watch.
    NotifiesTheFirstChangeOnly = |correct, signal| {
        let own = ChangeSignal::new();
        let watch = correct.watch(own.clone())?;
        thread::spawn(move || {
            own.listen().wait();
            signal.notify();
            drop(watch);
        });
        Ok(Watch::notified(()))
    };
    AsksAllTheTime = |_correct, _signal| Ok(Watch::polling_every(Duration::ZERO));
}

/// Flaws of the records of a load.
macro_rules! loads {
    ($($flaw:ident = |$correct:ident, $partition:ident| $records:expr;)*) => {$(
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn load(
                &self,
                $correct: &Memory,
                $partition: &Partition,
                known: Option<Revision>,
            ) -> Result<Load> {
                let revision = held($correct, $partition).revision();
                Ok(if known == Some(revision) {
                    Load::Unchanged
                } else {
                    Load::Snapshot(Snapshot::new(revision, $records))
                })
            }
        }
    )*};
}

loads! {
    LoadsEveryUser = |correct, partition| records_of(correct, |it| {
        [it, partition].iter().all(|it| it.as_str().starts_with("user/")) || it == partition
    });
    LoadsByText = |correct, partition| {
        let name = partition.as_str().rsplit('/').next().unwrap_or_default();
        let records = held(correct, partition).into_records().into_iter();
        records.filter(|it| it.value().expose().contains(name)).collect()
    };
    LoadsByPattern = |correct, partition| records_of(correct, |it| {
        is_like(it.as_str().as_bytes(), partition.as_str().as_bytes())
    });
    LoadsByCollation = |correct, partition| records_of(correct, |it| {
        collated(it.as_str()) == collated(partition.as_str())
    });
    LoadsByPrefix = |correct, partition| records_of(correct, |it| {
        it.as_str().starts_with(partition.as_str())
    });
    LoadsInReverse = |correct, partition| {
        held(correct, partition).into_records().into_iter().rev().collect()
    };
    LoadsByKey = |correct, partition| {
        let mut records = held(correct, partition).into_records();
        records.sort_by(|a, b| a.key().cmp(b.key()));
        records
    };
    LoadsAPageOfFifty = |correct, partition| {
        held(correct, partition).into_records().into_iter().take(50).collect()
    };
    LoadsRecordByRecord = |correct, partition| {
        let records = held(correct, partition).into_records().into_iter();
        let again = records.filter_map(|record| {
            thread::sleep(Duration::from_micros(200));
            held(correct, partition).into_records().into_iter().find(|it| it.key() == record.key())
        });
        again.collect()
    };
}

/// Flaws of the records of a listing.
macro_rules! lists {
    ($($flaw:ident = |$records:ident, $correct:ident| $answer:expr;)*) => {$(
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn list(
                &self,
                $correct: &Memory,
                of: Option<&CredentialType>,
                known: Option<Revision>,
            ) -> Result<Load> {
                let answer = |snapshot: Snapshot| {
                    let revision = snapshot.revision();
                    let $records = snapshot.into_records().into_iter();
                    Snapshot::new(revision, $answer)
                };
                Ok(match $correct.list(of, known)? {
                    Load::Snapshot(snapshot) => Load::Snapshot(answer(snapshot)),
                    Load::Unchanged => Load::Unchanged,
                })
            }
        }
    )*};
}

lists! {
    ListsUsersOnly = |records, _correct| {
        records.filter(|it| it.partition().as_str().starts_with("user/")).collect()
    };
    ListsAPageOfFifty = |records, _correct| records.take(50).collect();
    ListsKnownSectionsOnly = |records, _correct| {
        records.filter(|it| CredentialType::KNOWN.contains(it.credential_type())).collect()
    };
    ListsInReverse = |records, _correct| records.rev().collect();
    ListsPartitionByPartition = |records, correct| {
        let again = records.filter_map(|record| {
            thread::sleep(Duration::from_micros(100));
            let now = held(correct, record.partition()).into_records();
            now.into_iter().find(|it| {
                it.key() == record.key() && it.credential_type() == record.credential_type()
            })
        });
        again.collect()
    };
}

/// A store that ignores the requested section.
#[derive(Default)]
pub(crate) struct ListsEverySection;

impl Flaw for ListsEverySection {
    fn list(
        &self,
        correct: &Memory,
        _: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        correct.list(None, known)
    }
}

/// A store whose loads are `Unchanged` for every known revision.
#[derive(Default)]
pub(crate) struct LoadsNoChanges;

impl Flaw for LoadsNoChanges {
    fn load(&self, correct: &Memory, of: &Partition, known: Option<Revision>) -> Result<Load> {
        match known {
            Some(known) if known != Revision::ABSENT => Ok(Load::Unchanged),
            _ => correct.load(of, known),
        }
    }
}

/// A store whose listings are `Unchanged` for every known revision.
#[derive(Default)]
pub(crate) struct ListsNoChanges;

impl Flaw for ListsNoChanges {
    fn list(
        &self,
        correct: &Memory,
        of: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        match known {
            Some(known) if known != Revision::ABSENT => Ok(Load::Unchanged),
            _ => correct.list(of, known),
        }
    }
}

/// A store whose listings change only with the number of records.
#[derive(Default)]
pub(crate) struct ListsChangesOfTheNumberOnly;

impl Flaw for ListsChangesOfTheNumberOnly {
    fn list(
        &self,
        correct: &Memory,
        of: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        let Load::Snapshot(snapshot) = correct.list(of, None)? else { unreachable!() };
        let revision = Revision::from_u128(snapshot.records().len() as u128);
        Ok(if known == Some(revision) {
            Load::Unchanged
        } else {
            Load::Snapshot(Snapshot::new(revision, snapshot.into_records()))
        })
    }
}

/// A store that never returns `Unchanged`.
#[derive(Default)]
pub(crate) struct NeverReturnsUnchanged;

impl Flaw for NeverReturnsUnchanged {
    fn load(&self, correct: &Memory, of: &Partition, _: Option<Revision>) -> Result<Load> {
        correct.load(of, None)
    }

    fn list(
        &self,
        correct: &Memory,
        of: Option<&CredentialType>,
        _: Option<Revision>,
    ) -> Result<Load> {
        correct.list(of, None)
    }
}

/// A store whose `Debug` prints its records.
#[derive(Default)]
pub(crate) struct PrintsItsRecords;

impl Flaw for PrintsItsRecords {
    fn print(&self, correct: &Memory) -> String {
        everything(correct).records().iter().map(|it| it.value().expose().to_owned()).collect()
    }
}

/// The records of the partitions that `wanted` selects.
fn records_of(correct: &Memory, wanted: impl Fn(&Partition) -> bool) -> Vec<Record> {
    everything(correct).into_records().into_iter().filter(|it| wanted(it.partition())).collect()
}

/// A name as a collation that ignores accents compares it.
fn collated(name: &str) -> String {
    name.replace('\u{301}', "").replace('\u{e9}', "e").replace('\u{df}', "ss")
}

/// SQL's `LIKE`.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        ([b'%', rest @ ..], _) => (0..=text.len()).any(|at| is_like(&text[at..], rest)),
        ([b'_', pattern @ ..], [_, text @ ..]) => is_like(text, pattern),
        ([wanted, pattern @ ..], [found, text @ ..]) => wanted == found && is_like(text, pattern),
        _ => false,
    }
}

/// Calls a partition unchanged whose revision was ever returned, as a cache does that misses changes.
#[derive(Default)]
pub(crate) struct CallsChangedPartitionsUnchanged;

impl Flaw for CallsChangedPartitionsUnchanged {
    fn is_unchanged(&self, _: &Memory, _: &Partition, known: Revision) -> bool {
        known != Revision::ABSENT
    }
}
