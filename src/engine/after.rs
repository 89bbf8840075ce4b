//! What a commit makes of what is known of a partition.

use std::collections::HashSet;

use msal_cache_core::{Change, CredentialType, Op};

use crate::model::Entry;

/// The entries of a partition after a commit, as far as they are known: of those that it has put,
/// only the `written` ones are. Also whether that is all of them, in their order.
pub(crate) fn after(entries: &[Entry], change: &Change, written: &[Entry]) -> (Vec<Entry>, bool) {
    let mut known = Vec::new();
    let mut is_whole = true;
    for (nth, op) in change.ops().iter().enumerate() {
        match op {
            Op::Put(record) => {
                let new = written.iter().find(|it| it.record() == record);
                // A record that was deleted and put again is at the end.
                let is_again = || change.ops()[..nth].iter().any(|it| it.target() == op.target());
                is_whole &= new.is_some() && !is_again();
                known.extend(new);
            }
            Op::Delete { .. } => {}
        }
    }
    let touched = TouchedKeys::of(change.ops());
    let mut after = Vec::with_capacity(entries.len() + known.len());
    for entry in entries {
        if !touched.contains(entry) {
            after.push(entry.clone());
        } else if let Some(at) = known.iter().position(|it| it.has_key_of(entry)) {
            after.push(known.remove(at).clone());
        }
    }
    after.extend(known.into_iter().cloned());
    (after, is_whole)
}

/// The keys that a commit touches.
enum TouchedKeys<'a> {
    Few(&'a [Op]),
    Many(HashSet<(&'a CredentialType, &'a str)>),
}

/// Up to this many operations, a scan is as fast as an index.
const FEW: usize = 16;

impl<'a> TouchedKeys<'a> {
    fn of(ops: &'a [Op]) -> Self {
        if ops.len() <= FEW {
            Self::Few(ops)
        } else {
            Self::Many(ops.iter().map(Op::target).collect())
        }
    }

    fn contains(&self, entry: &Entry) -> bool {
        let key = (entry.credential_type(), entry.key());
        match self {
            Self::Few(ops) => ops.iter().any(|op| op.target() == key),
            Self::Many(keys) => keys.contains(&key),
        }
    }
}

#[cfg(test)]
mod tests {
    use msal_cache_core::{Batch, Expect, Json, Partition, Record};

    use super::*;

    #[test]
    fn a_commit_of_many_records_does_the_same() {
        let record = |nth: usize| {
            let json = Json::from_stored(r#"{"home_account_id":"u"}"#);
            Record::new(CredentialType::Account, format!("k{nth}"), json)
        };
        let entries: Vec<_> = (0..100).map(|nth| Entry::read(record(nth))).collect();
        let mut batch = Batch::new();
        let change = batch.change(Partition::user("u"), Expect::Any);
        for nth in (0..100).filter(|nth| nth % 2 == 0) {
            change.delete(CredentialType::Account, format!("k{nth}").into());
        }
        let (left, is_whole) = after(&entries, &batch.changes()[0], &[]);
        assert!(is_whole);
        assert!(left.iter().map(Entry::key).eq(entries.iter().skip(1).step_by(2).map(Entry::key)));
        assert_eq!(left.len(), 50);
    }
}
