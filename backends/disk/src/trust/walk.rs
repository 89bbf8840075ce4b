//! The way from the root to a folder, one descriptor at a time: what was examined is what is
//! entered, also if another process renames a folder on the way.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, PathBuf};

use msal_cache_core::{Error, Result};

use crate::error::io as io_error;
use crate::path::MAX_LINKS;

/// A folder or a symbolic link on the way.
pub(super) struct Step<'a> {
    pub(super) path: &'a Path,
    pub(super) found: &'a Metadata,
    /// Whether it is the last folder of the way.
    pub(super) is_last: bool,
}

/// Visits each folder and each symbolic link on the way to `folder`, from the root. Ends where a
/// folder is missing.
pub(super) fn walk(folder: &Path, mut visit: impl FnMut(&Step<'_>) -> Result<()>) -> Result<()> {
    let look_at = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { operation: "look at", path, source }
    };
    let mut names = VecDeque::new();
    push(&mut names, folder);
    let mut path = PathBuf::from("/");
    let mut at = Node::root().map_err(look_at(&path))?;
    visit(&Step { path: &path, found: &at.found, is_last: names.is_empty() })?;
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        let up = name == "..";
        let below = if up { path.parent().unwrap_or(&path).to_owned() } else { path.join(&name) };
        let next = match at.enter(&name, &below) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            next => next.map_err(look_at(&below))?,
        };
        let kind = next.found.file_type();
        if kind.is_symlink() {
            visit(&Step { path: &below, found: &next.found, is_last: false })?;
            links += 1;
            if links > MAX_LINKS {
                return Err(io_error("resolve", folder)(io::Error::other(
                    "too many symbolic links",
                )));
            }
            let target = next.target(&below).map_err(look_at(&below))?;
            if target.is_absolute() {
                path = PathBuf::from("/");
                at = Node::root().map_err(look_at(&path))?;
            }
            push(&mut names, &target);
        } else if kind.is_dir() {
            visit(&Step { path: &below, found: &next.found, is_last: names.is_empty() })?;
            (path, at) = (below, next);
        } else {
            return Err(look_at(&below)(io::ErrorKind::NotADirectory.into()));
        }
    }
    Ok(())
}

/// Puts the names of a path before those that are left.
fn push(names: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => names.push_front(name.to_owned()),
            Component::ParentDir => names.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

/// A folder or a symbolic link that is open, without any access to its contents.
#[cfg(any(target_os = "linux", target_os = "android"))]
struct Node {
    file: std::fs::File,
    found: Metadata,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Node {
    fn root() -> io::Result<Self> {
        Self::open(rustix::fs::CWD, OsStr::new("/"))
    }

    fn open(folder: impl rustix::fd::AsFd, name: &OsStr) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = std::fs::File::from(openat(folder, name, flags, Mode::empty())?);
        Ok(Self { found: file.metadata()?, file })
    }

    fn enter(&self, name: &OsStr, _: &Path) -> io::Result<Self> {
        Self::open(&self.file, name)
    }

    fn target(&self, _: &Path) -> io::Result<PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        let target = rustix::fs::readlinkat(&self.file, "", Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }
}

/// The same by name, on systems where a folder can't be opened without the right to read it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
struct Node {
    found: Metadata,
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Node {
    fn root() -> io::Result<Self> {
        Ok(Self { found: Path::new("/").symlink_metadata()? })
    }

    #[expect(clippy::unused_self, reason = "the signature is that of the other systems")]
    fn enter(&self, _: &OsStr, path: &Path) -> io::Result<Self> {
        Ok(Self { found: path.symlink_metadata()? })
    }

    #[expect(clippy::unused_self, reason = "the signature is that of the other systems")]
    fn target(&self, path: &Path) -> io::Result<PathBuf> {
        path.read_link()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn visited(folder: &Path) -> Vec<(PathBuf, bool)> {
        let mut all = Vec::new();
        walk(folder, |step| {
            all.push((step.path.to_owned(), step.is_last));
            Ok(())
        })
        .unwrap();
        all
    }

    #[test]
    fn each_folder_and_each_link_on_the_way_is_visited() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        fs::create_dir_all(real.join("a/b")).unwrap();
        fs::create_dir(real.join("c")).unwrap();
        symlink("../a/b/../b", real.join("c/link")).unwrap();
        let above = real.ancestors().count();
        let all = visited(&real.join("c/link"));
        let of = |name: &str, last| (real.join(name), last);
        assert_eq!(
            all[above..],
            [
                of("c", false),
                of("c/link", false),
                (real.clone(), false),
                of("a", false),
                of("a/b", false),
                of("a", false),
                of("a/b", true)
            ]
        );
        let missing = visited(&real.join("c/none/below"));
        assert_eq!(missing.last(), Some(&of("c", false)));
    }

    #[test]
    fn a_loop_of_links_and_a_file_in_the_way_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        for name in ["loop", "loop/below", "file", "file/below"] {
            let walked = walk(&dir.path().join(name), |_| Ok(()));
            assert!(matches!(walked, Err(Error::Io { .. })), "{name}: {walked:?}");
        }
    }
}
