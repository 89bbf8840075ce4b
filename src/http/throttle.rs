//! Client-side throttling, as MSAL does it (MSAL Python, `throttled_http_client.py`).
//!
//! After a response with status 429 or 5xx, or with a `Retry-After` header, requests with the same
//! client, scopes and user get that response again until the server's waiting time is over. The user of
//! a request on behalf of one is known by the assertion, which MSAL Python leaves out. After
//! a response with status 400, an identical request gets it again for a minute. Device code polls
//! are exempt from the second rule, since the protocol repeats them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::{Form, TokenResponse, TransportError};

pub(super) type SendResult = Result<TokenResponse, TransportError>;

/// The grant type of a device code (RFC 8628, section 3.4).
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The waiting time after an outage without `Retry-After`.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// The upper limit of a server's `Retry-After`.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How long a response with status 400 is repeated.
const REFUSAL: Duration = Duration::from_secs(60);
/// The maximum number of stored responses.
const CAPACITY: usize = 1024;

/// The responses to repeat, by a hash of their requests. The requests themselves are not kept.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    hasher: RandomState,
    entries: Mutex<HashMap<u64, ThrottleEntry>>,
}

#[derive(Debug)]
struct ThrottleEntry {
    until: Instant,
    result: SendResult,
}

/// The hashes under which the response to a request is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThrottleKeys {
    /// Hash of address, client, scopes and user, for outages.
    user: u64,
    /// Hash of the whole request, for refusals.
    exact: Option<u64>,
}

impl Throttle {
    /// `repeatable` tells whether equal forms make equal requests: a client assertion differs each
    /// time.
    pub(super) fn keys(
        &self,
        to: &str,
        client_id: &str,
        form: &Form,
        repeatable: bool,
    ) -> ThrottleKeys {
        // The parameter that identifies the user depends on the grant type.
        let names = ["refresh_token", "code", "username", "user_id", "assertion"];
        let user = names.iter().find_map(|name| form.get(name));
        let user = self.hasher.hash_one((to, client_id, form.get("scope"), user));
        let polls = form.get("grant_type") == Some(DEVICE_CODE);
        let exact = (repeatable && !polls).then(|| {
            let parameters: Vec<_> = form.iter().collect();
            self.hasher.hash_one((to, client_id, parameters))
        });
        ThrottleKeys { user, exact }
    }

    /// The stored response, if the request must not be sent yet.
    pub(super) fn get(&self, keys: ThrottleKeys) -> Option<SendResult> {
        let now = Instant::now();
        let entries = self.lock();
        let find = |key: u64| {
            let entry = entries.get(&key)?;
            let left = entry.until.checked_duration_since(now)?;
            Some(with_time_left(entry.result.clone(), left))
        };
        find(keys.user).or_else(|| keys.exact.and_then(find))
    }

    /// Stores a response that throttles later requests. Other responses are not stored.
    pub(super) fn record(&self, keys: ThrottleKeys, result: &SendResult) {
        let (status, wait) = match result {
            Ok(response) => (response.status(), response.retry_after()),
            Err(error) => match error.status() {
                Some(status) => (status, error.retry_after()),
                None => return,
            },
        };
        let (key, wait) = match (status, wait, keys.exact) {
            (200..=299, ..) => return,
            (429 | 500.., ..) | (_, Some(_), _) => {
                (keys.user, wait.unwrap_or(DEFAULT_WAIT).min(LONGEST_WAIT))
            }
            (400, None, Some(exact)) => (exact, REFUSAL),
            _ => return,
        };
        if !wait.is_zero() {
            self.insert(key, wait, result.clone());
        }
    }

    fn insert(&self, key: u64, wait: Duration, result: SendResult) {
        let now = Instant::now();
        let Some(until) = now.checked_add(wait) else { return };
        let mut entries = self.lock();
        if entries.len() >= CAPACITY {
            entries.retain(|_, entry| entry.until > now);
        }
        if entries.len() >= CAPACITY {
            let soonest = entries.iter().min_by_key(|(_, entry)| entry.until).map(|(key, _)| *key);
            soonest.and_then(|key| entries.remove(&key));
        }
        entries.insert(key, ThrottleEntry { until, result });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, ThrottleEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces the waiting time of a response, if it has one, by the time that is left of it.
fn with_time_left(result: SendResult, left: Duration) -> SendResult {
    match result {
        Ok(response) => {
            let wait = response.retry_after().map(|_| left);
            Ok(response.with_retry_after(wait))
        }
        Err(error) => {
            let wait = error.retry_after().map(|_| left);
            Err(error.with_retry_after(wait))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_told_apart_in_each_grant() {
        let throttle = Throttle::default();
        let keys = |name: &'static str, value: &str| {
            let form = Form::new().with("scope", "User.Read").with(name, value);
            throttle.keys("https://login.example/token", "client", &form, true)
        };
        let outage = Ok(TokenResponse::from_json(503, "{}").unwrap());
        for name in ["refresh_token", "code", "username", "user_id", "assertion"] {
            throttle.record(keys(name, "alice"), &outage);
            assert!(throttle.get(keys(name, "alice")).is_some(), "{name}");
            assert!(throttle.get(keys(name, "bob")).is_none(), "{name}");
        }
    }
}
