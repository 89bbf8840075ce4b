//! Asking the server, one request at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use msal_cache_core::{CacheStore, Error, Hold, Partition, Result};
use serde_json::Value;

use crate::client::asked::Asked;
use crate::client::plan::{Attempt, Fallback, Role, SilentPlan};
use crate::client::{
    AcquireError, AcquiredToken, InteractionRequired, ServerError, TransportError,
    TransportErrorKind, settle,
};
use crate::family::Environments;
use crate::{
    Client, Entry, Event, Fields, Form, RefreshReason, TokenEndpoint, TokenRequest, TokenResponse,
    jwt, trace,
};

/// How many more refresh tokens are traded than the first plan had: those that others have put
/// into the cache meanwhile.
const LATE_COMERS: usize = 4;

/// One request for a token, by the thread that makes it for all others.
pub(crate) struct Turn<'a, S> {
    pub(crate) client: &'a Client<S>,
    pub(crate) asked: &'a Asked,
    pub(crate) endpoint: &'a dyn TokenEndpoint,
    pub(crate) reason: RefreshReason,
}

impl<S: CacheStore> Turn<'_, S> {
    pub(crate) fn take(
        &self,
        plan: &SilentPlan,
        partition: &Partition,
    ) -> Result<AcquiredToken, AcquireError> {
        if self.asked.request.home_account_id.is_none() {
            return self.ask_for_client(plan, partition);
        }
        let aging = plan.still_good();
        match (self.guard(partition, aging.is_some()), aging) {
            (Ok(_held), _) => self.trade(plan, partition),
            // Somebody else is refreshing it.
            (Err(Error::Locked { .. }), Some(aging)) => {
                Ok(AcquiredToken::aging(aging.clone(), self.reason))
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Takes the guard of the user's refresh tokens: first among the threads, so that the process
    /// is one contender, then among the processes.
    fn guard(&self, partition: &Partition, at_once: bool) -> Result<(Hold<'_>, Hold<'_>)> {
        let wait = if at_once { Duration::ZERO } else { self.client.guard_wait };
        let started = Instant::now();
        let threads = self.client.cache.guards().enter(partition, wait)?;
        let left = wait.saturating_sub(started.elapsed());
        let processes = match self.client.cache.store().guard(partition, left) {
            // Where nothing can be written, no turn would leave anything to the next.
            Err(Error::ReadOnly { .. }) => Hold::nobody(),
            held => held?,
        };
        trace::waited_for_guard(partition, started.elapsed());
        Ok((threads, processes))
    }

    /// Trades refresh tokens until one is taken. The cache is looked at again before each: others
    /// don't wait for the guard, or have no such thing.
    fn trade(
        &self,
        first: &SilentPlan,
        partition: &Partition,
    ) -> Result<AcquiredToken, AcquireError> {
        let mut tried: Vec<Entry> = Vec::new();
        let mut maybe_family = true;
        let mut refusal = None;
        let mut fallback = first.fallback.clone();
        for _ in 0..first.attempts.len() + LATE_COMERS {
            let plan = self.client.look(self.asked)?;
            if let Some(entry) = plan.cached.clone().or(self.renewed_since(first)?) {
                trace::refreshed_elsewhere(partition, &self.client.id);
                return Ok(AcquiredToken::cached(entry));
            }
            fallback.clone_from(&plan.fallback);
            let next = plan.attempts.iter().find(|it| {
                (maybe_family || it.role() != Role::MaybeFamily)
                    && !tried.iter().any(|known| known.same_secret(it.entry()))
            });
            let Some(attempt) = next else { break };
            tried.push(attempt.entry().clone());
            match self.trade_one(attempt, partition) {
                Ok(token) => return Ok(token),
                Err(Setback::Refused(error)) => {
                    trace::refused(partition, &self.client.id, &error);
                    let mismatch = error.is_client_mismatch();
                    if attempt.role() == Role::MaybeFamily && mismatch {
                        // It says nothing about the user.
                        maybe_family = false;
                        continue;
                    }
                    if error.is_bad_token() && attempt.is_expendable() {
                        self.client.cache.evict(attempt.entry())?;
                    }
                    refusal = Some(error);
                }
                Err(Setback::Final(error)) => return fall_back(fallback, self.reason, error),
            }
        }
        let required = match refusal {
            Some(error) => InteractionRequired::refused(error),
            None => InteractionRequired::no_refresh_token(),
        };
        fall_back(fallback, self.reason, AcquireError::InteractionRequired(required))
    }

    /// The token that another process has got while this one waited, where the caller wants one
    /// that is newer than those it has seen.
    fn renewed_since(&self, first: &SilentPlan) -> Result<Option<Entry>> {
        if self.reason != RefreshReason::ForceRefresh {
            return Ok(None);
        }
        let plan = self.client.look(&self.asked.unforced())?;
        let known = |it: &Entry| first.candidates.iter().any(|old| old.entry().same_secret(it));
        Ok(plan.cached.filter(|it| !known(it)))
    }

    /// Trades one refresh token.
    fn trade_one(
        &self,
        attempt: &Attempt,
        partition: &Partition,
    ) -> Result<AcquiredToken, Setback> {
        let (asked, cache) = (self.asked, &self.client.cache);
        let used = attempt.entry();
        let home = used.known("home_account_id").unwrap_or_default();
        let form = asked.refresh_form(used.known("secret").unwrap_or_default())?;
        let request = self.request(form).with_home_account_id(home);
        let response = self.send(&request, partition)?;
        if names_another_user(response.body(), home).map_err(Setback::answer)? {
            let reason = "it names another user than the one whose token was traded";
            return Err(Setback::answer(Error::invalid("response.client_info", reason)));
        }
        let environment = used.known("environment").unwrap_or(&asked.site.authority.environment);
        let mut event = self.event("refresh_token", &response).environment(environment);
        event.skip_account_creation = true;
        event.home_account_id = Some(home.to_owned());
        let records = match cache.records(&event, &Environments::default(), cache.now()) {
            Ok(records) => records,
            Err(error) => {
                // The old refresh token may be spent: the new one is worth keeping all the same.
                if let Some(Value::String(new)) = response.body().get("refresh_token") {
                    cache.rotate(used, new)?;
                }
                return Err(Setback::answer(error));
            }
        };
        let token = settle::access_token(&records).ok_or_else(malformed)?;
        match cache.settle(used, &event, &records, &asked.site.hosts) {
            Ok(Some(stored)) => Ok(self.issued(stored, partition)),
            Ok(None) => {
                trace::signed_out_meanwhile(partition, &asked.client_id);
                let gone = InteractionRequired::signed_out();
                Err(Setback::Final(AcquireError::InteractionRequired(gone)))
            }
            Err(error) => Err(self.not_stored(token, error)),
        }
    }

    fn ask_for_client(
        &self,
        plan: &SilentPlan,
        partition: &Partition,
    ) -> Result<AcquiredToken, AcquireError> {
        // The one before may have been done between looking and boarding.
        let again = self.client.look(self.asked)?;
        if let Some(entry) = again.cached {
            return Ok(AcquiredToken::cached(entry));
        }
        let error = match self.ask_once_for_client(partition) {
            Ok(token) => return Ok(token),
            Err(Setback::Refused(error)) => {
                trace::refused(partition, &self.client.id, &error);
                AcquireError::Refused(error)
            }
            Err(Setback::Final(error)) => error,
        };
        fall_back(plan.fallback.clone(), self.reason, error)
    }

    fn ask_once_for_client(&self, partition: &Partition) -> Result<AcquiredToken, Setback> {
        let (asked, cache) = (self.asked, &self.client.cache);
        let response = self.send(&self.request(asked.client_form()?), partition)?;
        let event = self
            .event("client_credentials", &response)
            .environment(&asked.site.authority.environment)
            .skip_account_creation(true);
        let records = cache
            .records(&event, &Environments::default(), cache.now())
            .and_then(|records| settle::check_own(&records).map(|()| records))
            .map_err(Setback::answer)?;
        let token = settle::access_token(&records).ok_or_else(malformed)?;
        match cache.settle_own(&event, &records) {
            Ok(stored) => Ok(self.issued(stored.unwrap_or(token), partition)),
            Err(error) => Err(self.not_stored(token, error)),
        }
    }

    fn issued(&self, stored: Entry, partition: &Partition) -> AcquiredToken {
        trace::refreshed(partition, &self.client.id, self.reason);
        AcquiredToken::issued(stored, self.reason)
    }

    fn not_stored(&self, token: Entry, error: Error) -> Setback {
        Setback::Final(AcquireError::NotStored {
            token: Box::new(AcquiredToken::issued(token, self.reason)),
            source: Arc::new(error),
        })
    }

    fn request(&self, form: Form) -> TokenRequest {
        TokenRequest::new(&self.asked.site.authority.token_endpoint, &self.asked.client_id, form)
    }

    /// Sends a request. What comes back is a success.
    fn send(&self, request: &TokenRequest, of: &Partition) -> Result<TokenResponse, Setback> {
        let answer = match self.endpoint.send(request) {
            Ok(response) if response.is_outage() => Err(TransportError::unavailable(&response)),
            answer => answer,
        };
        let response = answer.inspect_err(|error| trace::no_answer(of, &self.client.id, error))?;
        match ServerError::of(&response) {
            Some(error) => Err(Setback::Refused(error)),
            None if (200..300).contains(&response.status()) => Ok(response),
            None => Err(malformed().with_status(response.status()).into()),
        }
    }

    fn event(&self, grant_type: &str, response: &TokenResponse) -> Event {
        let body = response.body();
        let event = Event::new(&self.asked.client_id)
            .token_endpoint(&self.asked.site.authority.token_endpoint)
            .grant_type(grant_type)
            .data(self.asked.request.data.clone())
            .response(body.clone());
        match body.get("scope").and_then(Value::as_str) {
            Some(granted) => event.scope([granted]),
            // What was asked for was granted (RFC 6749, section 5.1).
            None => event.scope(self.asked.scopes()),
        }
    }
}

/// Why one attempt gave no token.
enum Setback {
    /// The server refused; another refresh token may do.
    Refused(ServerError),
    /// There is no use in going on.
    Final(AcquireError),
}

impl Setback {
    /// The answer can't be used.
    fn answer(error: Error) -> Self {
        Self::Final(AcquireError::Answer(Arc::new(error)))
    }
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::Final(error.into())
    }
}

impl From<TransportError> for Setback {
    fn from(error: TransportError) -> Self {
        Self::Final(error.into())
    }
}

/// The token of the cache where it may stand in for the one that could not be acquired.
fn fall_back(
    fallback: Option<Fallback>,
    reason: RefreshReason,
    error: AcquireError,
) -> Result<AcquiredToken, AcquireError> {
    let is_outage = matches!(error, AcquireError::Transport(_));
    let allows = match &error {
        AcquireError::InteractionRequired(required) => !required.was_signed_out(),
        AcquireError::Transport(_) | AcquireError::Refused(_) | AcquireError::Answer(_) => true,
        AcquireError::Cache(_) | AcquireError::NotStored { .. } => false,
    };
    match fallback.filter(|it| allows && (is_outage || !it.outage_only)) {
        Some(it) => Ok(AcquiredToken::fallback(it.entry, reason, error)),
        None => Err(error),
    }
}

fn malformed() -> TransportError {
    TransportError::new(
        TransportErrorKind::Malformed,
        "it has neither an access_token nor an error",
    )
}

/// Whether an answer is about somebody else than the user of this id.
fn names_another_user(response: &Fields, home_account_id: &str) -> Result<bool> {
    let Some(encoded) = response.get("client_info").and_then(Value::as_str) else {
        return Ok(false);
    };
    let info = jwt::object("response.client_info", encoded)?;
    let part = |name| info.get(name).and_then(Value::as_str);
    Ok(match (part("uid"), part("utid")) {
        (Some(user), Some(tenant)) => {
            !format!("{user}.{tenant}").eq_ignore_ascii_case(home_account_id)
        }
        _ => false,
    })
}
