//! Connections that are lost in the middle of a commit.

use std::time::{Duration, Instant};

use msal_cache_core::{
    Batch, Blocking, CacheStore, CredentialType, Error, Expect, Load, Partition, Revision,
};
use msal_cache_postgres::{PostgresFailure, PostgresStore};

use crate::proxy::{Cut, Proxy};
use crate::rows::{load, put, record};
use crate::support::{cause, execute, new_schema, open, pooler_url, port, port_of, url};

fn through(proxy: &Proxy, schema: &str, timeout: Duration) -> Blocking<PostgresStore> {
    let url = url().replace(&format!(":{}/", port()), &format!(":{}/", proxy.port));
    let builder = PostgresStore::builder(url).schema(schema).pool_size(2).timeout(timeout);
    Blocking::connect(builder.connect()).unwrap()
}

fn revision(store: &impl CacheStore, user: &str) -> Revision {
    match store.load(&Partition::user(user), None).unwrap() {
        Load::Snapshot(found) => found.revision(),
        Load::Unchanged => panic!("no revision was given"),
    }
}

/// A server, and how many messages a commit takes to it and from it.
struct Target {
    port: u16,
    messages: [usize; 2],
}

fn server() -> Target {
    // Bind, Execute, Sync; BindComplete, DataRow, CommandComplete, ReadyForQuery.
    Target { port: port(), messages: [3, 4] }
}

fn pooler() -> Target {
    // Query; Parse, Describe, Bind, Execute, Sync; Query. Two times CommandComplete, ReadyForQuery;
    // ParseComplete, ParameterDescription, RowDescription, BindComplete, DataRow, CommandComplete,
    // ReadyForQuery; CommandComplete, ReadyForQuery.
    Target { port: port_of(&pooler_url()), messages: [7, 12] }
}

/// Runs a commit for each place at which a connection can be cut while it is under way.
fn at_each_message(target: &Target, mut commit: impl FnMut(&Proxy, Cut) -> bool) {
    for from_client in [true, false] {
        for half in [false, true] {
            let proxy = Proxy::to(target.port);
            let mut cuts = 0;
            for after in 0.. {
                if !commit(&proxy, Cut { from_client, after, half, refuse: false }) {
                    break;
                }
                cuts += 1;
            }
            assert_eq!(cuts, target.messages[usize::from(!from_client)]);
        }
    }
}

fn is_applied_once(target: &Target) {
    let schema = new_schema();
    let direct = open(&schema);
    let mut turn = 0;
    at_each_message(target, |proxy, cut| {
        let store = through(proxy, &schema, Duration::from_secs(20));
        load(&store, "u");
        turn += 1;
        proxy.cut(cut);
        let committed = put(&store, "u", "k", &turn.to_string());
        let was_cut = proxy.was_cut();
        assert_eq!(revision(&direct, "u"), committed, "{cut:?}");
        assert!(load(&direct, "u")[0].value().expose().contains(&format!("\"{turn}\"")));
        was_cut
    });
}

fn is_resolved_if_it_leaves_nothing(target: &Target) {
    let schema = new_schema();
    let direct = open(&schema);
    at_each_message(target, |proxy, cut| {
        let store = through(proxy, &schema, Duration::from_secs(20));
        let known = put(&store, "u", "k", "v");
        let mut batch = Batch::new();
        let user = Partition::user("u");
        batch.change(&user, Expect::Revision(known)).delete(CredentialType::Account, "k".into());
        proxy.cut(cut);
        // It would be a conflict if it was applied and repeated.
        assert_eq!(store.commit(&batch).unwrap(), [Revision::ABSENT], "{cut:?}");
        let was_cut = proxy.was_cut();
        assert!(load(&direct, "u").is_empty());
        was_cut
    });
}

#[test]
fn a_commit_that_is_cut_at_any_message_is_applied_once_and_returns_its_revision() {
    is_applied_once(&server());
}

#[test]
fn a_commit_by_a_pooler_that_is_cut_at_any_message_is_applied_once() {
    is_applied_once(&pooler());
}

#[test]
fn a_commit_that_leaves_nothing_is_resolved_as_well() {
    is_resolved_if_it_leaves_nothing(&server());
}

#[test]
fn a_commit_by_a_pooler_that_leaves_nothing_is_resolved_as_well() {
    is_resolved_if_it_leaves_nothing(&pooler());
}

#[test]
fn the_revision_of_a_commit_is_its_own_even_if_another_one_follows_before_it_is_known() {
    let schema = new_schema();
    let direct = open(&schema);
    let proxy = Proxy::to(port());
    let store = through(&proxy, &schema, Duration::from_secs(20));
    load(&store, "u");
    proxy.cut(Cut { from_client: false, after: 0, half: false, refuse: true });
    let (committed, later) = std::thread::scope(|scope| {
        let committing = scope.spawn(|| put(&store, "u", "k", "first"));
        while load(&direct, "u").is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let later = put(&direct, "u", "k", "second");
        proxy.refuse(false);
        (committing.join().unwrap(), later)
    });
    assert_ne!(committed, later);
    assert_eq!(revision(&direct, "u"), later);
}

#[test]
fn a_commit_that_still_runs_when_it_is_asked_for_is_rolled_back_and_repeated() {
    let schema = new_schema();
    let direct = open(&schema);
    put(&direct, "u", "other", "v");
    // Only the first commit waits.
    execute(&format!(
        "CREATE SEQUENCE {schema}.turns; CREATE FUNCTION {schema}.slow() RETURNS trigger \
         LANGUAGE plpgsql AS $$ BEGIN IF nextval('{schema}.turns') = 1 THEN PERFORM pg_sleep(2); \
         END IF; RETURN new; END $$; CREATE TRIGGER slow BEFORE INSERT ON {schema}.msal_records \
         FOR EACH ROW EXECUTE FUNCTION {schema}.slow()"
    ));
    let proxy = Proxy::to(port());
    let store = through(&proxy, &schema, Duration::from_secs(20));
    load(&store, "u");
    let started = Instant::now();
    let committed = std::thread::scope(|scope| {
        let committing = scope.spawn(|| put(&store, "u", "k", "v"));
        std::thread::sleep(Duration::from_millis(500));
        proxy.cut_all();
        committing.join().unwrap()
    });
    assert_eq!(revision(&direct, "u"), committed);
    let mut batch = Batch::new();
    let user = Partition::user("u");
    batch.change(&user, Expect::Revision(committed)).delete(CredentialType::Account, "k".into());
    direct.commit(&batch).unwrap();
    std::thread::sleep(Duration::from_secs(4).saturating_sub(started.elapsed()));
    assert_eq!(load(&direct, "u").len(), 1, "the first attempt was applied late");
}

#[test]
fn a_commit_whose_outcome_cannot_be_asked_for_says_so() {
    let schema = new_schema();
    let direct = open(&schema);
    let proxy = Proxy::to(port());
    let store = through(&proxy, &schema, Duration::from_secs(2));
    load(&store, "u");
    proxy.cut(Cut { from_client: false, after: 0, half: false, refuse: true });
    let own = record("u", "k", "v");
    let mut batch = Batch::new();
    batch.change(own.partition(), Expect::Any).put(own.clone());
    let unknown = store.commit(&batch).unwrap_err();
    assert!(matches!(cause(&unknown), PostgresFailure::OutcomeUnknown { .. }), "{unknown:?}");
    assert!(matches!(unknown, Error::Unavailable { .. }) && unknown.is_retryable());
    proxy.refuse(false);
    assert_eq!(load(&direct, "u").len(), 1);
    put(&store, "u", "k", "w");
}

#[test]
fn a_purge_and_a_listing_survive_lost_connections() {
    let schema = new_schema();
    let proxy = Proxy::to(port());
    let store = through(&proxy, &schema, Duration::from_secs(20));
    put(&store, "u", "k", "v");
    for _ in 0..3 {
        proxy.cut_all();
        assert!(matches!(store.list(None, None).unwrap(), Load::Snapshot(_)));
        proxy.cut_all();
        match store.purge(0) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
}
