//! Where the database stands, before SQLite opens it.

use std::io;
use std::path::{Path, PathBuf};

use msal_cache_core::Result;
use msal_cache_disk::error::{absent, io, writing};
use msal_cache_disk::{Permissions, folder, platform, referent};
use parking_lot::Mutex;

/// The files that SQLite keeps beside a database. They hold the same secrets, for a while.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Held while a database is created. Closing a file drops every lock that this process holds on
/// it; so no other thread may have opened the new file before it is closed here.
static CREATING: Mutex<()> = Mutex::new(());

/// The file that a path names, created for this user alone if it is missing: SQLite would create
/// it for everybody that the umask lets pass, and gives the files beside it the same mode.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf> {
    let _alone = CREATING.lock();
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
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(writing("create", &file)(error)),
    }
    Ok(file)
}

/// Checks the permissions of the database and of what stands beside it.
///
/// The files are looked at by name and never opened: closing a file drops every lock that this
/// process holds on it, those of another open store included.
pub(crate) fn check(permissions: Permissions, file: &Path) -> Result<()> {
    check_one(permissions, file)?;
    BESIDE.iter().try_for_each(|suffix| check_one(permissions, &folder::beside(file, suffix)))
}

/// Checks one file, if it is there: those beside a database come and go.
fn check_one(permissions: Permissions, path: &Path) -> Result<()> {
    let Some(found) = absent(path.metadata()).map_err(io("look at", path))? else {
        return Ok(());
    };
    let make_private = || absent(platform::make_private_by_name(path)).map(drop);
    permissions.check(path, &found, make_private).map(drop)
}
