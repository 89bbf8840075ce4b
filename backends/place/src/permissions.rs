use std::fs::Metadata;
use std::io;
use std::path::Path;

use msal_cache_core::{Error, Result, notice};

use crate::error;
use crate::platform::{self, Fault};

/// What to do about a file with tokens that others can open. The file store looks at it whenever
/// the file is opened and read, and at its folder, in which others may be able to replace it; the
/// SQLite store when it is opened, and at the files beside the database too.
///
/// On Windows nothing is checked: the rights of a file are those of its folder there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permissions {
    /// [`Error::Insecure`], which names the command that mends it.
    #[default]
    Refuse,
    /// Take the access of others away (mode 0600, and no right to write to the folder) and go on.
    /// What belongs to another user is refused.
    Repair,
    /// Open it all the same. A file that is replaced by writing has mode 0600 afterwards; what
    /// SQLite keeps beside a database gets the mode of the database.
    Ignore,
}

impl Permissions {
    /// Checks what was `found` at `path`. Where it has to be repaired, `make_private` does that;
    /// whether it was is returned.
    ///
    /// # Errors
    ///
    /// [`Error::Insecure`] where it is not a regular file, or not safe and not to be repaired;
    /// [`Error::Io`] where it can't be.
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
        match platform::fault(found) {
            None => Ok(false),
            Some(Fault::Mode(mode)) if self == Self::Repair => {
                make_private().map_err(error::io("change the permissions of", path))?;
                notice::warn(path, format_args!("mode {mode:04o}: took the access of others away"));
                Ok(true)
            }
            Some(fault) => Err(insecure(path, fault)),
        }
    }

    /// Checks the folder of a file: who can write to it can put another file in its place. One
    /// where only owners remove what is theirs, such as `/tmp`, is safe, and so is one that only
    /// the private group of its owner can write to: the group that has the owner's number. A
    /// missing folder will be created private.
    ///
    /// # Errors
    ///
    /// [`Error::Insecure`] where it isn't safe and not to be repaired; [`Error::Io`] where it
    /// can't be.
    pub fn check_folder(self, folder: &Path) -> Result<()> {
        if self == Self::Ignore {
            return Ok(());
        }
        let found = error::absent(folder.metadata()).map_err(error::io("look at", folder))?;
        match found.as_ref().and_then(platform::folder_fault) {
            None => Ok(()),
            Some(Fault::Mode(mode)) if self == Self::Repair => {
                platform::close_folder(folder, mode)
                    .map_err(error::io("change the permissions of", folder))?;
                let what = format_args!("mode {mode:04o}: others can no longer write to it");
                notice::warn(folder, what);
                Ok(())
            }
            Some(Fault::Mode(mode)) => Err(Error::Insecure {
                path: folder.to_owned(),
                reason: format!("mode {mode:04o} lets others replace the files in it"),
                remedy: format!("run: chmod go-w {}", quoted(folder)),
            }),
            Some(fault) => Err(insecure(folder, fault)),
        }
    }
}

/// The error for what is no file: a folder, a pipe, a socket or a device.
pub fn not_a_file(path: &Path) -> Error {
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
                format!("run: chmod 600 {}", quoted(path)),
            )
        }
        Fault::Owner { theirs, ours } => (
            format!("it belongs to user {theirs} and this process runs as user {ours}"),
            format!("run: chown {ours} {}", quoted(path)),
        ),
    };
    Error::Insecure { path: path.to_owned(), reason, remedy }
}

/// A path as a shell takes it.
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

    #[cfg(unix)]
    #[test]
    fn a_shell_takes_the_path_as_one_word() {
        for name in ["plain-1.json", "two words", "$(touch x);`id`", "it's", "\"~*?[&|<>\\\n#", "é"]
        {
            let path = Path::new("/p").join(name);
            let error = insecure(&path, Fault::Mode(0o644)).to_string();
            let (_, command) = error.split_once("run: chmod 600 ").unwrap();
            let script = format!("printf %s {command}");
            let shell = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), path.to_str().unwrap());
        }
        assert_eq!(quoted(Path::new("/home/u/.cache/msal+1.json")), "/home/u/.cache/msal+1.json");
    }
}
