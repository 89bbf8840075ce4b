//! The folder that something stands in.

use std::io;
use std::path::{Path, PathBuf};

use crate::platform;

/// The folder in which a file stands.
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

/// Creates a folder and what is missing above it, for this user alone; what is there already
/// stays as it is.
///
/// # Errors
///
/// Those of the system.
pub fn create(folder: &Path) -> io::Result<()> {
    match platform::create_folder(folder) {
        Ok(()) => platform::sync_folder(of(folder)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Without a folder above it there is nothing more to create.
            let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
            create(above.ok_or(error)?)?;
            create(folder)
        }
        Err(error) => Err(error),
    }
}
