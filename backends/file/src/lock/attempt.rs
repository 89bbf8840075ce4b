//! Waiting for a lock file.
//!
//! The calls to the file system run on a thread of their own, so that the caller returns at the
//! deadline even if a call doesn't return, because a file server is down.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Result};
use parking_lot::{Condvar, Mutex};

use super::fairness;
use super::holder::Holder;
use super::system::{Contender, LockFile};
use super::target::LockTarget;
use super::timeouts::LockTimeouts;

/// Pauses between tries grow from one millisecond to at most twice this, which is shorter than the
/// quiet period (see [`fairness`]).
const LONGEST_PAUSE: Duration = Duration::from_millis(18);

/// How much longer than the deadline the caller waits for the file system.
const SLACK: Duration = Duration::from_millis(100);

/// The upper limit of timeouts: short enough to be added to any moment.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A thread that tries to take a lock file, and a caller that waits for it.
pub(super) struct LockAttempt {
    state: Mutex<AttemptState>,
    changed: Condvar,
}

struct AttemptState {
    /// When to stop trying.
    deadline: Instant,
    /// Whether a caller waits for the outcome.
    waiting: bool,
    outcome: Option<Result<AttemptOutcome>>,
}

enum AttemptOutcome {
    Taken(LockFile),
    /// Another process had the lock until the deadline.
    Held(Option<Holder>),
}

/// Takes the lock file, or fails when the timeout has passed since `started`. An attempt that
/// hangs is left in `pending`.
pub(super) fn take(
    target: &Arc<LockTarget>,
    pending: &mut Option<Arc<LockAttempt>>,
    started: Instant,
    timeouts: LockTimeouts,
) -> Result<LockFile> {
    let deadline = started + timeouts.timeout.min(LONGEST_TIMEOUT);
    let locked = |holder| {
        let (path, waited) = (target.path.clone(), started.elapsed());
        Err(Error::Locked { path, holder, waited })
    };
    loop {
        // While an attempt hangs, a new one would hang as well.
        let attempt = match pending.take() {
            Some(attempt) => attempt,
            None => LockAttempt::start(target, deadline, timeouts.grace_period),
        };
        match attempt.wait(deadline) {
            None => {
                *pending = Some(attempt);
                return locked(Some("a file system that does not respond".into()));
            }
            Some(Ok(AttemptOutcome::Taken(file))) => return Ok(file),
            Some(Ok(AttemptOutcome::Held(holder))) if Instant::now() >= deadline => {
                return locked(holder.as_ref().and_then(Holder::describe));
            }
            // A pending attempt of an earlier caller, with an earlier deadline.
            Some(Ok(AttemptOutcome::Held(_))) => {}
            Some(Err(error)) => return Err(error),
        }
    }
}

impl LockAttempt {
    fn start(target: &Arc<LockTarget>, deadline: Instant, grace_period: Duration) -> Arc<Self> {
        let state = AttemptState { deadline, waiting: true, outcome: None };
        let attempt = Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() });
        let (attempt_there, target_there) = (attempt.clone(), target.clone());
        let run = move || attempt_there.run(Contender::new(&target_there, grace_period));
        if thread::Builder::new().name("msal-cache-lock".into()).spawn(run).is_err() {
            // Without a thread, a file system that hangs blocks the caller.
            attempt.run(Contender::new(target, grace_period));
        }
        attempt
    }

    /// Tries to take the lock file until there is an outcome.
    fn run(&self, mut contender: Contender<'_>) {
        let mut pause = Duration::from_millis(1);
        let began = Instant::now();
        let outcome = loop {
            match contender.try_take() {
                Ok(Some(file)) => break Ok(AttemptOutcome::Taken(file)),
                Err(error) => break Err(error),
                Ok(None) => {}
            }
            let Some(left) = self.time_left() else {
                break Ok(AttemptOutcome::Held(contender.holder().cloned()));
            };
            // Random, so that processes that began at the same time try at different times.
            thread::sleep(pause.mul_f64(1.0 + fastrand::f64()).min(left));
            if let (Some(quiet), Some(left)) = (fairness::quiet(), self.time_left()) {
                thread::sleep((quiet + fairness::turn(began.elapsed())).min(left));
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        };
        // Removes its temporary file before the caller continues.
        drop(contender);
        let mut state = self.state.lock();
        state.outcome = Some(match outcome {
            // The caller has given up, so the lock file is released.
            Ok(AttemptOutcome::Taken(_)) if !state.waiting => Ok(AttemptOutcome::Held(None)),
            outcome => outcome,
        });
        self.changed.notify_all();
    }

    fn time_left(&self) -> Option<Duration> {
        let state = self.state.lock();
        let left = state.deadline.saturating_duration_since(Instant::now());
        (state.waiting && !left.is_zero()).then_some(left)
    }

    /// Waits for the outcome; `None` where the file system hasn't responded at the deadline.
    fn wait(&self, deadline: Instant) -> Option<Result<AttemptOutcome>> {
        let mut state = self.state.lock();
        state.deadline = deadline;
        state.waiting = true;
        while state.outcome.is_none() {
            if self.changed.wait_until(&mut state, deadline + SLACK).timed_out() {
                break;
            }
        }
        state.waiting = state.outcome.is_some();
        state.outcome.take()
    }
}
