use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Result};

use super::Holder;
use super::system::{Contender, LockFile};

/// Pauses grow from one millisecond to twice this.
const LONGEST: Duration = Duration::from_millis(25);

/// Asks for the lock file until it is granted or `timeout` has passed since `started`.
pub(super) fn take(
    path: &Path,
    started: Instant,
    timeout: Duration,
    grace: Duration,
) -> Result<LockFile> {
    let mut contender = Contender::new(path, grace);
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(file) = contender.try_take()? {
            return Ok(file);
        }
        let waited = started.elapsed();
        if waited >= timeout {
            let holder = contender.holder().and_then(Holder::describe);
            return Err(Error::Locked { path: path.to_owned(), holder, waited });
        }
        // Waiters that began together mustn't go on asking together.
        thread::sleep(pause.mul_f64(1.0 + fastrand::f64()).min(timeout.saturating_sub(waited)));
        pause = LONGEST.min(pause * 2);
    }
}
