use rusqlite::Connection;

use crate::error::{SqlFailure, SqlResult};
use crate::wait::BusyWait;

/// How a transaction begins.
#[derive(Clone, Copy)]
pub(crate) enum TransactionKind {
    /// To write. The write lock is taken before anything is read: upgrading a reader fails if
    /// another process has written in between.
    Immediate,
    /// To read several times, consistently.
    Deferred,
}

/// Runs `work` in a transaction, which is rolled back if the work or the commit fails.
pub(crate) fn transaction<T>(
    connection: &Connection,
    kind: TransactionKind,
    busy_wait: &mut BusyWait,
    work: impl FnOnce() -> SqlResult<T>,
) -> SqlResult<T> {
    let begin = match kind {
        TransactionKind::Immediate => "BEGIN IMMEDIATE",
        TransactionKind::Deferred => "BEGIN",
    };
    connection.prepare_cached(begin)?.execute([])?;
    let open = OpenTransaction(connection);
    let value = work()?;
    open.commit(busy_wait)?;
    Ok(value)
}

/// A transaction that is rolled back unless it is committed.
struct OpenTransaction<'c>(&'c Connection);

impl OpenTransaction<'_> {
    fn commit(self, busy_wait: &mut BusyWait) -> SqlResult<()> {
        let mut commit = self.0.prepare_cached("COMMIT")?;
        loop {
            // With a rollback journal, the commit waits for readers. They finish, and none start
            // while this transaction is pending; after a rollback, they could start again.
            match commit.execute([]).map_err(SqlFailure::from) {
                Err(failure) if failure.is_transient() && busy_wait.pause() => {}
                done => return done.map(|_| ()),
            }
        }
    }
}

impl Drop for OpenTransaction<'_> {
    fn drop(&mut self) {
        // After some errors, such as a full disk, SQLite has rolled back already.
        if !self.0.is_autocommit() {
            // If this fails, the connection is closed, which rolls back too.
            let _ = self.0.prepare_cached("ROLLBACK").and_then(|mut it| it.execute([]));
        }
    }
}
