//! What an operator does with a database: looking for damage, and returning free space.

use msal_cache_core::{Error, Result};
use rusqlite::ErrorCode;

use crate::SqliteStore;
use crate::error::SqlFailure;
use crate::store::WAIT_FOR_READERS;

impl SqliteStore {
    /// Looks for damage in the pages and indexes of the whole database (`PRAGMA quick_check`), and
    /// returns the first problem that SQLite reports. The text names tables and pages, and no
    /// value. It takes as long as reading the file.
    pub fn find_damage(&self) -> Result<Option<String>> {
        let found = self.read(|opened| {
            opened.pool.read(|connection| {
                let report = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
                match connection.query_row("PRAGMA quick_check(1)", [], report) {
                    Ok(report) => Ok(report),
                    Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                        Ok("a page can't be read".into())
                    }
                    Err(rusqlite::Error::QueryReturnedNoRows) => Ok("it can't be checked".into()),
                    Err(error) => Err(SqlFailure::from(error)),
                }
            })
        })?;
        // The first line names the database.
        let problem = found.lines().find(|line| !line.starts_with("***")).unwrap_or("ok");
        Ok((problem != "ok").then(|| problem.to_owned()))
    }

    /// Returns the space of deleted records to the file system (`VACUUM`), which rewrites the
    /// database and needs as much free space on the disk. Returns false, and leaves the database
    /// as large as it is, if other users of the database prevent it until the busy timeout, and in a
    /// folder in which other users can create files.
    pub fn shrink(&self) -> Result<bool> {
        let opened = self.opened()?;
        let database = opened.pool.database();
        if database.is_shared() {
            // SQLite opens the journal without the write lock that protects its name.
            return Ok(false);
        }
        let done = opened.pool.write(|connection, _| {
            database.check_before_write()?;
            Ok(connection.execute_batch("VACUUM")?)
        });
        match done {
            // With a write-ahead log, the file shrinks when the log is moved into it.
            Ok(()) => Ok(opened.pool.empty_log(WAIT_FOR_READERS)),
            Err(Error::Locked { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
