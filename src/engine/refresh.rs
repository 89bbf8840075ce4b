//! Requests to the token endpoint.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use msal_cache_core::{AsyncCacheStore, Error, Guards, Partition, RefreshGuard, Result, event};
use serde_json::Value;

use crate::engine::meter::Meter;
use crate::engine::metrics;
use crate::engine::runtime::Runtime;
use crate::engine::settle::Outage;
use crate::engine::state::Engine;
use crate::model::{
    AcquireError, AcquiredToken, AsyncTokenEndpoint, Entry, Event, Form, InteractionRequired,
    MendedBy, RefreshReason, ServerError, TokenRequest, TokenResponse, TransportError,
    TransportErrorKind, loggable,
};
use crate::plan::refresh::{check_own, event as event_of, fall_back};
use crate::plan::same_user::names_another_user;
use crate::plan::{
    Attempt, Facts, ReadSet, ResolvedRequest, Role, SilentPlan, candidates, records,
};

/// How many more refresh tokens are redeemed than the first plan has: those that other processes
/// store in the meantime.
const LATE_ATTEMPTS: usize = 4;

/// One acquisition from the server, by the caller that does it for all others. It owns all that it
/// needs, so that it can end without that caller.
pub(crate) struct Refresh<S, R, E> {
    pub(crate) engine: Arc<Engine<S, R>>,
    pub(crate) request: Arc<ResolvedRequest>,
    pub(crate) partition: Partition,
    pub(crate) endpoint: E,
    pub(crate) reason: RefreshReason,
    pub(crate) meter: Meter,
    /// Whether the cache may have changed in this process since the caller read it.
    pub(crate) is_read_stale: bool,
}

impl<S: AsyncCacheStore, R: Runtime, E: AsyncTokenEndpoint> Refresh<S, R, E> {
    /// Acquires a token, where `first` is the plan of what the caller has `read`.
    pub(crate) async fn run(
        &self,
        first: &SilentPlan,
        read: ReadSet,
    ) -> Result<AcquiredToken, AcquireError> {
        if self.request.is_for_client() && self.refresh_token_on_behalf(&read).is_none() {
            return self.request_own(first, read, self.is_read_stale).await;
        }
        let aging = first.still_good();
        match (self.meter.waiting(self.guard(aging.is_some())).await, aging) {
            (Ok(_guard), _) if self.request.is_for_client() => {
                self.request_own(first, read, true).await
            }
            (Ok(_guard), _) => self.redeem(first).await,
            // Another process refreshes it.
            (Err(Error::Locked { .. }), Some(aging)) => {
                Ok(AcquiredToken::aging(aging.clone(), self.reason))
            }
            (Err(error), Some(aging)) => {
                Ok(AcquiredToken::fallback(aging.clone(), self.reason, error.into()))
            }
            (Err(error), None) => Err(error.into()),
        }
    }

    /// Takes the guard of the user's refresh tokens: first within the process, so that the process
    /// takes part only once, then among the processes.
    async fn guard(&self, at_once: bool) -> Result<(RefreshGuard, RefreshGuard)> {
        let wait = if at_once { Duration::ZERO } else { self.request.guard_wait };
        let started = Instant::now();
        let left = || wait.saturating_sub(started.elapsed());
        let in_process = loop {
            let released = match self.engine.state.guards.try_enter(&self.partition) {
                Ok(guard) => break guard,
                Err(released) => released,
            };
            if left().is_zero() {
                metrics::guard(false, started.elapsed());
                return Err(Guards::locked(started.elapsed()));
            }
            self.engine.runtime.wait(released, Some(left())).await;
        };
        let among_processes = match self.engine.store.guard(&self.partition, left()).await {
            // Where nothing can be written, a refresh leaves nothing for the next one.
            Err(Error::ReadOnly { .. }) => RefreshGuard::none(),
            guard => {
                metrics::guard(guard.is_ok(), started.elapsed());
                guard?
            }
        };
        event!(
            debug,
            target: "msal_cache::client",
            of = self.partition.digest(),
            waited = started.elapsed().as_secs_f64(),
            "took the guard of a refresh"
        );
        Ok((among_processes, in_process))
    }

    /// Redeems refresh tokens until the server accepts one. Reads the cache again before each: not
    /// all writers take the guard.
    async fn redeem(&self, first: &SilentPlan) -> Result<AcquiredToken, AcquireError> {
        let mut tried: Vec<Entry> = Vec::new();
        let mut most = None;
        let mut maybe_family = true;
        let mut refusal = None;
        let mut fallback = first.fallback.clone();
        loop {
            let read = self.meter.in_store(self.engine.read_for(&self.request)).await?;
            let plan = self.engine.plan_from(&self.request, &read);
            if let Some(entry) = plan.cached.clone().or_else(|| self.renewed_since(first, &read)) {
                self.log_refreshed_elsewhere();
                return Ok(AcquiredToken::cached(entry));
            }
            let most = *most.get_or_insert(plan.attempts.len() + LATE_ATTEMPTS);
            fallback.clone_from(&plan.fallback);
            let next = plan.attempts.iter().find(|it| {
                (maybe_family || it.role() != Role::MaybeFamily)
                    && !tried.iter().any(|known| known.has_secret_of(it.entry()))
            });
            let Some(attempt) = next.filter(|_| tried.len() < most) else { break };
            tried.push(attempt.entry().clone());
            match self.redeem_one(attempt, plan.has_account, read).await {
                Ok(token) => return Ok(token),
                Err(AttemptError::Refused(error)) => {
                    self.log_refused(&error);
                    if attempt.role() == Role::MaybeFamily && error.is_client_mismatch() {
                        // It says nothing about the user.
                        maybe_family = false;
                        continue;
                    }
                    if error.is_bad_token() && attempt.is_expendable() {
                        self.meter.in_store(self.engine.evict(attempt.entry())).await?;
                    }
                    refusal = Some(error);
                }
                Err(AttemptError::Final(error)) => return fall_back(fallback, self.reason, error),
            }
        }
        let error = match refusal {
            Some(error) => AcquireError::refused(error, false),
            None => AcquireError::InteractionRequired(InteractionRequired::no_refresh_token()),
        };
        fall_back(fallback, self.reason, error)
    }

    /// The token that another process has acquired while this one waited, where the caller wants a
    /// newer one than those it has seen.
    fn renewed_since(&self, first: &SilentPlan, read: &ReadSet) -> Option<Entry> {
        if self.reason != RefreshReason::ForceRefresh {
            return None;
        }
        let plan = self.engine.plan_from(&self.request.unforced(), read);
        let seen = |it: &Entry| first.candidates.iter().any(|old| old.entry().has_secret_of(it));
        plan.cached.filter(|it| !seen(it))
    }

    /// Redeems one refresh token.
    async fn redeem_one(
        &self,
        attempt: &Attempt,
        had_account: bool,
        read: ReadSet,
    ) -> Result<AcquiredToken, AttemptError> {
        let used = attempt.entry();
        let home = used.known("home_account_id").unwrap_or_default();
        let secret = used.known("secret").unwrap_or_default();
        let form = self.request.refresh_form(secret).map_err(AcquireError::of_arguments)?;
        let response = self.send(&self.token_request(form).with_home_account_id(home)).await?;
        let stored = read.get(&self.partition).map_or(&[][..], |it| &it.entries);
        let (client_id, authority) = (&self.request.client_id, self.request.authority.authority());
        let error = match names_another_user(response.body(), home, stored, client_id, authority) {
            Ok(true) => {
                let reason = "it names another user than the one whose token was redeemed";
                return Err(AttemptError::response(Error::invalid("the response", reason)));
            }
            Ok(false) => match self.accept(used, &response, had_account, read).await? {
                Ok(token) => return Ok(token),
                Err(unusable) => unusable,
            },
            Err(error) => AttemptError::response(error),
        };
        // The redeemed token may be spent: the new one is kept, whatever is wrong with the rest.
        if let Some(Value::String(new)) = response.body().get("refresh_token") {
            self.meter.in_store(self.engine.rotate(used, new, self.outage())).await?;
        }
        Err(error)
    }

    /// Stores a response. The inner error says why none of it can be stored.
    async fn accept(
        &self,
        used: &Entry,
        response: &TokenResponse,
        had_account: bool,
        read: ReadSet,
    ) -> Result<Result<AcquiredToken, AttemptError>, AttemptError> {
        let authority = &self.request.authority;
        let environment = used.known("environment").unwrap_or(authority.environment());
        let mut event = match event_of(&self.request, "refresh_token", environment, response) {
            Ok(event) => event,
            Err(error) => return Ok(Err(AttemptError::response(error))),
        };
        event.home_account_id = used.known("home_account_id").map(str::to_owned);
        let facts = match self.facts(&event) {
            Ok(facts) if facts.access_token.is_none() => {
                return Ok(Err(response.error(malformed()).into()));
            }
            Ok(facts) => facts,
            Err(error) => return Ok(Err(AttemptError::response(error))),
        };
        let settle =
            self.engine.settle(used, &facts, read, &authority.hosts, had_account, self.outage());
        match self.meter.in_store(settle).await {
            Ok(Some(stored)) => Ok(Ok(self.issued(stored))),
            Ok(None) => {
                event!(
                    info,
                    target: "msal_cache::client",
                    of = self.partition.digest(),
                    client_id = self.request.client_id,
                    "dropped a token of a user who was signed out during the refresh"
                );
                // The refresh token may be another app's too, where the user is still signed in.
                let gone = InteractionRequired::signed_out();
                Ok(Err(AttemptError::Final(AcquireError::InteractionRequired(gone))))
            }
            Err(error) => Err(self.not_stored(&facts, error)),
        }
    }

    /// The refresh token for the same assertion, where the request is on behalf of a user.
    fn refresh_token_on_behalf<'a>(&self, read: &'a ReadSet) -> Option<Cow<'a, str>> {
        let stored = read.get(&self.partition).filter(|_| self.request.is_on_behalf_of())?;
        let token = candidates::with_refresh_token(&self.request, &stored.entries)?;
        token.text(records::INNER_REFRESH_TOKEN)
    }

    /// Requests a token for the app itself, or on behalf of a user.
    async fn request_own(
        &self,
        first: &SilentPlan,
        read: ReadSet,
        is_read_stale: bool,
    ) -> Result<AcquiredToken, AcquireError> {
        let read = if is_read_stale {
            let (read, _) = self.meter.in_store(self.engine.look_up_for(&self.request)).await?;
            let plan = self.engine.plan_from(&self.request, &read);
            if let Some(entry) = plan.cached.or_else(|| self.renewed_since(first, &read)) {
                self.log_refreshed_elsewhere();
                return Ok(AcquiredToken::cached(entry));
            }
            read
        } else {
            read
        };
        if let Some(token) = self.refresh_token_on_behalf(&read) {
            let form = self.request.refresh_form(&token).map_err(AcquireError::of_arguments)?;
            match self.request_own_once(form, Some(&token), read.clone()).await {
                Ok(token) => return Ok(token),
                // The assertion may still be good.
                Err(AttemptError::Refused(error)) => self.log_refused(&error),
                Err(AttemptError::Final(error)) => {
                    return fall_back(first.fallback.clone(), self.reason, error);
                }
            }
        }
        let form = self.request.client_form().map_err(AcquireError::of_arguments)?;
        let error = match self.request_own_once(form, None, read).await {
            Ok(token) => return Ok(token),
            Err(AttemptError::Refused(error)) => {
                self.log_refused(&error);
                AcquireError::refused(error, !self.request.is_on_behalf_of())
            }
            Err(AttemptError::Final(error)) => error,
        };
        fall_back(first.fallback.clone(), self.reason, error)
    }

    /// `used` is the refresh token in the form.
    async fn request_own_once(
        &self,
        form: Form,
        used: Option<&str>,
        read: ReadSet,
    ) -> Result<AcquiredToken, AttemptError> {
        let grant_type = form.get("grant_type").unwrap_or_default().to_owned();
        let response = self.send(&self.token_request(form)).await?;
        let environment = self.request.authority.environment();
        let mut event = event_of(&self.request, &grant_type, environment, &response)
            .map_err(AttemptError::response)?;
        if self.request.is_on_behalf_of() {
            event.keep_on_behalf(used);
        }
        let facts = self.facts(&event).map_err(AttemptError::response)?;
        check_own(&facts).map_err(AttemptError::response)?;
        if facts.access_token.is_none() {
            return Err(response.error(malformed()).into());
        }
        // The response to a challenge is newer evidence than one that was requested without it.
        let yields = !self.request.skips_cached();
        let mut outage = used.map(|_| self.outage());
        loop {
            let store = self.engine.store_response(&facts, read.clone(), yields);
            let error = match self.meter.in_store(store).await {
                Ok(records) => {
                    let token = records.into_iter().find(|it| it.access_token().is_some());
                    let missing = || response.error(malformed()).into();
                    return token.map(|it| self.issued(it)).ok_or_else(missing);
                }
                Err(error) => error,
            };
            match outage.as_mut().and_then(|it| it.pause(&error)) {
                Some(pause) => self.meter.in_store(self.engine.runtime.sleep(pause)).await,
                None => return Err(self.not_stored(&facts, error)),
            }
        }
    }

    /// While this caller holds the guard, others wait for as long as they are configured to.
    fn outage(&self) -> Outage {
        Outage::within(self.request.guard_wait)
    }

    fn facts<'e>(&self, event: &'e Event) -> Result<Facts<'e>> {
        Facts::of(event, self.engine.now(), self.engine.profile())
    }

    fn issued(&self, stored: Entry) -> AcquiredToken {
        event!(
            info,
            target: "msal_cache::client",
            of = self.partition.digest(),
            client_id = self.request.client_id,
            reason = ?self.reason,
            "acquired an access token"
        );
        AcquiredToken::issued(stored, self.reason)
    }

    fn not_stored(&self, facts: &Facts<'_>, error: Error) -> AttemptError {
        AttemptError::Final(match records::access_token(facts, self.engine.profile()) {
            Some(token) => AcquireError::NotStored {
                token: Box::new(AcquiredToken::issued(token, self.reason)),
                source: Arc::new(error),
            },
            None => error.into(),
        })
    }

    fn token_request(&self, form: Form) -> TokenRequest {
        TokenRequest::new(self.request.authority.token_endpoint(), &self.request.client_id, form)
    }

    /// Sends a request, and returns a response that is a success.
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, AttemptError> {
        let started = Instant::now();
        let response = match self.meter.in_http(self.endpoint.send(request)).await {
            Ok(response) if is_outage(&response) => Err(TransportError::unavailable(&response)),
            response => response,
        };
        let took = started.elapsed();
        let response = response.inspect_err(|error| {
            metrics::request("failed", took);
            event!(
                warn,
                target: "msal_cache::client",
                of = self.partition.digest(),
                client_id = self.request.client_id,
                kind = ?error.kind(),
                status = error.status(),
                "the token endpoint did not respond"
            );
        })?;
        match ServerError::of(&response) {
            Some(error) => {
                metrics::request("refused", took);
                Err(AttemptError::Refused(error))
            }
            None if (200..300).contains(&response.status()) => {
                metrics::request("granted", took);
                Ok(response)
            }
            None => {
                metrics::request("failed", took);
                Err(response.error(malformed()).into())
            }
        }
    }

    fn log_refused(&self, error: &ServerError) {
        event!(
            info,
            target: "msal_cache::client",
            of = self.partition.digest(),
            client_id = self.request.client_id,
            error = &*loggable(error.error()),
            suberror = error.suberror().map(loggable).as_deref(),
            code = error.error_codes().first(),
            correlation_id = error.correlation_id().map(loggable).as_deref(),
            "the token endpoint refused"
        );
    }

    fn log_refreshed_elsewhere(&self) {
        event!(
            debug,
            target: "msal_cache::client",
            of = self.partition.digest(),
            client_id = self.request.client_id,
            "another caller has refreshed the token"
        );
    }
}

/// Why an attempt gave no token.
enum AttemptError {
    /// The server refused; it may accept another refresh token.
    Refused(ServerError),
    /// No other attempt can succeed.
    Final(AcquireError),
}

impl AttemptError {
    /// The response can't be used.
    fn response(error: Error) -> Self {
        Self::Final(AcquireError::InvalidResponse(Arc::new(error)))
    }
}

impl From<Error> for AttemptError {
    fn from(error: Error) -> Self {
        Self::Final(error.into())
    }
}

impl From<AcquireError> for AttemptError {
    fn from(error: AcquireError) -> Self {
        Self::Final(error)
    }
}

impl From<TransportError> for AttemptError {
    fn from(error: TransportError) -> Self {
        Self::Final(error.into())
    }
}

/// Whether a response says that the server can't respond now, by its status or in words.
pub(crate) fn is_outage(response: &TokenResponse) -> bool {
    let error = || ServerError::of(response);
    response.is_outage() || error().is_some_and(|it| it.mended_by() == MendedBy::Time)
}

fn malformed() -> TransportError {
    TransportError::new(
        TransportErrorKind::Malformed,
        "it has neither an access_token nor an error",
    )
}
