//! Sessions: which browser belongs to which user. They are in memory; a service on several machines keeps
//! them in a shared store.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use msal_cache::AccountInfo;
use uuid::Uuid;

#[derive(Default)]
pub(crate) struct Sessions {
    users: Mutex<HashMap<String, AccountInfo>>,
}

impl Sessions {
    /// Begins a session of this user. The id is not to be guessed: 122 random bits.
    pub(crate) fn begin(&self, user: AccountInfo) -> String {
        let id = Uuid::new_v4().to_string();
        lock(&self.users).insert(id.clone(), user);
        id
    }

    /// The user of a request.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Option<AccountInfo> {
        lock(&self.users).get(cookie(headers, "session")?).cloned()
    }

    /// Ends the session of a request.
    pub(crate) fn end(&self, headers: &HeaderMap) -> Option<AccountInfo> {
        lock(&self.users).remove(cookie(headers, "session")?)
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.users).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value of a cookie.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|it| it.to_str().ok());
    let mut pairs = pairs.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}
