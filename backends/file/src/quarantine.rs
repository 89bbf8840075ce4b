//! Setting a file aside that isn't a token cache.

use std::io;
use std::path::{Path, PathBuf};

use msal_cache_core::{Error, Result, event};

use crate::error::{io, writing};
use crate::fingerprint::Fingerprint;
use crate::{disk, folder, platform};

/// Renames the file at `path`, which isn't a symbolic link and has the fingerprint `expected`.
/// Returns `false` where it is a mount point, which can't be renamed.
///
/// # Errors
///
/// [`Error::Conflict`] where another file had taken its place. That file is put back, unless yet
/// another one has the name by now.
pub(crate) fn set_aside(path: &Path, expected: Fingerprint) -> Result<bool> {
    let reserved = reserve(path)?;
    match disk::move_over(path, &reserved) {
        Ok(()) => {}
        Err(error) => {
            // It is empty.
            let _ = disk::remove(&reserved);
            if platform::is_mount(&error) {
                return Ok(false);
            }
            return Err(writing("rename", path)(error));
        }
    }
    let moved = disk::look_at_name(&reserved).map_err(io("read", &reserved))?;
    if platform::fingerprint(&moved).without_change() != expected.without_change() {
        // If another file has the name by now, this one keeps the other name.
        let _ = disk::put_back(&reserved, path);
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

/// Reserves the first free name by creating an empty file. The rename replaces that file and never
/// one that was set aside earlier.
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
