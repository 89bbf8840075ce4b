//! Requests that end without their caller: what the server accepts once must be stored.

use msal_cache_core::{AsyncCacheStore, Error};
use tokio::runtime::Handle;

use super::error::SignInError;
use crate::aio::joined;
use crate::engine::{Grant, RedeemError, Redemption, Tokio};
use crate::model::{AcquiredToken, AsyncTokenEndpoint};

/// Fails outside of a tokio runtime, before the user is asked for anything.
pub(super) fn check() -> Result<(), SignInError> {
    Handle::try_current().map(drop).map_err(|_| SignInError::Runtime(Error::no_runtime()))
}

/// Redeems a grant as a task of its own.
pub(super) async fn redeem<S, E, G>(
    redemption: Redemption<S, Tokio, E, G>,
) -> Result<AcquiredToken, RedeemError>
where
    S: AsyncCacheStore + 'static,
    E: AsyncTokenEndpoint + 'static,
    G: Grant + 'static,
{
    let runtime = Handle::try_current().map_err(|_| RedeemError::Runtime(Error::no_runtime()))?;
    joined(runtime.spawn(redemption.run())).await.map_err(RedeemError::Runtime)?
}
