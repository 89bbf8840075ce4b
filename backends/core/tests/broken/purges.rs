//! Purges that delete or return something wrong.

use std::collections::HashMap;
use std::sync::Mutex;

use msal_cache_core::{
    Batch, CacheStore, Change, CredentialType, Expect, Memory, Op, Record, Result, Revision,
};

use crate::wrapper::{Flaw, add, deletion, everything};

/// Flaws of a purge.
macro_rules! purges {
    ($($flaw:ident = |$correct:ident, $now:ident| $purge:expr;)*) => {$(
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn purge(&self, $correct: &Memory, $now: i64) -> Result<u64> {
                $purge
            }
        }
    )*};
}

purges! {
    PurgesExpiriesAtTheMoment = |correct, now| correct.purge(now.saturating_add(1));
    PurgesEverySection = |correct, now| purge(correct, |it| {
        let value = it.value().clone();
        let as_token = Record::new(CredentialType::AccessToken, it.shared_key().clone(), value);
        as_token.expires_on().is_some_and(|at| at < now)
    });
    PurgesStringsOnly = |correct, now| purge(correct, |it| {
        let string = it.value().expose().contains(r#""expires_on":""#);
        string && it.expires_on().is_some_and(|at| at < now)
    });
    PurgesUnreadableExpiries = |correct, now| purge(correct, |it| {
        let token = *it.credential_type() == CredentialType::AccessToken;
        token && it.expires_on().is_none_or(|at| at < now)
    });
    PurgesUsersOnly = |correct, now| purge(correct, |it| {
        let user = it.partition().as_str().starts_with("user/");
        user && it.expires_on().is_some_and(|at| at < now)
    });
    PurgesNothing = |_correct, _now| Ok(0);
    ReturnsTheNumberOfOtherRecords = |correct, now| {
        correct.purge(now)?;
        Ok(everything(correct).records().len() as u64)
    };
    PurgesAndRewritesTheRest = |correct, now| {
        let purged = correct.purge(now)?;
        let mut batch = Batch::new();
        for record in everything(correct).into_records() {
            add(&mut batch, record.partition(), Expect::Any, [&Op::Put(record.clone())]);
        }
        correct.commit(&batch)?;
        Ok(purged)
    };
}

/// A store that sets the expiry of a key at its first put, and never later.
#[derive(Default)]
pub(crate) struct PurgesByTheFirstValue(Mutex<HashMap<String, Option<i64>>>);

impl Flaw for PurgesByTheFirstValue {
    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        let revisions = correct.commit(batch)?;
        for op in batch.changes().iter().flat_map(Change::ops) {
            if let Op::Put(record) = op {
                let mut column = self.0.lock().unwrap();
                column.entry(record.key().to_string()).or_insert(record.expires_on());
            }
        }
        Ok(revisions)
    }

    fn purge(&self, correct: &Memory, now: i64) -> Result<u64> {
        let column = self.0.lock().unwrap();
        purge(correct, |it| column.get(it.key()).is_some_and(|at| at.is_some_and(|at| at < now)))
    }
}

/// Deletes the records that `expired` selects.
fn purge(correct: &Memory, expired: impl Fn(&Record) -> bool) -> Result<u64> {
    let deleted: Vec<_> = everything(correct).into_records().into_iter().filter(expired).collect();
    let mut batch = Batch::new();
    for record in &deleted {
        add(&mut batch, record.partition(), Expect::Any, [&deletion(record)]);
    }
    correct.commit(&batch)?;
    Ok(deleted.len() as u64)
}
