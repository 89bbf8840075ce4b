//! The folders that this process has examined recently, up to the root.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::folder_use::FolderUse;

/// For this long, the folders above a folder are not examined again.
const RECENT: Duration = Duration::from_millis(100);

/// More folders than a process keeps caches in.
const KEPT: usize = 64;

/// What is compared of a folder: if it differs, the folder is examined again.
pub(super) type FolderState = [u64; 6];

static EXAMINED: OnceLock<Mutex<HashMap<PathBuf, RecentFolder>>> = OnceLock::new();

#[derive(Clone, Copy)]
struct RecentFolder {
    at: Instant,
    state: FolderState,
    found: FolderUse,
}

/// The result for a folder in this state, if it was examined recently.
pub(super) fn find(folder: &Path, state: FolderState) -> Option<FolderUse> {
    let examined = lock().get(folder).copied()?;
    (examined.state == state && examined.at.elapsed() < RECENT).then_some(examined.found)
}

/// Notes that a folder in this state was found safe, beginning at this moment.
pub(super) fn note(folder: &Path, state: FolderState, at: Instant, found: FolderUse) {
    let mut all = lock();
    if all.len() >= KEPT {
        all.clear();
    }
    all.insert(folder.to_owned(), RecentFolder { at, state, found });
}

fn lock() -> std::sync::MutexGuard<'static, HashMap<PathBuf, RecentFolder>> {
    EXAMINED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}
