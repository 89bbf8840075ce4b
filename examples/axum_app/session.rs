//! Sessions: which browser belongs to which user, and sign-ins that have begun. They are in memory; a
//! service on several machines keeps them in a shared store or in a sealed cookie.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use msal_cache::AccountInfo;
use msal_cache::sign_in::SignInState;
use uuid::Uuid;

/// How long a user may take to sign in.
const SIGN_IN: Duration = Duration::from_secs(600);
/// How many sign-ins may be pending: any visitor can begin one.
const MAX_SIGN_INS: usize = 10_000;

#[derive(Default)]
pub(crate) struct Sessions {
    users: Mutex<HashMap<String, AccountInfo>>,
    sign_ins: Mutex<HashMap<String, (Instant, SignInState)>>,
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

    /// Keeps a sign-in that has begun in the browser with this id; `None` if too many have.
    pub(crate) fn begin_sign_in(&self, sign_in: SignInState) -> Option<String> {
        let mut sign_ins = lock(&self.sign_ins);
        if sign_ins.len() >= MAX_SIGN_INS {
            sign_ins.retain(|_, (began, _)| began.elapsed() < SIGN_IN);
        }
        let id = Uuid::new_v4().to_string();
        (sign_ins.len() < MAX_SIGN_INS).then(|| {
            sign_ins.insert(id.clone(), (Instant::now(), sign_in));
            id
        })
    }

    /// Takes the sign-in that has begun in the browser of a request. It is good for one use.
    pub(crate) fn take_sign_in(&self, headers: &HeaderMap) -> Option<SignInState> {
        let (began, sign_in) = lock(&self.sign_ins).remove(cookie(headers, "sign_in")?)?;
        (began.elapsed() < SIGN_IN).then_some(sign_in)
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
