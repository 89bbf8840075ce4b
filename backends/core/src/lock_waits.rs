//! Where stores report how long they waited for locks.

use std::sync::OnceLock;
use std::time::Duration;

static OBSERVER: OnceLock<fn(Duration)> = OnceLock::new();

/// Calls `observer` with each wait from now on. Of several calls, the first one counts.
pub fn observe_lock_waits(observer: fn(Duration)) {
    let _ = OBSERVER.set(observer);
}

/// Reports that a store has waited for a lock of another thread or process.
pub fn lock_waited(waited: Duration) {
    if let Some(observer) = OBSERVER.get() {
        observer(waited);
    }
}
