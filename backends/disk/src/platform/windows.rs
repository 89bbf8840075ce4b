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
pub fn make_private(_: &File) -> io::Result<bool> {
    Ok(true)
}

/// A file has the rights of its folder.
///
/// # Errors
///
/// None.
pub fn make_private_unopened(_: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Opens a file that this crate keeps beside a store.
///
/// # Errors
///
/// The error of the system.
pub fn open_own(path: &Path, write: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(write).open(path)
}

/// Unknown here.
pub fn foreign_owner(_: &Path) -> Option<u32> {
    None
}

/// A file has the owner that the system gives it.
///
/// # Errors
///
/// None.
pub fn keep_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Unknown here.
pub fn is_read_only(_: &Path) -> bool {
    false
}

/// Unknown here.
pub fn may_keep_no_modes(_: &Path) -> bool {
    false
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
pub fn remove_open(_: &Path) -> io::Result<()> {
    Ok(())
}
