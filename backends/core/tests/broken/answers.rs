//! Loads and listings that go wrong, and a store that says too much.

use std::thread;
use std::time::Duration;

use msal_cache_core::{
    CacheStore, CredentialType, Load, Memory, Partition, Record, Result, Revision, Snapshot,
};

use crate::wrapper::{Flaw, everything, held};

/// Flaws of what a load finds.
macro_rules! loads {
    ($($flaw:ident = |$sound:ident, $partition:ident| $records:expr;)*) => {$(
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn load(
                &self,
                $sound: &Memory,
                $partition: &Partition,
                known: Option<Revision>,
            ) -> Result<Load> {
                let revision = held($sound, $partition).revision();
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
    LoadsEveryUser = |sound, partition| those(sound, |it| {
        [it, partition].iter().all(|it| it.as_str().starts_with("user/")) || it == partition
    });
    LoadsByTheLetter = |sound, partition| {
        let name = partition.as_str().rsplit('/').next().unwrap_or_default();
        let records = held(sound, partition).into_records().into_iter();
        records.filter(|it| it.value().expose().contains(name)).collect()
    };
    LoadsByPattern = |sound, partition| those(sound, |it| {
        is_like(it.as_str().as_bytes(), partition.as_str().as_bytes())
    });
    LoadsByCollation = |sound, partition| those(sound, |it| {
        collated(it.as_str()) == collated(partition.as_str())
    });
    LoadsByPrefix = |sound, partition| those(sound, |it| {
        it.as_str().starts_with(partition.as_str())
    });
    LoadsInReverse = |sound, partition| {
        held(sound, partition).into_records().into_iter().rev().collect()
    };
    LoadsByKey = |sound, partition| {
        let mut records = held(sound, partition).into_records();
        records.sort_by(|a, b| a.key().cmp(b.key()));
        records
    };
    LoadsAPageOfFifty = |sound, partition| {
        held(sound, partition).into_records().into_iter().take(50).collect()
    };
    LoadsRecordByRecord = |sound, partition| {
        let records = held(sound, partition).into_records().into_iter();
        let again = records.filter_map(|record| {
            thread::sleep(Duration::from_micros(200));
            held(sound, partition).into_records().into_iter().find(|it| it.key() == record.key())
        });
        again.collect()
    };
}

/// Flaws of what a listing finds.
macro_rules! lists {
    ($($flaw:ident = |$records:ident, $sound:ident| $answer:expr;)*) => {$(
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn list(
                &self,
                $sound: &Memory,
                of: Option<&CredentialType>,
                known: Option<Revision>,
            ) -> Result<Load> {
                let answer = |snapshot: Snapshot| {
                    let revision = snapshot.revision();
                    let $records = snapshot.into_records().into_iter();
                    Snapshot::new(revision, $answer)
                };
                Ok(match $sound.list(of, known)? {
                    Load::Snapshot(snapshot) => Load::Snapshot(answer(snapshot)),
                    Load::Unchanged => Load::Unchanged,
                })
            }
        }
    )*};
}

lists! {
    ListsUsersOnly = |records, _sound| {
        records.filter(|it| it.partition().as_str().starts_with("user/")).collect()
    };
    ListsAPageOfFifty = |records, _sound| records.take(50).collect();
    ListsKnownSectionsOnly = |records, _sound| {
        records.filter(|it| CredentialType::KNOWN.contains(it.credential_type())).collect()
    };
    ListsInReverse = |records, _sound| records.rev().collect();
    ListsPartitionByPartition = |records, sound| {
        let again = records.filter_map(|record| {
            thread::sleep(Duration::from_micros(100));
            let now = held(sound, record.partition()).into_records();
            now.into_iter().find(|it| {
                it.key() == record.key() && it.credential_type() == record.credential_type()
            })
        });
        again.collect()
    };
}

/// A store that ignores which section is asked for.
#[derive(Default)]
pub(crate) struct ListsEverySection;

impl Flaw for ListsEverySection {
    fn list(
        &self,
        sound: &Memory,
        _: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        sound.list(None, known)
    }
}

/// A store that believes whoever says that he knows.
#[derive(Default)]
pub(crate) struct LoadsNothingNew;

impl Flaw for LoadsNothingNew {
    fn load(&self, sound: &Memory, of: &Partition, known: Option<Revision>) -> Result<Load> {
        match known {
            Some(known) if known != Revision::ABSENT => Ok(Load::Unchanged),
            _ => sound.load(of, known),
        }
    }
}

/// The same for listings.
#[derive(Default)]
pub(crate) struct ListsNothingNew;

impl Flaw for ListsNothingNew {
    fn list(
        &self,
        sound: &Memory,
        of: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        match known {
            Some(known) if known != Revision::ABSENT => Ok(Load::Unchanged),
            _ => sound.list(of, known),
        }
    }
}

/// A store whose listing has changed only when there are more records or fewer.
#[derive(Default)]
pub(crate) struct ListsNothingNewButMore;

impl Flaw for ListsNothingNewButMore {
    fn list(
        &self,
        sound: &Memory,
        of: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        let Load::Snapshot(snapshot) = sound.list(of, None)? else { unreachable!() };
        let revision = Revision::from_u128(snapshot.records().len() as u128);
        Ok(if known == Some(revision) {
            Load::Unchanged
        } else {
            Load::Snapshot(Snapshot::new(revision, snapshot.into_records()))
        })
    }
}

/// A store that shows everything each time.
#[derive(Default)]
pub(crate) struct NeverSaysUnchanged;

impl Flaw for NeverSaysUnchanged {
    fn load(&self, sound: &Memory, of: &Partition, _: Option<Revision>) -> Result<Load> {
        sound.load(of, None)
    }

    fn list(
        &self,
        sound: &Memory,
        of: Option<&CredentialType>,
        _: Option<Revision>,
    ) -> Result<Load> {
        sound.list(of, None)
    }
}

/// A store that shows its records to whoever logs it.
#[derive(Default)]
pub(crate) struct PrintsItsRecords;

impl Flaw for PrintsItsRecords {
    fn print(&self, sound: &Memory) -> String {
        everything(sound).records().iter().map(|it| it.value().expose().to_owned()).collect()
    }
}

/// The records of the partitions that `wanted` takes for the right ones.
fn those(sound: &Memory, wanted: impl Fn(&Partition) -> bool) -> Vec<Record> {
    everything(sound).into_records().into_iter().filter(|it| wanted(it.partition())).collect()
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
