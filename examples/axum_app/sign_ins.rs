//! Sign-ins that have begun. Their states are in encrypted cookies of the browsers that began them, so that
//! nothing is kept for visitors who don't finish, and any machine of the service can finish a sign-in.

use std::env;

use axum::http::HeaderMap;
use axum_extra::extract::PrivateCookieJar;
use axum_extra::extract::cookie::{Cookie, Key, SameSite};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msal_cache::sign_in::SignInState;

use crate::Failure;

/// Where a sign-in begins. Browsers send the cookies to this path and those below it.
pub(crate) const BEGIN: &str = "/sign-in";
/// Where the server sends the browser back to.
pub(crate) const FINISH: &str = "/sign-in/finish";
/// How many sign-ins a browser can have begun, in several tabs. Each cookie has about a kilobyte; browsers
/// refuse one that has more than four, and servers headers that have more than eight.
const MOST: usize = 4;

pub(crate) struct SignIns {
    key: Key,
}

impl SignIns {
    /// The variable `COOKIE_KEY` has the key, 64 random bytes in Base64, which all machines of a service
    /// have in common (`openssl rand -base64 64`). Without it, a restart ends the sign-ins that have begun.
    pub(crate) fn new() -> Result<Self, Failure> {
        let key = match env::var("COOKIE_KEY") {
            Ok(text) => {
                let text: String = text.split_whitespace().collect();
                let bytes = STANDARD.decode(text).map_err(|_| "COOKIE_KEY is not in Base64")?;
                Key::try_from(&*bytes).map_err(|_| "COOKIE_KEY has fewer than 64 bytes")?
            }
            Err(env::VarError::NotPresent) => Key::generate(),
            Err(env::VarError::NotUnicode(_)) => return Err("COOKIE_KEY is not in Base64".into()),
        };
        Ok(Self { key })
    }

    /// The response has a cookie with the state of a sign-in that begins.
    pub(crate) fn begin(
        &self,
        headers: &HeaderMap,
        state: &SignInState,
    ) -> serde_json::Result<PrivateCookieJar> {
        let jar = self.jar(headers);
        let mut free: Vec<_> = (0..MOST).map(name).filter(|it| jar.get(it).is_none()).collect();
        if free.is_empty() {
            free = (0..MOST).map(name).collect();
        }
        // Any of them: two tabs may begin at once.
        let mut cookie = cookie(free.swap_remove(fastrand::usize(..free.len())));
        cookie.set_value(serde_json::to_string(state)?);
        Ok(jar.add(cookie))
    }

    /// The sign-ins that have begun in the browser of a request. What this app hasn't encrypted is no sign-in.
    /// Each has the name of its cookie.
    pub(crate) fn begun(&self, headers: &HeaderMap) -> Vec<(String, SignInState)> {
        let jar = self.jar(headers);
        let begun = (0..MOST).filter_map(|number| {
            let name = name(number);
            let state = serde_json::from_str(jar.get(&name)?.value()).ok()?;
            Some((name, state))
        });
        begun.collect()
    }

    /// The response deletes the cookie of a sign-in that has ended.
    pub(crate) fn end(&self, headers: &HeaderMap, name: String) -> PrivateCookieJar {
        self.jar(headers).remove(cookie(name))
    }

    fn jar(&self, headers: &HeaderMap) -> PrivateCookieJar {
        PrivateCookieJar::from_headers(headers, self.key.clone())
    }
}

fn name(number: usize) -> String {
    format!("sign_in_{number}")
}

/// Scripts don't see it, and other sites don't have it sent but by a link. An app that is reached over HTTPS
/// adds `Secure`.
fn cookie(name: String) -> Cookie<'static> {
    Cookie::build(name).path(BEGIN).http_only(true).same_site(SameSite::Lax).build()
}
