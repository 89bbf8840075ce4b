use std::path::Path;

use msal_cache_core::{Error, Result};

use crate::error::{absent, io};
use crate::folder::beside;
use crate::platform::{self, Fault};
use crate::trace;

/// The files that SQLite keeps beside a database. They hold the same secrets, for a while.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What to do about a database that others can open. It and the files beside it are looked at
/// when the store is opened.
///
/// On Windows nothing is checked: the rights of a file are those of its folder there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permissions {
    /// [`Error::Insecure`], which names the command that mends it.
    #[default]
    Refuse,
    /// Take the access of others away (mode 0600) and go on. A file of another user is refused.
    Repair,
    /// Open it all the same. SQLite gives the files beside it the same mode.
    Ignore,
}

impl Permissions {
    /// Checks the database and what stands beside it.
    ///
    /// The files are looked at by name and never opened: closing a file drops every lock that
    /// this process holds on it, those of another open store included.
    pub(crate) fn check(self, path: &Path) -> Result<()> {
        self.check_one(path)?;
        BESIDE.iter().try_for_each(|suffix| self.check_one(&beside(path, suffix)))
    }

    /// Checks one file, if it is there: those beside a database come and go.
    fn check_one(self, path: &Path) -> Result<()> {
        let Some(found) = absent(path.metadata()).map_err(io("look at", path))? else {
            return Ok(());
        };
        if !found.is_file() {
            return Err(not_a_file(path));
        }
        if self == Self::Ignore {
            return Ok(());
        }
        match platform::fault(&found) {
            None => Ok(()),
            Some(Fault::Mode(mode)) if self == Self::Repair => {
                let changed = absent(platform::make_private(path));
                changed.map_err(io("change the permissions of", path))?;
                trace::repaired(path, mode);
                Ok(())
            }
            Some(fault) => Err(insecure(path, fault)),
        }
    }
}

/// What stands at the path is a folder, a pipe, a socket or a device.
fn not_a_file(path: &Path) -> Error {
    Error::Insecure {
        path: path.to_owned(),
        reason: "it is not a regular file".into(),
        remedy: "name another path".into(),
    }
}

fn insecure(path: &Path, fault: Fault) -> Error {
    let (reason, remedy) = match fault {
        Fault::Mode(mode) => {
            let can = match mode {
                mode if mode & 0o044 != 0 => "read",
                mode if mode & 0o022 != 0 => "write to",
                _ => "execute",
            };
            (
                format!("mode {mode:04o} lets others {can} it"),
                format!("run: chmod 600 {}", path.display()),
            )
        }
        Fault::Owner { theirs, ours } => (
            format!("it belongs to user {theirs} and this process runs as user {ours}"),
            format!("run: chown {ours} {}", path.display()),
        ),
    };
    Error::Insecure { path: path.to_owned(), reason, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_mode_and_command() {
        let text = |fault| insecure(Path::new("/p/cache.db"), fault).to_string();
        assert_eq!(
            text(Fault::Mode(0o644)),
            "/p/cache.db is not safe for tokens: mode 0644 lets others read it; \
             run: chmod 600 /p/cache.db"
        );
        assert!(text(Fault::Mode(0o620)).contains("mode 0620 lets others write to it"));
        assert!(text(Fault::Mode(0o601)).contains("mode 0601 lets others execute it"));
        assert!(text(Fault::Owner { theirs: 7, ours: 8 }).contains("belongs to user 7"));
    }
}
