//! A token server whose refresh tokens are good for one use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use msal_cache::endpoint::{
    AsyncTokenEndpoint, TokenEndpoint, TokenRequest, TokenResponse, TransportError,
};
use msal_cache::{Event, Fields};
use tokio::task::yield_now;

use crate::common::{client_info, sign_in};

/// The sessions of users. A refresh token that is used again ends its session, as the best current
/// practice requires (RFC 9700, section 4.14.2).
#[derive(Default)]
pub(super) struct Server {
    sessions: Mutex<HashMap<String, u64>>,
    pub(super) granted: AtomicUsize,
    replayed: AtomicUsize,
    /// Requests that are being processed now, and the most of one user at a time.
    busy: Mutex<HashMap<String, usize>>,
    pub(super) most_at_once: AtomicUsize,
}

impl Server {
    /// Signs a user in.
    pub(super) fn sign_in(&self, user: &str) -> Event {
        self.sessions.lock().unwrap().insert(user.to_owned(), 1);
        sign_in(user, "User.Read", &format!("{user}-1"))
    }

    /// The only refresh token of a user that is valid now.
    pub(super) fn valid(&self, user: &str) -> String {
        format!("RT-{user}-{}", self.sessions.lock().unwrap()[user])
    }

    pub(super) fn assert_no_session_is_lost(&self) {
        assert_eq!(self.replayed.load(Ordering::SeqCst), 0, "a refresh token was used again");
    }

    fn begin(&self, user: &str) {
        let mut busy = self.busy.lock().unwrap();
        let now = busy.entry(user.to_owned()).or_default();
        *now += 1;
        self.most_at_once.fetch_max(*now, Ordering::SeqCst);
    }

    fn end(&self, user: &str) {
        *self.busy.lock().unwrap().get_mut(user).unwrap() -= 1;
    }

    /// Replaces the refresh token of a request. From here on, the old one is invalid.
    fn grant(&self, request: &TokenRequest) -> TokenResponse {
        let token = request.form().get("refresh_token").unwrap();
        let user = user_of(request);
        let mut sessions = self.sessions.lock().unwrap();
        let session = sessions.get_mut(&user).unwrap();
        if token != format!("RT-{user}-{session}") {
            self.replayed.fetch_add(1, Ordering::SeqCst);
            return TokenResponse::new(400, Fields::new().set("error", "invalid_grant"));
        }
        *session += 1;
        let granted = self.granted.fetch_add(1, Ordering::SeqCst);
        let fields = Fields::new()
            .set("access_token", format!("AT-{user}-{session}-{granted}"))
            .set("refresh_token", format!("RT-{user}-{session}"))
            .set("client_info", client_info(&user))
            .set("expires_in", 3600);
        TokenResponse::new(200, fields)
    }
}

fn user_of(request: &TokenRequest) -> String {
    let used = request.form().get("refresh_token").unwrap();
    used.split('-').nth(1).unwrap().to_owned()
}

/// The way to a server, which takes several polls in both directions.
#[derive(Clone)]
pub(super) struct Way(pub(super) Arc<Server>);

impl AsyncTokenEndpoint for Way {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let user = user_of(request);
        self.0.begin(&user);
        yield_now().await;
        yield_now().await;
        let response = self.0.grant(request);
        yield_now().await;
        yield_now().await;
        self.0.end(&user);
        Ok(response)
    }
}

/// The same for threads.
impl TokenEndpoint for Way {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let user = user_of(request);
        self.0.begin(&user);
        std::thread::yield_now();
        let response = self.0.grant(request);
        std::thread::sleep(std::time::Duration::from_micros(200));
        self.0.end(&user);
        Ok(response)
    }
}
