//! The migrations of databases of older versions.

use std::collections::HashSet;
use std::ops::AddAssign;

use msal_cache_core::internal::{Scalar, for_each_member, seconds};
use msal_cache_core::{Partition, Record, Revision};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::SqlResult;
use crate::read;
use crate::write::bytes;

/// The tables of version 2.
pub(crate) const TABLES_2: &str = include_str!("../migrations/002_one_record_per_key.sql");

/// The outer join finds also records whose partition has no row, in a database that another program
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
pub(crate) struct MigrationSummary {
    /// The number of partitions whose records are now in a partition of another name.
    pub(crate) renamed_partitions: usize,
    /// The number of records that were deleted because a newer one has the same key.
    pub(crate) superseded_records: usize,
}

impl AddAssign for MigrationSummary {
    fn add_assign(&mut self, other: Self) {
        self.renamed_partitions += other.renamed_partitions;
        self.superseded_records += other.superseded_records;
    }
}

/// Migrates version 1, in which a key was unique within a partition only, and in which names of
/// partitions could differ by case alone.
///
/// Of the records under one key, the newest stays: by `cached_at` or `last_modification_time`, and
/// by position if they have no such time.
pub(crate) fn to_version_2(connection: &Connection) -> SqlResult<MigrationSummary> {
    connection.execute_batch(TABLES_2)?;
    let summary = copy_all(connection)?;
    connection.execute_batch(FINISH_2)?;
    connection.execute(STAMP_STORE_2, [bytes(Revision::unique())])?;
    Ok(summary)
}

fn copy_all(connection: &Connection) -> SqlResult<MigrationSummary> {
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
    Ok(MigrationSummary { renamed_partitions: renamed.len(), superseded_records })
}

/// Copies a record. Returns false if another record has the same key; then the newer one of the two
/// stays.
fn copy(connection: &Connection, position: i64, record: &Record) -> SqlResult<bool> {
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

/// Inserts a record. Returns false if another record has the same key.
fn insert(connection: &Connection, position: i64, record: &Record) -> SqlResult<bool> {
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

/// Returns the row of a partition, and creates it if it is missing.
fn find_or_create(connection: &Connection, partition: &Partition) -> SqlResult<i64> {
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
/// tokens `last_modification_time`. `None`, which is less than any time, if it has no valid time.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_counts_what_it_renames_and_supersedes() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../tests/support/version_1.sql")).unwrap();
        connection
            .execute_batch(
                r#"INSERT INTO partitions VALUES
                     (1, 'user/A', zeroblob(16)), (2, 'user/a', zeroblob(16)),
                     (3, 'app/C/T', zeroblob(16)), (4, 'metadata', zeroblob(16));
                   INSERT INTO records (partition, credential_type, key, value) VALUES
                     (1, 'Account', 'k', '{"home_account_id":"A"}'),
                     (1, 'Account', 'l', '{"home_account_id":"A"}'),
                     (2, 'Account', 'k', '{"home_account_id":"a"}'),
                     (3, 'AccessToken', 'k', '{"client_id":"C","realm":"T"}'),
                     (4, 'AppMetadata', 'k', '{"client_id":"C"}');"#,
            )
            .unwrap();
        let summary = to_version_2(&connection).unwrap();
        assert_eq!(summary, MigrationSummary { renamed_partitions: 2, superseded_records: 1 });
    }

    #[test]
    fn a_time_is_read_from_an_object_only() {
        let written_at = |json: &str| {
            let value = msal_cache_core::Json::from_stored(json);
            written_at(&Record::new(msal_cache_core::CredentialType::AccessToken, "k", value))
        };
        assert_eq!(written_at(r#"{"cached_at":"17"}"#), Some(17));
        assert_eq!(written_at(r#"{"cached_at":1,"last_modification_time":"2"}"#), Some(2));
        assert_eq!(written_at(r#"{"cached_at":null,"expires_on":"3"}"#), None);
        assert_eq!(written_at(r#"{"cached_at":"17""#), None);
        assert_eq!(written_at(r#"["cached_at"]"#), None);
    }
}
