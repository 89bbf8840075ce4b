//! A file of keys.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use msal_cache_core::{Error, Result};
use msal_cache_disk::error::{absent, io, writing};
use msal_cache_disk::{GuardFile, Permissions, folder, platform};
use zeroize::Zeroizing;

use crate::error::SealFailure;
use crate::key::Text;
use crate::text::Keys;

/// The size of the largest key ring that is read: about 5,000 keys.
const LIMIT: u64 = 1 << 18;

/// How long a change of the keys waits for another one, which takes milliseconds.
const WAIT: Duration = Duration::from_secs(10);

/// Reads the keys of a file that only this user can read and replace.
pub(crate) fn read(path: &Path) -> Result<Keys> {
    Permissions::Refuse.check_way(path)?;
    Keys::parse(&path.display().to_string(), &text(path, Permissions::Refuse)?)
}

/// Reads a file whose permissions are those of another program.
pub(crate) fn read_text(path: &Path) -> Result<Text> {
    text(path, Permissions::Ignore)
}

fn text(path: &Path, permissions: Permissions) -> Result<Text> {
    // A pipe would be waited for.
    let found = path.metadata().map_err(io("read", path))?;
    permissions.check(path, &found, || Ok(false))?;
    let mut file = fs::File::open(path).map_err(io("read", path))?;
    let found = file.metadata().map_err(io("read", path))?;
    permissions.check(path, &found, || Ok(false))?;
    if found.len() > LIMIT {
        return Err(Error::TooLarge { path: path.into(), size: found.len(), limit: LIMIT });
    }
    // Sized at once, so that no part is left behind by a reallocation.
    let mut text =
        Zeroizing::new(String::with_capacity(usize::try_from(found.len()).unwrap_or(0) + 1));
    (&mut file)
        .take(LIMIT)
        .read_to_string(&mut text)
        .map_err(|_| SealFailure::keys(path.display().to_string(), "it can't be read as text"))?;
    Ok(text)
}

/// Creates a file with these keys.
pub(crate) fn create(path: &Path, keys: &Keys) -> Result<()> {
    Permissions::Refuse.check_way(path)?;
    let mut file = platform::create_new(path).map_err(writing("create", path))?;
    let written = (|| {
        platform::make_private(&file).map_err(writing("change the permissions of", path))?;
        Permissions::Refuse.check_new(path, &file.metadata().map_err(io("look at", path))?)?;
        file.write_all(keys.text().as_bytes()).map_err(io("write", path))?;
        file.sync_all().map_err(io("write", path))
    })();
    if written.is_err() {
        // Created a moment ago, and of no use.
        let _ = fs::remove_file(path);
    }
    written?;
    sync_folder(path)
}

/// Replaces the keys of a file, as a whole. One process does that at a time.
pub(crate) fn replace<T>(path: &Path, change: impl FnOnce(&mut Keys) -> Result<T>) -> Result<T> {
    Permissions::Refuse.check_way(path)?;
    let _guard = GuardFile::lock(folder::beside(path, ".lock"), WAIT)?;
    let mut keys = read(path)?;
    let result = change(&mut keys)?;
    let new = folder::beside(path, ".new");
    // Only a process that was killed leaves it.
    absent(fs::remove_file(&new)).map_err(io("remove", &new))?;
    create(&new, &keys)?;
    if let Err(error) = fs::rename(&new, path) {
        let _ = fs::remove_file(&new);
        return Err(io("replace", path)(error));
    }
    sync_folder(path)?;
    Ok(result)
}

/// A name survives a power failure once its folder is synchronised.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = folder::of(path);
    platform::sync_folder(folder).map_err(io("write", folder))
}
