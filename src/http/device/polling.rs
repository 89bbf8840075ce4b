use std::time::{Duration, Instant};

use super::error::{DeviceFlowError, usable};
use super::flow::DeviceFlow;
use crate::engine::Runtime;
use crate::http::throttle::SendResult;
use crate::model::{AsyncTokenEndpoint, Event, ServerError, TransportError, TransportErrorKind};

/// The increase of the polling interval after `slow_down` (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The longest polling interval after connection errors.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// How often a blocking caller is asked whether it has cancelled the sign-in.
#[cfg(feature = "http")]
pub(in crate::http) const CANCEL_CHECK: Duration = Duration::from_millis(50);

impl DeviceFlow {
    /// Polls until the user has signed in. `is_cancelled` is called before each poll and each pause
    /// of at most `check`.
    pub(in crate::http) async fn acquire(
        &self,
        endpoint: &impl AsyncTokenEndpoint,
        runtime: impl Runtime,
        check: Duration,
        mut is_cancelled: impl FnMut() -> bool,
    ) -> Result<Event, DeviceFlowError> {
        loop {
            if is_cancelled() {
                return Err(DeviceFlowError::Cancelled);
            }
            // The server may have granted the tokens to an earlier poll.
            if self.expires_in().is_zero() && !self.has_poll() {
                return Err(DeviceFlowError::Expired);
            }
            let left = self.schedule().next.saturating_duration_since(Instant::now());
            if left.is_zero() || self.has_poll() {
                let polled = endpoint.send(&self.request).await;
                if let Some(event) = self.polled(polled)? {
                    return Ok(event);
                }
            } else {
                runtime.sleep(left.min(check).min(self.expires_in())).await;
            }
        }
    }

    /// Reads the result of a poll, and schedules the next one where the sign-in is pending.
    fn polled(&self, result: SendResult) -> Result<Option<Event>, DeviceFlowError> {
        let mut schedule = self.schedule();
        let wait = match usable(result) {
            Ok(response) => match ServerError::of(&response) {
                None => return self.event(&response).map(Some),
                Some(pending) if pending.error() == "authorization_pending" => schedule.interval,
                Some(slow_down) if slow_down.error() == "slow_down" => {
                    schedule.interval += SLOW_DOWN;
                    schedule.interval
                }
                Some(error) => return Err(DeviceFlowError::of(error)),
            },
            // The server may recover before the code expires.
            Err(error) if is_transient(&error) => {
                schedule.interval = (2 * schedule.interval).min(LONGEST_INTERVAL);
                let wait = schedule.interval.max(error.retry_after().unwrap_or_default());
                if self.expires_in() <= wait {
                    return Err(error.into());
                }
                wait
            }
            Err(error) => return Err(error.into()),
        };
        schedule.next = Instant::now() + wait;
        self.set_schedule(schedule);
        Ok(None)
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
