//! Changes of the file, by the notifications of the system or by polling.

use std::path::PathBuf;
use std::time::Duration;

use msal_cache_core::{ChangeSignal, Watch};

/// How often a file is looked at without notifications: one `stat`.
const POLL: Duration = Duration::from_millis(200);

/// Watches the names of a file: its path, and the target of each symbolic link.
#[cfg(feature = "watch")]
pub(crate) fn watch(names: Vec<PathBuf>, signal: ChangeSignal) -> Watch {
    /// Notifications are lost where another machine writes, in some containers, and when the folder
    /// is replaced.
    const POLL_AS_WELL: Duration = Duration::from_secs(2);

    match notified(names, signal) {
        Ok(watcher) => Watch::notified(watcher).and_polling_every(POLL_AS_WELL),
        // There is no folder yet, or the system has no watch left.
        Err(error) => {
            msal_cache_core::event!(debug, %error, "the file is polled for changes");
            Watch::polling_every(POLL)
        }
    }
}

#[cfg(not(feature = "watch"))]
pub(crate) fn watch(_: Vec<PathBuf>, _: ChangeSignal) -> Watch {
    Watch::polling_every(POLL)
}

#[cfg(feature = "watch")]
fn notified(
    names: Vec<PathBuf>,
    signal: ChangeSignal,
) -> notify::Result<notify::RecommendedWatcher> {
    use notify::event::{AccessKind, AccessMode, EventKind};
    use notify::{Event, RecursiveMode, Watcher};

    // The file is replaced by another one, so its folder is watched.
    let mut folders: Vec<_> = names.iter().map(|name| crate::folder::of(name).to_owned()).collect();
    folders.sort();
    folders.dedup();
    let is_change = |kind: &EventKind| match kind {
        EventKind::Access(access) => *access == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    let concerns = move |event: &Event| {
        let is_of_file =
            |path: &PathBuf| names.iter().any(|name| name.file_name() == path.file_name());
        event.need_rescan() || (is_change(&event.kind) && event.paths.iter().any(is_of_file))
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.as_ref().map_or(true, &concerns) {
            signal.notify();
        }
    })?;
    for folder in folders {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}
