//! The files of a database, before SQLite opens them.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use msal_cache_core::{Error, Result};
use msal_cache_disk::error::{absent, io, writing};
use msal_cache_disk::{FolderUse, Permissions, folder, link_chain, platform};
use parking_lot::Mutex;

use crate::platform as local;

/// The files that SQLite keeps beside a database. They may hold the same secrets.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Held while a database is created. Closing a file releases every lock that the process holds on
/// it, so no other thread may open the new file before it is closed here.
static CREATING: Mutex<()> = Mutex::new(());

/// A database file that exists and was checked.
pub(crate) struct CheckedFile {
    /// The path with the symbolic links of the file name resolved.
    pub(crate) file: PathBuf,
    pub(crate) found: Metadata,
    pub(crate) folder_use: FolderUse,
}

/// Resolves a path, and creates a private file there if none exists. SQLite would create it with
/// the mode that the umask allows, and gives the files beside it the mode of the database.
///
/// The files are examined without access to their contents: closing a file releases every lock that
/// the process holds on it, including those of another open store.
pub(crate) fn prepare(path: &Path, permissions: Permissions) -> Result<CheckedFile> {
    let _creating = CREATING.lock();
    let names = link_chain(path).map_err(io("look at", path))?;
    let folder_use = permissions.check_names(&names)?;
    let file = names.into_iter().next_back().unwrap_or_default();
    let is_new = match absent(file.symlink_metadata()).map_err(io("look at", path))? {
        Some(_) => false,
        None => create(&file)?,
    };
    let checked = check(permissions, path, &file);
    let found = checked.inspect_err(|_| {
        if is_new {
            // It is empty, and was refused.
            let _ = std::fs::remove_file(&file);
        }
    })?;
    Ok(CheckedFile { file, found, folder_use })
}

/// Creates a private file. Returns false if another process has created it.
fn create(file: &Path) -> Result<bool> {
    let folder = folder::of(file);
    folder::create(folder).map_err(writing("create", folder))?;
    match platform::create_new(file) {
        Ok(created) => {
            let done = platform::make_private(&created);
            done.and_then(|_| platform::sync_folder(folder)).map_err(io("create", file))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(writing("create", file)(error)),
    }
}

/// Checks a database, which the user names `path`, and the files beside it.
fn check(permissions: Permissions, path: &Path, file: &Path) -> Result<Metadata> {
    let found = file.symlink_metadata().map_err(io("look at", path))?;
    check_found(permissions, path, file, &found)?;
    check_beside(permissions, file)?;
    check_one_name(file, &found)?;
    Ok(found)
}

/// Checks the permissions of the files beside a database.
pub(crate) fn check_beside(permissions: Permissions, file: &Path) -> Result<()> {
    BESIDE.iter().try_for_each(|suffix| check_one(permissions, &folder::beside(file, suffix)))
}

/// Checks one file, if it exists. SQLite doesn't follow a symbolic link to a file beside a database,
/// so one is no regular file.
fn check_one(permissions: Permissions, path: &Path) -> Result<()> {
    let Some(found) = absent(path.symlink_metadata()).map_err(io("look at", path))? else {
        return Ok(());
    };
    check_found(permissions, path, path, &found)
}

/// Checks the permissions of a file with this metadata, which the user names `path`.
pub(crate) fn check_found(
    permissions: Permissions,
    path: &Path,
    file: &Path,
    found: &Metadata,
) -> Result<()> {
    let make_private =
        || Ok(absent(platform::make_private_unopened(file))?.is_none_or(|private| private));
    permissions.check(path, found, make_private).map(drop)
}

/// Refuses a database that other processes may have open under another name. SQLite keeps the
/// journals beside each name, so processes with different names damage the database.
fn check_one_name(file: &Path, found: &Metadata) -> Result<()> {
    let refuse = |reason: String, remedy: &str| {
        let (path, remedy) = (file.to_owned(), remedy.to_owned());
        Err(Error::Insecure { path, reason, remedy })
    };
    let names = local::names(found);
    if names > 1 {
        return refuse(
            format!(
                "it has {names} names (hard links), and SQLite damages a database that is used under \
                 two names"
            ),
            "remove the other names, or use a copy that was made while no process had it open",
        );
    }
    if local::is_mount_point(file) {
        return refuse(
            "it is mounted as a single file, and SQLite damages a database that is used under two \
             names"
                .into(),
            "mount its folder instead",
        );
    }
    Ok(())
}

/// Takes the name of the rollback journal before SQLite does, in a folder in which other users can
/// create files: SQLite would open a file of theirs. The caller has the write lock.
pub(crate) fn reserve_journal(permissions: Permissions, file: &Path) -> Result<()> {
    let journal = folder::beside(file, "-journal");
    match platform::create_new(&journal) {
        Ok(created) => {
            platform::make_private(&created).map_err(io("create", &journal))?;
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            check_one(permissions, &journal)
        }
        Err(error) => Err(writing("create", &journal)(error)),
    }
}
