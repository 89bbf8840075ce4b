use std::time::Duration;

/// How old a lock file of another library must be before it can be taken over: longer than those
/// libraries hold the lock, and than they wait for it.
pub(crate) const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// How long to wait for a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockTimeouts {
    pub(crate) timeout: Duration,
    /// See [`GRACE_PERIOD`].
    pub(crate) grace_period: Duration,
}
