//! The steps that bring a database of an older version to the present one.

use std::collections::HashSet;
use std::ops::AddAssign;

use msal_cache_core::internal::{Scalar, for_each_member, seconds};
use msal_cache_core::{Partition, Record, Revision};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Attempt;
use crate::read;
use crate::write::bytes;

/// The tables of version 2.
pub(crate) const TABLES_2: &str = include_str!("../migrations/002_one_record_per_key.sql");

/// The outer join keeps records whose partition has no row, in a database that another program
/// has changed.
const READ_1: &str = "\
    SELECT p.name, r.credential_type, r.key, r.value, r.position, r.partition \
    FROM records r LEFT JOIN partitions p ON p.id = r.partition ORDER BY r.position";

const FIND_2: &str = "SELECT id FROM partitions_2 WHERE name = ?1";

const CREATE_2: &str = "INSERT INTO partitions_2 (name, revision) VALUES (?1, ?2)";

const INSERT_2: &str = "\
    INSERT INTO records_2 (position, partition, credential_type, key, value, expires_on) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key, credential_type) DO NOTHING";

const RIVAL_2: &str = "\
    SELECT position, credential_type, key, value FROM records_2 \
    WHERE credential_type = ?1 AND key = ?2";

const DELETE_2: &str = "DELETE FROM records_2 WHERE position = ?1";

const FINISH_2: &str = "\
    DELETE FROM partitions_2 WHERE id NOT IN (SELECT partition FROM records_2); \
    DROP TABLE records; DROP TABLE partitions; DROP TABLE store";

const STAMP_STORE_2: &str = "UPDATE store_2 SET revision = ?1";

/// What a migration changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Partitions some of whose records are now in a partition of another name.
    pub(crate) renamed_partitions: usize,
    /// Records that were deleted because a newer one has their key.
    pub(crate) superseded_records: usize,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.renamed_partitions += other.renamed_partitions;
        self.superseded_records += other.superseded_records;
    }
}

/// From version 1, in which each partition could hold a record under the same key, and in which
/// names of partitions differed by case.
///
/// Of the records under one key, the one that was written last stays. The order counts where none
/// says when it was written.
pub(crate) fn to_version_2(connection: &Connection) -> Attempt<Summary> {
    connection.execute_batch(TABLES_2)?;
    let summary = copy_all(connection)?;
    connection.execute_batch(FINISH_2)?;
    connection.execute(STAMP_STORE_2, [bytes(Revision::unique())])?;
    Ok(summary)
}

fn copy_all(connection: &Connection) -> Attempt<Summary> {
    let mut renamed: HashSet<i64> = HashSet::new();
    let mut superseded_records = 0;
    let mut statement = connection.prepare(READ_1)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, record): (Option<String>, _) = (row.get(0)?, read::record(row)?);
        if name.is_none_or(|name| name != record.partition().as_str()) {
            renamed.insert(row.get(5)?);
        }
        superseded_records += usize::from(!copy(connection, row.get(4)?, &record)?);
    }
    Ok(Summary { renamed_partitions: renamed.len(), superseded_records })
}

/// Copies a record. Returns false if there was one with its key already: then the newer one of
/// the two is kept.
fn copy(connection: &Connection, position: i64, record: &Record) -> Attempt<bool> {
    if insert(connection, position, record)? {
        return Ok(true);
    }
    let target = [record.credential_type().as_str(), record.key()];
    let (rival_position, rival): (i64, Record) = connection
        .prepare_cached(RIVAL_2)?
        .query_row(target, |row| Ok((row.get(0)?, read::record(row)?)))?;
    if (written_at(record), position) > (written_at(&rival), rival_position) {
        connection.prepare_cached(DELETE_2)?.execute([rival_position])?;
        insert(connection, position, record)?;
    }
    Ok(false)
}

/// Inserts a record. Returns false if there is one with its key.
fn insert(connection: &Connection, position: i64, record: &Record) -> Attempt<bool> {
    let rows = connection.prepare_cached(INSERT_2)?.execute(params![
        position,
        find_or_create(connection, record.partition())?,
        record.credential_type().as_str(),
        record.key(),
        record.value().expose(),
        record.expires_on(),
    ])?;
    Ok(rows > 0)
}

/// The row of a partition, which is created if it is missing.
fn find_or_create(connection: &Connection, partition: &Partition) -> Attempt<i64> {
    let name = partition.as_str();
    let found =
        connection.prepare_cached(FIND_2)?.query_row([name], |row| row.get(0)).optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    let revision = bytes(Revision::unique());
    connection.prepare_cached(CREATE_2)?.execute(params![name, revision])?;
    Ok(connection.last_insert_rowid())
}

/// When a record was written, in seconds since the epoch: access tokens have `cached_at`, refresh
/// tokens `last_modification_time`. `None`, where a record has no readable time, is less than any
/// time.
fn written_at(record: &Record) -> Option<i64> {
    let mut written_at = None;
    let members = for_each_member(record.value().expose(), |name, json| {
        if matches!(&*name, "cached_at" | "last_modification_time") {
            written_at = written_at.max(Scalar::of(json).as_str().and_then(seconds));
        }
    });
    // Members before an error are not those of an object.
    members.ok().and(written_at)
}
