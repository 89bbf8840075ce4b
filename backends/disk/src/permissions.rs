use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use msal_cache_core::{Result, notice};

use crate::error::writing;
use crate::platform::{self, Exposure};
use crate::trust::{self, FolderUse};
use crate::{link_chain, path};

/// What to do about a file with tokens that other users can access, or replace.
///
/// All stores check the same: the owner and the mode of the file and of those beside it; each folder
/// from the root on, in which no other user may be able to rename or remove what leads to the file;
/// and the owner of each symbolic link on the way. The file store checks whenever it reads the file
/// anew or writes it. The SQLite store checks when it opens the database, and when it writes.
///
/// Root is another user, too: in a folder of a user, a process that runs as root is refused.
///
/// On Windows nothing is checked: a file has the rights of its folder there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permissions {
    /// Return [`Error::Insecure`](msal_cache_core::Error::Insecure), which names the remedy.
    #[default]
    Refuse,
    /// Remove the access of other users (mode 0600 for a file, no write access to its folder), look
    /// again, and continue. Refused are what belongs to another user, a folder that holds other
    /// files than those of the cache, the folders above it, and a file system that keeps no
    /// permissions.
    Repair,
    /// Use it as it is. A file that is replaced by a write has mode 0600 afterwards, and its owner;
    /// files that SQLite creates beside a database get the mode of the database.
    Ignore,
}

impl Permissions {
    /// Checks the metadata `found` of the file at `path`. A repair calls `make_private`, which tells
    /// whether the file is private afterwards. Returns whether the file was repaired.
    ///
    /// # Errors
    ///
    /// [`Error::Insecure`](msal_cache_core::Error::Insecure) where it isn't a regular file, or isn't
    /// safe and wasn't repaired; [`Error::Io`](msal_cache_core::Error::Io) and
    /// [`Error::ReadOnly`](msal_cache_core::Error::ReadOnly) where the repair failed.
    pub fn check(
        self,
        path: &Path,
        found: &Metadata,
        make_private: impl FnOnce() -> io::Result<bool>,
    ) -> Result<bool> {
        if !found.is_file() {
            return Err(trust::not_a_file(path));
        }
        if self == Self::Ignore {
            return Ok(false);
        }
        match platform::exposure(found) {
            None => Ok(false),
            Some(Exposure::Mode(mode)) if self == Self::Repair => {
                if !make_private().map_err(writing("change the permissions of", path))? {
                    return Err(trust::keeps_no_modes(path, mode, false));
                }
                let what = format_args!("mode {mode:04o}: removed the access of other users");
                notice::warn(path, what);
                Ok(true)
            }
            Some(exposure) => Err(trust::insecure_file(path, exposure)),
        }
    }

    /// Checks the folders and the links that lead to a file with these `names` (see
    /// [`link_chain`]), which may be missing, as may its folder. Returns what other users can do in
    /// its folder.
    ///
    /// # Errors
    ///
    /// [`Error::Insecure`](msal_cache_core::Error::Insecure) where the way isn't safe and wasn't
    /// repaired; [`Error::Io`](msal_cache_core::Error::Io) where it can't be examined.
    pub fn check_names(self, names: &[PathBuf]) -> Result<FolderUse> {
        trust::check_names(self, names)
    }

    /// Checks the folders and the links that lead to a file, for a file that is to be created or
    /// replaced with secrets in it, such as an export. The rest is as for
    /// [`check_names`](Self::check_names).
    ///
    /// # Errors
    ///
    /// As for [`check_names`](Self::check_names).
    pub fn check_way(self, file: &Path) -> Result<FolderUse> {
        let file = path::absolute(file)?;
        let names = link_chain(&file).map_err(crate::error::io("resolve", &file))?;
        self.check_names(&names)
    }

    /// Checks that a new file, which this process has created and made private, is private: some
    /// file systems keep no permissions.
    ///
    /// # Errors
    ///
    /// [`Error::Insecure`](msal_cache_core::Error::Insecure) where it isn't.
    pub fn check_new(self, path: &Path, found: &Metadata) -> Result<()> {
        match platform::exposure(found) {
            Some(Exposure::Mode(mode)) if self != Self::Ignore => {
                Err(trust::keeps_no_modes(path, mode, false))
            }
            _ => Ok(()),
        }
    }
}
