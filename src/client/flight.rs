//! One request for all threads that need its answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use msal_cache_core::Revision;

use crate::client::{AcquireError, AcquiredToken};

type Outcome = Result<AcquiredToken, AcquireError>;

/// The requests that are under way. Nothing stays of one that is done: neither a token, which the
/// cache holds, nor an error, which the next caller shall not get.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Revision, Arc<Flight>>>);

/// One request that is under way.
pub(crate) struct Flight {
    state: Mutex<State>,
    ended: Condvar,
}

enum State {
    UnderWay,
    Done(Outcome),
    /// Its leader is gone and left no outcome.
    Abandoned,
}

/// What a thread is that needs an answer.
pub(crate) enum Seat<'a> {
    /// It makes the request.
    Leader(Leader<'a>),
    /// Another thread is making it.
    Follower(Arc<Flight>),
}

impl Flights {
    pub(crate) fn board(&self, key: Revision) -> Seat<'_> {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(&key) {
            return Seat::Follower(flight.clone());
        }
        let flight = Arc::new(Flight { state: Mutex::new(State::UnderWay), ended: Condvar::new() });
        flights.insert(key, flight.clone());
        Seat::Leader(Leader { flights: self, key, flight, outcome: None })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Revision, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Waits for the outcome; `None` where the leader left none, and another one is needed.
    pub(crate) fn wait(&self) -> Option<Outcome> {
        let mut state = self.lock();
        loop {
            match &*state {
                State::UnderWay => {
                    state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                State::Done(outcome) => return Some(outcome.clone()),
                State::Abandoned => return None,
            }
        }
    }

    fn end(&self, end: State) {
        *self.lock() = end;
        self.ended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that makes the request.
pub(crate) struct Leader<'a> {
    flights: &'a Flights,
    key: Revision,
    flight: Arc<Flight>,
    outcome: Option<Outcome>,
}

impl Leader<'_> {
    /// Gives everybody the outcome who has come by now.
    pub(crate) fn done(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Leader<'_> {
    /// Also after a panic: whoever waits is woken, and one of them takes over.
    fn drop(&mut self) {
        // In this order: nobody boards what has ended.
        self.flights.lock().remove(&self.key);
        self.flight.end(self.outcome.take().map_or(State::Abandoned, State::Done));
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flights({} under way)", self.lock().len())
    }
}
