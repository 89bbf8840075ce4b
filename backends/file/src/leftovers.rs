//! Temporary files of processes that died while they wrote.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::{disk, folder, lock};

/// Removes what dead writers of the file at `path` have left. To be called with the lock, since
/// whoever has it is the only live writer. What can't be removed is in nobody's way.
pub(crate) fn sweep(path: &Path) {
    remove(path, |_| true);
}

/// Removes what dead waiters for the lock file at `path` have left. Live ones have their files
/// flocked.
pub(crate) fn sweep_lock(path: &Path) {
    remove(path, |candidate| lock::is_abandoned(candidate, path));
}

fn remove(path: &Path, is_left: impl Fn(&Path) -> bool) {
    let Some(prefix) = disk::prefix(path) else { return };
    let Ok(entries) = fs::read_dir(folder::of(path)) else { return };
    for entry in entries.flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && is_temporary(&entry.file_name(), &prefix) && is_left(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether this is exactly a name that [`disk::create_temporary`] gives.
fn is_temporary(name: &OsStr, prefix: &OsStr) -> bool {
    let name = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
    let random = name.and_then(|name| name.strip_suffix(disk::SUFFIX.as_bytes()));
    random.is_some_and(|random| {
        random.len() == disk::RANDOM && random.iter().all(u8::is_ascii_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_making_are_swept() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let made = disk::create_temporary(&at("cache.json")).unwrap().keep().unwrap().1;
        let others = [
            "cache.json",
            ".cache.json.tmp",
            ".cache.json.abcde.tmp",
            ".cache.json.abcdefg.tmp",
            ".cache.json.abc-ef.tmp",
            ".cache.json.abcdef.tmp.bak",
            ".other.json.abcdef.tmp",
            "x.cache.json.abcdef.tmp",
        ];
        for other in others {
            fs::write(at(other), "").unwrap();
        }
        fs::create_dir(at(".cache.json.folder.tmp")).unwrap();
        sweep(&at("cache.json"));
        assert!(!made.exists());
        assert!(others.iter().all(|other| at(other).exists()));
        assert!(at(".cache.json.folder.tmp").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_a_live_waiter_stays() {
        use fs2::FileExt;
        let place = tempfile::tempdir().unwrap();
        let lock = place.path().join("cache.json.lockfile");
        let live = disk::create_temporary(&lock).unwrap();
        FileExt::lock_exclusive(live.as_file()).unwrap();
        let dead = disk::create_temporary(&lock).unwrap().into_temp_path().keep().unwrap();
        // One that was killed between giving its file a name and taking the old one away.
        fs::write(&lock, "").unwrap();
        let second = disk::keep(&lock).unwrap().keep().unwrap();
        let held = fs::File::open(&lock).unwrap();
        FileExt::lock_exclusive(&held).unwrap();
        sweep_lock(&lock);
        assert!(live.path().exists() && lock.exists());
        assert!(!second.exists());
        assert!(!dead.exists());
    }
}
