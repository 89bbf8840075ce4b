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

/// Nothing is known about the access of others.
pub fn folder_fault(_: &Metadata) -> Option<Fault> {
    None
}

/// The rights of a folder are left alone.
///
/// # Errors
///
/// None.
pub fn close_folder(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
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
pub fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// The rights are those of the folder.
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
/// Those of the system.
pub fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// A folder can't be flushed; the file system's own journal keeps the order.
///
/// # Errors
///
/// None.
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The standard library doesn't tell which file it is. Where none is removed or replaced while it
/// is open, as with [`remove_open`], it is the same one.
pub fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Leaves the file where it is: a name can't be told to be another file's, so it must stay.
///
/// # Errors
///
/// None.
#[expect(clippy::unnecessary_wraps, reason = "the face is that of the other systems")]
pub fn remove_open(_: &Path) -> io::Result<()> {
    Ok(())
}
