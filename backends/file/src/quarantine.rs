use std::io;
use std::path::{Path, PathBuf};

use msal_cache_core::{Error, Result, event};

use crate::error::{io, writing};
use crate::fingerprint::Fingerprint;
use crate::{disk, folder, platform};

/// What to do about a file that can't be read as a cache, when something is to be written to it.
/// Reading reports it and leaves it as it is, either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnCorrupt {
    /// [`Error::Corrupt`]. The file stays as it is, and so
    /// nothing can be written.
    Error,
    /// Rename it to `<name>.corrupt-<n>` in its folder and begin an empty cache, so that a new
    /// sign-in mends what is broken. The renamed file may hold tokens: nothing deletes it, and
    /// its mode is 0600.
    #[default]
    Quarantine,
}

/// Moves the file at `path`, which is no symbolic link and looks as `expected`, out of the way;
/// `false` where it is itself a mount and can't be moved.
///
/// # Errors
///
/// [`Error::Conflict`] where another file was moved. It is back, unless something stands there by
/// now.
pub(crate) fn set_aside(path: &Path, expected: Fingerprint) -> Result<bool> {
    let reserved = reserve(path)?;
    match disk::move_over(path, &reserved) {
        Ok(()) => {}
        Err(error) => {
            // The reservation is empty and ours.
            let _ = disk::remove(&reserved);
            if platform::is_mount(&error) {
                return Ok(false);
            }
            return Err(writing("rename", path)(error));
        }
    }
    let moved = disk::look_at_name(&reserved).map_err(io("read", &reserved))?;
    if platform::fingerprint(&moved).without_change() != expected.without_change() {
        if disk::link(&reserved, path).is_ok() {
            let _ = disk::remove(&reserved);
        }
        return Err(Error::Conflict);
    }
    let kept = disk::open_own(&reserved, false);
    kept.and_then(|kept| platform::make_private(&kept))
        .map_err(io("change the permissions of", &reserved))?;
    disk::sync_folder(path).map_err(io("flush the folder of", path))?;
    let to = reserved.display();
    event!(warn, path = %path.display(), %to, "set aside a file that is not a token cache");
    Ok(true)
}

/// Takes the first free name by creating a file of it, which fails where one is: the rename then
/// replaces that file and never an earlier broken cache.
fn reserve(path: &Path) -> Result<PathBuf> {
    let mut number = 1_u64;
    loop {
        let reserved = folder::beside(path, &format!(".corrupt-{number}"));
        match disk::create_new(&reserved) {
            Ok(_) => return Ok(reserved),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(writing("create", &reserved)(error)),
        }
    }
}
