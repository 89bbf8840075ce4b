//! The lock file on Windows, written from the documentation of `CreateFileW` and the source of the
//! other libraries. It has not been run.
//!
//! The file is created exclusively and deleted when its handle is closed, so no lock file of a dead
//! process of this crate remains. A lock file that another library left behind is waited for until
//! the deadline: the standard library can't tell whether its process is running.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use msal_cache_core::Result;

use super::holder::{Holder, LONGEST_LOCK_FILE};
use super::target::LockTarget;
use crate::clock::ClockReading;
use crate::error::writing;
use crate::{disk, folder};

/// `FILE_SHARE_READ`: others can read the holder, and can neither write nor delete the file.
const SHARE_READ: u32 = 0x1;
/// All of `FILE_SHARE_READ`, `FILE_SHARE_WRITE` and `FILE_SHARE_DELETE`: reading excludes nothing.
const SHARE_ALL: u32 = 0x7;
/// `FILE_FLAG_DELETE_ON_CLOSE`.
const DELETE_ON_CLOSE: u32 = 0x0400_0000;
/// `GENERIC_READ | GENERIC_WRITE | DELETE`. Deleting on close requires `DELETE`.
const ACCESS: u32 = 0x8000_0000 | 0x4000_0000 | 0x0001_0000;
/// `ERROR_SHARING_VIOLATION`.
const SHARING_VIOLATION: i32 = 32;

/// Competes for a lock file.
pub(super) struct Contender<'a> {
    target: &'a LockTarget,
    holder: Option<Holder>,
}

impl<'a> Contender<'a> {
    pub(super) fn new(target: &'a LockTarget, _: Duration) -> Self {
        Self { target, holder: None }
    }

    /// The holder of the lock at the last try.
    pub(super) fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// Tries once to take the lock file.
    pub(super) fn try_take(&mut self) -> Result<Option<LockFile>> {
        let path = &self.target.path;
        let mut options = OpenOptions::new();
        options.access_mode(ACCESS).write(true).create_new(true);
        options.share_mode(SHARE_READ).custom_flags(DELETE_ON_CLOSE);
        let opened = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = folder::of(path);
                disk::create_folder_of(path).map_err(writing("create", folder))?;
                options.open(path)
            }
            opened => opened,
        };
        match opened {
            Ok(mut file) => {
                file.write_all(Holder::line().as_bytes()).map_err(writing("write", path))?;
                Ok(Some(LockFile(file)))
            }
            Err(error) if is_held(&error) && path.exists() => {
                let mut look = OpenOptions::new();
                let content = look.read(true).share_mode(SHARE_ALL).open(path);
                self.holder = content.ok().and_then(|file| read(file).ok());
                Ok(None)
            }
            // It was removed since, or is about to be.
            Err(error) if error.raw_os_error() == Some(SHARING_VIOLATION) => Ok(None),
            Err(error) => Err(writing("create", path)(error)),
        }
    }
}

fn read(file: File) -> io::Result<Holder> {
    let mut content = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, LONGEST_LOCK_FILE), &mut content)?;
    Ok(Holder::parse(&content))
}

/// Whether creating the file failed because it exists. A file that is about to be deleted returns
/// `PermissionDenied`.
fn is_held(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(SHARING_VIOLATION)
}

/// A lock file that this process has taken. Closing it deletes it.
pub(super) struct LockFile(#[expect(dead_code, reason = "kept for its handle")] File);

impl LockFile {
    /// The standard library can't tell on which file system the file is.
    #[expect(clippy::unused_self, reason = "the signature is that of the other systems")]
    pub(super) fn clock(&self) -> Option<ClockReading> {
        None
    }

    /// Other processes can't delete or rename the file while its handle is open.
    #[expect(clippy::unused_self, reason = "the signature is that of the other systems")]
    pub(super) fn is_ours(&self) -> bool {
        true
    }
}

/// There are no candidates on this system.
pub(crate) fn is_abandoned(_: &Path, _: &Path) -> bool {
    false
}

/// The standard library can't tell whether a process is running.
pub(super) fn is_alive(_pid: u32) -> Option<bool> {
    None
}
