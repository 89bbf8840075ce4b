//! The configured way to sign in.

use std::pin::Pin;
use std::sync::Arc;

use msal_cache_core::AsyncCacheStore;

use crate::AsyncClient;
use crate::http::{AsyncHttpEndpoint, DeviceFlow};
use crate::model::{AcquiredToken, AsyncTokenEndpoint};
use crate::sign_in::{Prompt, SignIn, SignInError};

/// What a sign-in is for.
pub(super) struct Wish {
    pub(super) scopes: Vec<String>,
    pub(super) login_hint: Option<String>,
    pub(super) claims: Option<String>,
    /// Whether the user has to choose one of several accounts.
    pub(super) is_ambiguous: bool,
}

pub(super) type Running<'a> =
    Pin<Box<dyn Future<Output = Result<AcquiredToken, SignInError>> + Send + 'a>>;

/// Signs a user in.
pub(super) type Interaction<S, E> =
    Arc<dyn for<'a> Fn(&'a AsyncClient<S>, &'a E, Wish) -> Running<'a> + Send + Sync>;

pub(super) fn browser<S, E>(
    configure: impl Fn(SignIn<&AsyncClient<S>>) -> SignIn<&AsyncClient<S>> + Send + Sync + 'static,
) -> Interaction<S, E>
where
    S: AsyncCacheStore + 'static,
    E: AsyncTokenEndpoint + Clone + 'static,
{
    Arc::new(move |client, endpoint, wish| {
        let mut sign_in = client.sign_in(&wish.scopes);
        if wish.is_ambiguous {
            sign_in = sign_in.prompt(Prompt::SelectAccount);
        }
        if let Some(name) = wish.login_hint {
            sign_in = sign_in.login_hint(name);
        }
        // After the options of the app, which may set claims of its own.
        sign_in = configure(sign_in);
        if let Some(claims) = wish.claims {
            sign_in = sign_in.claims_challenge(claims);
        }
        Box::pin(sign_in.run(endpoint))
    })
}

pub(super) fn device_code<S>(
    show: impl Fn(&DeviceFlow) + Send + Sync + 'static,
) -> Interaction<S, AsyncHttpEndpoint>
where
    S: AsyncCacheStore + 'static,
{
    let show = Arc::new(show);
    Arc::new(move |client, endpoint, wish| {
        let mut sign_in = client.device_code(&wish.scopes);
        if let Some(claims) = wish.claims {
            sign_in = sign_in.claims_challenge(claims);
        }
        let show = show.clone();
        Box::pin(sign_in.run(endpoint, move |flow| show(flow)))
    })
}
