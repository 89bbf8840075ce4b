//! Documents that a provider publishes: fetched once, and kept for a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener};
use http::{Method, Request, Uri};
use uuid::Uuid;

use super::address;
use super::exchange::{Exchange, read};
use super::throttle::SendResult;
use super::wire::{RequestBody, Wire};
use crate::engine::{RedeemError, usable};
use crate::model::{Fields, Route, ServerError, TransportError, TransportErrorKind};

/// The maximum number of documents.
const CAPACITY: usize = 256;

/// The documents that were fetched, by their addresses.
#[derive(Debug, Default)]
pub(super) struct Documents(Mutex<HashMap<String, Arc<DocumentEntry>>>);

#[derive(Debug, Default)]
struct DocumentEntry {
    state: Mutex<State>,
    /// Notified when an attempt ends.
    ended: Event,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the attempt to fetch it that is the last one.
    attempt: u64,
    is_in_flight: bool,
    document: Option<Document>,
    /// The error of the attempt with this number, for those who have waited for it.
    failed: Option<(u64, DocumentError)>,
}

/// A document, and when it was requested.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) fields: Arc<Fields>,
    requested: Instant,
}

/// Why there is no document.
#[derive(Clone, Debug)]
pub(super) enum DocumentError {
    Refused(ServerError),
    Transport(TransportError),
}

/// What a caller does.
enum Turn {
    Take(Result<Document, DocumentError>),
    /// Waits for this attempt.
    Wait(u64, EventListener),
    Fetch(InFlightFetch),
}

/// An attempt, which ends when this is dropped.
struct InFlightFetch(Arc<DocumentEntry>);

impl Drop for InFlightFetch {
    fn drop(&mut self) {
        self.0.lock().is_in_flight = false;
        self.0.ended.notify(usize::MAX);
    }
}

impl DocumentEntry {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(self: &Arc<Self>, longest: Duration, waited_for: Option<u64>) -> Turn {
        let mut state = self.lock();
        if let Some(document) = &state.document
            && document.requested.elapsed() < longest
        {
            return Turn::Take(Ok(document.clone()));
        }
        if let Some((attempt, error)) = &state.failed
            && waited_for.is_some_and(|it| it <= *attempt)
        {
            return Turn::Take(Err(error.clone()));
        }
        if state.is_in_flight {
            return Turn::Wait(state.attempt, self.ended.listen());
        }
        state.is_in_flight = true;
        state.attempt += 1;
        Turn::Fetch(InFlightFetch(self.clone()))
    }

    fn store(&self, requested: Instant, result: Result<Fields, DocumentError>) {
        let mut state = self.lock();
        match result {
            Ok(fields) => {
                state.document = Some(Document { fields: Arc::new(fields), requested });
                state.failed = None;
            }
            Err(error) => state.failed = Some((state.attempt, error)),
        }
    }
}

impl Documents {
    fn entry(&self, address: &str) -> Arc<DocumentEntry> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(address) {
            return entry.clone();
        }
        if entries.len() >= CAPACITY {
            // Callers that wait for one keep it.
            let age = |entry: &DocumentEntry| entry.lock().document.as_ref().map(|it| it.requested);
            let oldest = entries.iter().min_by_key(|(_, entry)| age(entry));
            let oldest = oldest.map(|(address, _)| address.clone());
            oldest.and_then(|it| entries.remove(&it));
        }
        entries.entry(address.to_owned()).or_default().clone()
    }
}

impl<W: Wire> Exchange<W> {
    /// The document at an address, which was requested at most this long ago. Callers at the same time
    /// share one request, and its error.
    pub(super) async fn document(
        &self,
        to: &str,
        longest: Duration,
    ) -> Result<Document, DocumentError> {
        let entry = self.documents.entry(to);
        let mut waited_for = None;
        loop {
            match entry.turn(longest, waited_for) {
                Turn::Take(result) => return result,
                Turn::Wait(attempt, ended) => {
                    waited_for = Some(attempt);
                    self.wire.wait(ended).await;
                }
                Turn::Fetch(in_flight) => {
                    let requested = Instant::now();
                    let fetched = self.fetch(to).await;
                    entry.store(requested, fetched.clone());
                    drop(in_flight);
                    let fields = Arc::new(fetched?);
                    return Ok(Document { fields, requested });
                }
            }
        }
    }

    /// The members of a document. A refusal of the server is an error with its status.
    pub(super) async fn document_fields(
        &self,
        to: &str,
        longest: Duration,
    ) -> Result<Fields, TransportError> {
        match self.document(to, longest).await {
            Ok(document) => Ok((*document.fields).clone()),
            Err(DocumentError::Transport(error)) => Err(error),
            Err(DocumentError::Refused(error)) => {
                let route = Route { is_document: true, ..Route::default() };
                let shown = to.parse().map(|it| address::printable(&it)).unwrap_or_default();
                let error = TransportError::new(TransportErrorKind::Malformed, error);
                Err(error.with_route(&Arc::new(route)).with_address(shown))
            }
        }
    }

    async fn fetch(&self, to: &str) -> Result<Fields, DocumentError> {
        match usable(self.get(to).await) {
            Ok(response) => Ok(response.body().clone()),
            Err(RedeemError::Refused(error)) => Err(DocumentError::Refused(error)),
            Err(RedeemError::Transport(error)) => Err(DocumentError::Transport(error)),
            Err(_) => {
                let error = TransportError::new(TransportErrorKind::Other, "it can't be fetched");
                Err(DocumentError::Transport(error))
            }
        }
    }

    /// Requests a document, without the credential of the client.
    async fn get(&self, to: &str) -> SendResult {
        let to: Uri = address::parse_for_request(to)?;
        let id = Uuid::new_v4().to_string();
        let proxy = self.options.proxies.proxy_to(&to)?;
        let route = Arc::new(Route {
            address: Some(address::printable(&to).into()),
            proxy: proxy.map(|proxy| proxy.printable.as_str().into()),
            correlation_id: Some(id.as_str().into()),
            is_document: true,
        });
        let mut message = Request::new(RequestBody::none());
        *message.method_mut() = Method::GET;
        *message.uri_mut() = to;
        self.set_common_headers(message.headers_mut(), &id);
        match self.wire.send(message, proxy).await.and_then(read) {
            Ok(response) => Ok(response.with_route(&route)),
            Err(error) => Err(error.with_route(&route)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_requested_again_where_it_is_older_than_allowed() {
        let entry = Arc::<DocumentEntry>::default();
        let day = Duration::from_secs(86_400);
        let Turn::Fetch(first) = entry.turn(day, None) else { panic!("there is none yet") };
        let Turn::Wait(1, _) = entry.turn(day, None) else { panic!("it is in flight") };
        entry.store(Instant::now(), Ok(Fields::new()));
        drop(first);
        assert!(matches!(entry.turn(day, None), Turn::Take(Ok(_))));
        assert!(matches!(entry.turn(day, Some(1)), Turn::Take(Ok(_))));
        assert!(matches!(entry.turn(Duration::ZERO, None), Turn::Fetch(_)));
    }

    #[test]
    fn the_number_of_documents_is_limited() {
        let documents = Documents::default();
        for number in 0..2 * CAPACITY {
            documents.entry(&number.to_string());
        }
        assert_eq!(documents.0.lock().unwrap().len(), CAPACITY);
    }
}
