//! The signal file: its time of change tells other programs that the entry has changed.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use msal_cache_core::Result;
use msal_cache_disk::error::{absent, io as failed, writing};
use msal_cache_disk::folder;
use sha2::{Digest, Sha256};

/// What the signal file looked like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
}

/// The coarsest resolution of a file system in use, that of FAT: changes within it may have one time.
const COARSE: Duration = Duration::from_secs(2);

impl Stamp {
    /// Whether a change after this look has another time.
    pub(crate) fn is_settled(&self) -> bool {
        // A time in the future has no age.
        self.modified.is_some_and(|at| at.elapsed().is_ok_and(|age| age > COARSE))
    }
}

/// Looks at the signal file; `None` where there is none.
pub(crate) fn look(path: &Path) -> Result<Option<Stamp>> {
    let found = absent(fs::metadata(path)).map_err(failed("look at", path))?;
    Ok(found.map(|found| Stamp { modified: found.modified().ok(), size: found.len() }))
}

/// Sets the time of the signal file to now, and creates it where it is missing. Its content is left: MSAL
/// Node writes `{}` into it.
pub(crate) fn touch(path: &Path) -> Result<()> {
    let folder = folder::of(path);
    folder::create(folder).map_err(writing("create", folder))?;
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path).map_err(writing("touch", path))?;
    file.set_modified(rounded_up(SystemTime::now())).map_err(failed("touch", path))
}

/// The next whole millisecond. MSAL Python compares the time with its own clock, which is ahead of the one
/// by which the system stamps files; MSAL Node compares milliseconds.
fn rounded_up(now: SystemTime) -> SystemTime {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2) + 1;
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// In hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string can't fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Whether a file holds what may be a JSON document in plain text.
pub(crate) fn holds_json(path: &Path) -> Result<bool> {
    match fs::read(path) {
        Ok(bytes) => {
            let first = bytes.iter().find(|it| !it.is_ascii_whitespace()).copied();
            // Node's signal file is the empty object.
            let is_empty_object = bytes.iter().filter(|it| !it.is_ascii_whitespace()).eq(b"{}");
            drop(msal_cache_core::Bytes::from(bytes));
            Ok(first == Some(b'{') && !is_empty_object)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_creates_the_file_and_moves_its_time_and_leaves_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/signal");
        assert_eq!(look(&path).unwrap(), None);
        let before = SystemTime::now();
        touch(&path).unwrap();
        let first = look(&path).unwrap().unwrap();
        assert!(first.modified.unwrap() > before);
        assert!(!first.is_settled());
        fs::write(&path, "{}").unwrap();
        std::thread::sleep(Duration::from_millis(3));
        touch(&path).unwrap();
        assert_ne!(look(&path).unwrap().unwrap().modified, first.modified);
        assert_eq!(fs::read(&path).unwrap(), b"{}");
        assert!(!holds_json(&path).unwrap());
        fs::write(&path, "{\"Account\": {}}").unwrap();
        assert!(holds_json(&path).unwrap());
    }

    #[test]
    fn only_an_old_time_is_settled() {
        let at = |modified| Stamp { modified: Some(modified), size: 0 };
        let now = SystemTime::now();
        assert!(at(now - Duration::from_secs(3)).is_settled());
        assert!(!at(now - Duration::from_secs(1)).is_settled());
        assert!(!at(now + Duration::from_secs(60)).is_settled());
    }
}
