//! Resolution of the path that a user gives.

use std::io;
use std::path::{Path, PathBuf};

use msal_cache_core::{Error, Result};

use crate::error::absent;
use crate::folder;

/// The most symbolic links that are followed, as on Linux.
pub(crate) const MAX_LINKS: usize = 40;

/// Makes a path absolute, because the working directory may change while a store is open.
///
/// # Errors
///
/// [`Error::Io`] where the path is empty or names a folder.
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

/// The file at the end of a chain of symbolic links, which may be missing: a rename must replace
/// that file and not the link.
///
/// # Errors
///
/// See [`link_chain`].
pub fn referent(path: &Path) -> io::Result<PathBuf> {
    link_chain(path).map(|mut chain| chain.pop().unwrap_or_default())
}

/// The path, then the target of each symbolic link in turn. The last element is the file itself,
/// which may be missing; without a link it is the path.
///
/// # Errors
///
/// The error of the system; an error where the chain has more than 40 links, as a loop does.
pub fn link_chain(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut chain = vec![path.to_owned()];
    for _ in 0..=MAX_LINKS {
        // `canonicalize` would fail where the file is missing.
        let path = &chain[chain.len() - 1];
        match absent(path.symlink_metadata())? {
            Some(found) if found.file_type().is_symlink() => {
                chain.push(folder::of(path).join(path.read_link()?));
            }
            _ => return Ok(chain),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_file_name_is_refused() {
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
        fn links_are_followed_to_a_file_that_may_be_missing() {
            let dir = tempfile::tempdir().unwrap();
            let at = |name: &str| dir.path().join(name);
            std::fs::create_dir(at("far")).unwrap();
            symlink("far/second", at("first")).unwrap();
            symlink("../third", at("far/second")).unwrap();
            assert_eq!(referent(&at("first")).unwrap(), at("far/../third"));
            std::fs::write(at("third"), "").unwrap();
            assert_eq!(referent(&at("first")).unwrap(), at("far/../third"));
            assert_eq!(referent(&at("third")).unwrap(), at("third"));
            let all = [at("first"), at("far/second"), at("far/../third")];
            assert_eq!(link_chain(&at("first")).unwrap(), all);
        }

        #[test]
        fn a_loop_of_links_is_an_error() {
            let dir = tempfile::tempdir().unwrap();
            let link = dir.path().join("link");
            symlink("link", &link).unwrap();
            assert!(referent(&link).is_err());
        }
    }
}
