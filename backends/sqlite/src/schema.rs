//! Whose database it is, and how it comes to its present form.

use std::path::Path;

use msal_cache_core::{Error, notice};
use rusqlite::Connection;

use crate::error::{Attempt, read_only};
use crate::migration::{self, Summary};
use crate::transaction::{Lock, transaction};
use crate::wait::Patience;

/// `PRAGMA application_id` of our databases: `MSLc` in ASCII.
const APPLICATION: i32 = 0x4D53_4C63;

/// The version of the tables, kept as `PRAGMA user_version`.
const VERSION: usize = 1 + MIGRATIONS.len();

/// The tables of this version, for a new database.
const TABLES: &str = migration::TABLES_2;

/// The migrations, from version 1 on. One that has been released is never changed, and none may
/// let an older version of this crate, which may have the database open, write what the new form
/// can't hold: it renames what it changes.
const MIGRATIONS: [fn(&Connection) -> Attempt<Summary>; 1] = [migration::to_version_2];

/// The journals that a database should have.
#[derive(Clone, Copy)]
pub(crate) struct Journals {
    /// Where it is new.
    pub(crate) new: JournalMode,
    /// Where it exists; any, if this is none.
    pub(crate) existing: Option<JournalMode>,
}

#[derive(Clone, Copy)]
pub(crate) enum JournalMode {
    Wal,
    Rollback,
}

/// What a database says of itself.
enum State {
    /// It holds nothing.
    New,
    /// It has the tables of this version or of an older one.
    Ours(usize),
    /// It is not ours, or of a version that isn't known yet.
    Other(String),
}

/// Checks whose database this is, writing nothing, and then creates or migrates it.
pub(crate) fn settle(
    connection: &Connection,
    path: &Path,
    journals: Journals,
    is_read_only: bool,
    patience: &mut Patience,
) -> Attempt<()> {
    // In one transaction: another process may be creating the tables at this moment.
    let state = transaction(connection, Lock::Nothing, patience, || state(connection))?;
    let (journal, version) = match state {
        State::Other(reason) => return Err(refuse(path, reason).into()),
        State::New => (Some(journals.new), 0),
        State::Ours(version) => (journals.existing, version),
    };
    if is_read_only {
        return match version {
            VERSION => Ok(()),
            0 => Err(read_only(path, "the tables are missing and can't be created").into()),
            older => {
                let reason = format!(
                    "its tables have version {older} and can't be migrated to version {VERSION}"
                );
                Err(read_only(path, reason).into())
            }
        };
    }
    if let Some(journal) = journal {
        set_journal(connection, journal)?;
    }
    if version < VERSION {
        migrate(connection, path, patience)?;
    }
    Ok(())
}

/// Creates the tables, or migrates those of an older version, in one transaction. Where several
/// processes open a database, one of them does and the others find it done.
pub(crate) fn migrate(
    connection: &Connection,
    path: &Path,
    patience: &mut Patience,
) -> Attempt<()> {
    let migrated = transaction(connection, Lock::Writing, patience, || {
        let (version, summary) = match state(connection)? {
            State::Other(reason) => return Err(refuse(path, reason).into()),
            State::Ours(VERSION) => return Ok(None),
            State::New => {
                connection.execute_batch(TABLES)?;
                (0, Summary::default())
            }
            State::Ours(version) => (version, migrate_from(connection, version)?),
        };
        connection.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}"
        ))?;
        Ok(Some((version, summary)))
    })?;
    match migrated {
        None => {}
        Some((0, _)) => notice::info(path, format_args!("created the tables, version {VERSION}")),
        Some((version, Summary { renamed_partitions, superseded_records })) => notice::info(
            path,
            format_args!(
                "migrated the tables from version {version} to {VERSION}: {renamed_partitions} \
                 partitions renamed, {superseded_records} records superseded"
            ),
        ),
    }
    Ok(())
}

/// Migrates the tables of an older version.
fn migrate_from(connection: &Connection, version: usize) -> Attempt<Summary> {
    let mut summary = Summary::default();
    for migrate in &MIGRATIONS[version - 1..] {
        summary += migrate(connection)?;
    }
    Ok(summary)
}

/// What the database says of itself; to be asked within a transaction.
fn state(connection: &Connection) -> Attempt<State> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    if application == APPLICATION {
        return Ok(match usize::try_from(version) {
            Ok(known @ 1..=VERSION) => State::Ours(known),
            Ok(0) | Err(_) => State::Other(format!("its version is {version}")),
            Ok(newer) => State::Other(format!(
                "it was written by a newer version (its tables have version {newer}, this \
                 version knows {VERSION})"
            )),
        });
    }
    let tables = number("SELECT count(*) FROM sqlite_master")?;
    Ok(if application == 0 && version == 0 && tables == 0 {
        State::New
    } else {
        State::Other(format!(
            "the database belongs to another application (application_id {application}, \
             user_version {version}, {tables} tables and indexes)"
        ))
    })
}

fn refuse(place: &Path, reason: String) -> Error {
    Error::Corrupt { place: place.display().to_string(), reason, position: None }
}

fn set_journal(connection: &Connection, journal: JournalMode) -> Attempt<()> {
    let sql = match journal {
        JournalMode::Wal => "PRAGMA journal_mode = WAL",
        JournalMode::Rollback => "PRAGMA journal_mode = DELETE",
    };
    // It answers with the mode that is now in force, which may be another one: where a file
    // system has no shared memory, SQLite stays with the rollback journal, and that is fine.
    connection.query_row(sql, [], |_| Ok(()))?;
    Ok(())
}
