//! Grants that a server accepts once: an authorization code, a device code, a refresh token of another
//! cache. What comes back is stored in one commit, or it is lost.

use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{AsyncCacheStore, Error, Result, event};
use serde_json::Value;

use crate::engine::in_flight::Leader;
use crate::engine::meter::Meter;
use crate::engine::refresh::is_outage;
use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{
    AcquireError, AcquiredToken, AsyncTokenEndpoint, AuthorityHosts, Clouds, Event, Fields,
    RefreshReason, ServerError, TokenOwner, TokenRequest, TokenResponse, TransportError,
    TransportErrorKind,
};
use crate::plan::refresh::granted;
use crate::plan::{Facts, records};

/// How long the keys of a provider are used.
const KEYS_LIFETIME: Duration = Duration::from_secs(86_400);
/// How long after a request for keys there is no other one, whatever the tokens say.
const KEYS_INTERVAL: Duration = Duration::from_secs(300);

/// A grant of a user who signs in.
pub(crate) trait Grant: Send + Sync {
    /// The request that redeems it.
    fn request(&self) -> &TokenRequest;

    /// The grant type and the scopes, where the response doesn't say which ones it grants.
    fn event(&self) -> Event;

    /// Whose tokens they are.
    fn authority(&self) -> &Arc<AuthorityHosts>;

    /// Checks the ID token of the response.
    fn check(&self, response: &TokenResponse, clouds: &Clouds, now: i64) -> Result<()>;

    /// Where the keys are that sign the ID token, where its signature is checked.
    fn keys(&self) -> Option<&str> {
        None
    }

    /// Checks the signature of the ID token. `false` where no key has its id.
    fn check_signature(&self, _: &TokenResponse, _keys: &Fields) -> Result<bool> {
        Ok(true)
    }
}

/// Why a grant led to no stored token.
#[derive(Debug)]
pub(crate) enum RedeemError {
    Refused(ServerError),
    Transport(TransportError),
    /// Nothing was stored.
    InvalidResponse(Error),
    NotStored {
        token: Box<AcquiredToken>,
        source: Arc<Error>,
    },
    /// The runtime is missing, or it has ended.
    #[cfg(feature = "http-async")]
    Runtime(Error),
}

/// A request with a grant, and what is stored of its response. It owns all that it needs, so that it can
/// end without the caller that has started it.
pub(crate) struct Redemption<S, R, E, G> {
    engine: Arc<Engine<S, R>>,
    endpoint: E,
    grant: G,
    /// Keeps `finish_refreshes` waiting.
    _in_flight: Leader,
}

impl<S, R, E, G> Redemption<S, R, E, G>
where
    S: AsyncCacheStore,
    R: Runtime,
    E: AsyncTokenEndpoint,
    G: Grant,
{
    pub(crate) fn new(engine: &Arc<Engine<S, R>>, endpoint: E, grant: G) -> Self {
        let in_flight = engine.state.in_flight.alone();
        Self { engine: engine.clone(), endpoint, grant, _in_flight: in_flight }
    }

    /// Sends the request, and stores the response.
    pub(crate) async fn run(self) -> Result<AcquiredToken, RedeemError> {
        let meter = Meter::new(Duration::ZERO);
        // First, since a code can be redeemed once.
        let keys = match self.grant.keys() {
            Some(address) => Some(meter.in_http(self.keys(address, KEYS_LIFETIME)).await?),
            None => None,
        };
        let sent = meter.in_http(self.endpoint.send(self.grant.request())).await;
        let response = usable(sent)?;
        if let Some(keys) = keys {
            self.check_signature(&response, &keys, &meter).await?;
        }
        let event = self.event(&response).map_err(RedeemError::InvalidResponse)?;
        let token = self.store(&event, &meter).await?;
        let cost = meter.cost();
        event!(
            info,
            target: "msal_cache::client",
            client_id = self.grant.request().client_id(),
            "a user signed in"
        );
        Ok(token.at_cost(cost))
    }

    async fn keys(&self, address: &str, longest: Duration) -> Result<Fields, TransportError> {
        self.endpoint.document(address, longest).await
    }

    async fn check_signature(
        &self,
        response: &TokenResponse,
        keys: &Fields,
        meter: &Meter,
    ) -> Result<(), RedeemError> {
        let check = |keys: &Fields| {
            self.grant.check_signature(response, keys).map_err(RedeemError::InvalidResponse)
        };
        if check(keys)? {
            return Ok(());
        }
        // The provider may have replaced its keys.
        let address = self.grant.keys().unwrap_or_default();
        let reason = match meter.in_http(self.keys(address, KEYS_INTERVAL)).await {
            Ok(keys) if check(&keys)? => return Ok(()),
            Ok(_) => "the provider publishes no key for it".into(),
            // Not the error of a request that can be sent again: the grant is used up.
            Err(error) => format!("the provider has published no key for it, and {error}"),
        };
        Err(RedeemError::InvalidResponse(Error::invalid("response.id_token.kid", reason)))
    }

    fn event(&self, response: &TokenResponse) -> Result<Event> {
        let body = response.body();
        if body.get("access_token").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Error::invalid("response.access_token", "it is missing"));
        }
        self.grant.check(response, self.engine.clouds(), self.engine.now())?;
        let event = self.grant.event();
        let event = event.authority(self.grant.authority().authority()).response(body.clone());
        Ok(match granted(body)? {
            Some(granted) => event.scope([granted]),
            None => event,
        })
    }

    async fn store(&self, event: &Event, meter: &Meter) -> Result<AcquiredToken, RedeemError> {
        let (engine, profile) = (&self.engine, self.engine.profile());
        let facts =
            Facts::of(event, engine.now(), profile).map_err(RedeemError::InvalidResponse)?;
        let token = records::access_token(&facts, profile);
        let issued = |entry| AcquiredToken::issued(entry, RefreshReason::Absent);
        match (meter.in_store(engine.add(event)).await, token) {
            (Ok(added), token) => {
                let missing = || Error::invalid("response.access_token", "it is missing");
                let entry = added.access_token().cloned().or(token);
                let entry = entry.ok_or_else(missing).map_err(RedeemError::InvalidResponse)?;
                let authority = self.grant.authority().clone();
                let owner = TokenOwner { accounts: added.accounts.into(), authority };
                Ok(issued(entry).owned_by(Some(owner)))
            }
            (Err(error), Some(token)) => {
                let token = Box::new(issued(token).at_cost(meter.cost()));
                Err(RedeemError::NotStored { token, source: Arc::new(error) })
            }
            (Err(error), None) => Err(RedeemError::InvalidResponse(error)),
        }
    }
}

/// A response that is a success.
pub(crate) fn usable(
    sent: Result<TokenResponse, TransportError>,
) -> Result<TokenResponse, RedeemError> {
    let response = sent?;
    if is_outage(&response) {
        return Err(TransportError::unavailable(&response).into());
    }
    if let Some(error) = ServerError::of(&response) {
        return Err(RedeemError::Refused(error));
    }
    if !(200..300).contains(&response.status()) {
        let reason = "it is neither a success nor an OAuth error";
        let error = TransportError::new(TransportErrorKind::Malformed, reason);
        return Err(response.error(error).into());
    }
    Ok(response)
}

impl From<TransportError> for RedeemError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<RedeemError> for AcquireError {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Refused(error) => Self::refused(error, false),
            RedeemError::Transport(error) => error.into(),
            RedeemError::InvalidResponse(error) => Self::InvalidResponse(Arc::new(error)),
            RedeemError::NotStored { token, source } => Self::NotStored { token, source },
            #[cfg(feature = "http-async")]
            RedeemError::Runtime(error) => error.into(),
        }
    }
}
