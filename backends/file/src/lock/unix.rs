//! The lock file where `flock` and hard links are.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fs2::FileExt;
use msal_cache_core::Result;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use tempfile::{NamedTempFile, TempPath};

use super::Holder;
use crate::error::{absent, io, writing};
use crate::fingerprint::Fingerprint;
use crate::{disk, folder, platform, trace};

/// How long the removed file stays flocked after a release. A process of Go or .NET that opened
/// it just before finds it locked, and looks for the file under its name again.
const LINGER: Duration = Duration::from_millis(3);

/// Longer than what any library writes into its lock file.
const LONGEST: u64 = 4096;

/// One who wants the lock.
pub(super) struct Contender<'a> {
    path: &'a Path,
    grace: Duration,
    /// A lock file of our own, flocked and written, that lacks only its name. A lock file that
    /// appears under its name complete is never met half made.
    candidate: Option<(File, TempPath)>,
    /// What stands under the name, and since when it is known to.
    met: Option<(Fingerprint, Instant)>,
    holder: Option<Holder>,
}

impl<'a> Contender<'a> {
    pub(super) fn new(path: &'a Path, grace: Duration) -> Self {
        Self { path, grace, candidate: None, met: None, holder: None }
    }

    /// Who held the lock at the last attempt.
    pub(super) fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// One attempt.
    pub(super) fn try_take(&mut self) -> Result<Option<LockFile>> {
        match absent(self.path.symlink_metadata()).map_err(io("look at", self.path))? {
            None => self.create(),
            Some(found) => Ok(self.take_over(&found)),
        }
    }

    /// Gives the candidate its name, which fails if anybody else's has it.
    fn create(&mut self) -> Result<Option<LockFile>> {
        let candidate = match self.candidate.take() {
            None => self.prepare()?,
            prepared => prepared,
        };
        let Some((file, name)) = candidate else { return Ok(None) };
        match fs::hard_link(&name, self.path) {
            Ok(()) => {
                drop(name);
                let lock = LockFile::new(self.path, file);
                Ok(lock.is_ours().then_some(lock))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.candidate = Some((file, name));
                Ok(None)
            }
            // Another process took it for the remains of a dead one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if lacks_links(&error) => {
                drop((file, name));
                self.create_in_two_steps()
            }
            Err(error) => Err(writing("create", self.path)(error)),
        }
    }

    fn prepare(&self) -> Result<Option<(File, TempPath)>> {
        let folder = folder::of(self.path);
        let created = match disk::create_temporary(self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                folder::create(folder).map_err(writing("create", folder))?;
                disk::create_temporary(self.path)
            }
            created => created,
        };
        let candidate = created.map_err(writing("create a file in", folder))?;
        let (mut file, name) = NamedTempFile::into_parts(candidate);
        // Only a process that sweeps up after dead ones can be in the way here, for a moment.
        if !try_flock(&file).map_err(io("lock", self.path))? {
            return Ok(None);
        }
        file.write_all(Holder::line().as_bytes()).map_err(writing("write", self.path))?;
        Ok(Some((file, name)))
    }

    /// Without hard links: whoever meets the file before it is flocked and written sees nothing
    /// but a lock file of somebody, and waits.
    fn create_in_two_steps(&self) -> Result<Option<LockFile>> {
        let mut file = match platform::create_new(self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            created => created.map_err(writing("create", self.path))?,
        };
        let granted = try_flock(&file);
        if matches!(granted, Ok(false)) {
            // Somebody flocked it first, so it is theirs now.
            return Ok(None);
        }
        let written = file.write_all(Holder::line().as_bytes());
        let lock = LockFile::new(self.path, file);
        granted.map_err(io("lock", self.path))?;
        written.map_err(writing("write", self.path))?;
        Ok(lock.is_ours().then_some(lock))
    }

    /// Owns the lock file of a process that has died. Whatever can't be found out is a reason to
    /// wait, so no failure in here is an error.
    fn take_over(&mut self, found: &Metadata) -> Option<LockFile> {
        let fingerprint = platform::fingerprint(found);
        let now = Instant::now();
        let since = match self.met {
            Some((met, since)) if met == fingerprint => since,
            _ => {
                self.met = Some((fingerprint, now));
                now
            }
        };
        self.holder = None;
        if !found.is_file() {
            return None;
        }
        let mut file = platform::open_own(self.path, true).ok()?;
        let mut content = Vec::new();
        (&mut file).take(LONGEST).read_to_end(&mut content).ok()?;
        let holder = self.holder.insert(Holder::parse(&content));
        // A live one of ours is flocked: that alone tells. Another library's may not be, so it
        // has to be old, and its process dead.
        let may_be_dead = holder.is_ours
            || (now.duration_since(since) >= self.grace && (holder.is_empty || is_dead(holder)));
        if !may_be_dead || !try_flock(&file).ok()? {
            return None;
        }
        let pid = holder.pid;
        if !stands_at(self.path, &file) {
            return None;
        }
        // Over the old line and only then shorter: it is never seen without a holder.
        let line = Holder::line();
        file.rewind().and_then(|()| file.write_all(line.as_bytes())).ok()?;
        file.set_len(line.len() as u64).ok()?;
        let lock = LockFile::new(self.path, file);
        if !lock.is_ours() {
            return None;
        }
        trace::took_over(self.path, pid);
        Some(lock)
    }
}

/// The lock file of this process.
pub(super) struct LockFile {
    path: PathBuf,
    /// Absent only while it is being dropped.
    file: Option<File>,
}

impl LockFile {
    fn new(path: &Path, file: File) -> Self {
        Self { path: path.to_owned(), file: Some(file) }
    }

    /// Whether it still stands under its name: others may have taken it for theirs.
    pub(super) fn is_ours(&self) -> bool {
        self.file.as_ref().is_some_and(|file| stands_at(&self.path, file))
    }
}

impl Drop for LockFile {
    /// Removed while it is flocked; one that isn't ours any more is left to its new owner.
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if stands_at(&self.path, &file) && fs::remove_file(&self.path).is_ok() {
            let linger = move || {
                thread::sleep(LINGER);
                drop(file);
            };
            // Without a thread the file is closed at once, which is what other libraries do.
            let _ = thread::Builder::new().name("msal-cache-lock".into()).spawn(linger);
        }
    }
}

/// The inode of an open file isn't given to another, so the number says that it is this file.
fn stands_at(path: &Path, file: &File) -> bool {
    match (path.symlink_metadata(), file.metadata()) {
        (Ok(named), Ok(open)) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
        _ => false,
    }
}

fn try_flock(file: &File) -> io::Result<bool> {
    match FileExt::try_lock_exclusive(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether no process of this system has the id. One that can't be told is alive.
fn is_dead(holder: &Holder) -> bool {
    let pid = holder.pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// Whether a file system has no hard links, by the error that it gives.
fn lacks_links(error: &io::Error) -> bool {
    // A list and not a pattern: two of these are one number on some systems.
    let lacking = [Errno::PERM, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS, Errno::MLINK];
    Errno::from_io_error(error).is_some_and(|error| lacking.contains(&error))
}

/// Whether nobody holds this candidate: its process is dead.
pub(crate) fn is_abandoned(candidate: &Path) -> bool {
    platform::open_own(candidate, true).is_ok_and(|file| matches!(try_flock(&file), Ok(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("cache.json.lockfile");
        (place, path)
    }

    #[test]
    fn without_hard_links_it_is_the_same_lock() {
        let (_place, path) = place();
        let contender = Contender::new(&path, Duration::from_secs(10));
        let lock = contender.create_in_two_steps().unwrap().unwrap();
        assert!(Holder::parse(&fs::read(&path).unwrap()).is_ours);
        assert!(contender.create_in_two_steps().unwrap().is_none());
        let mut other = Contender::new(&path, Duration::from_secs(10));
        assert!(other.try_take().unwrap().is_none());
        drop(lock);
        assert!(!path.exists());
        assert!(other.try_take().unwrap().is_some());
    }

    #[test]
    fn a_candidate_that_was_swept_away_is_made_again() {
        let (_place, path) = place();
        let lock = Contender::new(&path, Duration::ZERO).try_take().unwrap().unwrap();
        let mut waiter = Contender::new(&path, Duration::ZERO);
        let candidate = waiter.prepare().unwrap().unwrap();
        fs::remove_file(&candidate.1).unwrap();
        waiter.candidate = Some(candidate);
        drop(lock);
        assert!(waiter.try_take().unwrap().is_none());
        assert!(waiter.try_take().unwrap().is_some());
    }

    #[test]
    fn who_comes_second_leaves_nothing_behind() {
        let (place, path) = place();
        let _lock = Contender::new(&path, Duration::ZERO).try_take().unwrap().unwrap();
        let mut second = Contender::new(&path, Duration::ZERO);
        assert!(second.create().unwrap().is_none());
        assert!(second.try_take().unwrap().is_none());
        drop(second);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
