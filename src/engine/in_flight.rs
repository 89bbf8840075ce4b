//! One request for all callers that need its response.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::{Event, EventListener};
use msal_cache_core::Revision;

use crate::engine::metrics;
use crate::model::{AcquireError, AcquireResult};

/// The requests that are in flight. Nothing is kept of one that has ended: neither the token, which
/// the cache has, nor the error, which the next caller must not get.
#[derive(Default)]
pub(crate) struct InFlight {
    requests: Mutex<HashMap<Revision, Arc<InFlightRequest>>>,
    ended: AtomicU64,
    /// Notified when the last one ends.
    idle: Event,
}

/// A request that is in flight.
pub(crate) struct InFlightRequest {
    /// The identity of the leader's endpoint.
    endpoint: usize,
    state: Mutex<RequestState>,
    ended: Event,
}

enum RequestState {
    InFlight,
    Done(AcquireResult),
    /// The leader has gone and left no result.
    Abandoned,
}

/// The part of a caller in a request.
pub(crate) enum Joined {
    /// The caller sends the request.
    Leader(Leader),
    /// Another caller sends it.
    Follower(Arc<InFlightRequest>),
}

/// What a follower finds.
pub(crate) enum Followed {
    /// The request is in flight. The listener is notified when it ends.
    Waiting(EventListener),
    Done(AcquireResult),
    /// It has ended without a result for this caller.
    Abandoned,
}

impl InFlight {
    /// Joins the request with this identity, or starts it. `endpoint` identifies the endpoint of
    /// the caller.
    pub(crate) fn join(self: &Arc<Self>, identity: Revision, endpoint: usize) -> Joined {
        let mut requests = self.lock();
        if let Some(request) = requests.get(&identity) {
            return Joined::Follower(request.clone());
        }
        Joined::Leader(self.lead(&mut requests, identity, endpoint))
    }

    /// Starts a request that no other caller can join.
    #[cfg(any(feature = "http", feature = "http-async"))]
    pub(crate) fn alone(self: &Arc<Self>) -> Leader {
        self.lead(&mut self.lock(), Revision::unique(), 0)
    }

    fn lead(
        self: &Arc<Self>,
        requests: &mut HashMap<Revision, Arc<InFlightRequest>>,
        identity: Revision,
        endpoint: usize,
    ) -> Leader {
        let state = Mutex::new(RequestState::InFlight);
        let request = Arc::new(InFlightRequest { endpoint, state, ended: Event::new() });
        requests.insert(identity, request.clone());
        metrics::in_flight(requests.len());
        Leader { in_flight: self.clone(), identity, request, result: None }
    }

    /// How many requests have ended. A caller that has read the cache before the latest one ended
    /// may have missed its token.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    /// Is notified when no request is in flight; `None` where there is none.
    pub(crate) fn idle(&self) -> Option<EventListener> {
        let requests = self.lock();
        // Made under the lock, so no end goes unnoticed.
        (!requests.is_empty()).then(|| self.idle.listen())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Revision, Arc<InFlightRequest>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlightRequest {
    /// The result for a caller with this endpoint. That a server refuses the credential of one
    /// endpoint says nothing about that of another.
    pub(crate) fn follow(&self, endpoint: usize) -> Followed {
        match &*self.lock() {
            // Made under the lock, so no end goes unnoticed.
            RequestState::InFlight => Followed::Waiting(self.ended.listen()),
            RequestState::Done(Err(AcquireError::Refused(_) | AcquireError::Configuration(_)))
                if self.endpoint != endpoint =>
            {
                Followed::Abandoned
            }
            RequestState::Done(result) => Followed::Done(result.clone()),
            RequestState::Abandoned => Followed::Abandoned,
        }
    }

    fn end(&self, end: RequestState) {
        *self.lock() = end;
        self.ended.notify(usize::MAX);
    }

    fn lock(&self) -> MutexGuard<'_, RequestState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller that sends the request.
pub(crate) struct Leader {
    in_flight: Arc<InFlight>,
    identity: Revision,
    request: Arc<InFlightRequest>,
    result: Option<AcquireResult>,
}

impl Leader {
    pub(crate) fn identity(&self) -> Revision {
        self.identity
    }

    pub(crate) fn request(&self) -> Arc<InFlightRequest> {
        self.request.clone()
    }

    /// Ends the request with this result for all followers.
    pub(crate) fn done(mut self, result: AcquireResult) {
        self.result = Some(result);
    }
}

impl Drop for Leader {
    /// Also after a panic: followers are woken, and one of them takes over.
    fn drop(&mut self) {
        // Removed before the followers are woken, so that no caller joins a request that has ended.
        let mut requests = self.in_flight.lock();
        requests.remove(&self.identity);
        let is_last = requests.is_empty();
        metrics::in_flight(requests.len());
        drop(requests);
        self.in_flight.ended.fetch_add(1, Ordering::SeqCst);
        self.request.end(self.result.take().map_or(RequestState::Abandoned, RequestState::Done));
        if is_last {
            self.in_flight.idle.notify(usize::MAX);
        }
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InFlight({} requests)", self.lock().len())
    }
}
