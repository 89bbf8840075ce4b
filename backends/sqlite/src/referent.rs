use std::io;
use std::path::{Path, PathBuf};

use crate::error::absent;
use crate::folder;

/// As many symbolic links as Linux follows.
const LINKS: usize = 40;

/// The file that a path finally names.
///
/// SQLite follows links, but the file that a dangling one names has to be created by this crate,
/// which creates nothing through a link. So the last component is followed by hand.
pub(crate) fn referent(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..=LINKS {
        match absent(path.symlink_metadata())? {
            Some(found) if found.file_type().is_symlink() => {
                path = folder::of(&path).join(path.read_link()?);
            }
            _ => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

#[cfg(all(test, unix))]
mod tests {
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
    }

    #[test]
    fn a_loop_ends() {
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("link");
        symlink("link", &link).unwrap();
        assert!(referent(&link).is_err());
    }
}
