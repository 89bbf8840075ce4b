//! The metrics: their names are those of the guide, and none has data of users.

#[allow(dead_code, reason = "shared with other tests")]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use msal_cache::endpoint::{
    TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
};
use msal_cache::outage::OutagePolicy;
use msal_cache::store::{Batch, CacheStore, Expect, Load, Partition, Revision, delegate_store};
use msal_cache::{
    AccountInfo, CredentialType, Error, Event, Fields, FileStore, Memory, Query, Result,
    SilentRequest, TokenCache,
};

use common::{CLIENT, ENVIRONMENT, REALM, home, sign_in};

/// A metric: its kind, its name and its labels.
type Metric = (&'static str, String, Vec<(String, String)>);

/// Keeps the values of all metrics.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<State>>);

/// The values of each metric, and those that are described.
type State = (BTreeMap<Metric, Vec<f64>>, BTreeSet<String>);

impl Recorded {
    fn handle(&self, kind: &'static str, key: &Key) -> Arc<Handle> {
        let labels = key.labels().map(|it| (it.key().to_owned(), it.value().to_owned()));
        let metric = (kind, key.name().to_owned(), labels.collect());
        Arc::new(Handle(self.clone(), metric))
    }

    fn values(&self, kind: &'static str, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let labels = labels.iter().map(|(it, value)| ((*it).into(), (*value).into())).collect();
        let values = &self.0.lock().unwrap().0;
        values.get(&(kind, name.to_owned(), labels)).cloned().unwrap_or_default()
    }

    /// Each increment is one.
    fn count(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        self.values("counter", name, labels).len()
    }
}

struct Handle(Recorded, Metric);

impl Handle {
    fn push(&self, value: f64) {
        self.0.0.lock().unwrap().0.entry(self.1.clone()).or_default().push(value);
    }
}

impl CounterFn for Handle {
    fn increment(&self, value: u64) {
        assert_eq!(value, 1);
        self.push(1.0);
    }

    fn absolute(&self, _: u64) {
        unreachable!("counters are incremented")
    }
}

impl GaugeFn for Handle {
    fn increment(&self, _: f64) {
        unreachable!("gauges are set")
    }

    fn decrement(&self, _: f64) {
        unreachable!("gauges are set")
    }

    fn set(&self, value: f64) {
        self.push(value);
    }
}

impl HistogramFn for Handle {
    fn record(&self, value: f64) {
        self.push(value);
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        assert!(description.ends_with('.'));
        self.0.lock().unwrap().1.insert(format!("counter {}", key.as_str()));
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().1.insert(format!("gauge {}", key.as_str()));
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().1.insert(format!("histogram {}", key.as_str()));
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.handle("counter", key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.handle("gauge", key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.handle("histogram", key))
    }
}

/// What the guide says: the lines `| name | kind | labels | … |`.
fn documented() -> BTreeMap<String, (String, BTreeMap<String, BTreeSet<String>>)> {
    let guide = include_str!("../src/docs/metrics.md");
    let rows = guide.lines().filter(|line| line.starts_with("| `msal_cache_"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let words = |cell: &str| -> Vec<String> {
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let mut labels = BTreeMap::new();
        if let [label, values @ ..] = &words(cells[3])[..] {
            labels.insert(label.clone(), values.iter().cloned().collect());
        }
        (words(cells[1])[0].clone(), (cells[2].to_owned(), labels))
    })
    .collect()
}

/// Answers by the scope: grants, refuses, or doesn't respond.
struct Server;

impl TokenEndpoint for Server {
    fn send(&self, request: &TokenRequest) -> std::result::Result<TokenResponse, TransportError> {
        let scope = request.form().get("scope").unwrap_or_default();
        if scope.contains("refused") {
            return Ok(TokenResponse::new(400, Fields::new().set("error", "invalid_grant")));
        }
        if scope.contains("silent") {
            return Err(TransportError::new(TransportErrorKind::TimedOut, "it is silent"));
        }
        let fields = Fields::new().set("access_token", "AT-CANARY").set("expires_in", 3600);
        Ok(TokenResponse::new(200, fields))
    }
}

/// A store whose first commit conflicts. It is one whose calls are timed, as it may block.
#[derive(Debug, Default)]
struct Conflicts(Memory, std::sync::atomic::AtomicBool);

impl CacheStore for Conflicts {
    delegate_store!(self => self.0, except commit, is_immediate);

    fn is_immediate(&self) -> bool {
        false
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        if self.1.swap(true, std::sync::atomic::Ordering::SeqCst) {
            self.0.commit(batch)
        } else {
            Err(Error::Conflict)
        }
    }
}

/// Uses a cache in each way that is counted.
fn use_a_cache() {
    let cache = TokenCache::new(Conflicts::default());
    let client = cache.client(CLIENT, format!("https://{ENVIRONMENT}/{REALM}"));
    let user = AccountInfo::of(home("CANARY"));
    let acquire = |scope: &str| client.acquire_token_silent([scope], &user, &Server);
    let event: Event = sign_in("CANARY", "User.Read", "CANARY");
    cache.add(&event).unwrap();
    assert!(acquire("User.Read").is_ok());
    assert!(acquire("Mail.Read").is_ok());
    assert!(acquire("silent").is_err());
    let forced = SilentRequest::new(["Mail.Read"], &user).force_refresh(true);
    assert!(client.acquire(&forced, &Server).is_ok());
    assert!(client.acquire_token_for_client(["refused"], &Server).is_err());
    let query = Query::new().home_account_id(home("CANARY"));
    assert_eq!(cache.find(CredentialType::AccessToken, &query).unwrap().len(), 2);
    let nothing = Query::new().home_account_id("unknown");
    assert!(cache.find(CredentialType::AccessToken, &nothing).unwrap().is_empty());
    assert_eq!(client.accounts().unwrap().len(), 1);
    cache.purge_expired().unwrap();
    // An expectation that doesn't hold.
    let mut batch = Batch::new();
    batch.change(msal_cache::store::Partition::user("u"), Expect::Revision(Revision::unique()));
    assert!(matches!(cache.store().commit(&batch), Err(Error::Conflict)));
    assert!(acquire("refused").is_err());
}

/// To read the clock would take as long as the call.
#[test]
fn the_calls_of_a_store_that_returns_at_once_are_not_timed() {
    let recorded = Recorded::default();
    metrics::with_local_recorder(&recorded, || {
        let cache = TokenCache::in_memory();
        cache.add(&sign_in("user", "User.Read", "secret")).unwrap();
        assert_eq!(cache.find(CredentialType::AccessToken, &Query::new()).unwrap().len(), 1);
    });
    for verb in ["load", "load_many", "list", "commit"] {
        let times = recorded.values("histogram", "msal_cache_store_seconds", &[("verb", verb)]);
        assert!(times.is_empty(), "{verb}");
    }
    assert_eq!(recorded.count("msal_cache_lookups_total", &[("result", "hit")]), 1);
}

/// Writes to a file, which takes its lock.
fn use_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let cache = TokenCache::new(FileStore::open(folder.path().join("cache.json")).unwrap());
    cache.add(&sign_in("CANARY", "User.Read", "CANARY")).unwrap();
}

#[test]
fn the_wait_for_the_lock_of_a_file_is_timed() {
    let recorded = Recorded::default();
    metrics::with_local_recorder(&recorded, use_a_file);
    let waits = recorded.values("histogram", "msal_cache_lock_wait_seconds", &[]);
    assert_eq!(waits.len(), 1);
    assert!((0.0..60.0).contains(&waits[0]), "seconds: {waits:?}");
}

/// A store whose server can be switched off.
#[derive(Debug, Default)]
struct Remote {
    store: Memory,
    is_down: AtomicBool,
}

impl CacheStore for Remote {
    delegate_store!(self => self.store, except load, is_unchanged, is_immediate);

    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Error::Unavailable { store: "test", source: "it is down".into() });
        }
        self.store.load(partition, known)
    }
}

/// Looks a token up before and during an outage.
fn use_a_cache_in_an_outage() {
    let policy = OutagePolicy::ServeKnown(Duration::from_secs(60));
    let cache = TokenCache::builder(Remote::default()).outage_policy(policy).build();
    cache.add(&sign_in("CANARY", "User.Read", "CANARY")).unwrap();
    let query = Query::new().home_account_id(home("CANARY")).client_id(CLIENT);
    for is_down in [false, true] {
        cache.store().is_down.store(is_down, Ordering::SeqCst);
        assert_eq!(cache.find(CredentialType::AccessToken, &query).unwrap().len(), 1);
    }
}

#[test]
fn what_is_served_in_an_outage_is_counted() {
    let recorded = Recorded::default();
    metrics::with_local_recorder(&recorded, use_a_cache_in_an_outage);
    assert_eq!(recorded.count("msal_cache_store_unavailable_total", &[]), 1);
    assert_eq!(recorded.count("msal_cache_reads_total", &[("level", "last_known")]), 1);
}

fn recorded() -> Recorded {
    let recorded = Recorded::default();
    metrics::with_local_recorder(&recorded, || {
        use_a_cache();
        use_a_file();
        use_a_cache_in_an_outage();
    });
    recorded
}

#[test]
fn look_ups_refreshes_refusals_and_conflicts_are_counted() {
    let it = recorded();
    assert!(it.count("msal_cache_lookups_total", &[("result", "hit")]) >= 2);
    assert!(it.count("msal_cache_lookups_total", &[("result", "miss")]) >= 4);
    let reason = |reason| it.count("msal_cache_refreshes_total", &[("reason", reason)]);
    assert_eq!((reason("absent"), reason("force_refresh")), (4, 1));
    let outcome = |outcome| it.count("msal_cache_token_requests_total", &[("outcome", outcome)]);
    assert_eq!((outcome("granted"), outcome("failed")), (2, 1));
    assert_eq!(outcome("refused"), 2);
    let outcome = |outcome| it.count("msal_cache_acquisitions_total", &[("outcome", outcome)]);
    assert_eq!((outcome("cached"), outcome("issued")), (1, 2));
    assert_eq!((outcome("transport"), outcome("refused")), (1, 1));
    assert_eq!(outcome("interaction_required"), 1);
    assert_eq!(it.count("msal_cache_conflicts_total", &[]), 1);
    let waits = it.values("histogram", "msal_cache_guard_wait_seconds", &[("outcome", "taken")]);
    assert_eq!(waits.len(), 4, "of a user's tokens");
    let name = "msal_cache_token_request_seconds";
    assert_eq!(it.values("histogram", name, &[("outcome", "granted")]).len(), 2);
    for verb in ["load", "load_many", "list", "commit", "purge"] {
        let times = it.values("histogram", "msal_cache_store_seconds", &[("verb", verb)]);
        assert!(!times.is_empty(), "{verb}");
        assert!(times.iter().all(|it| (0.0..60.0).contains(it)), "seconds: {times:?}");
    }
    let in_flight = it.values("gauge", "msal_cache_requests_in_flight", &[]);
    assert_eq!(in_flight.last(), Some(&0.0));
    assert!(in_flight.contains(&1.0));
    let bytes = it.values("gauge", "msal_cache_decoded_bytes", &[]);
    assert!(bytes.iter().all(|it| (0.0..1e6).contains(it)), "{bytes:?}");
    assert!(bytes.iter().any(|it| *it > 100.0));
}

#[test]
fn the_metrics_are_those_of_the_guide() {
    let (documented, recorded) = (documented(), recorded());
    assert!(documented.len() > 8);
    let (values, described) = &*recorded.0.lock().unwrap();
    let of_guide: BTreeSet<_> =
        documented.iter().map(|(name, (kind, _))| format!("{kind} {name}")).collect();
    assert_eq!(*described, of_guide, "described to the recorder");
    let emitted: BTreeSet<_> =
        values.keys().map(|(kind, name, _)| format!("{kind} {name}")).collect();
    assert_eq!(emitted, of_guide, "emitted");
    for (_, name, labels) in values.keys() {
        let known = &documented[name].1;
        assert_eq!(labels.len(), known.len(), "{name}");
        for (label, value) in labels {
            assert!(known[label].contains(value), "{name}: the guide has no {label}={value}");
        }
    }
}

#[test]
fn no_metric_has_data_of_users() {
    let recorded = recorded();
    let printed = format!("{:?}", recorded.0.lock().unwrap());
    let realm = format!("\"{REALM}\"");
    for private in ["CANARY", CLIENT, ENVIRONMENT, &realm, "Mail.Read", "uid"] {
        assert!(!printed.contains(private), "{private} is in {printed}");
    }
}
