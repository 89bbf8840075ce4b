//! Writing into a file that can't be replaced because it is a mount point, such as a single file
//! that is mounted into a container.
//!
//! First, the old and the new content are written to `<name>.journal` and flushed to the disk. The
//! next process that takes the lock finds a journal only if the writer died, and finishes the
//! write: with both contents, it can tell a half-written file from one that another program has
//! written since.

use std::fs::File;
use std::io;
use std::path::Path;

use msal_cache_core::{Error, Result, event};
use msal_cache_disk::Permissions;
use zeroize::Zeroizing;

use crate::error::{absent, io, writing};
use crate::fingerprint::Fingerprint;
use crate::new_file::check_new;
use crate::reading::read_up_to;
use crate::{disk, folder, platform};

const SUFFIX: &str = ".journal";

/// The start of a journal. It is followed by the length of the new content, in eight bytes, most
/// significant first, then the new content and the old one.
const MAGIC: &[u8; 16] = b"msal-cache redo\n";

/// The size of all that precedes the contents.
const HEADER: usize = MAGIC.len() + 8;

/// Writes into the file at `path`, which has the fingerprint `expected`, so that the write can be
/// finished after a crash.
pub(crate) fn write(
    path: &Path,
    permissions: Permissions,
    bytes: &[u8],
    expected: Fingerprint,
) -> Result<File> {
    let old = prepare(path, permissions, bytes)?;
    let found = platform::fingerprint(&disk::look(path).map_err(io("read", path))?);
    if found.without_change() != expected.without_change() {
        remove(path);
        return Err(Error::Conflict);
    }
    let written = apply(path, bytes);
    // After a failure, the old content is restored; the disk had room for it. If that fails, too,
    // the journal is kept, and the next process that takes the lock finishes the write.
    if written.is_ok() || apply(path, &old).is_ok() {
        remove(path);
    }
    written.map_err(io("write", path))
}

/// Finishes the write of a process that died during it. The caller has just taken the lock.
pub(crate) fn recover(path: &Path) -> Result<()> {
    let journal = folder::beside(path, SUFFIX);
    let Some(contents) = absent(read(&journal)).map_err(io("read", &journal))? else {
        return Ok(());
    };
    // Not a journal of this user, but another file of the same name.
    let Some((new, old)) = contents.as_ref().and_then(|contents| split(contents)) else {
        return Ok(());
    };
    let found = absent(disk::open_to_read(path)).map_err(io("read", path))?;
    let present =
        found.map(|mut file| read_all(&mut file, path)).transpose().map_err(io("read", path))?;
    if present.is_some_and(|present| is_mixed(&present, new, old)) {
        apply(path, new).map_err(io("write", path))?;
        event!(warn, path = %path.display(), "finished the interrupted write of a dead process");
    }
    remove(path);
    Ok(())
}

/// Writes both contents to the journal and returns the old one. The journal gets its name by a
/// rename, so it is always complete.
fn prepare(path: &Path, permissions: Permissions, new: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let journal = folder::beside(path, SUFFIX);
    let mut file = disk::open_to_read(path).map_err(io("read", path))?;
    let old = read_all(&mut file, path).map_err(io("read", path))?;
    let created = disk::create_temporary(path);
    let mut temporary = created.map_err(writing("create a file in", folder::of(path)))?;
    check_new(temporary.as_file(), &journal, permissions)?;
    for part in [MAGIC, &(new.len() as u64).to_be_bytes()[..], new, &old] {
        disk::write(temporary.as_file_mut(), &journal, part).map_err(writing("write", &journal))?;
    }
    disk::sync(temporary.as_file(), &journal).map_err(io("flush", &journal))?;
    let renamed = disk::rename(temporary.into_temp_path(), &journal);
    renamed.map_err(|refused| writing("create", &journal)(refused.error))?;
    disk::sync_folder(path).map_err(io("flush the folder of", &journal))?;
    Ok(old)
}

/// Overwrites the file from the start and truncates it last: a file that is truncated first would
/// be empty to readers.
fn apply(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = disk::open_to_write(path)?;
    // This may fail where `Permissions::Ignore` accepts the file of another user.
    let _ = platform::make_private(&file);
    disk::write(&mut file, path, bytes)?;
    disk::set_len(&file, path, bytes.len() as u64)?;
    disk::sync(&file, path)?;
    Ok(file)
}

/// Removes the journal. A journal that remains, or reappears after a crash, is harmless: it repeats
/// a completed write, unless another program has written since.
fn remove(path: &Path) {
    let _ = disk::remove(&folder::beside(path, SUFFIX)).and_then(|()| disk::sync_folder(path));
}

/// Whether each byte is that of the new or of the old content. An interrupted write leaves such a
/// file, even if its blocks reached the disk in another order.
fn is_mixed(present: &[u8], new: &[u8], old: &[u8]) -> bool {
    let shortest = new.len().min(old.len());
    let of_either =
        |(at, byte): (usize, &u8)| new.get(at) == Some(byte) || old.get(at) == Some(byte);
    present.len() >= shortest && present.iter().enumerate().all(of_either)
}

/// The new content and the old one.
fn split(contents: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, contents) = contents.split_at_checked(HEADER)?;
    let length = header.strip_prefix(MAGIC)?.try_into().ok().map(u64::from_be_bytes)?;
    contents.split_at_checked(usize::try_from(length).ok()?)
}

/// Reads the journal; `None` where another user may have written it.
fn read(journal: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    if !disk::look_at_name(journal)?.is_file() {
        return Ok(None);
    }
    let mut file = disk::open_own(journal, false)?;
    if platform::exposure(&file.metadata()?).is_some() {
        return Ok(None);
    }
    read_all(&mut file, journal).map(Some)
}

fn read_all(file: &mut File, path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let size = usize::try_from(file.metadata()?.len());
    read_up_to(file, path, size.map_err(|_| io::ErrorKind::FileTooLarge)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn file_with(content: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.json");
        platform::create_new(&path).unwrap();
        fs::write(&path, content).unwrap();
        let journal = dir.path().join("cache.json.journal");
        (dir, path, journal)
    }

    #[test]
    fn a_write_keeps_the_file_and_leaves_no_journal() {
        let (_dir, path, journal) = file_with("a longer old content");
        let before = platform::fingerprint(&path.metadata().unwrap());
        write(&path, Permissions::Refuse, b"new", before).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(platform::fingerprint(&path.metadata().unwrap()).identity, before.identity);
        assert!(!journal.exists());
        // The file has changed since.
        assert!(matches!(
            write(&path, Permissions::Refuse, b"newer", before),
            Err(Error::Conflict)
        ));
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(!journal.exists());
    }

    #[test]
    fn a_write_that_was_interrupted_anywhere_is_finished() {
        for (old, new) in [("0123456789", "abcde"), ("01234", "abcdefghij"), ("", "abc")] {
            for stopped in 0..=new.len() {
                let (_dir, path, journal) = file_with(old);
                prepare(&path, Permissions::Refuse, new.as_bytes()).unwrap();
                let rest = old.get(stopped..).unwrap_or_default();
                fs::write(&path, format!("{}{rest}", &new[..stopped])).unwrap();
                recover(&path).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), new, "{old} at {stopped}");
                assert!(!journal.exists());
            }
        }
    }

    #[test]
    fn a_later_write_of_another_program_is_kept() {
        let (_dir, path, journal) = file_with("0123456789");
        prepare(&path, Permissions::Refuse, b"abcde").unwrap();
        fs::write(&path, "another").unwrap();
        recover(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "another");
        assert!(!journal.exists());
    }

    #[test]
    fn another_file_with_the_name_of_the_journal_is_kept() {
        let (_dir, path, journal) = file_with("0123456789");
        fs::write(&journal, "notes").unwrap();
        recover(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "0123456789");
        assert_eq!(fs::read_to_string(&journal).unwrap(), "notes");
    }

    #[cfg(unix)]
    #[test]
    fn a_journal_that_other_users_can_write_is_ignored() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, path, journal) = file_with("0123456789");
        prepare(&path, Permissions::Refuse, b"abcde").unwrap();
        fs::set_permissions(&journal, fs::Permissions::from_mode(0o666)).unwrap();
        recover(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "0123456789");
    }
}
