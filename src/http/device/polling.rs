use std::time::{Duration, Instant};

use super::error::{DeviceFlowError, PollEnd};
use super::flow::DeviceFlow;
use crate::engine::{RedeemError, Runtime, usable};
use crate::model::{AsyncTokenEndpoint, Event, TransportError, TransportErrorKind};

/// The increase of the polling interval after `slow_down` (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The longest polling interval after connection errors.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// How often a caller is asked whether it has cancelled the sign-in.
pub(crate) const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// What the caller of a flow decides while it is pending.
pub(crate) trait Watch {
    fn is_cancelled(&mut self) -> bool;

    /// When to end, though the code may be valid for longer.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Is called after each poll that leaves the sign-in pending.
    fn polled(&mut self, _flow: &DeviceFlow, _error: Option<&TransportError>) {}
}

impl<F: FnMut() -> bool> Watch for F {
    fn is_cancelled(&mut self) -> bool {
        self()
    }
}

impl DeviceFlow {
    /// Polls until the user has signed in. `is_cancelled` is called before each poll and each pause
    /// of at most `check`.
    pub(in crate::http) async fn acquire(
        &self,
        endpoint: &impl AsyncTokenEndpoint,
        runtime: impl Runtime,
        check: Duration,
        is_cancelled: impl FnMut() -> bool,
    ) -> Result<Event, DeviceFlowError> {
        let poll = || async {
            let response = usable(endpoint.send(&self.request).await)?;
            self.event(&response).map_err(RedeemError::InvalidResponse)
        };
        self.wait(runtime, check, is_cancelled, poll).await.map_err(DeviceFlowError::of_end)
    }

    /// Polls by `poll` until it returns what the user has signed in for.
    pub(crate) async fn wait<T, F: Future<Output = Result<T, RedeemError>>>(
        &self,
        runtime: impl Runtime,
        check: Duration,
        mut watch: impl Watch,
        poll: impl Fn() -> F,
    ) -> Result<T, PollEnd> {
        loop {
            if watch.is_cancelled() {
                return Err(PollEnd::Cancelled);
            }
            // The server may have granted the tokens to an earlier poll.
            if self.expires_in().is_zero() && !self.has_poll() {
                return Err(PollEnd::Expired);
            }
            let now = Instant::now();
            let until_deadline = watch.deadline().map(|it| it.saturating_duration_since(now));
            if until_deadline.is_some_and(|left| left.is_zero()) {
                return Err(PollEnd::TimedOut);
            }
            let left = self.schedule().next.saturating_duration_since(now);
            if left.is_zero() || self.has_poll() {
                match poll().await {
                    Ok(granted) => return Ok(granted),
                    Err(error) => {
                        let error = self.pending(error)?;
                        watch.polled(self, error.as_ref());
                    }
                }
            } else {
                let most = until_deadline.unwrap_or(Duration::MAX).min(self.expires_in());
                runtime.sleep(left.min(check).min(most)).await;
            }
        }
    }

    /// Schedules the next poll where the sign-in is pending. Returns why the server didn't respond.
    fn pending(&self, error: RedeemError) -> Result<Option<TransportError>, PollEnd> {
        let mut schedule = self.schedule();
        let (wait, error) = match error {
            RedeemError::Refused(it) if it.error() == "authorization_pending" => {
                (schedule.interval, None)
            }
            RedeemError::Refused(it) if it.error() == "slow_down" => {
                schedule.interval += SLOW_DOWN;
                (schedule.interval, None)
            }
            RedeemError::Refused(it) if matches!(it.error(), "expired_token" | "code_expired") => {
                return Err(PollEnd::Expired);
            }
            // The server may recover before the code expires.
            RedeemError::Transport(error) if is_transient(&error) => {
                schedule.interval = (2 * schedule.interval).min(LONGEST_INTERVAL);
                let wait = schedule.interval.max(error.retry_after().unwrap_or_default());
                if self.expires_in() <= wait {
                    return Err(PollEnd::Failed(error.into()));
                }
                (wait, Some(error))
            }
            error => return Err(PollEnd::Failed(error)),
        };
        schedule.next = Instant::now() + wait;
        self.set_schedule(schedule);
        Ok(error)
    }
}

fn is_transient(error: &TransportError) -> bool {
    matches!(
        error.kind(),
        TransportErrorKind::Unreachable
            | TransportErrorKind::TimedOut
            | TransportErrorKind::Interrupted
            | TransportErrorKind::Unavailable
    )
}
