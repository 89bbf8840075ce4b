//! The two halves of a sign-in to a web app: the browser is sent away, and it comes back.

use std::fmt;
use std::time::Duration;

use http::Uri;
use msal_cache_core::Error;

use super::answer::Answer;
use super::code::CodeGrant;
use super::error::SignInError;
use super::options::{Options, ResponseMode};
use super::state::SignInState;
use crate::model::ClientConfig;

/// How long the user has, unless set.
const LIFETIME: Duration = Duration::from_secs(600);

/// The beginning of a sign-in to a web app. `Debug` prints no secret.
#[derive(Clone)]
#[non_exhaustive]
pub struct BegunSignIn {
    /// Where to send the browser.
    pub address: String,
    /// What to keep until the browser comes back.
    pub state: SignInState,
}

impl fmt::Debug for BegunSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.address.split('?').next().unwrap_or_default();
        f.debug_struct("BegunSignIn")
            .field("address", &endpoint)
            .field("state", &self.state)
            .finish()
    }
}

pub(super) fn begin(
    config: &ClientConfig,
    options: &Options,
    redirect_uri: String,
    now: i64,
) -> Result<BegunSignIn, SignInError> {
    let uri: Option<Uri> = redirect_uri.parse().ok();
    // RFC 6749, section 3.1.2.
    if uri.is_none_or(|it| it.scheme().is_none()) || redirect_uri.contains('#') {
        let reason = "it is not an absolute address without a fragment";
        return Err(Error::invalid("redirect_uri", reason).into());
    }
    let lifetime = options.timeout.unwrap_or(LIFETIME);
    let state = SignInState::new(config, options, redirect_uri, now, lifetime)?;
    // With a POST from another site, the browser sends no cookie that is `SameSite`.
    let mode = options.response_mode.unwrap_or(ResponseMode::Query);
    let address = state.address(&*config.authority()?, options, mode)?;
    Ok(BegunSignIn { address, state })
}

/// The code in the answer that the browser has brought.
pub(super) fn code(
    config: &ClientConfig,
    state: SignInState,
    answer: &str,
    now: i64,
) -> Result<CodeGrant, SignInError> {
    let authority = state.authority(config, now)?;
    let issuer = state.issuer.as_deref();
    let answer = Answer::parse(answer.strip_prefix('?').unwrap_or(answer), &state.state, issuer);
    let code = match answer {
        Answer::Code(code) => code,
        Answer::Error(error) | Answer::Stateless(error) => return Err(SignInError::of(error)),
        Answer::Foreign => return Err(SignInError::ForeignAnswer),
    };
    Ok(CodeGrant::new(state, authority, &code)?)
}
