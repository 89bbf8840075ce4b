use rusqlite::Connection;

use crate::error::{Attempt, Failure};
use crate::wait::Patience;

/// What a transaction locks as it begins.
#[derive(Clone, Copy)]
pub(crate) enum Lock {
    /// Nobody else may write. Taken before anything is read: a reader that turns into a writer
    /// fails where somebody else has written in between.
    Writing,
    /// Nothing; what is read is consistent.
    Nothing,
}

/// Does work in a transaction: all of it, or nothing where the work or the commit fails.
pub(crate) fn transaction<T>(
    connection: &Connection,
    lock: Lock,
    patience: &mut Patience,
    work: impl FnOnce() -> Attempt<T>,
) -> Attempt<T> {
    let begin = match lock {
        Lock::Writing => "BEGIN IMMEDIATE",
        Lock::Nothing => "BEGIN",
    };
    connection.prepare_cached(begin)?.execute([])?;
    let open = Open(connection);
    let value = work()?;
    open.commit(patience)?;
    Ok(value)
}

/// A transaction that is rolled back unless it is committed.
struct Open<'c>(&'c Connection);

impl Open<'_> {
    fn commit(self, patience: &mut Patience) -> Attempt<()> {
        let mut commit = self.0.prepare_cached("COMMIT")?;
        loop {
            // With a rollback journal, readers may still be at work. They finish, and no new ones
            // start as long as this transaction waits; rolled back, it would have to line up anew.
            match commit.execute([]).map_err(Failure::from) {
                Err(failure) if failure.is_passing() && patience.pause() => {}
                done => return done.map(|_| ()),
            }
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // SQLite has ended it already after some errors, such as a full disk.
        if !self.0.is_autocommit() {
            // Where this fails the connection is thrown away, which rolls back, too.
            let _ = self.0.prepare_cached("ROLLBACK").and_then(|mut it| it.execute([]));
        }
    }
}
