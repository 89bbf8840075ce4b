//! The statements of `commit` and `purge`.

use std::collections::BTreeSet;

use msal_cache_core::{Batch, Change, CredentialType, Error, Expect, Op, Record, Revision};
use rusqlite::{CachedStatement, Connection, ffi, params};

use crate::error::SqlResult;
use crate::read::find;

const CREATE: &str = "INSERT INTO partitions_2 (name, revision) VALUES (?1, ?2)";

const STAMP: &str = "UPDATE partitions_2 SET revision = ?2 WHERE id = ?1";

const STAMP_STORE: &str = "UPDATE store_2 SET revision = ?1 WHERE id = 1";

/// Changes no row if the partition holds the same value under the key. If another partition holds
/// the key, the new value is NULL, which the table refuses: so one statement tells the three cases
/// apart.
const PUT: &str = "\
    INSERT INTO records_2 (partition, credential_type, key, value, expires_on) \
    VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT (key, credential_type) DO UPDATE \
    SET value = CASE WHEN partition = excluded.partition THEN excluded.value END, \
        expires_on = excluded.expires_on \
    WHERE partition <> excluded.partition OR value <> excluded.value";

const HOLDER: &str = "SELECT partition FROM records_2 WHERE credential_type = ?1 AND key = ?2";

const DELETE: &str =
    "DELETE FROM records_2 WHERE partition = ?1 AND credential_type = ?2 AND key = ?3";

const DROP_IF_EMPTY: &str = "\
    DELETE FROM partitions_2 WHERE id = ?1 \
    AND NOT EXISTS (SELECT 1 FROM records_2 WHERE partition = ?1)";

const ANY_EXPIRED: &str = "SELECT EXISTS (SELECT 1 FROM records_2 WHERE expires_on < ?1)";

const EXPIRED_IN: &str =
    "SELECT DISTINCT partition FROM records_2 INDEXED BY records_2_by_expiry WHERE expires_on < ?1";

const PURGE: &str = "DELETE FROM records_2 WHERE expires_on < ?1";

/// A partition of a batch, and what the commit has done to it so far.
struct TouchedPartition {
    /// Its row, if it has one.
    id: Option<i64>,
    /// The revision in the row.
    revision: Revision,
    /// Whether this commit created the row, with a new revision.
    created: bool,
    changed: bool,
    lost_a_record: bool,
}

/// Checks the expectations and applies the operations, within a transaction.
pub(crate) fn commit(connection: &Connection, batch: &Batch) -> SqlResult<Vec<Revision>> {
    let targets = batch.changes().iter().map(|change| check(connection, change));
    let mut targets = targets.collect::<SqlResult<Vec<_>>>()?;
    if !batch.is_empty() {
        let mut writer = RowWriter::new(connection)?;
        for (change, target) in batch.changes().iter().zip(&mut targets) {
            writer.apply(change, target)?;
        }
        writer.finish(&mut targets)?;
    }
    Ok(targets.into_iter().map(|target| target.revision).collect())
}

/// Whether there is anything to purge.
pub(crate) fn any_expired(connection: &Connection, now: i64) -> SqlResult<bool> {
    Ok(connection.prepare_cached(ANY_EXPIRED)?.query_row([now], |row| row.get(0))?)
}

/// Deletes what expires before `now`, within a transaction.
pub(crate) fn purge(connection: &Connection, now: i64) -> SqlResult<u64> {
    let partitions: Vec<i64> = connection
        .prepare_cached(EXPIRED_IN)?
        .query_map([now], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if partitions.is_empty() {
        return Ok(0);
    }
    let purged = connection.prepare_cached(PURGE)?.execute([now])?;
    for id in partitions {
        stamp_or_drop(connection, id, true)?;
    }
    stamp_store(connection)?;
    Ok(purged as u64)
}

/// Finds the partition of a change, and checks what the change expects of it.
fn check(connection: &Connection, change: &Change) -> SqlResult<TouchedPartition> {
    let found = find(connection, change.partition())?;
    let revision = found.map_or(Revision::ABSENT, |(_, revision)| revision);
    match change.expect() {
        Expect::Revision(expected) if expected != revision => Err(Error::Conflict.into()),
        Expect::Any | Expect::Revision(_) => Ok(TouchedPartition {
            id: found.map(|(id, _)| id),
            revision,
            created: false,
            changed: false,
            lost_a_record: false,
        }),
    }
}

/// Applies the changes of a batch.
struct RowWriter<'c> {
    connection: &'c Connection,
    put: CachedStatement<'c>,
    /// The partitions that lost a key to another one.
    losers: BTreeSet<i64>,
}

impl<'c> RowWriter<'c> {
    fn new(connection: &'c Connection) -> SqlResult<Self> {
        let put = connection.prepare_cached(PUT)?;
        Ok(Self { connection, put, losers: BTreeSet::new() })
    }

    /// Applies the operations of a change.
    fn apply(&mut self, change: &Change, target: &mut TouchedPartition) -> SqlResult<()> {
        for op in change.ops() {
            match op {
                Op::Put(record) => {
                    let id = match target.id {
                        Some(id) => id,
                        None => self.create(change, target)?,
                    };
                    target.changed |= self.put(id, record)?;
                }
                Op::Delete { .. } => {
                    // A partition without a row has nothing to delete.
                    let Some(id) = target.id else { continue };
                    target.lost_a_record |= self.delete(id, op.target())?;
                }
            }
        }
        Ok(())
    }

    /// Creates the row of the partition of a change.
    fn create(&self, change: &Change, target: &mut TouchedPartition) -> SqlResult<i64> {
        target.revision = Revision::unique();
        target.created = true;
        let row = params![change.partition().as_str(), bytes(target.revision)];
        self.connection.prepare_cached(CREATE)?.execute(row)?;
        Ok(*target.id.insert(self.connection.last_insert_rowid()))
    }

    /// Puts a record into a partition, and returns whether that changed anything.
    fn put(&mut self, partition: i64, record: &Record) -> SqlResult<bool> {
        let (section, key) = (record.credential_type().as_str(), record.key());
        let value = record.value().expose();
        let row = params![partition, section, key, value, record.expires_on()];
        match self.put.execute(row) {
            Err(rusqlite::Error::SqliteFailure(error, _))
                if error.extended_code == ffi::SQLITE_CONSTRAINT_NOTNULL =>
            {
                let mut find = self.connection.prepare_cached(HOLDER)?;
                let holder = find.query_row([section, key], |row| row.get(0))?;
                self.delete(holder, (record.credential_type(), key))?;
                self.losers.insert(holder);
                Ok(self.put.execute(row)? > 0)
            }
            rows => Ok(rows? > 0),
        }
    }

    /// Deletes the record under a key, if the partition holds it.
    fn delete(&self, partition: i64, (section, key): (&CredentialType, &str)) -> SqlResult<bool> {
        let mut delete = self.connection.prepare_cached(DELETE)?;
        Ok(delete.execute(params![partition, section.as_str(), key])? > 0)
    }

    /// Draws the new revisions. Not earlier, since a partition may lose a key to a later change.
    fn finish(mut self, targets: &mut [TouchedPartition]) -> SqlResult<()> {
        let mut changed_any = false;
        for target in targets {
            let Some(id) = target.id else { continue };
            target.lost_a_record |= self.losers.remove(&id);
            if target.lost_a_record || (target.changed && !target.created) {
                target.revision = stamp_or_drop(self.connection, id, target.lost_a_record)?;
            }
            changed_any |= target.lost_a_record || target.changed;
        }
        for id in self.losers {
            stamp_or_drop(self.connection, id, true)?;
            changed_any = true;
        }
        if changed_any {
            stamp_store(self.connection)?;
        }
        Ok(())
    }
}

/// Gives a partition a new revision, or deletes it if it `may` be empty and is.
fn stamp_or_drop(connection: &Connection, id: i64, may: bool) -> SqlResult<Revision> {
    if may && connection.prepare_cached(DROP_IF_EMPTY)?.execute([id])? > 0 {
        return Ok(Revision::ABSENT);
    }
    let revision = Revision::unique();
    connection.prepare_cached(STAMP)?.execute(params![id, bytes(revision)])?;
    Ok(revision)
}

fn stamp_store(connection: &Connection) -> SqlResult<()> {
    connection.prepare_cached(STAMP_STORE)?.execute([bytes(Revision::unique())])?;
    Ok(())
}

/// A revision as a column holds it.
pub(crate) fn bytes(revision: Revision) -> [u8; 16] {
    revision.as_u128().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use msal_cache_core::{Json, Partition};
    use rusqlite::StatementStatus;

    use super::*;
    use crate::database::Database;

    /// Commits a put of each record, and returns how often each statement ran.
    fn runs(connection: &Connection, records: &[Record]) -> [i32; 7] {
        let mut batch = Batch::new();
        for record in records {
            batch.change(record.partition(), Expect::Any).put(record.clone());
        }
        commit(connection, &batch).unwrap();
        [CREATE, PUT, HOLDER, DELETE, DROP_IF_EMPTY, STAMP, STAMP_STORE]
            .map(|sql| connection.prepare_cached(sql).unwrap().reset_status(StatementStatus::Run))
    }

    #[test]
    fn a_put_is_one_statement_unless_it_moves_a_key() {
        let (_, connection) = Database::in_memory().unwrap();
        let record = |user: &str, key: &str, value: &str| {
            let json = format!(r#"{{"home_account_id":"{user}","value":"{value}"}}"#);
            Record::new(CredentialType::Account, key, Json::from_stored(json))
        };
        let new = [record("u", "a", "1"), record("u", "b", "1")];
        assert_eq!(runs(&connection, &new), [1, 2, 0, 0, 0, 0, 1], "a new partition");
        assert_eq!(runs(&connection, &new), [0, 2, 0, 0, 0, 0, 0], "the same values");
        let changed = [record("u", "a", "2"), record("u", "b", "2"), record("u", "c", "2")];
        assert_eq!(
            runs(&connection, &changed),
            [0, 3, 0, 0, 0, 1, 1],
            "other values and a new key"
        );
        let moved = [record("v", "a", "2")];
        assert_eq!(runs(&connection, &moved), [1, 2, 1, 1, 1, 1, 1], "the other one keeps two");
        let moved = [record("v", "b", "2"), record("v", "c", "2")];
        assert_eq!(runs(&connection, &moved), [0, 4, 2, 2, 1, 1, 1], "the other one is emptied");
        assert!(find(&connection, &Partition::user("u")).unwrap().is_none());
    }
}
