//! What `commit` and `purge` write.

use msal_cache_core::{Batch, Change, Error, Expect, Op, Revision};
use rusqlite::{Connection, params};

use crate::error::Attempt;
use crate::read::find;

const CREATE: &str = "INSERT INTO partitions (name, revision) VALUES (?1, ?2)";

const STAMP: &str = "UPDATE partitions SET revision = ?2 WHERE id = ?1";

const STAMP_STORE: &str = "UPDATE store SET revision = ?1 WHERE id = 1";

/// Changes no row where the same value stands there.
const PUT: &str = "\
    INSERT INTO records (partition, credential_type, key, value, expires_on) \
    VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT (partition, credential_type, key) DO UPDATE \
    SET value = excluded.value, expires_on = excluded.expires_on \
    WHERE value IS NOT excluded.value";

const DELETE: &str =
    "DELETE FROM records WHERE partition = ?1 AND credential_type = ?2 AND key = ?3";

const DROP_IF_EMPTY: &str = "\
    DELETE FROM partitions WHERE id = ?1 \
    AND NOT EXISTS (SELECT 1 FROM records WHERE partition = ?1)";

const ANY_EXPIRED: &str = "SELECT EXISTS (SELECT 1 FROM records WHERE expires_on < ?1)";

const EXPIRED_IN: &str =
    "SELECT DISTINCT partition FROM records INDEXED BY records_that_expire WHERE expires_on < ?1";

const PURGE: &str = "DELETE FROM records WHERE expires_on < ?1";

/// Checks the expectations and applies the operations, within a transaction.
pub(crate) fn commit(connection: &Connection, batch: &Batch) -> Attempt<Vec<Revision>> {
    let found: Vec<_> =
        batch.changes().iter().map(|change| check(connection, change)).collect::<Attempt<_>>()?;
    let mut changed_any = false;
    let mut revisions = Vec::with_capacity(found.len());
    for (change, found) in batch.changes().iter().zip(found) {
        let changed = apply(connection, change, found.map(|(id, _)| id))?;
        changed_any |= changed.is_some();
        let before = found.map_or(Revision::ABSENT, |(_, revision)| revision);
        revisions.push(changed.unwrap_or(before));
    }
    if changed_any {
        stamp_store(connection)?;
    }
    Ok(revisions)
}

/// Whether there is anything to purge.
pub(crate) fn any_expired(connection: &Connection, now: i64) -> Attempt<bool> {
    Ok(connection.prepare_cached(ANY_EXPIRED)?.query_row([now], |row| row.get(0))?)
}

/// Deletes what expires before `now`, within a transaction.
pub(crate) fn purge(connection: &Connection, now: i64) -> Attempt<u64> {
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

/// Checks what is expected of a partition. Returns its row and its revision, if it is there.
fn check(connection: &Connection, change: &Change) -> Attempt<Option<(i64, Revision)>> {
    let found = find(connection, change.partition())?;
    let revision = found.map_or(Revision::ABSENT, |(_, revision)| revision);
    match change.expect() {
        Expect::Any => Ok(found),
        Expect::Revision(expected) if expected == revision => Ok(found),
        Expect::Revision(_) => Err(Error::Conflict.into()),
    }
}

/// Applies the operations on one partition, which is in this row. Returns its new revision, or
/// nothing where they changed nothing.
fn apply(
    connection: &Connection,
    change: &Change,
    mut id: Option<i64>,
) -> Attempt<Option<Revision>> {
    let name = change.partition().as_str();
    let (mut changed, mut deleted) = (false, false);
    let mut created = None;
    for op in change.ops() {
        match op {
            Op::Put(record) => {
                let id = if let Some(id) = id {
                    id
                } else {
                    let revision = Revision::unique();
                    connection.prepare_cached(CREATE)?.execute(params![name, bytes(revision)])?;
                    created = Some(revision);
                    *id.insert(connection.last_insert_rowid())
                };
                let rows = connection.prepare_cached(PUT)?.execute(params![
                    id,
                    record.credential_type().as_str(),
                    record.key(),
                    record.value().expose(),
                    record.expires_on(),
                ])?;
                changed |= rows > 0;
            }
            Op::Delete { credential_type, key } => {
                // A partition that isn't there has nothing to delete.
                let Some(id) = id else { continue };
                let rows = connection.prepare_cached(DELETE)?.execute(params![
                    id,
                    credential_type.as_str(),
                    key
                ])?;
                deleted |= rows > 0;
            }
        }
    }
    match (id, created) {
        (Some(_), Some(revision)) if !deleted => Ok(Some(revision)),
        (Some(id), _) if changed || deleted => stamp_or_drop(connection, id, deleted).map(Some),
        _ => Ok(None),
    }
}

/// Gives a partition a new revision, or deletes it if it `may` and does hold nothing.
fn stamp_or_drop(connection: &Connection, id: i64, may: bool) -> Attempt<Revision> {
    if may && connection.prepare_cached(DROP_IF_EMPTY)?.execute([id])? > 0 {
        return Ok(Revision::ABSENT);
    }
    let revision = Revision::unique();
    connection.prepare_cached(STAMP)?.execute(params![id, bytes(revision)])?;
    Ok(revision)
}

fn stamp_store(connection: &Connection) -> Attempt<()> {
    connection.prepare_cached(STAMP_STORE)?.execute([bytes(Revision::unique())])?;
    Ok(())
}

/// A revision as it stands in a column.
fn bytes(revision: Revision) -> [u8; 16] {
    revision.as_u128().to_be_bytes()
}
