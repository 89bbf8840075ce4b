//! What isn't sent again so soon: MSAL's throttling.
//!
//! A server that says it is overloaded, or that answers with an error of its own, is left alone
//! for as long as it asks, five seconds if it doesn't, for the same client, scopes and user. A
//! request that was refused is not repeated word for word within a minute, since the answer would
//! be the same; polling for a device code is, since there it is the protocol. Until then the answer
//! that came is given again (MSAL Python, `throttled_http_client.py`).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Form, TokenResponse, TransportError};

pub(super) type Answer = Result<TokenResponse, TransportError>;

/// How long an overloaded server is left alone, if it doesn't say.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// The longest that a server is left alone, whatever it says.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How long a refusal holds.
const REFUSAL: Duration = Duration::from_secs(60);
/// How many answers are kept.
const CAPACITY: usize = 1024;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The answers that are still given, by a hash: nothing of a request is kept.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    hasher: RandomState,
    kept: Mutex<HashMap<u64, Kept>>,
}

#[derive(Debug)]
struct Kept {
    until: Instant,
    answer: Answer,
}

/// Under which names the answer to a request is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// Client, scopes and user: what an overloaded server is left alone for.
    user: u64,
    /// The request, word for word.
    exact: Option<u64>,
}

impl Throttle {
    /// `repeats` tells whether the client's credential is the same in each request.
    pub(super) fn names(&self, to: &str, client_id: &str, form: &Form, repeats: bool) -> Names {
        // The user, as far as a request tells who it is.
        let user =
            ["refresh_token", "code", "username", "user_id"].iter().find_map(|name| form.get(name));
        let user = self.hasher.hash_one((to, client_id, form.get("scope"), user));
        let polls = form.get("grant_type") == Some(DEVICE_CODE);
        let exact = (repeats && !polls).then(|| {
            let parameters: Vec<_> = form.iter().collect();
            self.hasher.hash_one((to, client_id, parameters))
        });
        Names { user, exact }
    }

    /// The answer to give without asking.
    pub(super) fn kept(&self, names: Names) -> Option<Answer> {
        let now = Instant::now();
        let kept = self.lock();
        let find = |name: u64| {
            let kept = kept.get(&name)?;
            let left = kept.until.checked_duration_since(now)?;
            Some(kept.answer.clone().map(|it| again(it, left)).map_err(|it| again(it, left)))
        };
        find(names.user).or_else(|| names.exact.and_then(find))
    }

    /// Keeps an answer that forbids to ask again so soon, and gives it back.
    pub(super) fn keep(&self, names: Names, answer: Answer) -> Answer {
        let (status, wait) = match &answer {
            Ok(answer) => (answer.status(), answer.retry_after()),
            Err(error) => match error.status() {
                Some(status) => (status, error.retry_after()),
                None => return answer,
            },
        };
        let (name, wait) = match (status, wait, names.exact) {
            (200..=299, ..) => return answer,
            (429 | 500.., ..) | (_, Some(_), _) => {
                (names.user, wait.unwrap_or(DEFAULT_WAIT).min(LONGEST_WAIT))
            }
            (400, None, Some(exact)) => (exact, REFUSAL),
            _ => return answer,
        };
        if !wait.is_zero() {
            self.insert(name, wait, answer.clone());
        }
        answer
    }

    fn insert(&self, name: u64, wait: Duration, answer: Answer) {
        let now = Instant::now();
        let Some(until) = now.checked_add(wait) else { return };
        let mut kept = self.lock();
        if kept.len() >= CAPACITY {
            kept.retain(|_, kept| kept.until > now);
        }
        if kept.len() >= CAPACITY {
            let soonest = kept.iter().min_by_key(|(_, kept)| kept.until).map(|(name, _)| *name);
            soonest.and_then(|name| kept.remove(&name));
        }
        kept.insert(name, Kept { until, answer });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What both kinds of answers can say: wait so long.
trait Wait: Sized {
    fn wait_for(self, wait: Duration) -> Self;
    fn waits(&self) -> bool;
}

impl Wait for TokenResponse {
    fn wait_for(self, wait: Duration) -> Self {
        self.with_retry_after(Some(wait))
    }

    fn waits(&self) -> bool {
        self.retry_after().is_some()
    }
}

impl Wait for TransportError {
    fn wait_for(self, wait: Duration) -> Self {
        self.with_retry_after(Some(wait))
    }

    fn waits(&self) -> bool {
        self.retry_after().is_some()
    }
}

/// The same answer, with what is left of the time to wait.
fn again<A: Wait>(answer: A, left: Duration) -> A {
    if answer.waits() { answer.wait_for(left) } else { answer }
}
