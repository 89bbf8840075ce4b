//! The lock file, on systems with `flock` and hard links.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{Result, event};
use rustix::param::clock_ticks_per_second;
use tempfile::{NamedTempFile, TempPath};

use super::evidence::{self, ProcessState, Sighting};
use super::holder::{Holder, LONGEST_LOCK_FILE};
use super::target::LockTarget;
use crate::clock::ClockReading;
use crate::error::{absent, io, writing};
use crate::fingerprint::Fingerprint;
use crate::{disk, folder, platform};

/// How long the removed file keeps its `flock` after a release. A process of Go or .NET that opened
/// it just before finds it locked, and opens the lock file again.
const LINGER: Duration = Duration::from_millis(3);

/// Competes for a lock file.
pub(super) struct Contender<'a> {
    target: &'a LockTarget,
    grace_period: Duration,
    candidate: Option<LockCandidate>,
    holder: Option<Holder>,
}

/// A lock file of this process, locked and written, under a temporary name. It is complete when it
/// gets its final name, so other processes never see a lock file that is half made.
struct LockCandidate {
    file: File,
    name: TempPath,
    /// When it was written.
    clock: ClockReading,
}

impl<'a> Contender<'a> {
    pub(super) fn new(target: &'a LockTarget, grace_period: Duration) -> Self {
        Self { target, grace_period, candidate: None, holder: None }
    }

    /// The holder of the lock at the last try.
    pub(super) fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// Tries once to take the lock file.
    pub(super) fn try_take(&mut self) -> Result<Option<LockFile>> {
        let path = &self.target.path;
        match absent(disk::look_at_name(path)).map_err(io("look at", path))? {
            None => self.create(),
            Some(found) if found.is_file() => Ok(self.take_over(&found)),
            // No library creates one, so no library removes it either.
            Some(found) => Err(io("lock", path)(no_lock_file(&found))),
        }
    }

    /// Links the candidate to its final name, which fails if there is another lock file.
    fn create(&mut self) -> Result<Option<LockFile>> {
        let path = &self.target.path;
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
            // Another process took the candidate for that of a dead process, and removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if platform::lacks_links(&error) => {
                drop(candidate);
                self.create_in_two_steps()
            }
            Err(error) => Err(writing("create", path)(error)),
        }
    }

    fn prepare(&self) -> Result<Option<LockCandidate>> {
        let path = &self.target.path;
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
        // Only a process that removes files of dead ones can have it locked, for a moment.
        if !self.try_lock(&file).map_err(io("lock", path))? {
            return Ok(None);
        }
        disk::write(&mut file, path, Holder::line().as_bytes()).map_err(writing("write", path))?;
        let found = disk::look_at_open(&file, path).map_err(io("look at", path))?;
        let clock = ClockReading::of(platform::fingerprint(&found));
        Ok(Some(LockCandidate { file, name, clock }))
    }

    /// Creates the lock file where hard links are missing. Before it is locked and written, other
    /// processes see the lock file of an unknown holder, and wait.
    fn create_in_two_steps(&self) -> Result<Option<LockFile>> {
        let path = &self.target.path;
        let mut file = match disk::create_new(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            created => created.map_err(writing("create", path))?,
        };
        let granted = self.try_lock(&file);
        if matches!(granted, Ok(false)) {
            // Another process locked it first, so it has the lock.
            return Ok(None);
        }
        let written = disk::write(&mut file, path, Holder::line().as_bytes());
        let lock = LockFile::new(path, file);
        granted.map_err(io("lock", path))?;
        written.map_err(writing("write", path))?;
        Ok(lock.is_ours().then_some(lock))
    }

    /// Locks an open lock file, in each way that the programs that share it check.
    fn try_lock(&self, file: &File) -> io::Result<bool> {
        let path = &self.target.path;
        Ok(disk::try_flock(file, path)?
            && (!self.target.is_of_java || platform::try_lock_whole(file)?))
    }

    /// Takes over the lock file of a dead process. If anything about it can't be determined, the
    /// caller waits, so no failure in here is an error.
    fn take_over(&mut self, found: &Metadata) -> Option<LockFile> {
        let path = &self.target.path;
        let now = Instant::now();
        let found_file = platform::fingerprint(found);
        let since = {
            let mut last = self.target.sighting.lock();
            let same = last.filter(|last| last.file == found_file);
            last.insert(same.unwrap_or(Sighting { file: found_file, since: now })).since
        };
        self.holder = None;
        let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        let (mut file, is_writable) = match disk::open_own(path, true) {
            Ok(file) => (file, true),
            Err(error) if is_denied(&error) => match disk::open_own(path, false) {
                Ok(file) => (file, false),
                Err(error) if is_denied(&error) => {
                    self.holder = Some(Holder::unreadable(found.uid(), path));
                    return None;
                }
                Err(_) => return None,
            },
            Err(_) => return None,
        };
        let mut content = Vec::new();
        (&mut file).take(LONGEST_LOCK_FILE).read_to_end(&mut content).ok()?;
        let holder = Holder::parse(&content);
        self.holder = Some(holder.clone());
        // A live process of this crate has the `flock`, which decides. Another library may not
        // have it.
        let seen = now.duration_since(since);
        if !holder.is_ours && !self.is_left_behind(&holder, found_file, seen) {
            return None;
        }
        if !self.try_lock(&file).ok()? || !is_at(path, &file) {
            return None;
        }
        let lock = if is_writable {
            // Written over the old line and truncated last, so it always names a holder.
            let line = Holder::line();
            file.rewind().and_then(|()| disk::write(&mut file, path, line.as_bytes())).ok()?;
            disk::set_len(&file, path, line.len() as u64).ok()?;
            LockFile::new(path, file)
        } else {
            // The file of another user, such as root, in a folder of this one. It stays locked until
            // the candidate has its name, so no other process of this crate does the same.
            let candidate = self.candidate.take().or_else(|| self.prepare().ok()?)?;
            disk::rename(candidate.name, path).ok()?;
            LockFile::new(path, candidate.file)
        };
        if !lock.is_ours() {
            return None;
        }
        let pid = holder.pid;
        event!(warn, path = %path.display(), ?pid, "took over the lock of a dead process");
        Some(lock)
    }

    fn is_left_behind(&mut self, holder: &Holder, file: Fingerprint, seen: Duration) -> bool {
        let process = match holder.pid {
            None => ProcessState::Dead,
            Some(pid) if platform::is_dead(pid) => ProcessState::Dead,
            Some(pid) => evidence::existing(pid, clock_ticks_per_second()),
        };
        evidence::is_left_behind(holder, process, self.age(file), seen, self.grace_period)
    }

    /// The age of a file in the folder of the candidate, by the clock that stamped both.
    fn age(&mut self, file: Fingerprint) -> Option<Duration> {
        if self.candidate.is_none() {
            self.candidate = self.prepare().ok()?;
        }
        self.candidate.as_ref()?.clock.age(file)
    }
}

/// A lock file that this process has taken.
pub(super) struct LockFile {
    path: PathBuf,
    /// `None` only while it is being dropped.
    file: Option<File>,
    clock: Option<ClockReading>,
}

impl LockFile {
    fn new(path: &Path, file: File) -> Self {
        Self { path: path.to_owned(), file: Some(file), clock: None }
    }

    /// The time of the file system when the lock file was written; `None` where hard links are
    /// missing.
    ///
    /// With it, a content that was read before the lock was taken needn't be read again. A file
    /// system without hard links may belong to a server whose clients cache metadata, and there
    /// [`replace`](crate::replace::replace) may not be able to check what it has replaced. So there
    /// the file is always read again.
    pub(super) fn clock(&self) -> Option<ClockReading> {
        self.clock
    }

    /// Whether the file still has its name. Other programs may have removed or replaced it.
    pub(super) fn is_ours(&self) -> bool {
        self.file.as_ref().is_some_and(|file| is_at(&self.path, file))
    }
}

impl Drop for LockFile {
    /// Removes the file while it is locked. A lock file of another process is left alone.
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if is_at(&self.path, &file) && disk::remove(&self.path).is_ok() {
            let linger = move || {
                thread::sleep(LINGER);
                drop(file);
            };
            // Without a thread, the file is closed immediately, as other libraries do.
            let _ = thread::Builder::new().name("msal-cache-lock".into()).spawn(linger);
        }
    }
}

/// Why what has the name of the lock file can't be one.
fn no_lock_file(found: &Metadata) -> io::Error {
    let what = match found.file_type() {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_dir() => "a folder",
        _ => "a pipe, a socket or a device",
    };
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("it is {what} and no lock file: remove it if no other program needs it"),
    )
}

/// Whether `path` names this open file. The inode number of an open file isn't reused.
fn is_at(path: &Path, file: &File) -> bool {
    match (path.symlink_metadata(), file.metadata()) {
        (Ok(named), Ok(open)) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
        _ => false,
    }
}

/// Whether a process is running; a zombie isn't. `None` for a number that can't be a process id.
pub(super) fn is_alive(pid: u32) -> Option<bool> {
    i32::try_from(pid).ok()?;
    let exists = !platform::is_dead(pid);
    let runs = || evidence::existing(pid, clock_ticks_per_second()) != ProcessState::Dead;
    Some(exists && runs())
}

/// Whether the process that made this candidate for the lock file `lock` is dead. If it died after
/// it linked the candidate, the candidate is a second name of the lock file.
pub(crate) fn is_abandoned(candidate: &Path, lock: &Path) -> bool {
    platform::open_own(candidate, true)
        .is_ok_and(|file| is_at(lock, &file) || matches!(platform::try_flock(&file), Ok(true)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GRACE_PERIOD: Duration = Duration::from_secs(10);

    fn target() -> (tempfile::TempDir, LockTarget) {
        let dir = tempfile::tempdir().unwrap();
        let target = LockTarget::new(&dir.path().join("cache.json.lockfile"));
        (dir, target)
    }

    #[test]
    fn without_hard_links_the_lock_excludes_others() {
        let (_dir, target) = target();
        let contender = Contender::new(&target, GRACE_PERIOD);
        let lock = contender.create_in_two_steps().unwrap().unwrap();
        assert!(Holder::parse(&fs::read(&target.path).unwrap()).is_ours);
        assert!(contender.create_in_two_steps().unwrap().is_none());
        let mut other = Contender::new(&target, GRACE_PERIOD);
        assert!(other.try_take().unwrap().is_none());
        drop(lock);
        assert!(!target.path.exists());
        assert!(other.try_take().unwrap().is_some());
    }

    #[test]
    fn a_candidate_that_another_process_removed_is_made_again() {
        let (_dir, target) = target();
        let lock = Contender::new(&target, Duration::ZERO).try_take().unwrap().unwrap();
        let mut waiter = Contender::new(&target, Duration::ZERO);
        let candidate = waiter.prepare().unwrap().unwrap();
        fs::remove_file(&candidate.name).unwrap();
        waiter.candidate = Some(candidate);
        drop(lock);
        assert!(waiter.try_take().unwrap().is_none());
        assert!(waiter.try_take().unwrap().is_some());
    }

    #[test]
    fn a_contender_that_loses_leaves_no_file_behind() {
        let (dir, target) = target();
        let _lock = Contender::new(&target, Duration::ZERO).try_take().unwrap().unwrap();
        let mut second = Contender::new(&target, Duration::ZERO);
        assert!(second.create().unwrap().is_none());
        assert!(second.try_take().unwrap().is_none());
        drop(second);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
