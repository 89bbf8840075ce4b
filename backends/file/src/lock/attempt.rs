//! Waiting for the lock file.
//!
//! The calls to the file system run on a thread of their own: one that doesn't come back, because
//! a server doesn't answer, must not keep the caller beyond the deadline.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Result};
use parking_lot::{Condvar, Mutex};

use super::system::{Contender, LockFile};
use super::{Holder, LockTimeouts, ProcessLock, fairness};

/// Pauses grow from one millisecond to twice this: short enough that nobody sleeps through the
/// quiet time, after which turns are taken.
const LONGEST: Duration = Duration::from_millis(18);

/// How much longer than the deadline the caller waits for the file system.
const SLACK: Duration = Duration::from_millis(100);

/// Longer than anybody waits, and short enough to be added to any moment.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A thread that asks for the lock file, and whoever waits for it.
pub(super) struct LockAttempt {
    state: Mutex<AttemptState>,
    changed: Condvar,
}

struct AttemptState {
    /// When to stop asking.
    deadline: Instant,
    /// Whether anybody is there to take the answer.
    waiting: bool,
    answer: Option<Result<AttemptOutcome>>,
}

enum AttemptOutcome {
    Taken(LockFile),
    /// Until the deadline, somebody else held it.
    Held(Option<Holder>),
}

/// Asks for the lock file until it is granted or the timeout has passed since `started`.
pub(super) fn take(
    shared: &Arc<ProcessLock>,
    pending: &mut Option<Arc<LockAttempt>>,
    started: Instant,
    timeouts: LockTimeouts,
) -> Result<LockFile> {
    let deadline = started + timeouts.timeout.min(FOR_EVER);
    let locked = |holder| {
        let (path, waited) = (shared.path.clone(), started.elapsed());
        Err(Error::Locked { path, holder, waited })
    };
    loop {
        // One that hangs is waited for on: another would hang as well.
        let attempt = match pending.take() {
            Some(attempt) => attempt,
            None => LockAttempt::start(shared, deadline, timeouts.grace),
        };
        match attempt.wait(deadline) {
            None => {
                *pending = Some(attempt);
                return locked(Some("a file system that does not answer".into()));
            }
            Some(Ok(AttemptOutcome::Taken(file))) => return Ok(file),
            Some(Ok(AttemptOutcome::Held(holder))) if Instant::now() >= deadline => {
                return locked(holder.as_ref().and_then(Holder::describe));
            }
            // It was asked for by somebody whose deadline has passed.
            Some(Ok(AttemptOutcome::Held(_))) => {}
            Some(Err(error)) => return Err(error),
        }
    }
}

impl LockAttempt {
    fn start(shared: &Arc<ProcessLock>, deadline: Instant, grace: Duration) -> Arc<Self> {
        let state = AttemptState { deadline, waiting: true, answer: None };
        let attempt = Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() });
        let (asking, shared_there) = (attempt.clone(), shared.clone());
        let ask = move || asking.ask(Contender::new(&shared_there, grace));
        if thread::Builder::new().name("msal-cache-lock".into()).spawn(ask).is_err() {
            // Without a thread it is asked for here, and a hung file system hangs the caller.
            attempt.ask(Contender::new(shared, grace));
        }
        attempt
    }

    /// Asks for the lock file until there is an answer.
    fn ask(&self, mut contender: Contender<'_>) {
        let mut pause = Duration::from_millis(1);
        let began = Instant::now();
        let answer = loop {
            match contender.try_take() {
                Ok(Some(file)) => break Ok(AttemptOutcome::Taken(file)),
                Err(error) => break Err(error),
                Ok(None) => {}
            }
            let Some(left) = self.time_left() else {
                break Ok(AttemptOutcome::Held(contender.holder().cloned()));
            };
            // Waiters that began together mustn't go on asking together.
            thread::sleep(pause.mul_f64(1.0 + fastrand::f64()).min(left));
            if let (Some(quiet), Some(left)) = (fairness::quiet(), self.time_left()) {
                thread::sleep((quiet + fairness::turn(began.elapsed())).min(left));
            }
            pause = LONGEST.min(pause * 2);
        };
        // What it has prepared goes before anybody is told.
        drop(contender);
        let mut state = self.state.lock();
        state.answer = Some(match answer {
            // One that nobody waits for any more is released.
            Ok(AttemptOutcome::Taken(_)) if !state.waiting => Ok(AttemptOutcome::Held(None)),
            answer => answer,
        });
        self.changed.notify_all();
    }

    fn time_left(&self) -> Option<Duration> {
        let state = self.state.lock();
        let left = state.deadline.saturating_duration_since(Instant::now());
        (state.waiting && !left.is_zero()).then_some(left)
    }

    /// Waits for the answer; `None` where the file system has given none at the deadline.
    fn wait(&self, deadline: Instant) -> Option<Result<AttemptOutcome>> {
        let mut state = self.state.lock();
        state.deadline = deadline;
        state.waiting = true;
        while state.answer.is_none() {
            if self.changed.wait_until(&mut state, deadline + SLACK).timed_out() {
                break;
            }
        }
        state.waiting = state.answer.is_some();
        state.answer.take()
    }
}
