//! The folder of a file, and the files beside it.

use std::io;
use std::path::{Path, PathBuf};

use crate::platform;

/// The folder that contains `file`; `.` for a bare file name.
pub fn of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// `<path><suffix>`, in the same folder.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Creates a folder and its missing parents, accessible to this user only. Existing folders keep
/// their permissions.
///
/// # Errors
///
/// The error of the system.
pub fn create(folder: &Path) -> io::Result<()> {
    match platform::create_folder(folder) {
        Ok(()) => platform::sync_folder(of(folder)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
            create(parent.ok_or(error)?)?;
            create(folder)
        }
        Err(error) => Err(error),
    }
}
