//! The operations of a cache, for counting instructions: `tests/bench/flat` runs this program in
//! callgrind and compares a large cache with a small one.
//!
//! ```text
//! steps prepare STORE TOKENS PATH     writes a file or a database
//! steps run STORE TOKENS PATH         opens it and runs each operation 64 times
//! ```
//!
//! Each operation is a function, whose name callgrind reports. The tokens are short, since their
//! length doesn't depend on the size of the cache.

#![allow(missing_docs, reason = "a program")]

use std::fmt::Write;
use std::hint::black_box;

use msal_cache::store::CacheStore;
use msal_cache::{AccountInfo, Client, CredentialType, Event, Fields, Query, TokenCache};

const ENVIRONMENT: &str = "login.microsoftonline.com";
const CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const TOKENS_OF_A_USER: usize = 4;
const PROBES: usize = 64;

fn home(user: usize) -> String {
    format!("{user:036}.{:036}", user + 1)
}

fn realm(user: usize) -> String {
    format!("{:036}", user + 1)
}

fn scope(resource: usize, nth: usize) -> String {
    format!("https://resource{resource}.example/scope.{nth}")
}

/// Base64url without padding.
fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// The document of a cache with this number of access tokens.
fn document(tokens: usize) -> String {
    let users = tokens / TOKENS_OF_A_USER;
    let mut out = String::from("{\"AccessToken\": {");
    for token in 0..users * TOKENS_OF_A_USER {
        let (user, resource) = (token / TOKENS_OF_A_USER, token % TOKENS_OF_A_USER);
        let (home, realm) = (home(user), realm(user));
        let comma = if token == 0 { "" } else { ",\n" };
        let target = [0, 1, 2].map(|nth| scope(resource, nth)).join(" ");
        write!(
            out,
            r#"{comma}"{home}-{ENVIRONMENT}-accesstoken-{CLIENT}-{realm}-{target}": {{"credential_type": "AccessToken", "secret": "secret", "home_account_id": "{home}", "environment": "{ENVIRONMENT}", "client_id": "{CLIENT}", "target": "{target}", "realm": "{realm}", "token_type": "Bearer", "cached_at": "1700000000", "expires_on": "2100000000", "extended_expires_on": "2100000000"}}"#
        )
        .unwrap();
    }
    let mut section = |name: &str, record: &dyn Fn(&str, &str) -> String| {
        write!(out, "}}, \"{name}\": {{").unwrap();
        for user in 0..users {
            let comma = if user == 0 { "" } else { ",\n" };
            write!(out, "{comma}{}", record(&home(user), &realm(user))).unwrap();
        }
    };
    section("Account", &|home, realm| {
        format!(
            r#""{home}-{ENVIRONMENT}-{realm}": {{"home_account_id": "{home}", "environment": "{ENVIRONMENT}", "realm": "{realm}", "local_account_id": "x", "username": "x@example.com", "authority_type": "MSSTS", "account_source": "authorization_code"}}"#
        )
    });
    section("IdToken", &|home, realm| {
        format!(
            r#""{home}-{ENVIRONMENT}-idtoken-{CLIENT}-{realm}-": {{"credential_type": "IdToken", "secret": "secret", "home_account_id": "{home}", "environment": "{ENVIRONMENT}", "realm": "{realm}", "client_id": "{CLIENT}"}}"#
        )
    });
    section("RefreshToken", &|home, _| {
        let target = [0, 1, 2].map(|nth| scope(0, nth)).join(" ");
        format!(
            r#""{home}-{ENVIRONMENT}-refreshtoken-{CLIENT}--{target}": {{"credential_type": "RefreshToken", "secret": "secret", "home_account_id": "{home}", "environment": "{ENVIRONMENT}", "client_id": "{CLIENT}", "target": "{target}", "last_modification_time": "1700000000"}}"#
        )
    });
    write!(
        out,
        r#"}}, "AppMetadata": {{"appmetadata-{ENVIRONMENT}-{CLIENT}": {{"client_id": "{CLIENT}", "environment": "{ENVIRONMENT}"}}}}}}"#
    )
    .unwrap();
    out
}

struct Probe {
    home: String,
    realm: String,
    scopes: [String; 3],
    event: Event,
}

fn probes(tokens: usize) -> Vec<Probe> {
    let users = tokens / TOKENS_OF_A_USER;
    let probe = |nth: usize| {
        let (user, resource) = (nth * users / PROBES, nth % TOKENS_OF_A_USER);
        let (id, tenant) = (format!("{user:036}"), realm(user));
        let id_token = format!(
            r#"{{"oid": "x", "sub": "s", "tid": "{tenant}", "preferred_username": "x@example.com"}}"#
        );
        let scopes = [0, 1, 2].map(|nth| scope(resource, nth));
        let event = Event::new(CLIENT)
            .token_endpoint(format!("https://{ENVIRONMENT}/{tenant}/oauth2/v2.0/token"))
            .scope(&scopes)
            .grant_type("authorization_code")
            .response(
                Fields::new()
                    .set("access_token", "renewed")
                    .set("refresh_token", "renewed")
                    .set("id_token", format!("e30.{}.s", base64(&id_token)))
                    .set("client_info", base64(&format!(r#"{{"uid":"{id}","utid":"{tenant}"}}"#)))
                    .set("expires_in", 400_000_000),
            );
        Probe { home: home(user), realm: tenant, scopes, event }
    };
    (0..PROBES).map(probe).collect()
}

fn query(probe: &Probe) -> Query {
    Query::new().home_account_id(&probe.home).environment(ENVIRONMENT)
}

fn access_token<S: CacheStore>(cache: &TokenCache<S>, probe: &Probe, scopes: &[String]) -> bool {
    let query = query(probe).client_id(CLIENT).realm(&probe.realm).target(scopes);
    cache.search(CredentialType::AccessToken, &query).unwrap().next().is_some()
}

#[inline(never)]
fn hit<S: CacheStore>(cache: &TokenCache<S>, probes: &[Probe]) {
    assert!(probes.iter().all(|it| access_token(cache, it, black_box(&it.scopes))));
}

#[inline(never)]
fn subset_hit<S: CacheStore>(cache: &TokenCache<S>, probes: &[Probe]) {
    assert!(probes.iter().all(|it| access_token(cache, it, black_box(&it.scopes[1..2]))));
}

#[inline(never)]
fn miss<S: CacheStore>(cache: &TokenCache<S>, probes: &[Probe]) {
    let nope = ["https://nope.example/scope".to_owned()];
    assert!(!probes.iter().any(|it| access_token(cache, it, black_box(&nope))));
}

#[inline(never)]
fn refresh_token<S: CacheStore>(cache: &TokenCache<S>, probes: &[Probe]) {
    for probe in probes {
        let query = query(probe).client_id(CLIENT);
        let found = cache.search(CredentialType::RefreshToken, &query).unwrap().next();
        assert!(black_box(found).is_some());
    }
}

#[inline(never)]
fn accounts_of_one_user<S: CacheStore>(cache: &TokenCache<S>, probes: &[Probe]) {
    for probe in probes {
        let found = cache.search(CredentialType::Account, &query(probe)).unwrap().next();
        assert!(black_box(found).is_some());
    }
}

#[inline(never)]
fn add<S: CacheStore>(cache: &TokenCache<S>, probes: &[Probe]) {
    for probe in probes {
        cache.add(&probe.event).unwrap();
    }
}

#[inline(never)]
fn sign_out<S: CacheStore>(client: &Client<S>, accounts: &[AccountInfo]) {
    for account in accounts {
        client.remove_account(account).unwrap();
    }
}

fn look_up<S: CacheStore>(cache: &TokenCache<S>, probes: &[Probe]) {
    // Warm up, since most look-ups of an app are warm.
    assert!(probes.iter().all(|it| access_token(cache, it, &it.scopes)));
    hit(cache, probes);
    subset_hit(cache, probes);
    miss(cache, probes);
    refresh_token(cache, probes);
    accounts_of_one_user(cache, probes);
}

fn change<S: CacheStore>(cache: &TokenCache<S>, probes: &[Probe]) {
    add(cache, probes);
    let accounts: Vec<_> = probes.iter().map(|it| AccountInfo::of(&it.home)).collect();
    sign_out(&cache.client(CLIENT, format!("https://{ENVIRONMENT}/organizations")), &accounts);
}

fn main() {
    let arguments: Vec<_> = std::env::args().filter(|it| it != "--bench").collect();
    let [_, task, store, tokens, path] = &arguments[..] else {
        eprintln!("usage: steps prepare|run memory|file|sqlite TOKENS PATH; see tests/bench/flat");
        return;
    };
    let tokens: usize = tokens.parse().unwrap();
    let probes = probes(tokens);
    match (task.as_str(), store.as_str()) {
        ("prepare", "memory") => std::fs::write(path, document(tokens)).unwrap(),
        ("run", "memory") => {
            let cache = TokenCache::in_memory();
            cache.deserialize(&std::fs::read_to_string(path).unwrap()).unwrap();
            look_up(&cache, &probes);
            change(&cache, &probes);
        }
        ("prepare", "file") => {
            let cache = TokenCache::new(msal_cache::FileStore::open(path).unwrap());
            cache.deserialize(&document(tokens)).unwrap();
        }
        ("run", "file") => {
            let cache = TokenCache::new(msal_cache::FileStore::open(path).unwrap());
            // A file that was read right after its last change is read once more.
            assert!(probes.iter().all(|it| access_token(&cache, it, &it.scopes)));
            std::thread::sleep(std::time::Duration::from_millis(100));
            look_up(&cache, &probes);
        }
        ("prepare", "sqlite") => {
            let cache = TokenCache::new(msal_cache::SqliteStore::open(path).unwrap());
            cache.deserialize(&document(tokens)).unwrap();
        }
        ("run", "sqlite") => {
            let cache = TokenCache::new(msal_cache::SqliteStore::open(path).unwrap());
            look_up(&cache, &probes);
            change(&cache, &probes);
        }
        _ => panic!("unknown task {task} {store}"),
    }
}
