//! The lock file where `flock` and hard links are.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{Result, event};
use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;
use tempfile::{NamedTempFile, TempPath};

use super::evidence::{self, ProcessState};
use super::{Holder, ProcessLock, Sighting};
use crate::clock::ClockReading;
use crate::error::{absent, io, writing};
use crate::fingerprint::Fingerprint;
use crate::{disk, folder, platform};

/// How long the removed file stays flocked after a release. A process of Go or .NET that opened
/// it just before finds it locked, and looks for the file under its name again.
const LINGER: Duration = Duration::from_millis(3);

/// Longer than what any library writes into its lock file.
const LONGEST: u64 = 4096;

/// One who wants the lock.
pub(super) struct Contender<'a> {
    shared: &'a ProcessLock,
    grace: Duration,
    candidate: Option<LockCandidate>,
    holder: Option<Holder>,
}

/// A lock file of our own, flocked and written, that lacks only its name. A lock file that appears
/// under its name complete is never met half made.
struct LockCandidate {
    file: File,
    name: TempPath,
    /// When it was written.
    clock: ClockReading,
}

impl<'a> Contender<'a> {
    pub(super) fn new(shared: &'a ProcessLock, grace: Duration) -> Self {
        Self { shared, grace, candidate: None, holder: None }
    }

    /// Who held the lock at the last attempt.
    pub(super) fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// One attempt.
    pub(super) fn try_take(&mut self) -> Result<Option<LockFile>> {
        let path = &self.shared.path;
        match absent(disk::look_at_name(path)).map_err(io("look at", path))? {
            None => self.create(),
            Some(found) => Ok(self.take_over(&found)),
        }
    }

    /// Gives the candidate its name, which fails if anybody else's has it.
    fn create(&mut self) -> Result<Option<LockFile>> {
        let path = &self.shared.path;
        let candidate = match self.candidate.take() {
            None => self.prepare()?,
            prepared => prepared,
        };
        let Some(candidate) = candidate else { return Ok(None) };
        match disk::link(&candidate.name, path) {
            Ok(()) => {
                drop(candidate.name);
                let mut lock = LockFile::new(path, candidate.file);
                lock.clock = Some(candidate.clock);
                Ok(lock.is_ours().then_some(lock))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.candidate = Some(candidate);
                Ok(None)
            }
            // Another process took it for the remains of a dead one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if lacks_links(&error) => {
                drop(candidate);
                self.create_in_two_steps()
            }
            Err(error) => Err(writing("create", path)(error)),
        }
    }

    fn prepare(&self) -> Result<Option<LockCandidate>> {
        let path = &self.shared.path;
        let folder = folder::of(path);
        let created = match disk::create_temporary(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk::create_folder_of(path).map_err(writing("create", folder))?;
                disk::create_temporary(path)
            }
            created => created,
        };
        let candidate = created.map_err(writing("create a file in", folder))?;
        let (mut file, name) = NamedTempFile::into_parts(candidate);
        // Only a process that sweeps up after dead ones can be in the way here, for a moment.
        if !self.try_lock(&file).map_err(io("lock", path))? {
            return Ok(None);
        }
        disk::write(&mut file, path, Holder::line().as_bytes()).map_err(writing("write", path))?;
        let found = disk::look_at_open(&file, path).map_err(io("look at", path))?;
        let clock = ClockReading::of(platform::fingerprint(&found));
        Ok(Some(LockCandidate { file, name, clock }))
    }

    /// Without hard links: whoever meets the file before it is flocked and written sees nothing
    /// but a lock file of somebody, and waits.
    fn create_in_two_steps(&self) -> Result<Option<LockFile>> {
        let path = &self.shared.path;
        let mut file = match disk::create_new(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            created => created.map_err(writing("create", path))?,
        };
        let granted = self.try_lock(&file);
        if matches!(granted, Ok(false)) {
            // Somebody flocked it first, so it is theirs now.
            return Ok(None);
        }
        let written = disk::write(&mut file, path, Holder::line().as_bytes());
        let lock = LockFile::new(path, file);
        granted.map_err(io("lock", path))?;
        written.map_err(writing("write", path))?;
        Ok(lock.is_ours().then_some(lock))
    }

    /// Locks an open lock file, in all ways that those who share it look at.
    fn try_lock(&self, file: &File) -> io::Result<bool> {
        let path = &self.shared.path;
        Ok(disk::try_flock(file, path)?
            && (!self.shared.is_of_java || platform::try_lock_whole(file)?))
    }

    /// Owns the lock file of a process that has died. Whatever can't be found out is a reason to
    /// wait, so no failure in here is an error.
    fn take_over(&mut self, found: &Metadata) -> Option<LockFile> {
        let path = &self.shared.path;
        let now = Instant::now();
        let found_file = platform::fingerprint(found);
        let since = {
            let mut met = self.shared.met.lock();
            let known = met.filter(|met| met.file == found_file);
            met.insert(known.unwrap_or(Sighting { file: found_file, since: now })).since
        };
        self.holder = None;
        if !found.is_file() {
            return None;
        }
        let mut file = disk::open_own(path, true).ok()?;
        let mut content = Vec::new();
        (&mut file).take(LONGEST).read_to_end(&mut content).ok()?;
        let holder = Holder::parse(&content);
        self.holder = Some(holder.clone());
        // A live one of ours is flocked: that alone tells. Another library's may not be.
        if !holder.is_ours && !self.is_left(&holder, found_file, now.duration_since(since)) {
            return None;
        }
        if !self.try_lock(&file).ok()? || !stands_at(path, &file) {
            return None;
        }
        // Over the old line and only then shorter: it is never seen without a holder.
        let line = Holder::line();
        file.rewind().and_then(|()| disk::write(&mut file, path, line.as_bytes())).ok()?;
        disk::set_len(&file, path, line.len() as u64).ok()?;
        let lock = LockFile::new(path, file);
        if !lock.is_ours() {
            return None;
        }
        let pid = holder.pid;
        event!(warn, path = %path.display(), ?pid, "took over the lock of a dead process");
        Some(lock)
    }

    fn is_left(&mut self, holder: &Holder, file: Fingerprint, seen: Duration) -> bool {
        let process = match holder.pid {
            None => ProcessState::Dead,
            Some(pid) if platform::is_dead(pid) => ProcessState::Dead,
            Some(pid) => evidence::existing(pid, clock_ticks_per_second()),
        };
        evidence::is_left(holder, process, self.age(file), seen, self.grace)
    }

    /// How old a file beside the candidate is, by the clock that stamped both.
    fn age(&mut self, file: Fingerprint) -> Option<Duration> {
        if self.candidate.is_none() {
            self.candidate = self.prepare().ok()?;
        }
        self.candidate.as_ref()?.clock.age(file)
    }
}

/// The lock file of this process.
pub(super) struct LockFile {
    path: PathBuf,
    /// Absent only while it is being dropped.
    file: Option<File>,
    /// When it was written, where the file system has hard links.
    clock: Option<ClockReading>,
}

impl LockFile {
    fn new(path: &Path, file: File) -> Self {
        Self { path: path.to_owned(), file: Some(file), clock: None }
    }

    /// The time of the file system when the lock file was written. Absent where the system can't
    /// link files: there a replaced file isn't known for certain, so what was read before the lock
    /// was taken has to be read again.
    pub(super) fn clock(&self) -> Option<ClockReading> {
        self.clock
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
        if stands_at(&self.path, &file) && disk::remove(&self.path).is_ok() {
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

/// Whether a process runs. One that has ended and waits for its parent doesn't.
pub(super) fn is_alive(pid: u32) -> Option<bool> {
    // A number that no process can have says nothing.
    i32::try_from(pid).ok()?;
    let exists = !platform::is_dead(pid);
    let runs = || evidence::existing(pid, clock_ticks_per_second()) != ProcessState::Dead;
    Some(exists && runs())
}

/// Whether a file system has no hard links, by the error that it gives.
fn lacks_links(error: &io::Error) -> bool {
    // A list and not a pattern: two of these are one number on some systems.
    let lacking = [Errno::PERM, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS, Errno::MLINK];
    Errno::from_io_error(error).is_some_and(|error| lacking.contains(&error))
}

/// Whether nobody needs this candidate for the lock file `lock`: its process is dead. One that died
/// right after it gave the candidate its name has left a second name of the lock file itself.
pub(crate) fn is_abandoned(candidate: &Path, lock: &Path) -> bool {
    platform::open_own(candidate, true)
        .is_ok_and(|file| stands_at(lock, &file) || matches!(platform::try_flock(&file), Ok(true)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn place() -> (tempfile::TempDir, Arc<ProcessLock>) {
        let place = tempfile::tempdir().unwrap();
        let shared = ProcessLock::of(&place.path().join("cache.json.lockfile"));
        (place, shared)
    }

    #[test]
    fn without_hard_links_it_is_the_same_lock() {
        let (_place, shared) = place();
        let contender = Contender::new(&shared, GRACE);
        let lock = contender.create_in_two_steps().unwrap().unwrap();
        assert!(Holder::parse(&fs::read(&shared.path).unwrap()).is_ours);
        assert!(contender.create_in_two_steps().unwrap().is_none());
        let mut other = Contender::new(&shared, GRACE);
        assert!(other.try_take().unwrap().is_none());
        drop(lock);
        assert!(!shared.path.exists());
        assert!(other.try_take().unwrap().is_some());
    }

    #[test]
    fn a_candidate_that_was_swept_away_is_made_again() {
        let (_place, shared) = place();
        let lock = Contender::new(&shared, Duration::ZERO).try_take().unwrap().unwrap();
        let mut waiter = Contender::new(&shared, Duration::ZERO);
        let candidate = waiter.prepare().unwrap().unwrap();
        fs::remove_file(&candidate.name).unwrap();
        waiter.candidate = Some(candidate);
        drop(lock);
        assert!(waiter.try_take().unwrap().is_none());
        assert!(waiter.try_take().unwrap().is_some());
    }

    #[test]
    fn who_comes_second_leaves_nothing_behind() {
        let (place, shared) = place();
        let _lock = Contender::new(&shared, Duration::ZERO).try_take().unwrap().unwrap();
        let mut second = Contender::new(&shared, Duration::ZERO);
        assert!(second.create().unwrap().is_none());
        assert!(second.try_take().unwrap().is_none());
        drop(second);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
