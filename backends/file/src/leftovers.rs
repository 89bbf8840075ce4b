//! Temporary files of processes that died during a write.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::{disk, folder, lock};

/// Removes the temporary files of dead writers of the file at `path`. The caller has the lock, so
/// no other writer is alive. Files that can't be removed are ignored.
pub(crate) fn sweep(path: &Path) {
    remove(path, |_| true);
}

/// Removes the temporary files of dead processes that waited for the lock file at `path`. Live
/// ones have a `flock` on theirs.
pub(crate) fn sweep_lock(path: &Path) {
    remove(path, |candidate| lock::is_abandoned(candidate, path));
}

fn remove(path: &Path, is_abandoned: impl Fn(&Path) -> bool) {
    let Some(prefix) = disk::prefix(path) else { return };
    let Ok(entries) = fs::read_dir(folder::of(path)) else { return };
    for entry in entries.flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && is_temporary(&entry.file_name(), &prefix) && is_abandoned(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether [`disk::create_temporary`] creates files of this name.
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
    fn only_temporary_files_of_this_crate_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let temporary = disk::create_temporary(&at("cache.json")).unwrap().keep().unwrap().1;
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
        assert!(!temporary.exists());
        assert!(others.iter().all(|other| at(other).exists()));
        assert!(at(".cache.json.folder.tmp").exists());
    }

    #[cfg(unix)]
    #[test]
    fn the_temporary_file_of_a_live_process_is_kept() {
        use fs2::FileExt;
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("cache.json.lockfile");
        let live = disk::create_temporary(&lock).unwrap();
        FileExt::lock_exclusive(live.as_file()).unwrap();
        let dead = disk::create_temporary(&lock).unwrap().into_temp_path().keep().unwrap();
        // A process was killed after it linked its file and before it removed the first name.
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
