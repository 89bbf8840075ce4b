//! Refreshes of tokens that are still valid, and when the next one is tried.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use msal_cache_core::Revision;

use crate::model::{AcquireError, ServerError};

/// The pause after a failed refresh of a token that is still valid, in seconds. The token is valid
/// for minutes to hours, so a few attempts in each minute of an outage lose nothing.
const PAUSE: i64 = 30;
/// The longest pause that a server can demand, in seconds.
const LONGEST: i64 = 3600;
/// The number of refreshes that are remembered.
const CAPACITY: usize = 1024;

/// The refreshes that have failed while the old token was valid, by the identity of their requests.
#[derive(Default)]
pub(crate) struct BackOff(Mutex<HashMap<Revision, Failed>>);

struct Failed {
    at: i64,
    until: i64,
    error: AcquireError,
}

impl BackOff {
    /// The error of the last refresh, where it is too early for another one.
    pub(crate) fn error(&self, identity: Revision, now: i64) -> Option<AcquireError> {
        let failed = self.lock();
        // After the clock was set back, the time that is left is unknown.
        let last = failed.get(&identity).filter(|it| (it.at..it.until).contains(&now))?;
        Some(last.error.clone())
    }

    pub(crate) fn failed(&self, identity: Revision, now: i64, error: &AcquireError) {
        let until = now.saturating_add(pause(error));
        let mut failed = self.lock();
        if failed.len() >= CAPACITY {
            failed.retain(|_, it| (it.at..it.until).contains(&now));
        }
        if failed.len() >= CAPACITY {
            failed.clear();
        }
        failed.insert(identity, Failed { at: now, until, error: error.clone() });
    }

    pub(crate) fn succeeded(&self, identity: Revision) {
        self.lock().remove(&identity);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Revision, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause that the server demands, if it is longer.
fn pause(error: &AcquireError) -> i64 {
    let demanded = match error {
        AcquireError::Transport(error) => error.retry_after(),
        error => error.server_error().and_then(ServerError::retry_after),
    };
    let seconds = demanded.map_or(0, |it: Duration| i64::try_from(it.as_secs()).unwrap_or(LONGEST));
    seconds.clamp(PAUSE, LONGEST)
}

impl fmt::Debug for BackOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackOff({} refreshes)", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::{BackOff, CAPACITY};
    use crate::model::{AcquireError, TransportError, TransportErrorKind};
    use msal_cache_core::Revision;
    use std::time::Duration;

    fn error(wait: Option<Duration>) -> AcquireError {
        let error = TransportError::without_source(TransportErrorKind::Unavailable);
        error.with_retry_after(wait).into()
    }

    fn id(number: usize) -> Revision {
        Revision::of_contents([&number.to_ne_bytes()[..]])
    }

    #[test]
    fn a_pause_is_that_of_the_server_if_it_is_longer_and_has_a_limit() {
        for (wait, seconds) in [(None, 30), (Some(7), 30), (Some(100), 100), (Some(u64::MAX), 3600)]
        {
            let back_off = BackOff::default();
            back_off.failed(id(0), 1000, &error(wait.map(Duration::from_secs)));
            for (at, pauses) in [(0, true), (seconds - 1, true), (seconds, false), (-1, false)] {
                assert_eq!(back_off.error(id(0), 1000 + at).is_some(), pauses, "{wait:?} {at}");
            }
            assert!(back_off.error(id(1), 1000).is_none());
            back_off.succeeded(id(0));
            assert!(back_off.error(id(0), 1000).is_none());
        }
    }

    #[test]
    fn the_number_of_refreshes_is_limited() {
        let back_off = BackOff::default();
        for number in 0..3 * CAPACITY {
            back_off.failed(id(number), i64::MAX - 5, &error(None));
            assert!(back_off.lock().len() <= CAPACITY);
        }
    }
}
