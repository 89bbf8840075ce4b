//! The queries of `load` and `list`.

use std::sync::Arc;

use msal_cache_core::{CredentialType, Json, Load, Partition, Record, Revision, Snapshot};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use crate::error::SqlResult;

const FIND: &str = "SELECT revision, id FROM partitions_2 WHERE name = ?1";

/// The index of `records_2` by partition is in this order, so nothing is sorted.
const PARTITION: &str = "\
    SELECT p.revision, r.credential_type, r.key, r.value \
    FROM partitions_2 p CROSS JOIN records_2 r ON r.partition = p.id \
    WHERE p.name = ?1 ORDER BY r.position";

const STORE_REVISION: &str = "SELECT revision FROM store_2 WHERE id = 1";

/// Returns a row with the revision also if there is no record.
const SECTION: &str = "\
    SELECT s.revision, r.credential_type, r.key, r.value \
    FROM store_2 s LEFT JOIN records_2 r ON r.credential_type = ?1 \
    WHERE s.id = 1 ORDER BY r.position";

const EVERYTHING: &str = "\
    SELECT s.revision, r.credential_type, r.key, r.value \
    FROM store_2 s LEFT JOIN records_2 r ON TRUE \
    WHERE s.id = 1 ORDER BY r.position";

/// Reads one partition. No transaction is necessary, since the second statement reads the revision
/// together with the records.
pub(crate) fn load(
    connection: &Connection,
    partition: &Partition,
    known: Option<Revision>,
) -> SqlResult<Load> {
    if known.is_some() {
        let found = find(connection, partition)?;
        if known == Some(found.map_or(Revision::ABSENT, |(_, revision)| revision)) {
            return Ok(Load::Unchanged);
        }
    }
    let mut statement = connection.prepare_cached(PARTITION)?;
    let mut rows = statement.query([partition.as_str()])?;
    let mut revision = Revision::ABSENT;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        if records.is_empty() {
            revision = revision_in(row)?;
        }
        records.push(record(row)?);
    }
    Ok(Load::Snapshot(Snapshot::new(revision, records)))
}

/// Reads several partitions. In a transaction, they are read as they were at one moment.
pub(crate) fn load_many(
    connection: &Connection,
    wanted: &[(&Partition, Option<Revision>)],
) -> SqlResult<Vec<Load>> {
    wanted.iter().map(|(partition, known)| load(connection, partition, *known)).collect()
}

/// The row and the revision of a partition, if it has records.
pub(crate) fn find(
    connection: &Connection,
    partition: &Partition,
) -> SqlResult<Option<(i64, Revision)>> {
    let mut statement = connection.prepare_cached(FIND)?;
    let row = |row: &Row<'_>| Ok((row.get(1)?, revision_in(row)?));
    Ok(statement.query_row([partition.as_str()], row).optional()?)
}

/// Reads one section, or all of them.
pub(crate) fn list(
    connection: &Connection,
    section: Option<&CredentialType>,
    known: Option<Revision>,
) -> SqlResult<Load> {
    if known.is_some() {
        let current = connection.prepare_cached(STORE_REVISION)?.query_row([], revision_in)?;
        if known == Some(current) {
            return Ok(Load::Unchanged);
        }
    }
    let section = section.map(CredentialType::as_str);
    let mut statement =
        connection.prepare_cached(if section.is_some() { SECTION } else { EVERYTHING })?;
    let parameters: Vec<&dyn ToSql> = section.iter().map(|it| it as &dyn ToSql).collect();
    let mut rows = statement.query(&*parameters)?;
    let mut revision = None;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        if revision.is_none() {
            revision = Some(revision_in(row)?);
        }
        if !matches!(row.get_ref(1)?, rusqlite::types::ValueRef::Null) {
            records.push(record(row)?);
        }
    }
    let revision = revision.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Load::Snapshot(Snapshot::new(revision, records)))
}

fn revision_in(row: &Row<'_>) -> rusqlite::Result<Revision> {
    Ok(Revision::from_u128(u128::from_be_bytes(row.get(0)?)))
}

/// Reads a record from the columns 1 to 3: section, key and value.
pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let credential_type = CredentialType::from(row.get_ref(1)?.as_str()?);
    let key: Arc<str> = row.get_ref(2)?.as_str()?.into();
    Ok(Record::new(credential_type, key, Json::from_stored(row.get::<_, String>(3)?)))
}

#[cfg(test)]
mod tests {
    use msal_cache_core::{Batch, Expect};
    use rusqlite::StatementStatus;

    use super::*;
    use crate::database::Database;
    use crate::write;

    /// How often each statement has run since the last call.
    fn runs(connection: &Connection) -> [i32; 5] {
        [FIND, PARTITION, STORE_REVISION, SECTION, EVERYTHING]
            .map(|sql| connection.prepare_cached(sql).unwrap().reset_status(StatementStatus::Run))
    }

    #[test]
    fn an_unchanged_read_is_one_look_up_and_any_other_read_one_query() {
        let (_, connection) = Database::in_memory().unwrap();
        let user = Partition::user("u");
        let mut batch = Batch::new();
        for key in ["a", "b", "c"] {
            let record = Record::new(CredentialType::Account, key, Json::from_stored("{}"));
            batch.change(user.clone(), Expect::Any).put(record);
        }
        let revision = write::commit(&connection, &batch).unwrap()[0];
        runs(&connection);

        load(&connection, &user, Some(revision)).unwrap();
        assert_eq!(runs(&connection), [1, 0, 0, 0, 0]);
        load(&connection, &user, None).unwrap();
        assert_eq!(runs(&connection), [0, 1, 0, 0, 0]);
        load(&connection, &user, Some(Revision::unique())).unwrap();
        assert_eq!(runs(&connection), [1, 1, 0, 0, 0]);

        let section = Some(&CredentialType::Account);
        let Load::Snapshot(listed) = list(&connection, section, None).unwrap() else {
            panic!("no revision was given")
        };
        assert_eq!((listed.records().len(), runs(&connection)), (3, [0, 0, 0, 1, 0]));
        list(&connection, None, None).unwrap();
        assert_eq!(runs(&connection), [0, 0, 0, 0, 1]);
        list(&connection, section, Some(listed.revision())).unwrap();
        assert_eq!(runs(&connection), [0, 0, 1, 0, 0]);
    }
}
