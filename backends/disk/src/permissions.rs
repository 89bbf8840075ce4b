use std::fs::Metadata;
use std::io;
use std::path::Path;

use msal_cache_core::{Error, Result, notice};

use crate::error;
use crate::platform::{self, Exposure};

/// What to do about a file with tokens that other users can access.
///
/// The file store checks the file whenever it opens and reads it, and also its folder, in which
/// others may be able to replace the file. The SQLite store checks the database and the files
/// beside it when it is opened.
///
/// On Windows nothing is checked: a file has the rights of its folder there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permissions {
    /// Return [`Error::Insecure`], which names the command that repairs it.
    #[default]
    Refuse,
    /// Remove the access of other users (mode 0600 for a file, no write access to a folder) and
    /// continue. A file that belongs to another user is refused.
    Repair,
    /// Use it as it is. A file that is replaced by a write has mode 0600 afterwards; files that
    /// SQLite creates beside a database get the mode of the database.
    Ignore,
}

impl Permissions {
    /// Checks the metadata `found` of the file at `path`. A repair calls `make_private`. Returns
    /// whether the file was repaired.
    ///
    /// # Errors
    ///
    /// [`Error::Insecure`] where it isn't a regular file, or isn't safe and wasn't repaired;
    /// [`Error::Io`] where the repair failed.
    pub fn check(
        self,
        path: &Path,
        found: &Metadata,
        make_private: impl FnOnce() -> io::Result<()>,
    ) -> Result<bool> {
        if !found.is_file() {
            return Err(not_a_file(path));
        }
        if self == Self::Ignore {
            return Ok(false);
        }
        match platform::exposure(found) {
            None => Ok(false),
            Some(Exposure::Mode(mode)) if self == Self::Repair => {
                make_private().map_err(error::io("change the permissions of", path))?;
                let what = format_args!("mode {mode:04o}: removed the access of other users");
                notice::warn(path, what);
                Ok(true)
            }
            Some(exposure) => Err(insecure(path, exposure)),
        }
    }

    /// Checks whether other users can replace files in a folder. A folder in which only the owner
    /// of a file can remove it, such as `/tmp`, is safe. So is one whose group, which can write to
    /// it, has the same number as its owner (a user private group). A missing folder is safe, since
    /// it is created private.
    ///
    /// # Errors
    ///
    /// [`Error::Insecure`] where it isn't safe and wasn't repaired; [`Error::Io`] where it can't be
    /// read, or the repair failed.
    pub fn check_folder(self, folder: &Path) -> Result<()> {
        if self == Self::Ignore {
            return Ok(());
        }
        let found = error::absent(folder.metadata()).map_err(error::io("look at", folder))?;
        match found.as_ref().and_then(platform::folder_exposure) {
            None => Ok(()),
            Some(Exposure::Mode(mode)) if self == Self::Repair => {
                platform::close_folder(folder, mode)
                    .map_err(error::io("change the permissions of", folder))?;
                let what = format_args!("mode {mode:04o}: removed the write access of other users");
                notice::warn(folder, what);
                Ok(())
            }
            Some(Exposure::Mode(mode)) => Err(Error::Insecure {
                path: folder.to_owned(),
                reason: format!("mode {mode:04o} lets others replace the files in it"),
                remedy: format!("run: chmod go-w {}", quoted(folder)),
            }),
            Some(exposure) => Err(insecure(folder, exposure)),
        }
    }
}

/// The error for a folder, pipe, socket or device in place of a file.
pub fn not_a_file(path: &Path) -> Error {
    Error::Insecure {
        path: path.to_owned(),
        reason: "it is not a regular file".into(),
        remedy: "use another path".into(),
    }
}

fn insecure(path: &Path, exposure: Exposure) -> Error {
    let (reason, remedy) = match exposure {
        Exposure::Mode(mode) => {
            let can = match mode {
                mode if mode & 0o044 != 0 => "read",
                mode if mode & 0o022 != 0 => "write to",
                _ => "execute",
            };
            (
                format!("mode {mode:04o} lets others {can} it"),
                format!("run: chmod 600 {}", quoted(path)),
            )
        }
        Exposure::Owner { theirs, ours } => (
            format!("it belongs to user {theirs} and this process runs as user {ours}"),
            format!("run: chown {ours} {}", quoted(path)),
        ),
    };
    Error::Insecure { path: path.to_owned(), reason, remedy }
}

/// Quotes a path for a POSIX shell.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(&byte);
    if path.bytes().all(plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_mode_and_the_command() {
        let text = |exposure| insecure(Path::new("/p/cache.json"), exposure).to_string();
        assert_eq!(
            text(Exposure::Mode(0o644)),
            "/p/cache.json is not safe for tokens: mode 0644 lets others read it; \
             run: chmod 600 /p/cache.json"
        );
        assert!(text(Exposure::Mode(0o620)).contains("mode 0620 lets others write to it"));
        assert!(text(Exposure::Mode(0o601)).contains("mode 0601 lets others execute it"));
        assert!(text(Exposure::Owner { theirs: 7, ours: 8 }).contains("belongs to user 7"));
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_the_quoted_path_as_one_word() {
        for name in ["plain-1.json", "two words", "$(touch x);`id`", "it's", "\"~*?[&|<>\\\n#", "é"]
        {
            let path = Path::new("/p").join(name);
            let error = insecure(&path, Exposure::Mode(0o644)).to_string();
            let (_, command) = error.split_once("run: chmod 600 ").unwrap();
            let script = format!("printf %s {command}");
            let shell = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), path.to_str().unwrap());
        }
        assert_eq!(quoted(Path::new("/home/u/.cache/msal+1.json")), "/home/u/.cache/msal+1.json");
    }
}
