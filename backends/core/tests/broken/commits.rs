//! Commits that do something wrong.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use msal_cache_core::{
    Batch, CacheStore, Change, CredentialType, Error, Expect, Json, Load, Memory, Op, Partition,
    Record, Result, Revision,
};

use crate::wrapper::{Flaw, add, deletion, doing, each, everything, expecting, held};

/// Flaws of a commit.
macro_rules! commits {
    ($($flaw:ident = |$correct:ident, $batch:ident| $commit:expr;)*) => {$(
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn commit(&self, $correct: &Memory, $batch: &Batch) -> Result<Vec<Revision>> {
                $commit
            }
        }
    )*};
}

commits! {
    ChecksNoExpectations = |correct, batch| correct.commit(&expecting(batch, |_, _| Expect::Any));
    ChecksTheFirstExpectationOnly = |correct, batch| {
        let first = |at, expect| if at == 0 { expect } else { Expect::Any };
        correct.commit(&expecting(batch, |at, change| first(at, change.expect())))
    };
    TreatsAbsentAsAny = |correct, batch| correct.commit(&expecting(batch, |_, change| {
        match change.expect() {
            Expect::Revision(Revision::ABSENT) => Expect::Any,
            expect => expect,
        }
    }));
    ChecksBeforeItLocks = |correct, batch| {
        check(correct, batch)?;
        thread::sleep(Duration::from_millis(1));
        correct.commit(&expecting(batch, |_, _| Expect::Any))
    };
    ChecksExpectationsOfOperationsOnly = |correct, batch| {
        let any = |change: &Change| change.ops().is_empty();
        correct.commit(&expecting(batch, |_, it| if any(it) { Expect::Any } else { it.expect() }))
    };
    ReportsConflictsAsOtherErrors = |correct, batch| match correct.commit(batch) {
        Err(Error::Conflict) => Err(Error::backend("broken", "the revision doesn't match")),
        done => done,
    };
    AppliesPartitionByPartition = |correct, batch| apart(correct, batch);
    ShowsPartitionByPartition = |correct, batch| {
        check(correct, batch)?;
        apart(correct, batch)
    };
    DropsTheLastPut = |correct, batch| correct.commit(&doing(batch, |change| {
        let mut ops = change.ops().to_vec();
        if ops.len() > 1 && matches!(ops.last(), Some(Op::Put(_))) {
            ops.pop();
        }
        ops
    }));
    DropsDeletes = |correct, batch| correct.commit(&each(batch, |_, op| match op {
        Op::Delete { .. } => vec![],
        Op::Put(_) => vec![op.clone()],
    }));
    DropsAPutOfAStoredRecord = |correct, batch| correct.commit(&each(batch, |change, op| match op {
        Op::Put(record) if held(correct, change.partition()).records().contains(record) => vec![],
        op => vec![op.clone()],
    }));
    PutsBeforeItDeletes = |correct, batch| correct.commit(&doing(batch, |change| {
        let mut ops = change.ops().to_vec();
        ops.sort_by_key(|op| matches!(op, Op::Delete { .. }));
        ops
    }));
    DeletesTheKeyInEverySection = |correct, batch| correct.commit(&each(batch, |_, op| match op {
        Op::Delete { key, .. } => CredentialType::KNOWN
            .map(|credential_type| Op::Delete { credential_type, key: key.clone() })
            .to_vec(),
        Op::Put(_) => vec![op.clone()],
    }));
    DeletesInOtherPartitions = |correct, batch| {
        let mut more = batch.clone();
        for record in everything(correct).into_records() {
            let deletion = deletion(&record);
            let is_meant = |op: &Op| format!("{op:?}") == format!("{deletion:?}");
            if batch.changes().iter().flat_map(Change::ops).any(is_meant) {
                add(&mut more, record.partition(), Expect::Any, [&deletion]);
            }
        }
        let mut revisions = correct.commit(&more)?;
        revisions.truncate(batch.changes().len());
        Ok(revisions)
    };
    MovesAReplacedRecordToTheEnd = |correct, batch| correct.commit(&each(batch, |_, op| match op {
        Op::Put(record) => vec![deletion(record), op.clone()],
        Op::Delete { .. } => vec![op.clone()],
    }));
    ChangesAllRevisions = |correct, batch| {
        let mut more = batch.clone();
        for record in everything(correct).into_records() {
            if batch.changes().iter().all(|it| *it.partition() != *record.partition()) {
                add(&mut more, record.partition(), Expect::Any, [&Op::Put(record.clone())]);
            }
        }
        let mut revisions = correct.commit(&more)?;
        revisions.truncate(batch.changes().len());
        Ok(revisions)
    };
    ReturnsRevisionsInAnotherOrder = |correct, batch| {
        let mut revisions = correct.commit(batch)?;
        revisions.sort_by_key(|it| it.as_u128());
        Ok(revisions)
    };
    AppliesAHundredOperationsAtMost = |correct, batch| {
        let mut left = 100;
        correct.commit(&doing(batch, |change| {
            let ops = change.ops()[..left.min(change.ops().len())].to_vec();
            left -= ops.len();
            ops
        }))
    };
    LowercasesKeys = |correct, batch| named(correct, batch, str::to_lowercase);
    TrimsKeys = |correct, batch| named(correct, batch, |key| key.trim().to_owned());
    CutsKeysAtNul = |correct, batch| {
        named(correct, batch, |key| key.split('\0').next().unwrap_or_default().to_owned())
    };
    ReserializesValues = |correct, batch| valued(correct, batch, |text| {
        let value: serde_json::Result<serde_json::Value> = serde_json::from_str(text);
        value.map_or_else(|_| text.to_owned(), |value| value.to_string())
    });
    CutsLargeValues = |correct, batch| valued(correct, batch, |text| {
        text.char_indices().take_while(|(at, _)| *at < 65_535).map(|(_, char)| char).collect()
    });
    StoresLatin1 = |correct, batch| valued(correct, batch, |text| {
        text.chars().map(|char| if u32::from(char) < 256 { char } else { '?' }).collect()
    });
    DropsUnknownSections = |correct, batch| without(correct, batch, |section| {
        matches!(section, CredentialType::Other(name) if !name.is_empty())
    });
    DistinguishesSpelledOutSections = |correct, batch| correct.commit(&each(batch, |_, op| match op {
        Op::Delete { credential_type, .. } if is_spelled_out(credential_type) => vec![],
        op => vec![op.clone()],
    }));
    DropsMembersOfTheDocument = |correct, batch| {
        without(correct, batch, |section| section.as_str().is_empty())
    };
}

/// A store that reports a conflict after every commit of another handle, without an expectation.
#[derive(Default)]
pub(crate) struct ReportsConflictsWithoutExpectations(Mutex<Option<Revision>>);

impl Flaw for ReportsConflictsWithoutExpectations {
    fn load(&self, correct: &Memory, of: &Partition, known: Option<Revision>) -> Result<Load> {
        *self.0.lock().unwrap() = Some(everything(correct).revision());
        correct.load(of, known)
    }

    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        let mut seen = self.0.lock().unwrap();
        if seen.is_some_and(|seen| seen != everything(correct).revision()) {
            return Err(Error::Conflict);
        }
        let revisions = correct.commit(batch);
        *seen = Some(everything(correct).revision());
        revisions
    }
}

/// Checks all expectations.
fn check(correct: &Memory, batch: &Batch) -> Result<()> {
    let holds = batch.changes().iter().all(|change| match change.expect() {
        Expect::Revision(expected) => held(correct, change.partition()).revision() == expected,
        Expect::Any => true,
    });
    if holds { Ok(()) } else { Err(Error::Conflict) }
}

/// Applies each change in a commit of its own.
fn apart(correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
    let mut revisions = Vec::new();
    for change in batch.changes() {
        let mut one = Batch::new();
        add(&mut one, change.partition(), change.expect(), change.ops());
        revisions.extend(correct.commit(&one)?);
        thread::sleep(Duration::from_micros(200));
    }
    Ok(revisions)
}

/// Commits with other keys.
fn named(correct: &Memory, batch: &Batch, key: fn(&str) -> String) -> Result<Vec<Revision>> {
    correct.commit(&each(batch, |_, op| match op {
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

/// Commits with other values.
fn valued(correct: &Memory, batch: &Batch, value: fn(&str) -> String) -> Result<Vec<Revision>> {
    correct.commit(&each(batch, |_, op| match op {
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

/// Commits without the records of some sections.
fn without(
    correct: &Memory,
    batch: &Batch,
    dropped: fn(&CredentialType) -> bool,
) -> Result<Vec<Revision>> {
    correct.commit(&each(batch, |_, op| match op {
        Op::Put(record) if dropped(record.credential_type()) => vec![],
        op => vec![op.clone()],
    }))
}
