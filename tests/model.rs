//! Random histories of a cache on several stores, compared with a model that is a plain map: after
//! each step, the store and the model have the same records and find the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::common::{
    CLIENT, ENVIRONMENT, NOW, REALM, app_token, home, sign_in, without_empty_sections,
};
use msal_cache::clock::{Clock, ManualClock};
use msal_cache::store::{CacheStore, Document};
use msal_cache::{CredentialType, Entry, Event, Fields, Memory, Query, TokenCache};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::your_own_store::Variable;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    SignIn { user: u8, scopes: Vec<u8>, lifetime: i64, family: bool },
    AppToken { scope: u8, path: Option<u8> },
    Advance(i64),
    Purge,
    Remove(CredentialType, usize),
    UpdateRefreshToken(usize),
    Modify(CredentialType, usize),
    Reload,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let credential_type = prop::sample::select(CredentialType::KNOWN.to_vec());
    prop_oneof![
        4 => (0..3_u8, prop::collection::vec(0..4_u8, 0..4), prop::sample::select(vec![-5, 10, 3600]), any::<bool>())
            .prop_map(|(user, scopes, lifetime, family)| Step::SignIn { user, scopes, lifetime, family }),
        2 => (0..2_u8, prop::option::of(0..3_u8)).prop_map(|(scope, path)| Step::AppToken { scope, path }),
        1 => (1..30_i64).prop_map(Step::Advance),
        1 => Just(Step::Purge),
        2 => (credential_type.clone(), 0..5_usize).prop_map(|(of, nth)| Step::Remove(of, nth)),
        1 => (0..5_usize).prop_map(Step::UpdateRefreshToken),
        1 => (credential_type, 0..5_usize).prop_map(|(of, nth)| Step::Modify(of, nth)),
        1 => Just(Step::Reload),
    ]
}

const SCOPES: [&str; 4] = ["User.Read", "Mail.Read", "openid", "mail.read"];

fn event(step: &Step, serial: usize) -> Option<Event> {
    match step {
        Step::SignIn { user, scopes, lifetime, family } => {
            let scopes: Vec<_> = scopes.iter().map(|it| SCOPES[usize::from(*it)]).collect();
            let event = sign_in(&format!("user{user}"), &scopes.join(" "), &serial.to_string());
            let mut response = Fields::new()
                .set("access_token", format!("AT-{serial}"))
                .set("refresh_token", format!("RT-{serial}"))
                .set("client_info", crate::common::client_info(&format!("user{user}")))
                .set("expires_in", *lifetime);
            if *family {
                response = response.set("foci", "1");
            }
            Some(event.response(response))
        }
        Step::AppToken { scope, path } => {
            let event = app_token(SCOPES[usize::from(*scope)], &serial.to_string());
            let data = path.map(|path| Fields::new().set("fmi_path", format!("path{path}")));
            Some(event.data(data.unwrap_or_default()))
        }
        _ => None,
    }
}

/// Sections of records, as in MSAL Python.
type Model = BTreeMap<String, BTreeMap<String, Value>>;

fn expires_on(record: &Value) -> i64 {
    record["expires_on"].as_str().unwrap().parse().unwrap()
}

/// The number of the step that stored an access token.
fn serial_of(record: &Value) -> usize {
    record["secret"].as_str().unwrap().trim_start_matches("AT-").parse().unwrap()
}

fn scopes_of(record: &Value) -> impl Iterator<Item = String> {
    record["target"].as_str().unwrap().split_whitespace().map(str::to_lowercase)
}

/// The scopes that say what a token is for.
fn api_scopes_of(record: &Value) -> Vec<String> {
    let is_openid =
        |it: &String| matches!(&**it, "openid" | "profile" | "email" | "offline_access");
    let (of_openid, others): (Vec<_>, Vec<_>) = scopes_of(record).partition(is_openid);
    if others.is_empty() { of_openid } else { others }
}

/// Whose access token it is.
fn owner_of(record: &Value) -> String {
    let ext = &record["ext_cache_key"];
    match &record["home_account_id"] {
        Value::Null => format!("{} {} {ext}", record["client_id"], record["realm"]),
        home => home.to_string(),
    }
}

/// Deletes tokens of an owner. Each takes the earlier ones with it that have a scope in common.
fn delete(
    tokens: &mut BTreeMap<String, Value>,
    owner: &str,
    is_deleted: impl Fn(&str, &Value) -> bool,
) {
    let mut order: Vec<_> = tokens.iter().filter(|(_, it)| owner_of(it) == owner).collect();
    order.sort_by_key(|(_, it)| std::cmp::Reverse(serial_of(it)));
    let (mut lost, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    for (key, it) in order {
        let shares = scopes_of(it).any(|scope| lost.contains(&scope));
        if is_deleted(key, it) || shares {
            lost.extend(api_scopes_of(it));
            deleted.insert(key.clone());
        }
    }
    tokens.retain(|key, _| !deleted.contains(key));
}

/// Applies a step to the model. The records of an event come from a separate empty cache, since
/// other tests check them.
fn model_step(
    model: &mut Model,
    step: &Step,
    serial: usize,
    clock: &Arc<ManualClock>,
    is_shared: bool,
) {
    let now = clock.now();
    match step {
        Step::SignIn { .. } | Step::AppToken { .. } => {
            let event = event(step, serial).unwrap();
            let fresh = TokenCache::with_clock(Memory::new(), clock.clone());
            fresh.add(&event).unwrap();
            let fresh = crate::common::document(&fresh);
            if let (Some(tokens), Some(new)) = (
                model.get_mut("AccessToken"),
                fresh["AccessToken"].as_object().unwrap().iter().next(),
            ) {
                // In a store that no other library shares, no token outlives a later one.
                let outlives = |key: &str, it: &Value| {
                    let scopes = api_scopes_of(new.1);
                    !is_shared
                        && key != new.0
                        && expires_on(it) > expires_on(new.1)
                        && scopes_of(it).any(|scope| scopes.contains(&scope))
                };
                delete(tokens, &owner_of(new.1), |key, it| {
                    expires_on(it) < now || outlives(key, it)
                });
            }
            for (section, records) in fresh.as_object().unwrap() {
                let records = records.as_object().unwrap().clone();
                model.entry(section.clone()).or_default().extend(records);
            }
        }
        Step::Purge => {
            if let Some(tokens) = model.get_mut("AccessToken") {
                let owners: BTreeSet<_> = tokens.values().map(owner_of).collect();
                for owner in owners {
                    delete(tokens, &owner, |_, it| expires_on(it) < now);
                }
            }
        }
        Step::Advance(_) | Step::Reload => {}
        Step::Remove(of, nth) => {
            let Some(section) = model.get_mut(of.as_str()) else { return };
            let Some(key) = section.keys().nth(*nth).cloned() else { return };
            section.remove(&key);
        }
        Step::UpdateRefreshToken(nth) => {
            let Some(section) = model.get_mut("RefreshToken") else { return };
            let Some(record) = section.values_mut().nth(*nth) else { return };
            record["secret"] = format!("updated-{serial}").into();
            record["last_modification_time"] = now.to_string().into();
        }
        Step::Modify(of, nth) => {
            let Some(section) = model.get_mut(of.as_str()) else { return };
            let Some(record) = section.values_mut().nth(*nth) else { return };
            record["added"] = serial.into();
        }
    }
}

fn nth<S: CacheStore>(cache: &TokenCache<S>, of: &CredentialType, nth: usize) -> Option<Entry> {
    let mut entries = cache.entries(Some(of.clone())).unwrap();
    entries.sort_by_key(|entry| entry.key().to_owned());
    entries.into_iter().nth(nth)
}

fn cache_step<S: CacheStore>(cache: &TokenCache<S>, step: &Step, serial: usize) {
    match step {
        Step::SignIn { .. } | Step::AppToken { .. } => {
            cache.add(&event(step, serial).unwrap()).unwrap();
        }
        Step::Purge => {
            cache.purge_expired().unwrap();
        }
        Step::Advance(_) => {}
        Step::Reload => {
            let state = cache.serialize().unwrap();
            cache.deserialize(&state).unwrap();
        }
        Step::Remove(of, n) => {
            let Some(entry) = nth(cache, of, *n) else { return };
            cache.modify(of.clone(), &entry, None).unwrap();
        }
        Step::UpdateRefreshToken(n) => {
            let Some(entry) = nth(cache, &CredentialType::RefreshToken, *n) else { return };
            cache.update_rt(&entry, &format!("updated-{serial}")).unwrap();
        }
        Step::Modify(of, n) => {
            let Some(entry) = nth(cache, of, *n) else { return };
            let fields = Fields::new().set("added", serial);
            cache.modify(of.clone(), &entry, Some(&fields)).unwrap();
        }
    }
}

/// The keys of all records that match a query.
fn model_find(
    model: &Model,
    of: &CredentialType,
    fields: &[(&'static str, Option<String>)],
    scopes: &[&str],
    now: i64,
) -> Vec<String> {
    let lower = |text: &str| text.to_ascii_lowercase();
    let matches = |record: &Map<String, Value>| {
        let held: Vec<_> = record
            .get("target")
            .and_then(Value::as_str)
            .map(|target| target.split(' ').map(lower).collect())
            .unwrap_or_default();
        scopes.iter().all(|scope| held.contains(&lower(scope)))
            && fields.iter().all(|(name, wanted)| {
                record.get(*name).and_then(Value::as_str) == wanted.as_deref()
            })
            && (record.get("ext_cache_key").is_none()
                || fields.iter().any(|(name, _)| *name == "ext_cache_key"))
    };
    let section = model.get(of.as_str()).into_iter().flatten();
    section
        .filter(|(_, it)| *of != CredentialType::AccessToken || expires_on(it) >= now)
        .filter(|(_, it)| matches(it.as_object().unwrap()))
        .map(|(key, _)| key.clone())
        .collect()
}

/// The required fields and scopes of a query.
type Asked = (Vec<(&'static str, Option<String>)>, Vec<&'static str>);

pub(crate) fn query() -> impl Strategy<Value = Asked> {
    let some = |values: &[&str]| {
        let values: Vec<_> = values.iter().map(|it| Some((*it).to_owned())).collect();
        prop::sample::select(values)
    };
    let homes: Vec<_> =
        (0..3).map(|user| Some(home(&format!("user{user}")))).chain([None]).collect();
    let key = msal_cache::store::ext_cache_key([("fmi_path", "path1")]);
    let fields = (
        prop::option::of(prop::sample::select(homes)),
        prop::option::of(some(&[ENVIRONMENT, "elsewhere"])),
        prop::option::of(some(&[CLIENT, "another"])),
        prop::option::of(some(&[REALM])),
        prop::option::of(prop::sample::select(vec![key, None])),
        prop::option::of(prop::sample::select(vec![Some("1".to_owned()), None])),
    );
    let scopes = prop::collection::vec(prop::sample::select(SCOPES.to_vec()), 0..3);
    (fields, scopes).prop_map(|((home, environment, client, realm, ext, family), scopes)| {
        let fields = [
            ("home_account_id", home),
            ("environment", environment),
            ("client_id", client),
            ("realm", realm),
            ("ext_cache_key", ext),
            ("family_id", family),
        ];
        (fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(), scopes)
    })
}

fn check<S: CacheStore>(
    cache: &TokenCache<S>,
    model: &Model,
    queries: &[Asked],
    now: i64,
) -> Result<(), TestCaseError> {
    let expected = without_empty_sections(serde_json::to_value(model).unwrap());
    prop_assert_eq!(without_empty_sections(crate::common::document(cache)), expected);
    for (fields, scopes) in queries {
        let query = fields.iter().fold(Query::new().target(scopes), |query, (name, value)| {
            query.field(*name, value.as_deref())
        });
        for of in CredentialType::KNOWN {
            let mut found: Vec<_> = cache
                .search(of.clone(), &query)
                .unwrap()
                .map(|entry| entry.key().to_owned())
                .collect();
            found.sort();
            prop_assert_eq!(
                &found,
                &model_find(model, &of, fields, scopes, now),
                "{} {:?}",
                of,
                query
            );
        }
    }
    Ok(())
}

/// Applies the steps to a cache. Checks it after each step, and at the end through another handle.
pub(crate) fn history<S: CacheStore, R: CacheStore>(
    store: S,
    reader: R,
    steps: &[Step],
    queries: &[Asked],
) -> Result<(), TestCaseError> {
    let clock = Arc::new(ManualClock::new(NOW));
    let is_shared = store.is_shared();
    let cache = TokenCache::with_clock(store, clock.clone());
    let reader = TokenCache::with_clock(reader, clock.clone());
    let mut model = Model::new();
    let mut now = NOW;
    for (serial, step) in steps.iter().enumerate() {
        if let Step::Advance(seconds) = step {
            now += seconds;
            clock.set(now);
        }
        model_step(&mut model, step, serial, &clock, is_shared);
        cache_step(&cache, step, serial);
        check(&cache, &model, queries, now)?;
    }
    check(&reader, &model, queries, now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn memory_agrees_with_the_model(
        steps in prop::collection::vec(step(), 1..25),
        queries in prop::collection::vec(query(), 1..6),
    ) {
        let memory = Arc::new(Memory::new());
        history(memory.clone(), memory, &steps, &queries)?;
    }

    #[test]
    fn a_document_agrees_with_the_model(
        steps in prop::collection::vec(step(), 1..25),
        queries in prop::collection::vec(query(), 1..6),
    ) {
        let blob = Arc::new(Variable::default());
        history(Document::new(blob.clone()), Document::new(blob), &steps, &queries)?;
    }
}

#[cfg(feature = "file")]
proptest! {
    // Each step is flushed to the disk.
    #![proptest_config(ProptestConfig { cases: 25, ..ProptestConfig::default() })]

    #[test]
    fn a_file_agrees_with_the_model(
        steps in prop::collection::vec(step(), 1..15),
        queries in prop::collection::vec(query(), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let open = || msal_cache::FileStore::open(folder.path().join("cache.json")).unwrap();
        history(open(), open(), &steps, &queries)?;
    }
}

#[cfg(feature = "sqlite")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_agrees_with_the_model(
        steps in prop::collection::vec(step(), 1..25),
        queries in prop::collection::vec(query(), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let open = || msal_cache::SqliteStore::open(folder.path().join("cache.db")).unwrap();
        history(open(), open(), &steps, &queries)?;
    }
}
