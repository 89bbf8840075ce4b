//! Reading the whole file, as it was at one moment.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use msal_cache_core::{Bytes, Error, Result};
use msal_cache_disk::{Permissions, not_a_file};
use zeroize::Zeroizing;

use crate::clock::Moment;
use crate::error::{absent, io};
use crate::fingerprint::Fingerprint;
use crate::{disk, platform};

/// The result of reading.
pub(crate) enum Reading {
    /// There is no file.
    Absent,
    /// The content is known already.
    Known,
    /// The content of a file with this fingerprint, read since that moment.
    Whole { bytes: Bytes, fingerprint: Fingerprint, since: Moment },
    /// Bytes that changed while they were read, in each of several attempts.
    Torn(Bytes),
}

/// Pauses between attempts, in milliseconds, while another program writes into the file. Together
/// they take as long as a write of a few megabytes.
const PAUSES: [u64; 5] = [1, 2, 5, 10, 20];

/// Looks at the file without opening it, since opening a pipe or a device can block.
pub(crate) fn look(path: &Path) -> Result<Option<Fingerprint>> {
    Ok(find(path)?.as_ref().map(platform::fingerprint))
}

/// The metadata of the file, which must be a regular one.
pub(crate) fn find(path: &Path) -> Result<Option<Metadata>> {
    let Some(found) = absent(disk::look(path)).map_err(io("read", path))? else { return Ok(None) };
    if found.is_dir() {
        return Err(io("read", path)(io::ErrorKind::IsADirectory.into()));
    }
    if !found.is_file() {
        return Err(not_a_file(path));
    }
    Ok(Some(found))
}

/// Checks the permissions of a file that isn't open, with this metadata.
pub(crate) fn check(permissions: Permissions, path: &Path, found: &Metadata) -> Result<()> {
    let repair = || {
        let file = disk::open_to_read(path)?;
        platform::make_private(&file)
    };
    permissions.check(path, found, repair).map(drop)
}

/// Checks the permissions of an open file, and returns its metadata after a repair.
fn check_open(permissions: Permissions, path: &Path, file: &File) -> Result<Metadata> {
    let found = disk::look_at_open(file, path).map_err(io("read", path))?;
    if permissions.check(path, &found, || platform::make_private(file))? {
        return file.metadata().map_err(io("read", path));
    }
    Ok(found)
}

/// Reads a file that [`look`] has found. `is_known` can tell by the fingerprint of the open file
/// that the content needn't be read.
pub(crate) fn read(
    path: &Path,
    permissions: Permissions,
    max_size: u64,
    is_known: impl Fn(Fingerprint) -> bool,
) -> Result<Reading> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let since = Moment::now();
        let Some(mut file) = absent(disk::open_to_read(path)).map_err(io("read", path))? else {
            return Ok(Reading::Absent);
        };
        let before = platform::fingerprint(&check_open(permissions, path, &file)?);
        if is_known(before) {
            return Ok(Reading::Known);
        }
        let size = usize::try_from(before.size).ok().filter(|_| before.size <= max_size);
        let Some(size) = size else {
            return Err(Error::TooLarge {
                path: path.to_owned(),
                size: before.size,
                limit: max_size,
            });
        };
        let mut bytes = read_up_to(&mut file, path, size).map_err(io("read", path))?;
        let after =
            platform::fingerprint(&disk::look_at_open(&file, path).map_err(io("read", path))?);
        let whole = before.is_same_content(&after) && bytes.len() == size;
        let bytes = Bytes::from(std::mem::take(&mut *bytes));
        if whole {
            return Ok(Reading::Whole { bytes, fingerprint: before, since });
        }
        match pauses.next() {
            Some(pause) => thread::sleep(Duration::from_millis(pause)),
            None => return Ok(Reading::Torn(bytes)),
        }
    }
}

/// Reads into one buffer of the right size: a buffer that grows leaves copies of secrets behind.
pub(crate) fn read_up_to(
    file: &mut File,
    path: &Path,
    size: usize,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    bytes.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    while bytes.len() < size {
        match disk::read(file, path, &mut bytes) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // The capacity may exceed the size.
    bytes.truncate(size);
    Ok(bytes)
}
