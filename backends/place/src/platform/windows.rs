//! Windows, written from the documentation of the standard library. It has not been run.
//!
//! The standard library reads neither access lists nor owners: files get the rights that their
//! folder hands down, which under a user's profile are that user's, and no permission is checked.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::Fault;

/// Nothing is known about the access of others.
pub fn fault(_: &Metadata) -> Option<Fault> {
    None
}

/// Creates a file that wasn't there.
///
/// # Errors
///
/// Those of the system; `AlreadyExists` where something is there.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// The rights are those of the folder.
///
/// # Errors
///
/// None.
#[expect(clippy::unnecessary_wraps, reason = "the face is that of the other systems")]
pub fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// The rights are those of the folder.
///
/// # Errors
///
/// None.
#[expect(clippy::unnecessary_wraps, reason = "the face is that of the other systems")]
pub fn make_private_by_name(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Creates one folder.
///
/// # Errors
///
/// Those of the system.
pub fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// A folder can't be flushed; the file system's own journal keeps the order.
///
/// # Errors
///
/// None.
#[expect(clippy::unnecessary_wraps, reason = "the face is that of the other systems")]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
