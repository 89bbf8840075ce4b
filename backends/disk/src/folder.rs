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
/// The error of the system; `NotFound` where a symbolic link on the way leads nowhere.
pub fn create(folder: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut at = folder;
    loop {
        match platform::create_folder(at) {
            Ok(()) => {
                platform::sync_folder(of(at))?;
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                check_link(at)?;
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                missing.push(at);
                let parent = at.parent().filter(|parent| !parent.as_os_str().is_empty());
                at = parent.ok_or(error)?;
            }
            Err(error) => return Err(error),
        }
    }
    for folder in missing.into_iter().rev() {
        match platform::create_folder(folder) {
            Ok(()) => platform::sync_folder(of(folder))?,
            // Another process has created it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_link(folder)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fails if what exists under the name of a folder is a symbolic link to nothing.
fn check_link(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let target = path.read_link()?;
            let (link, target) = (path.display(), target.display());
            Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{link} is a symbolic link to {target}, which doesn't exist"),
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parents_are_created() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b/c");
        create(&folder).unwrap();
        create(&folder).unwrap();
        assert!(folder.is_dir());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_on_the_way_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("../gone", dir.path().join("link")).unwrap();
        for below in ["link", "link/a", "link/a/b/c"] {
            let error = create(&dir.path().join(below)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            let text = error.to_string();
            assert!(text.contains("link") && text.contains("../gone"), "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_that_creates_no_folders_is_an_error() {
        assert_eq!(create(Path::new("/proc/a/b/c")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
