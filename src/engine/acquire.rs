use std::sync::Arc;
use std::time::{Duration, Instant};

use msal_cache_core::{AsyncCacheStore, Guards, Partition, Result, event};
use smallvec::{SmallVec, smallvec};

use crate::engine::in_flight::{Followed, InFlightRequest, Joined, Leader};
use crate::engine::meter::Meter;
use crate::engine::metrics;
use crate::engine::refresh::Refresh;
use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{
    AcquireError, AcquireResult, AcquiredToken, AnsweredBy, AsyncTokenEndpoint, ClientConfig, Cost,
    Decoded, Entry, Profile, RefreshReason, SilentRequest, TokenSource, micros,
};
use crate::plan::{ReadSet, ResolvedRequest, SilentPlan, candidates};

/// An acquisition from the server. It owns all that it needs, so that it can end without the caller
/// that has started it: once a refresh token has been sent, the response must be stored, since the
/// server may have replaced the token.
pub(crate) struct Acquisition<S, R, E> {
    refresh: Refresh<S, R, E>,
    plan: SilentPlan,
    read: ReadSet,
    /// The level of the first read.
    level: AnsweredBy,
    leader: Leader,
}

impl<S: AsyncCacheStore, R: Runtime, E: AsyncTokenEndpoint> Acquisition<S, R, E> {
    /// The endpoint that sends the requests.
    pub(crate) fn endpoint(&self) -> &E {
        &self.refresh.endpoint
    }

    /// The store.
    pub(crate) fn store(&self) -> &S {
        &self.refresh.engine.store
    }

    /// The same with other handles of the store and the endpoint.
    pub(crate) fn with<T, F>(self, store: T, endpoint: F) -> Acquisition<T, R, F> {
        let Self { refresh, plan, read, level, leader } = self;
        let Refresh { engine, request, partition, reason, meter, is_read_stale, .. } = refresh;
        let engine =
            Arc::new(Engine { store, runtime: engine.runtime, state: engine.state.clone() });
        let refresh =
            Refresh { engine, request, partition, endpoint, reason, meter, is_read_stale };
        Acquisition { refresh, plan, read, level, leader }
    }

    /// Acquires the token, for all callers that wait for it.
    pub(crate) async fn run(self) -> AcquireResult {
        let refresh = &self.refresh;
        let before = refresh.request.owner(self.read.get(&refresh.partition));
        let result = refresh.run(&self.plan, self.read).await;
        let cost = refresh.meter.cost();
        let owner = || {
            let now = refresh.engine.state.decoded.partition(&refresh.partition);
            refresh.request.owner(now.as_deref()).or(before)
        };
        if self.plan.still_good().is_some()
            && let Ok(token) = &result
        {
            let (state, identity) = (&refresh.engine.state, self.leader.identity());
            match token.refresh_error() {
                Some(error) => state.back_off.failed(identity, refresh.engine.now(), error),
                None => state.back_off.succeeded(identity),
            }
        }
        let result = match result {
            Ok(token) => Ok(from_first_read(token, self.level).at_cost(cost).owned_by(owner())),
            Err(AcquireError::NotStored { token, source }) => {
                let token = Box::new(token.at_cost(cost).owned_by(owner()));
                Err(AcquireError::NotStored { token, source })
            }
            error => error,
        };
        self.leader.done(result.clone());
        result
    }
}

/// What a first read leads to.
enum Decided {
    Cached(Entry),
    Refresh(SilentPlan),
}

/// Decides from what is stored, and from what a library has stored without a realm.
fn decide(
    request: &ResolvedRequest,
    stored: &[Entry],
    without_realm: Option<&Decoded>,
    now: i64,
) -> Decided {
    let all;
    let stored = match without_realm {
        Some(more) if !more.entries.is_empty() => {
            all = [stored, &more.entries].concat();
            &all
        }
        _ => stored,
    };
    match candidates::cached(request, stored, now) {
        Some(entry) => Decided::Cached(entry),
        None => Decided::Refresh(SilentPlan::of(request, stored, now)),
    }
}

/// A request for which no cached token can be returned, and what was read for it.
struct Miss {
    request: ResolvedRequest,
    partition: Partition,
    plan: SilentPlan,
    read: ReadSet,
    level: AnsweredBy,
    took: Duration,
    /// How many requests had ended before the read.
    ended: u64,
}

/// How a request has ended for a caller that has not sent it.
enum Ended {
    Done(AcquireResult),
    /// Without a result for this caller.
    Abandoned,
    /// Not yet.
    Late,
}

/// Sets the level of a token that the refresh has not replaced.
fn from_first_read(token: AcquiredToken, level: AnsweredBy) -> AcquiredToken {
    let is_old = token.source() == TokenSource::Cache && token.refresh_reason().is_some();
    if is_old { token.answered_by(level) } else { token }
}

impl<S: AsyncCacheStore, R: Runtime> Engine<S, R> {
    /// Acquires a token from the cache, or from the server. `endpoint_id` identifies the endpoint.
    /// `finish` runs an acquisition to its end, even if the caller is dropped. `start` does so without
    /// waiting for the end; it gives an acquisition back that needs the caller.
    ///
    /// A token that is still valid is not held back by a refresh that takes long: the caller gets it
    /// after a short wait, and the refresh goes on. After a failed one, there is a pause.
    pub(crate) async fn acquire<E, F>(
        self: &Arc<Self>,
        client: &ClientConfig,
        request: &SilentRequest,
        (endpoint, endpoint_id): (E, usize),
        finish: impl FnOnce(Acquisition<S, R, E>) -> F,
        start: impl FnOnce(Acquisition<S, R, E>) -> Option<Acquisition<S, R, E>>,
    ) -> AcquireResult
    where
        E: AsyncTokenEndpoint,
        F: Future<Output = AcquireResult>,
    {
        let request = ResolvedRequest::new(client, request, self.profile())
            .map_err(|error| metrics::failed(AcquireError::of_arguments(error)))?;
        let ended = self.state.in_flight.ended();
        let partition = request.partition();
        let (read, level, took) =
            self.first_read(&request, &partition).await.map_err(metrics::failed)?;
        let nothing = Decoded::default();
        let found = read.get(&partition).unwrap_or(&nothing);
        let stored = &found.entries;
        let without_realm = match request.partition_without_realm() {
            // In an outage, it isn't known if it is empty.
            Some(_) if level == AnsweredBy::LastKnown => None,
            Some(partition) => Some(self.look_up(&partition).await.map_err(metrics::failed)?),
            None => None,
        };
        let decided = decide(&request, stored, without_realm.as_deref(), self.now());
        drop(without_realm);
        let plan = match decided {
            Decided::Refresh(plan) => plan,
            Decided::Cached(entry) => {
                event!(
                    debug,
                    target: "msal_cache::client",
                    of = partition.digest(),
                    client_id = request.client_id,
                    "returned a cached access token"
                );
                let cost = Cost { in_store: micros(took), ..Cost::default() };
                metrics::lookup(true);
                let token = AcquiredToken::cached(entry).owned_by(request.owner(Some(found)));
                let token = token.answered_by(level).at_cost(cost);
                return metrics::acquired(Ok(token));
            }
        };
        metrics::lookup(false);
        event!(
            debug,
            target: "msal_cache::client",
            of = partition.digest(),
            client_id = request.client_id,
            reason = ?plan.reason.unwrap_or(RefreshReason::Absent),
            "a new access token is needed"
        );
        let miss = Miss { request, partition, plan, read, level, took, ended };
        metrics::acquired(self.acquire_new(miss, (endpoint, endpoint_id), finish, start).await)
    }

    async fn acquire_new<E, F>(
        self: &Arc<Self>,
        miss: Miss,
        (endpoint, endpoint_id): (E, usize),
        finish: impl FnOnce(Acquisition<S, R, E>) -> F,
        start: impl FnOnce(Acquisition<S, R, E>) -> Option<Acquisition<S, R, E>>,
    ) -> AcquireResult
    where
        E: AsyncTokenEndpoint,
        F: Future<Output = AcquireResult>,
    {
        let Miss { request, partition, plan, read, level, took, ended } = miss;
        let reason = plan.reason.unwrap_or(RefreshReason::Absent);
        let (identity, guard_wait, refresh_wait) =
            (request.identity(), request.guard_wait, request.refresh_wait);
        let good = plan.still_good().map(|entry| {
            let owner = request.owner(read.get(&partition));
            AcquiredToken::aging(entry.clone(), reason).owned_by(owner).answered_by(level)
        });
        let cost = |waiting: Duration| {
            let (in_store, waiting) = (micros(took), micros(waiting));
            Cost { in_store, waiting, ..Cost::default() }
        };
        if let Some(good) = &good
            && let Some(error) = self.state.back_off.error(identity, self.now())
        {
            return Ok(good.clone().after(error).at_cost(cost(Duration::ZERO)));
        }
        let in_flight = &self.state.in_flight;
        let request = Arc::new(request);
        loop {
            match in_flight.join(identity, endpoint_id) {
                Joined::Leader(leader) => {
                    let refresh = Refresh {
                        engine: self.clone(),
                        request,
                        partition,
                        endpoint,
                        reason,
                        meter: Meter::new(took),
                        // The request before may have ended after the read.
                        is_read_stale: in_flight.ended() != ended,
                    };
                    metrics::refresh(reason);
                    let request = leader.request();
                    let acquisition = Acquisition { refresh, plan, read, level, leader };
                    let Some(good) = good else { return finish(acquisition).await };
                    if let Some(acquisition) = start(acquisition) {
                        return finish(acquisition).await;
                    }
                    let started = Instant::now();
                    return match self.within(&request, endpoint_id, refresh_wait).await {
                        Ended::Done(result) => result,
                        _ => Ok(good.at_cost(cost(started.elapsed()))),
                    };
                }
                Joined::Follower(other) => {
                    if let Some(good) = good {
                        return Ok(good.at_cost(cost(Duration::ZERO)));
                    }
                    let started = Instant::now();
                    match self.within(&other, endpoint_id, guard_wait).await {
                        Ended::Done(result) => {
                            return result.map(|token| token.at_cost(cost(started.elapsed())));
                        }
                        Ended::Late => return Err(Guards::locked(started.elapsed()).into()),
                        Ended::Abandoned => {}
                    }
                }
            }
        }
    }

    /// How a request ends within this time.
    async fn within(&self, request: &InFlightRequest, endpoint_id: usize, wait: Duration) -> Ended {
        let started = Instant::now();
        loop {
            match request.follow(endpoint_id) {
                Followed::Done(result) => return Ended::Done(result),
                Followed::Abandoned => return Ended::Abandoned,
                Followed::Waiting(ended) => {
                    let left = wait.saturating_sub(started.elapsed());
                    if left.is_zero() {
                        return Ended::Late;
                    }
                    self.runtime.wait(ended, Some(left)).await;
                }
            }
        }
    }

    /// Waits until no request is in flight.
    pub(crate) async fn finish_refreshes(&self) {
        while let Some(idle) = self.state.in_flight.idle() {
            self.runtime.wait(idle, None).await;
        }
    }

    /// The one read of a hit. A refresh of a user's token reads again, once it has the guard; the
    /// response to an app's own request is stored with the metadata of clients.
    async fn first_read(
        &self,
        request: &ResolvedRequest,
        partition: &Partition,
    ) -> Result<(ReadSet, AnsweredBy, Duration)> {
        if request.is_for_client() {
            let metadata = Partition::app_metadata();
            if self.state.decoded.exact(&metadata).is_none() {
                let both = [partition.clone(), metadata];
                // Not by `timed`, which would make the future of a hit larger by two of this one.
                let started = Instant::now();
                let (read, level) = Box::pin(self.look_up_set(&both)).await?;
                return Ok((read, level, started.elapsed()));
            }
        }
        let mut read = ReadSet::default();
        let (decoded, level, took) = self.timed_partition(partition).await?;
        read.insert(partition.clone(), decoded);
        Ok((read, level, took))
    }

    /// What [`acquire`](Self::acquire) would do now.
    pub(crate) async fn plan(
        &self,
        client: &ClientConfig,
        request: &SilentRequest,
    ) -> Result<SilentPlan> {
        let request = ResolvedRequest::new(client, request, self.profile())?;
        let (read, level) = self.look_up_for(&request).await?;
        let plan = self.plan_from(&request, &read);
        if plan.cached.is_none()
            && level != AnsweredBy::LastKnown
            && let Some(partition) = request.partition_without_realm()
        {
            let stored = self.look_up(&partition).await?;
            let other = SilentPlan::of(&request, &stored.entries, self.now());
            if other.cached.is_some() {
                return Ok(other);
            }
        }
        Ok(plan)
    }

    /// Reads all that a plan for this request depends on.
    pub(crate) async fn read_for(&self, request: &ResolvedRequest) -> Result<ReadSet> {
        self.read_set(&self.needed(request)).await
    }

    /// The same, or what is known of it in an outage.
    pub(crate) async fn look_up_for(
        &self,
        request: &ResolvedRequest,
    ) -> Result<(ReadSet, AnsweredBy)> {
        self.look_up_set(&self.needed(request)).await
    }

    fn needed(&self, request: &ResolvedRequest) -> SmallVec<[Partition; 3]> {
        let mut needed = smallvec![request.partition()];
        if !request.is_for_client() {
            needed.push(Partition::app_metadata());
            if self.profile() == Profile::Family {
                // To store the response.
                needed.push(Partition::unowned());
            }
        }
        needed
    }

    pub(crate) fn plan_from(&self, request: &ResolvedRequest, read: &ReadSet) -> SilentPlan {
        let nothing = Decoded::default();
        let entries = |partition| &read.get(partition).unwrap_or(&nothing).entries;
        let (own, metadata) = (request.partition(), Partition::app_metadata());
        let stored = entries(&own);
        let mut plan = SilentPlan::of(request, stored, self.now());
        if plan.cached.is_none() && !plan.is_for_client {
            plan.add_attempts(request, stored, entries(&metadata));
        }
        plan
    }
}
