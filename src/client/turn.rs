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
    Client, Entry, Event, Fields, RefreshReason, TokenEndpoint, TokenRequest, TokenResponse, jwt,
    trace,
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
            // What can't be written has one reader's worth of use: nobody else stores there.
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
            match self.trade_one(attempt, partition)? {
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

    /// Trades one refresh token. The outer error is the cache's.
    fn trade_one(
        &self,
        attempt: &Attempt,
        partition: &Partition,
    ) -> Result<Result<AcquiredToken, Setback>> {
        let used = attempt.entry();
        let secret = used.known("secret").unwrap_or_default();
        let home = used.known("home_account_id").unwrap_or_default();
        let asked = self.asked;
        let request = TokenRequest::new(
            &asked.authority.token_endpoint,
            &asked.client_id,
            asked.refresh_form(secret)?,
        );
        let response = match self.send(&request.with_home_account_id(home), partition) {
            Ok(response) => response,
            Err(setback) => return Ok(Err(setback)),
        };
        let environment = used.known("environment").unwrap_or(&asked.authority.environment);
        let mut event = self.event("refresh_token", &response).environment(environment);
        event.skip_account_creation = true;
        event.home_account_id = Some(home.to_owned());
        let answer = |error| Ok(Err(Setback::Final(AcquireError::Answer(Arc::new(error)))));
        match names_another_user(response.body(), home) {
            Ok(false) => {}
            Ok(true) => {
                let reason = "it names another user than the one whose token was traded";
                return answer(Error::invalid("response.client_info", reason));
            }
            Err(error) => return answer(error),
        }
        let cache = &self.client.cache;
        let first = cache.records(&event, &Environments::default(), cache.now());
        let records = match first {
            Ok(records) => records,
            Err(error) => {
                // The old refresh token may be spent: the new one is worth keeping all the same.
                if let Some(Value::String(new)) = response.body().get("refresh_token") {
                    cache.rotate(used, new)?;
                }
                return answer(error);
            }
        };
        let Some(token) = settle::access_token(&records) else {
            return Ok(Err(Setback::Final(malformed().into())));
        };
        Ok(match cache.settle(used, &event, &records, &asked.hosts) {
            Ok(Some(stored)) => {
                trace::refreshed(partition, &asked.client_id, self.reason);
                Ok(AcquiredToken::issued(stored, self.reason))
            }
            Ok(None) => {
                trace::signed_out_meanwhile(partition, &asked.client_id);
                let gone = InteractionRequired::signed_out();
                Err(Setback::Final(AcquireError::InteractionRequired(gone)))
            }
            Err(error) => Err(Setback::Final(AcquireError::NotStored {
                token: Box::new(AcquiredToken::issued(token, self.reason)),
                source: Arc::new(error),
            })),
        })
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
        let asked = self.asked;
        let form = asked.client_form()?;
        let request = TokenRequest::new(&asked.authority.token_endpoint, &asked.client_id, form);
        let fallback = || plan.fallback.clone();
        let response = match self.send(&request, partition) {
            Ok(response) => response,
            Err(Setback::Refused(error)) => {
                trace::refused(partition, &asked.client_id, &error);
                return fall_back(fallback(), self.reason, AcquireError::Refused(error));
            }
            Err(Setback::Final(error)) => return fall_back(fallback(), self.reason, error),
        };
        let event = self
            .event("client_credentials", &response)
            .environment(&asked.authority.environment)
            .skip_account_creation(true);
        let cache = &self.client.cache;
        let first = cache.records(&event, &Environments::default(), cache.now());
        let records = match first.and_then(|it| settle::check_own(&it).map(|()| it)) {
            Ok(records) => records,
            Err(error) => {
                let error = AcquireError::Answer(Arc::new(error));
                return fall_back(fallback(), self.reason, error);
            }
        };
        let Some(token) = settle::access_token(&records) else {
            return fall_back(fallback(), self.reason, malformed().into());
        };
        match cache.settle_own(&event, &records) {
            Ok(stored) => {
                trace::refreshed(partition, &asked.client_id, self.reason);
                Ok(AcquiredToken::issued(stored.unwrap_or(token), self.reason))
            }
            Err(error) => {
                let token = Box::new(AcquiredToken::issued(token, self.reason));
                Err(AcquireError::NotStored { token, source: Arc::new(error) })
            }
        }
    }

    /// Sends a request. What comes back is a success.
    fn send(&self, request: &TokenRequest, of: &Partition) -> Result<TokenResponse, Setback> {
        let response = self.endpoint.send(request).map_err(|error| {
            trace::no_answer(of, &self.client.id, &error);
            Setback::Final(error.into())
        })?;
        if response.is_outage() {
            let error = TransportError::unavailable(&response);
            trace::no_answer(of, &self.client.id, &error);
            return Err(Setback::Final(error.into()));
        }
        match ServerError::of(&response) {
            Some(error) => Err(Setback::Refused(error)),
            None if (200..300).contains(&response.status()) => Ok(response),
            None => Err(Setback::Final(malformed().with_status(response.status()).into())),
        }
    }

    fn event(&self, grant_type: &str, response: &TokenResponse) -> Event {
        let body = response.body();
        let event = Event::new(&self.asked.client_id)
            .token_endpoint(&self.asked.authority.token_endpoint)
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
