//! Windows, written from the documentation of the standard library. It has not been run.
//!
//! The standard library reads neither access control lists nor owners. Files inherit the rights of
//! their folder, which under a user's profile are that user's, so permissions aren't checked.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::exposure::Exposure;

/// Nothing is known about the access of other users.
pub fn exposure(_: &Metadata) -> Option<Exposure> {
    None
}

/// Nothing is known about the access of other users.
pub fn folder_exposure(_: &Metadata) -> Option<Exposure> {
    None
}

/// The rights of a folder aren't changed.
///
/// # Errors
///
/// None.
pub fn close_folder(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

/// Creates a new file.
///
/// # Errors
///
/// The error of the system; `AlreadyExists` where the name is taken.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// A file has the rights of its folder.
///
/// # Errors
///
/// None.
pub fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// A file has the rights of its folder.
///
/// # Errors
///
/// None.
pub fn make_private_by_name(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Creates one folder.
///
/// # Errors
///
/// The error of the system.
pub fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// A folder can't be flushed; the journal of the file system keeps the order.
///
/// # Errors
///
/// None.
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The standard library has no stable file identity. Where no file is removed or replaced while it
/// is open, as with [`remove_open`], a name always leads to the same file.
pub fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Keeps the file: after a removal, [`is_same_file`] would be wrong.
///
/// # Errors
///
/// None.
#[expect(clippy::unnecessary_wraps, reason = "the signature is that of the other systems")]
pub fn remove_open(_: &Path) -> io::Result<()> {
    Ok(())
}
