use std::fs::{File, Metadata};
use std::path::Path;

use msal_cache_core::{Error, Result};

use crate::error::io;
use crate::platform::{self, Fault};
use crate::trace;

/// What to do about a cache file that others can open. It is looked at whenever the file is
/// opened and read.
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
    /// Read it all the same. The next write leaves a file of this user with mode 0600.
    Ignore,
}

impl Permissions {
    /// Checks an open file, and returns what is known of it after a repair.
    pub(crate) fn check(self, path: &Path, file: &File) -> Result<Metadata> {
        let found = file.metadata().map_err(io("read", path))?;
        if !found.is_file() {
            return Err(not_a_file(path));
        }
        if self == Self::Ignore {
            return Ok(found);
        }
        match platform::fault(&found) {
            None => Ok(found),
            Some(Fault::Mode(mode)) if self == Self::Repair => {
                platform::make_private(file).map_err(io("change the permissions of", path))?;
                trace::repaired(path, mode);
                file.metadata().map_err(io("read", path))
            }
            Some(fault) => Err(insecure(path, fault)),
        }
    }
}

/// What stands at the path is a pipe, a socket or a device.
pub(crate) fn not_a_file(path: &Path) -> Error {
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
        let text = |fault| insecure(Path::new("/p/cache.json"), fault).to_string();
        assert_eq!(
            text(Fault::Mode(0o644)),
            "/p/cache.json is not safe for tokens: mode 0644 lets others read it; \
             run: chmod 600 /p/cache.json"
        );
        assert!(text(Fault::Mode(0o620)).contains("mode 0620 lets others write to it"));
        assert!(text(Fault::Mode(0o601)).contains("mode 0601 lets others execute it"));
        assert!(text(Fault::Owner { theirs: 7, ours: 8 }).contains("belongs to user 7"));
    }
}
