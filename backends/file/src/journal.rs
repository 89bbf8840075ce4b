//! Writing into a file that can't be renamed over: one that is itself a mount, as containers do
//! it with a single file.
//!
//! The old and the new content are first put, durably, into `<name>.journal`. Whoever next has
//! the lock finds a journal only if the writer died, and finishes the write: from the two
//! contents it can tell a half-written file from one that somebody else has written since.

use std::fs::File;
use std::io;
use std::path::Path;

use msal_cache_core::{Error, Result, event};
use zeroize::Zeroizing;

use crate::error::{absent, io, writing};
use crate::fingerprint::Fingerprint;
use crate::reading::read_up_to;
use crate::{disk, folder, platform};

const SUFFIX: &str = ".journal";

/// What a journal begins with; the length of the new content follows, as eight bytes, most
/// significant first, then the new content and the old one.
const MAGIC: &[u8; 16] = b"msal-cache redo\n";

/// Where the contents begin.
const HEADER: usize = MAGIC.len() + 8;

/// Writes into the file at `path`, which looks as `expected`, so that it can be finished after a
/// crash.
pub(crate) fn write(path: &Path, bytes: &[u8], expected: Fingerprint) -> Result<File> {
    let old = prepare(path, bytes)?;
    let found = platform::fingerprint(&disk::look(path).map_err(io("read", path))?);
    if found.without_change() != expected.without_change() {
        remove(path);
        return Err(Error::Conflict);
    }
    let written = apply(path, bytes);
    // What failed leaves the old content, for which there was room. If that fails too, the
    // journal stays, and the next holder of the lock finishes the write.
    if written.is_ok() || apply(path, &old).is_ok() {
        remove(path);
    }
    written.map_err(io("write", path))
}

/// Finishes the write of a process that died in the middle of it. To be called by whoever has
/// just taken the lock.
pub(crate) fn recover(path: &Path) -> Result<()> {
    let journal = folder::beside(path, SUFFIX);
    let Some(contents) = absent(read(&journal)).map_err(io("read", &journal))? else {
        return Ok(());
    };
    // What isn't a journal of this user is somebody's file with an unlucky name.
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

/// Puts both contents into the journal and returns the old one. The journal gets its name by a
/// rename, so it is always complete.
fn prepare(path: &Path, new: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let journal = folder::beside(path, SUFFIX);
    let mut file = disk::open_to_read(path).map_err(io("read", path))?;
    let old = read_all(&mut file, path).map_err(io("read", path))?;
    let created = disk::create_temporary(path);
    let mut temporary = created.map_err(writing("create a file in", folder::of(path)))?;
    for part in [MAGIC, &(new.len() as u64).to_be_bytes()[..], new, &old] {
        disk::write(temporary.as_file_mut(), &journal, part).map_err(writing("write", &journal))?;
    }
    disk::sync(temporary.as_file(), &journal).map_err(io("flush", &journal))?;
    let renamed = disk::rename(temporary.into_temp_path(), &journal);
    renamed.map_err(|refused| writing("create", &journal)(refused.error))?;
    disk::sync_folder(path).map_err(io("flush the folder of", &journal))?;
    Ok(old)
}

/// Writes from the beginning and cuts off what is left of the old content: a file that is cut
/// off first would be empty to whoever reads it meanwhile.
fn apply(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = disk::open_to_write(path)?;
    // Only a file that may stay open to others is not private by now, and it may be another's.
    let _ = platform::make_private(&file);
    disk::write(&mut file, path, bytes)?;
    disk::set_len(&file, path, bytes.len() as u64)?;
    disk::sync(&file, path)?;
    Ok(file)
}

/// One that can't be removed, or that comes back after a crash, does no harm: it repeats a write
/// that was made, unless somebody else has written since.
fn remove(path: &Path) {
    let _ = disk::remove(&folder::beside(path, SUFFIX)).and_then(|()| disk::sync_folder(path));
}

/// Whether each byte is the new one or the old one: what a write that stopped anywhere leaves,
/// also if the blocks of the file reached the disk in another order.
fn is_mixed(present: &[u8], new: &[u8], old: &[u8]) -> bool {
    let shortest = new.len().min(old.len());
    let of_either =
        |(at, byte): (usize, &u8)| new.get(at) == Some(byte) || old.get(at) == Some(byte);
    present.len() >= shortest && present.iter().enumerate().all(of_either)
}

fn split(contents: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, contents) = contents.split_at_checked(HEADER)?;
    let length = header.strip_prefix(MAGIC)?.try_into().ok().map(u64::from_be_bytes)?;
    contents.split_at_checked(usize::try_from(length).ok()?)
}

/// Reads the journal; `None` if it isn't one that this user can have written.
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

    fn place(content: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("cache.json");
        platform::create_new(&path).unwrap();
        fs::write(&path, content).unwrap();
        let journal = place.path().join("cache.json.journal");
        (place, path, journal)
    }

    #[test]
    fn a_write_in_place_keeps_the_file_and_leaves_no_journal() {
        let (_place, path, journal) = place("a longer old content");
        let before = platform::fingerprint(&path.metadata().unwrap());
        write(&path, b"new", before).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(platform::fingerprint(&path.metadata().unwrap()).identity, before.identity);
        assert!(!journal.exists());
        // Somebody has written since.
        assert!(matches!(write(&path, b"newer", before), Err(Error::Conflict)));
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(!journal.exists());
    }

    #[test]
    fn a_write_that_stopped_anywhere_is_finished() {
        for (old, new) in [("0123456789", "abcde"), ("01234", "abcdefghij"), ("", "abc")] {
            for stopped in 0..=new.len() {
                let (_place, path, journal) = place(old);
                prepare(&path, new.as_bytes()).unwrap();
                let rest = old.get(stopped..).unwrap_or_default();
                fs::write(&path, format!("{}{rest}", &new[..stopped])).unwrap();
                recover(&path).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), new, "{old} at {stopped}");
                assert!(!journal.exists());
            }
        }
    }

    #[test]
    fn what_somebody_else_has_written_since_is_kept() {
        let (_place, path, journal) = place("0123456789");
        prepare(&path, b"abcde").unwrap();
        fs::write(&path, "another").unwrap();
        recover(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "another");
        assert!(!journal.exists());
    }

    #[test]
    fn a_file_with_the_name_of_a_journal_is_left_alone() {
        let (_place, path, journal) = place("0123456789");
        fs::write(&journal, "notes").unwrap();
        recover(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "0123456789");
        assert_eq!(fs::read_to_string(&journal).unwrap(), "notes");
    }

    #[cfg(unix)]
    #[test]
    fn a_journal_that_others_could_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let (_place, path, journal) = place("0123456789");
        prepare(&path, b"abcde").unwrap();
        fs::set_permissions(&journal, fs::Permissions::from_mode(0o666)).unwrap();
        recover(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "0123456789");
    }
}
