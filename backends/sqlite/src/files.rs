//! The files of a database, before SQLite opens them.

use std::io;
use std::path::{Path, PathBuf};

use msal_cache_core::Result;
use msal_cache_disk::error::{absent, io, writing};
use msal_cache_disk::{Permissions, folder, platform, referent};
use parking_lot::Mutex;

/// The files that SQLite keeps beside a database. They may hold the same secrets.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Held while a database is created. Closing a file releases every lock that the process holds on
/// it, so no other thread may open the new file before it is closed here.
static CREATING: Mutex<()> = Mutex::new(());

/// Resolves a path, and creates a private file there if none exists. SQLite would create it with
/// the mode that the umask allows, and gives the files beside it the mode of the database.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf> {
    let _creating = CREATING.lock();
    let file = referent(path).map_err(io("look at", path))?;
    if absent(file.metadata()).map_err(io("look at", path))?.is_some() {
        return Ok(file);
    }
    let folder = folder::of(&file);
    folder::create(folder).map_err(writing("create", folder))?;
    match platform::create_new(&file) {
        Ok(created) => platform::make_private(&created)
            .and_then(|()| platform::sync_folder(folder))
            .map_err(io("create", &file))?,
        // Another process has created it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(writing("create", &file)(error)),
    }
    Ok(file)
}

/// Checks the permissions of a database and of the files beside it.
///
/// The files are examined by name and never opened: closing a file releases every lock that the
/// process holds on it, including those of another open store.
pub(crate) fn check(permissions: Permissions, file: &Path) -> Result<()> {
    check_one(permissions, file)?;
    BESIDE.iter().try_for_each(|suffix| check_one(permissions, &folder::beside(file, suffix)))
}

/// Checks one file, if it exists.
fn check_one(permissions: Permissions, path: &Path) -> Result<()> {
    let Some(found) = absent(path.metadata()).map_err(io("look at", path))? else {
        return Ok(());
    };
    let make_private = || absent(platform::make_private_by_name(path)).map(drop);
    permissions.check(path, &found, make_private).map(drop)
}
