//! Whose database it is, and the numbered steps by which it comes to its present form.

use std::path::Path;

use msal_cache_core::{Error, notice};
use rusqlite::Connection;

use crate::error::{Attempt, read_only};
use crate::transaction::{Lock, transaction};
use crate::wait::Patience;

/// `PRAGMA application_id` of our databases: `MSLc` in ASCII.
const APPLICATION: i32 = 0x4D53_4C63;

/// The steps. The number of those that were taken is `PRAGMA user_version`. A step that has been
/// released is never changed, and no step may let an older version of this crate, which may have
/// the database open, write what the new form can't hold: it renames what it changes.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/001_records.sql")];

/// How many there are.
const STEPS: usize = MIGRATIONS.len();

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
    /// So many steps were taken.
    Ours(usize),
    /// It is not ours, or of a version that isn't known yet.
    Other(String),
}

/// Checks whose database this is, writing nothing, and then creates or completes it.
pub(crate) fn settle(
    connection: &Connection,
    path: &Path,
    journals: Journals,
    is_read_only: bool,
    patience: &mut Patience,
) -> Attempt<()> {
    // In one transaction: somebody else may be creating the tables this moment.
    let state = transaction(connection, Lock::Nothing, patience, || state(connection))?;
    let (journal, done) = match state {
        State::Other(reason) => return Err(refuse(path, reason).into()),
        State::New => (Some(journals.new), 0),
        State::Ours(done) => (journals.existing, done),
    };
    if is_read_only {
        return match done {
            // What an older version wrote will have to be readable as it is.
            STEPS => Ok(()),
            _ => Err(read_only(path, "the tables are still to be created there").into()),
        };
    }
    if let Some(journal) = journal {
        set_journal(connection, journal)?;
    }
    if done < STEPS {
        migrate(connection, path, patience)?;
        notice::info(path, format_args!("brought the tables from version {done} to {STEPS}"));
    }
    Ok(())
}

/// Takes the steps that are missing. Where several processes open a new database, one of them
/// does and the others find it done.
pub(crate) fn migrate(
    connection: &Connection,
    path: &Path,
    patience: &mut Patience,
) -> Attempt<()> {
    transaction(connection, Lock::Writing, patience, || {
        let done = match state(connection)? {
            State::New => 0,
            State::Ours(done) => done,
            State::Other(reason) => return Err(refuse(path, reason).into()),
        };
        for migration in &MIGRATIONS[done..] {
            connection.execute_batch(migration)?;
        }
        connection.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {STEPS}"
        ))?;
        Ok(())
    })
}

/// What the database says of itself; to be asked within a transaction.
fn state(connection: &Connection) -> Attempt<State> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    if application == APPLICATION {
        return Ok(match usize::try_from(version) {
            Ok(done @ 1..=STEPS) => State::Ours(done),
            Ok(0) | Err(_) => State::Other(format!("its version is {version}")),
            Ok(newer) => State::Other(format!(
                "it was written by a newer version (its tables have version {newer}, this \
                 version knows {STEPS})"
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
