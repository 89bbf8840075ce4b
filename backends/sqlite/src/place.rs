//! Where the database stands, before SQLite opens it.

use std::io;
use std::path::{Path, PathBuf};

use msal_cache_core::Result;
use parking_lot::Mutex;

use crate::error::{absent, creating, io};
use crate::{folder, platform, referent};

/// Held while a database is created. Closing a file drops every lock that this process holds on
/// it; so no other thread may have opened the new file before it is closed here.
static CREATING: Mutex<()> = Mutex::new(());

/// The file that a path names, created for this user alone if it is missing: SQLite would create
/// it for everybody that the umask lets pass, and gives the files beside it the same mode.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf> {
    let _alone = CREATING.lock();
    let file = referent::referent(path).map_err(io("look at", path))?;
    if absent(file.metadata()).map_err(io("look at", path))?.is_some() {
        return Ok(file);
    }
    let folder = folder::of(&file);
    folder::create(folder).map_err(creating(folder))?;
    match platform::create_new(&file) {
        Ok(()) => platform::sync_folder(folder).map_err(io("create", &file))?,
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(creating(&file)(error)),
    }
    Ok(file)
}
