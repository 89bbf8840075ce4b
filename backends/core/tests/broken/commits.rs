//! Commits that go wrong.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use msal_cache_core::{
    Batch, CacheStore, Change, CredentialType, Error, Expect, Json, Load, Memory, Op, Partition,
    Record, Result, Revision,
};

use crate::wrapper::{Flaw, add, deletion, doing, each, everything, expecting, held};

/// Flaws of a commit that is given another batch, or goes about it in another way.
macro_rules! commits {
    ($($flaw:ident = |$sound:ident, $batch:ident| $commit:expr;)*) => {$(
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn commit(&self, $sound: &Memory, $batch: &Batch) -> Result<Vec<Revision>> {
                $commit
            }
        }
    )*};
}

commits! {
    ExpectsNothing = |sound, batch| sound.commit(&expecting(batch, |_, _| Expect::Any));
    ExpectsInTheFirstPartitionOnly = |sound, batch| {
        let first = |at, expect| if at == 0 { expect } else { Expect::Any };
        sound.commit(&expecting(batch, |at, change| first(at, change.expect())))
    };
    TakesAbsentForAny = |sound, batch| sound.commit(&expecting(batch, |_, change| {
        match change.expect() {
            Expect::Revision(Revision::ABSENT) => Expect::Any,
            expect => expect,
        }
    }));
    ExpectsBeforeItLocks = |sound, batch| {
        check(sound, batch)?;
        thread::sleep(Duration::from_millis(1));
        sound.commit(&expecting(batch, |_, _| Expect::Any))
    };
    ForgetsToExpectWithoutOperations = |sound, batch| {
        let any = |change: &Change| change.ops().is_empty();
        sound.commit(&expecting(batch, |_, it| if any(it) { Expect::Any } else { it.expect() }))
    };
    ConflictsInItsOwnWay = |sound, batch| match sound.commit(batch) {
        Err(Error::Conflict) => Err(Error::backend("broken", "the revision is another one")),
        done => done,
    };
    AppliesPartitionByPartition = |sound, batch| apart(sound, batch);
    ShowsPartitionByPartition = |sound, batch| {
        check(sound, batch)?;
        apart(sound, batch)
    };
    DropsTheLastPut = |sound, batch| sound.commit(&doing(batch, |change| {
        let mut ops = change.ops().to_vec();
        if ops.len() > 1 && matches!(ops.last(), Some(Op::Put(_))) {
            ops.pop();
        }
        ops
    }));
    DropsDeletes = |sound, batch| sound.commit(&each(batch, |_, op| match op {
        Op::Delete { .. } => vec![],
        Op::Put(_) => vec![op.clone()],
    }));
    DropsAPutOfWhatIsThere = |sound, batch| sound.commit(&each(batch, |change, op| match op {
        Op::Put(record) if held(sound, change.partition()).records().contains(record) => vec![],
        op => vec![op.clone()],
    }));
    PutsBeforeItDeletes = |sound, batch| sound.commit(&doing(batch, |change| {
        let mut ops = change.ops().to_vec();
        ops.sort_by_key(|op| matches!(op, Op::Delete { .. }));
        ops
    }));
    DeletesTheKeyInEverySection = |sound, batch| sound.commit(&each(batch, |_, op| match op {
        Op::Delete { key, .. } => CredentialType::KNOWN
            .map(|credential_type| Op::Delete { credential_type, key: key.clone() })
            .to_vec(),
        Op::Put(_) => vec![op.clone()],
    }));
    DeletesInOtherPartitions = |sound, batch| {
        let mut more = batch.clone();
        for record in everything(sound).into_records() {
            let deletion = deletion(&record);
            let is_meant = |op: &Op| format!("{op:?}") == format!("{deletion:?}");
            if batch.changes().iter().flat_map(Change::ops).any(is_meant) {
                add(&mut more, record.partition(), Expect::Any, [&deletion]);
            }
        }
        let mut revisions = sound.commit(&more)?;
        revisions.truncate(batch.changes().len());
        Ok(revisions)
    };
    MovesAKnownKeyToTheEnd = |sound, batch| sound.commit(&each(batch, |_, op| match op {
        Op::Put(record) => vec![deletion(record), op.clone()],
        Op::Delete { .. } => vec![op.clone()],
    }));
    ChangesTheRevisionsOfAll = |sound, batch| {
        let mut more = batch.clone();
        for record in everything(sound).into_records() {
            if batch.changes().iter().all(|it| *it.partition() != *record.partition()) {
                add(&mut more, record.partition(), Expect::Any, [&Op::Put(record.clone())]);
            }
        }
        let mut revisions = sound.commit(&more)?;
        revisions.truncate(batch.changes().len());
        Ok(revisions)
    };
    ReturnsRevisionsInAnotherOrder = |sound, batch| {
        let mut revisions = sound.commit(batch)?;
        revisions.sort_by_key(|it| it.as_u128());
        Ok(revisions)
    };
    TakesAHundredAtMost = |sound, batch| {
        let mut left = 100;
        sound.commit(&doing(batch, |change| {
            let ops = change.ops()[..left.min(change.ops().len())].to_vec();
            left -= ops.len();
            ops
        }))
    };
    ForgetsCase = |sound, batch| named(sound, batch, str::to_lowercase);
    TrimsKeys = |sound, batch| named(sound, batch, |key| key.trim().to_owned());
    EndsKeysAtZero = |sound, batch| {
        named(sound, batch, |key| key.split('\0').next().unwrap_or_default().to_owned())
    };
    PrintsJsonAnew = |sound, batch| valued(sound, batch, |text| {
        let value: serde_json::Result<serde_json::Value> = serde_json::from_str(text);
        value.map_or_else(|_| text.to_owned(), |value| value.to_string())
    });
    CutsLargeValues = |sound, batch| valued(sound, batch, |text| {
        text.char_indices().take_while(|(at, _)| *at < 65_535).map(|(_, char)| char).collect()
    });
    WritesLatin1 = |sound, batch| valued(sound, batch, |text| {
        text.chars().map(|char| if u32::from(char) < 256 { char } else { '?' }).collect()
    });
    DropsUnknownSections = |sound, batch| without(sound, batch, |section| {
        matches!(section, CredentialType::Other(name) if !name.is_empty())
    });
    TellsSectionsOfOneNameApart = |sound, batch| sound.commit(&each(batch, |_, op| match op {
        Op::Delete { credential_type, .. } if is_spelled_out(credential_type) => vec![],
        op => vec![op.clone()],
    }));
    DropsMembersOfTheDocument = |sound, batch| {
        without(sound, batch, |section| section.as_str().is_empty())
    };
}

/// A store that takes it for a conflict when somebody else was at work, whatever is expected.
#[derive(Default)]
pub(crate) struct LetsAnyConflict(Mutex<Option<Revision>>);

impl Flaw for LetsAnyConflict {
    fn load(&self, sound: &Memory, of: &Partition, known: Option<Revision>) -> Result<Load> {
        *self.0.lock().unwrap() = Some(everything(sound).revision());
        sound.load(of, known)
    }

    fn commit(&self, sound: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        let mut seen = self.0.lock().unwrap();
        if seen.is_some_and(|seen| seen != everything(sound).revision()) {
            return Err(Error::Conflict);
        }
        let revisions = sound.commit(batch);
        *seen = Some(everything(sound).revision());
        revisions
    }
}

/// Whether all expectations hold at this moment.
fn check(sound: &Memory, batch: &Batch) -> Result<()> {
    let holds = batch.changes().iter().all(|change| match change.expect() {
        Expect::Revision(expected) => held(sound, change.partition()).revision() == expected,
        Expect::Any => true,
    });
    if holds { Ok(()) } else { Err(Error::Conflict) }
}

/// Each change as a commit of its own.
fn apart(sound: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
    let mut revisions = Vec::new();
    for change in batch.changes() {
        let mut one = Batch::new();
        add(&mut one, change.partition(), change.expect(), change.ops());
        revisions.extend(sound.commit(&one)?);
        thread::sleep(Duration::from_micros(200));
    }
    Ok(revisions)
}

/// With other keys.
fn named(sound: &Memory, batch: &Batch, key: fn(&str) -> String) -> Result<Vec<Revision>> {
    sound.commit(&each(batch, |_, op| match op {
        Op::Put(it) => {
            let record =
                Record::new(it.credential_type().clone(), key(it.key()), it.value().clone());
            vec![Op::Put(record)]
        }
        Op::Delete { credential_type, key: it } => {
            vec![Op::Delete { credential_type: credential_type.clone(), key: key(it).into() }]
        }
    }))
}

/// With other values.
fn valued(sound: &Memory, batch: &Batch, value: fn(&str) -> String) -> Result<Vec<Revision>> {
    sound.commit(&each(batch, |_, op| match op {
        Op::Put(it) => {
            let value = Json::from_stored(value(it.value().expose()));
            vec![Op::Put(Record::new(it.credential_type().clone(), it.shared_key().clone(), value))]
        }
        Op::Delete { .. } => vec![op.clone()],
    }))
}

fn is_spelled_out(section: &CredentialType) -> bool {
    matches!(section, CredentialType::Other(_)) && CredentialType::KNOWN.contains(section)
}

/// Without the records of some sections.
fn without(
    sound: &Memory,
    batch: &Batch,
    dropped: fn(&CredentialType) -> bool,
) -> Result<Vec<Revision>> {
    sound.commit(&each(batch, |_, op| match op {
        Op::Put(record) if dropped(record.credential_type()) => vec![],
        op => vec![op.clone()],
    }))
}
