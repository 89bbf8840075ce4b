//! From the path that a user names to the one that is opened.

use std::io;
use std::path::{Path, PathBuf};

use msal_cache_core::{Error, Result};

use crate::error::absent;
use crate::folder;

/// As many symbolic links as Linux follows.
const LINKS: usize = 40;

/// The path, absolute: the working directory may change while a store is open.
///
/// # Errors
///
/// [`Error::Io`] where the path names a folder or nothing.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    let refuse = |source| Error::Io { operation: "open", path: path.to_owned(), source };
    let names_folder = path
        .as_os_str()
        .as_encoded_bytes()
        .last()
        .is_none_or(|last| std::path::is_separator(char::from(*last)));
    if names_folder || path.file_name().is_none() {
        let kind = if path.as_os_str().is_empty() {
            io::ErrorKind::InvalidInput
        } else {
            io::ErrorKind::IsADirectory
        };
        return Err(refuse(kind.into()));
    }
    std::path::absolute(path).map_err(refuse)
}

/// The file that a path finally names: a rename has to replace that file and not the link to it,
/// and the one that a dangling link names is created like any other.
///
/// # Errors
///
/// Those of [`names`].
pub fn referent(path: &Path) -> io::Result<PathBuf> {
    names(path).map(|mut names| names.pop().unwrap_or_default())
}

/// The path, then what each symbolic link in turn names, and at last the file itself; at least
/// the path.
///
/// The last component is followed by hand, because the file at the end may be missing.
///
/// # Errors
///
/// Those of the system, and one for a loop of links.
pub fn names(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = vec![path.to_owned()];
    for _ in 0..=LINKS {
        let path = &names[names.len() - 1];
        match absent(path.symlink_metadata())? {
            Some(found) if found.file_type().is_symlink() => {
                names.push(folder::of(path).join(path.read_link()?));
            }
            _ => return Ok(names),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_name_is_refused() {
        for path in ["", "/", ".", "..", "folder/", "folder/.."] {
            let error = absolute(Path::new(path)).unwrap_err();
            assert!(matches!(&error, Error::Io { path: named, .. } if named == Path::new(path)));
        }
        assert!(absolute(Path::new("cache.json")).unwrap().is_absolute());
    }

    #[cfg(unix)]
    mod links {
        use std::os::unix::fs::symlink;

        use super::*;

        #[test]
        fn links_are_followed_to_the_end_whether_something_is_there_or_not() {
            let place = tempfile::tempdir().unwrap();
            let at = |name: &str| place.path().join(name);
            std::fs::create_dir(at("far")).unwrap();
            symlink("far/second", at("first")).unwrap();
            symlink("../third", at("far/second")).unwrap();
            assert_eq!(referent(&at("first")).unwrap(), at("far/../third"));
            std::fs::write(at("third"), "").unwrap();
            assert_eq!(referent(&at("first")).unwrap(), at("far/../third"));
            assert_eq!(referent(&at("third")).unwrap(), at("third"));
            let all = [at("first"), at("far/second"), at("far/../third")];
            assert_eq!(names(&at("first")).unwrap(), all);
        }

        #[test]
        fn a_loop_ends() {
            let place = tempfile::tempdir().unwrap();
            let link = place.path().join("link");
            symlink("link", &link).unwrap();
            assert!(referent(&link).is_err());
        }
    }
}
