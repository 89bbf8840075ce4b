//! Purges that go wrong.

use std::collections::HashMap;
use std::sync::Mutex;

use msal_cache_core::{
    Batch, CacheStore, Change, CredentialType, Expect, Memory, Op, Record, Result, Revision,
};

use crate::wrapper::{Flaw, add, deletion, everything};

/// Flaws of a purge.
macro_rules! purges {
    ($($flaw:ident = |$sound:ident, $now:ident| $purge:expr;)*) => {$(
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn purge(&self, $sound: &Memory, $now: i64) -> Result<u64> {
                $purge
            }
        }
    )*};
}

purges! {
    PurgesThatVeryMoment = |sound, now| sound.purge(now.saturating_add(1));
    PurgesEverySection = |sound, now| purge(sound, |it| {
        let value = it.value().clone();
        let as_token = Record::new(CredentialType::AccessToken, it.shared_key().clone(), value);
        as_token.expires_on().is_some_and(|at| at < now)
    });
    PurgesStringsOnly = |sound, now| purge(sound, |it| {
        let string = it.value().expose().contains(r#""expires_on":""#);
        string && it.expires_on().is_some_and(|at| at < now)
    });
    PurgesWhatItCantRead = |sound, now| purge(sound, |it| {
        let token = *it.credential_type() == CredentialType::AccessToken;
        token && it.expires_on().is_none_or(|at| at < now)
    });
    PurgesUsersOnly = |sound, now| purge(sound, |it| {
        let user = it.partition().as_str().starts_with("user/");
        user && it.expires_on().is_some_and(|at| at < now)
    });
    PurgesNothing = |_sound, _now| Ok(0);
    CountsWhatIsLeft = |sound, now| {
        sound.purge(now)?;
        Ok(everything(sound).records().len() as u64)
    };
    PurgesAndRewritesTheRest = |sound, now| {
        let purged = sound.purge(now)?;
        let mut batch = Batch::new();
        for record in everything(sound).into_records() {
            add(&mut batch, record.partition(), Expect::Any, [&Op::Put(record.clone())]);
        }
        sound.commit(&batch)?;
        Ok(purged)
    };
}

/// A store whose column of expiries is filled when a key is first put, and never again.
#[derive(Default)]
pub(crate) struct PurgesByTheFirstValue(Mutex<HashMap<String, Option<i64>>>);

impl Flaw for PurgesByTheFirstValue {
    fn commit(&self, sound: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        let revisions = sound.commit(batch)?;
        for op in batch.changes().iter().flat_map(Change::ops) {
            if let Op::Put(record) = op {
                let mut column = self.0.lock().unwrap();
                column.entry(record.key().to_string()).or_insert(record.expires_on());
            }
        }
        Ok(revisions)
    }

    fn purge(&self, sound: &Memory, now: i64) -> Result<u64> {
        let column = self.0.lock().unwrap();
        purge(sound, |it| column.get(it.key()).is_some_and(|at| at.is_some_and(|at| at < now)))
    }
}

/// Deletes the records that `expired` takes for those.
fn purge(sound: &Memory, expired: impl Fn(&Record) -> bool) -> Result<u64> {
    let gone: Vec<_> = everything(sound).into_records().into_iter().filter(expired).collect();
    let mut batch = Batch::new();
    for record in &gone {
        add(&mut batch, record.partition(), Expect::Any, [&deletion(record)]);
    }
    sound.commit(&batch)?;
    Ok(gone.len() as u64)
}
