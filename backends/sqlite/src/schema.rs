//! Checks whose database it is, creates its tables, and migrates them.

use std::path::Path;

use msal_cache_core::{Result, event, notice};
use rusqlite::{Connection, Row};

use crate::error::{SqlResult, corrupt, read_only};
use crate::migration::{self, MigrationSummary};
use crate::transaction::{TransactionKind, transaction};
use crate::wait::BusyWait;

/// The `PRAGMA application_id` of the databases of this crate: `MSLc` in ASCII.
const APPLICATION: i32 = 0x4D53_4C63;

/// The version of the tables, kept as `PRAGMA user_version`.
const VERSION: usize = 1 + MIGRATIONS.len();

/// The tables of this version, for a new database.
const TABLES: &str = migration::TABLES_2;

/// The tables of all versions.
const OWN_TABLES: [&str; 6] =
    ["store", "partitions", "records", "store_2", "partitions_2", "records_2"];

/// The migrations, from version 1 on. A released migration is never changed. An older version of
/// this crate may have the database open, and must not write what the new tables can't hold: so a
/// migration gives the tables that it changes new names.
const MIGRATIONS: [fn(&Connection) -> SqlResult<MigrationSummary>; 1] = [migration::to_version_2];

/// The journal that a database should have.
#[derive(Clone, Copy)]
pub(crate) struct Journals {
    /// If it is new.
    pub(crate) new: JournalMode,
    /// If it exists. `None` keeps the journal that it has.
    pub(crate) existing: Option<JournalMode>,
}

#[derive(Clone, Copy)]
pub(crate) enum JournalMode {
    Wal,
    Rollback,
}

/// Whose database it is, and its version.
enum DatabaseState {
    /// It is empty.
    New,
    /// It has the tables of this version or of an older one.
    Ours { version: usize, has_triggers: bool },
    /// It belongs to another application, or its version is unknown, for this reason.
    Other(String),
}

/// Checks the files of the database, with the write lock.
pub(crate) type BeforeWrite<'a> = dyn Fn() -> Result<()> + 'a;

/// Checks whose database it is, and then creates the tables or migrates them. If the check fails,
/// nothing is written.
pub(crate) fn prepare(
    connection: &Connection,
    path: &Path,
    journals: Journals,
    is_read_only: bool,
    before_write: &BeforeWrite<'_>,
    busy_wait: &mut BusyWait,
) -> SqlResult<()> {
    // In one transaction, since another process may be creating the tables at this moment.
    let state =
        transaction(connection, TransactionKind::Deferred, busy_wait, || state(connection))?;
    let (journal, version) = match state {
        DatabaseState::Other(reason) => return Err(corrupt(path, reason).into()),
        DatabaseState::New => (Some(journals.new), 0),
        DatabaseState::Ours { version, has_triggers } => {
            // No trigger runs for a reader.
            if has_triggers && !is_read_only {
                drop_triggers(connection, path, before_write, busy_wait)?;
            }
            (journals.existing, version)
        }
    };
    if is_read_only {
        return match version {
            VERSION => Ok(()),
            0 => Err(read_only(path, "its tables are missing and can't be created").into()),
            older => {
                let reason = format!(
                    "its table version is {older}, and it can't be migrated to version {VERSION}"
                );
                Err(read_only(path, reason).into())
            }
        };
    }
    if let Some(journal) = journal {
        set_journal(connection, journal)?;
    }
    if version < VERSION {
        migrate(connection, path, before_write, busy_wait)?;
    }
    Ok(())
}

/// Creates the tables, or migrates those of an older version, in one transaction. Of several
/// processes that open the database, one does this, and the others find nothing to do.
pub(crate) fn migrate(
    connection: &Connection,
    path: &Path,
    before_write: &BeforeWrite<'_>,
    busy_wait: &mut BusyWait,
) -> SqlResult<()> {
    let migrated = transaction(connection, TransactionKind::Immediate, busy_wait, || {
        before_write()?;
        let (version, summary) = match state(connection)? {
            DatabaseState::Other(reason) => return Err(corrupt(path, reason).into()),
            DatabaseState::Ours { version: VERSION, .. } => return Ok(None),
            DatabaseState::New => {
                connection.execute_batch(TABLES)?;
                (0, MigrationSummary::default())
            }
            DatabaseState::Ours { version, .. } => (version, migrate_from(connection, version)?),
        };
        connection.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}"
        ))?;
        Ok(Some((version, summary)))
    })?;
    match migrated {
        None => {}
        Some((0, _)) => event!(debug, path = %path.display(), "created the tables"),
        Some((from, MigrationSummary { renamed_partitions, superseded_records })) => event!(
            info,
            path = %path.display(),
            from,
            to = VERSION,
            renamed_partitions,
            superseded_records,
            "migrated the tables of an older version"
        ),
    }
    Ok(())
}

/// Migrates the tables of an older version.
fn migrate_from(connection: &Connection, version: usize) -> SqlResult<MigrationSummary> {
    let mut summary = MigrationSummary::default();
    for migrate in &MIGRATIONS[version - 1..] {
        summary += migrate(connection)?;
    }
    Ok(summary)
}

/// Reads whose database it is, within a transaction.
fn state(connection: &Connection) -> SqlResult<DatabaseState> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let objects = objects(connection)?;
    if application == APPLICATION {
        return Ok(match usize::try_from(version) {
            Ok(known @ 1..=VERSION) => match objects.iter().find_map(DatabaseObject::foreign) {
                Some(reason) => DatabaseState::Other(reason),
                None => DatabaseState::Ours {
                    version: known,
                    has_triggers: objects.iter().any(DatabaseObject::is_trigger),
                },
            },
            Ok(0) | Err(_) => DatabaseState::Other(format!(
                "its table version is {version}, which this crate never writes"
            )),
            Ok(newer) => DatabaseState::Other(format!(
                "a newer version of this crate wrote it (its table version is {newer}, the newest \
                 supported is {VERSION})"
            )),
        });
    }
    Ok(if application == 0 && version == 0 && objects.is_empty() {
        DatabaseState::New
    } else {
        DatabaseState::Other(format!(
            "it belongs to another application (application_id {application}, \
             user_version {version}, {} tables and indexes)",
            objects.len()
        ))
    })
}

/// A table, an index, a view or a trigger.
struct DatabaseObject {
    kind: String,
    name: String,
}

/// Everything in a database.
///
/// The query also makes the connection read the tables that another one has created since it was
/// opened. Without it, while a third one is committing, statements would fail with "no such table".
fn objects(connection: &Connection) -> SqlResult<Vec<DatabaseObject>> {
    let mut statement = connection.prepare("SELECT type, name FROM sqlite_master")?;
    let object = |row: &Row<'_>| Ok(DatabaseObject { kind: row.get(0)?, name: row.get(1)? });
    let objects = statement.query_map([], object)?.collect::<rusqlite::Result<_>>()?;
    Ok(objects)
}

impl DatabaseObject {
    /// Why a database with the mark of this crate can't be used: it has a table or a view that can
    /// hold copies of tokens, and that this crate never empties.
    fn foreign(&self) -> Option<String> {
        let Self { kind, name } = self;
        // Names that start with `sqlite_` are those of SQLite itself.
        let is_foreign = matches!(&**kind, "table" | "view")
            && !name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
            && !OWN_TABLES.contains(&&**name);
        is_foreign.then(|| {
            format!(
                "it has a {kind} that this crate didn't create and that can hold copies of tokens \
                 (drop it with the sqlite3 program, or use another file)"
            )
        })
    }

    fn is_trigger(&self) -> bool {
        self.kind == "trigger"
    }
}

/// Drops the triggers of a database: this crate creates none. A trigger runs with each commit, and
/// can keep copies of what is deleted.
fn drop_triggers(
    connection: &Connection,
    path: &Path,
    before_write: &BeforeWrite<'_>,
    busy_wait: &mut BusyWait,
) -> SqlResult<()> {
    transaction(connection, TransactionKind::Immediate, busy_wait, || {
        before_write()?;
        for trigger in objects(connection)?.iter().filter(|it| it.is_trigger()) {
            let quoted = trigger.name.replace('"', "\"\"");
            connection.execute_batch(&format!("DROP TRIGGER \"{quoted}\""))?;
        }
        Ok(())
    })?;
    notice::warn(path, format_args!("dropped the triggers of another program"));
    Ok(())
}

fn set_journal(connection: &Connection, journal: JournalMode) -> SqlResult<()> {
    let sql = match journal {
        JournalMode::Wal => "PRAGMA journal_mode = WAL",
        JournalMode::Rollback => "PRAGMA journal_mode = DELETE",
    };
    // The result is the mode that is now in force. On a file system without shared memory, SQLite
    // keeps the rollback journal, which is acceptable.
    connection.query_row(sql, [], |_| Ok(()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_connection_uses_tables_that_another_has_created_while_a_third_commits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let [ours, theirs, third] = [(); 3].map(|()| Connection::open(&path).unwrap());
        let tables = "SELECT count(*) FROM sqlite_schema";
        assert_eq!(ours.query_row(tables, [], |row| row.get(0)), Ok(0));

        let mut busy_wait = BusyWait::new(Duration::ZERO);
        assert!(migrate(&theirs, &path, &|| Ok(()), &mut busy_wait).is_ok());
        assert!(migrate(&ours, &path, &|| Ok(()), &mut busy_wait).is_ok());
        third.execute_batch("BEGIN EXCLUSIVE").unwrap();
        ours.prepare("SELECT 1 FROM partitions_2").unwrap();
    }
}
