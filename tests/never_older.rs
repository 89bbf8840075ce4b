//! The newest evidence wins, whichever libraries write: random sign-ins, refreshes, challenges and
//! sign-outs, by both profiles of this crate and by writers with the records of five MSAL libraries,
//! on each store. A simple model says which token each request has to get.
//!
//! `MSAL_CACHE_STEPS` sets the number of steps and `MSAL_CACHE_SEED` the seed. A failure names both
//! the seed and the step.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use msal_cache::clock::ManualClock;
use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::store::{Batch, CacheStore, Expect, Json, Record};
use msal_cache::{
    AccountInfo, AcquireError, Client, CredentialType, Event, Fields, Memory, Profile,
    SilentRequest, TokenCache,
};
use serde_json::{Value, json};

use crate::common::{NOW, base64};

const HOST: &str = "login.microsoftonline.com";
/// The host that MSAL Node, .NET and Java write.
const CACHE_HOST: &str = "login.windows.net";
const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENTS: [&str; 2] = ["client-c", "client-d"];
const USERS: [&str; 2] = ["alice", "bob"];
const CHALLENGE: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#;
/// The scopes of three APIs.
const APIS: [[&str; 3]; 3] = [
    ["User.Read", "Mail.Read", "Files.Read"],
    ["api://a/read", "api://a/write", "api://a/.default"],
    ["https://vault.azure.net/.default", "https://vault.azure.net/x", "https://vault.azure.net/y"],
];
/// How long tokens are valid.
const LIFETIMES: [i64; 3] = [600, 3600, 7200];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Library {
    Python,
    Node,
    Dotnet,
    Go,
    Java,
}

const LIBRARIES: [Library; 5] =
    [Library::Python, Library::Node, Library::Dotnet, Library::Go, Library::Java];

/// A user, or the app itself, and a client.
type TokenOf = (Option<usize>, usize);

/// A token that was issued and stored.
#[derive(Clone, Debug)]
struct Issued {
    secret: String,
    scopes: BTreeSet<String>,
    expires_on: i64,
}

/// What each owner has, in the order of its arrival.
#[derive(Debug, Default)]
struct Model {
    tokens: BTreeMap<TokenOf, Vec<Issued>>,
    refresh_tokens: BTreeSet<TokenOf>,
}

impl Model {
    /// The token that a plain request has to get from the cache.
    fn expected(&self, of: TokenOf, wanted: &BTreeSet<String>, now: i64) -> Option<&Issued> {
        let tokens = self.tokens.get(&of)?;
        let at = tokens.iter().rposition(|it| it.scopes.is_superset(wanted))?;
        let newest = &tokens[at];
        let is_superseded =
            tokens[at + 1..].iter().any(|it| !it.scopes.is_disjoint(&newest.scopes));
        (!is_superseded && newest.expires_on - now >= 300).then_some(newest)
    }

    fn add(&mut self, of: TokenOf, token: Issued) {
        self.tokens.entry(of).or_default().push(token);
    }
}

fn home(user: usize) -> String {
    format!("{}.{TENANT}", USERS[user])
}

fn lower(scopes: &BTreeSet<String>) -> BTreeSet<String> {
    scopes.iter().map(|it| it.to_lowercase()).collect()
}

fn joined(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// The record of a library, with the key and the fields that it writes.
fn record(section: &str, key: &str, fields: &Value) -> Record {
    let json = Json::new(fields.to_string()).unwrap();
    Record::new(CredentialType::from(section), key.to_lowercase(), json)
}

fn id_token(user: usize, now: i64) -> String {
    let claims = json!({
        "oid": USERS[user], "sub": format!("sub of {}", USERS[user]), "tid": TENANT, "iat": now,
        "preferred_username": format!("{}@example", USERS[user]),
    });
    format!("e30.{}.signature", base64(&claims.to_string()))
}

/// The records that a library stores of a response.
fn records(library: Library, of: TokenOf, token: &Issued, now: i64) -> Vec<Record> {
    use Library::{Dotnet, Go, Java, Node, Python};
    let (user, client) = (of.0, CLIENTS[of.1]);
    let home = user.map_or(String::new(), home);
    let host = if matches!(library, Python | Go) { HOST } else { CACHE_HOST };
    let target = format!("{} openid profile", joined(&token.scopes));
    let mut fields = json!({
        "credential_type": "AccessToken", "secret": token.secret, "environment": host,
        "client_id": client, "realm": TENANT, "target": target, "home_account_id": home,
        "cached_at": now.to_string(), "expires_on": token.expires_on.to_string(),
        "extended_expires_on": token.expires_on.to_string(), "token_type": "Bearer",
    });
    let members = fields.as_object_mut().unwrap();
    match (library, user) {
        (Python, None) => drop(members.insert("home_account_id".into(), Value::Null)),
        (Go | Java | Dotnet, None) => drop(members.remove("home_account_id")),
        _ => {}
    }
    if matches!(library, Java | Dotnet) {
        members.remove("token_type");
    }
    let dash = if library == Node { "-" } else { "" };
    let key = format!("{home}-{host}-accesstoken-{client}-{TENANT}-{target}{dash}");
    let mut all = vec![record("AccessToken", &key, &fields)];
    let Some(user) = user else { return all };
    let common = json!({ "home_account_id": home, "environment": host, "client_id": client });
    let with = |more: Value| {
        let mut fields = common.as_object().unwrap().clone();
        fields.extend(more.as_object().unwrap().clone());
        Value::Object(fields)
    };
    let mut refresh_token = with(
        json!({ "credential_type": "RefreshToken", "secret": format!("RT {}", token.secret) }),
    );
    let end = match library {
        Python => format!("--{target}"),
        Node => "---".into(),
        Dotnet | Java => "--".into(),
        Go => String::new(),
    };
    if library == Python {
        refresh_token["target"] = target.into();
        refresh_token["last_modification_time"] = now.to_string().into();
    }
    let key = format!("{home}-{host}-refreshtoken-{client}{end}");
    all.push(record("RefreshToken", &key, &refresh_token));
    let dashes = match library {
        Go => "",
        Node => "--",
        _ => "-",
    };
    let key = format!("{home}-{host}-idtoken-{client}-{TENANT}{dashes}");
    let fields = with(json!({
        "credential_type": "IdToken", "secret": id_token(user, now), "realm": TENANT,
    }));
    all.push(record("IdToken", &key, &fields));
    let fields = json!({
        "home_account_id": home, "environment": host, "realm": TENANT, "username": "",
        "local_account_id": USERS[user], "authority_type": "MSSTS",
    });
    all.push(record("Account", &format!("{home}-{host}-{TENANT}"), &fields));
    all
}

/// One run over one place, which each writer has opened for itself.
struct Run<S> {
    rng: Mutex<Rng>,
    clock: Arc<ManualClock>,
    ours: [TokenCache<S>; 2],
    /// What the other libraries use.
    theirs: TokenCache<S>,
    model: Mutex<Model>,
    /// How long the tokens of the other libraries are valid. They keep older ones that are valid for
    /// longer, so in a store that isn't theirs, theirs outlive all others.
    their_lifetimes: &'static [i64],
    serial: AtomicUsize,
    hits: AtomicUsize,
    requests: AtomicUsize,
    overtaken: AtomicUsize,
}

/// A server that grants what it is told to, and lets another writer come first.
struct Server<F>(F);

impl<F: Fn(&TokenRequest) -> Fields + Send + Sync> TokenEndpoint for Server<F> {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        Ok(TokenResponse::new(200, self.0(request)))
    }
}

impl<S: CacheStore> Run<S> {
    fn below(&self, bound: usize) -> usize {
        self.rng.lock().unwrap().usize(..bound)
    }

    fn now(&self) -> i64 {
        msal_cache::clock::Clock::now(&*self.clock)
    }

    fn owner(&self) -> TokenOf {
        let user = self.below(USERS.len() * 2 + 1);
        ((user > 0).then(|| (user - 1) % USERS.len()), self.below(CLIENTS.len()))
    }

    /// Some scopes of one API: those that are given, and perhaps more.
    fn scopes(&self, api: usize, most: usize) -> BTreeSet<String> {
        let first = self.below(3);
        let number = 1 + self.below(most);
        (0..number).map(|nth| APIS[api][(first + nth) % 3].to_owned()).collect()
    }

    fn issue(&self, api: usize, with: &BTreeSet<String>, lifetime: i64) -> Issued {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let mut scopes = with.clone();
        if self.below(3) > 0 {
            scopes.extend(self.scopes(api, 3));
        }
        let secret = format!("AT {serial}");
        Issued { secret, scopes, expires_on: self.now() + lifetime }
    }

    fn response(&self, of: TokenOf, token: &Issued) -> Fields {
        let fields = Fields::new()
            .set("access_token", &*token.secret)
            .set("token_type", "Bearer")
            .set("expires_in", token.expires_on - self.now())
            .set("scope", format!("{} openid profile", joined(&token.scopes)));
        let Some(user) = of.0 else { return fields };
        let info = json!({ "uid": USERS[user], "utid": TENANT }).to_string();
        fields
            .set("refresh_token", format!("RT {}", token.secret))
            .set("id_token", id_token(user, self.now()))
            .set("client_info", base64(&info))
    }

    fn client(&self, ours: usize, client: usize) -> Client<S> {
        self.ours[ours].client(CLIENTS[client], format!("https://{HOST}/{TENANT}"))
    }

    fn step(&self) {
        match self.below(20) {
            0..=2 => self.sign_in(),
            3..=6 => self.write_as_another_library(self.owner(), self.below(APIS.len())),
            7 if self.below(3) == 0 => self.sign_out(),
            7 if self.below(3) == 0 => drop(self.ours[self.below(2)].purge_expired().unwrap()),
            8 => self.clock.advance(i64::try_from(self.below(1000)).unwrap()),
            _ => self.acquire(),
        }
        // Time mostly goes on: within one second, positions decide.
        self.clock.advance(i64::try_from(self.below(3)).unwrap());
    }

    fn sign_in(&self) {
        let of = (Some(self.below(USERS.len())), self.below(CLIENTS.len()));
        let api = self.below(APIS.len());
        let token = self.issue(api, &self.scopes(api, 2), LIFETIMES[self.below(3)]);
        let event = Event::new(CLIENTS[of.1])
            .token_endpoint(format!("https://{HOST}/{TENANT}/oauth2/v2.0/token"))
            .scope([format!("{} openid profile", joined(&token.scopes))])
            .grant_type("authorization_code")
            .response(self.response(of, &token));
        let added = self.ours[self.below(2)].add(&event).unwrap();
        let account = added.account().unwrap();
        assert_eq!(account.home_account_id(), home(of.0.unwrap()));
        let mut model = self.model.lock().unwrap();
        model.add(of, Issued { scopes: lower(&token.scopes), ..token });
        model.refresh_tokens.insert(of);
    }

    /// Another library stores a response, as it does: Node and .NET delete the tokens that have a
    /// scope in common with the new one.
    fn write_as_another_library(&self, of: TokenOf, api: usize) {
        // A library that replaces a record in place gives it no later position.
        self.clock.advance(1);
        let library = LIBRARIES[self.below(LIBRARIES.len())];
        let lifetime = self.their_lifetimes[self.below(self.their_lifetimes.len())];
        let token = self.issue(api, &self.scopes(api, 2), lifetime);
        let mut batch = Batch::new();
        if matches!(library, Library::Node | Library::Dotnet) {
            let home = of.0.map(home);
            for entry in self.theirs.entries(Some(CredentialType::AccessToken)).unwrap() {
                let it = entry.access_token().unwrap();
                let is_alike = it.home_account_id().filter(|home| !home.is_empty())
                    == home.as_deref()
                    && it.client_id() == Some(CLIENTS[of.1]);
                if is_alike && it.scopes().any(|it| token.scopes.contains(it)) {
                    let record = Record::from(&entry);
                    batch.change(record.partition(), Expect::Any).delete_record(&record);
                }
            }
        }
        for record in records(library, of, &token, self.now()) {
            batch.change(record.partition(), Expect::Any).put(record.clone());
        }
        self.theirs.store().commit(&batch).unwrap();
        let mut model = self.model.lock().unwrap();
        if matches!(library, Library::Node | Library::Dotnet) {
            // They don't delete what the deleted ones superseded. A token is evidence while it is
            // stored.
            let stored = self.theirs.entries(Some(CredentialType::AccessToken)).unwrap();
            let stored: BTreeSet<_> = stored
                .iter()
                .map(|it| it.access_token().unwrap().secret().expose().to_owned())
                .collect();
            model.tokens.entry(of).or_default().retain(|it| stored.contains(&it.secret));
        }
        model.add(of, Issued { scopes: lower(&token.scopes), ..token });
        if of.0.is_some() {
            model.refresh_tokens.insert(of);
        }
    }

    fn sign_out(&self) {
        let (user, client) = self.owner();
        let cache = self.client(self.below(2), client);
        let mut model = self.model.lock().unwrap();
        if let Some(user) = user {
            cache.remove_account(&AccountInfo::of(home(user))).unwrap();
            model.tokens.retain(|(of, _), _| *of != Some(user));
            model.refresh_tokens.remove(&(Some(user), client));
        } else {
            cache.remove_tokens_for_client().unwrap();
            model.tokens.remove(&(None, client));
        }
    }

    fn acquire(&self) {
        let of = self.owner();
        let api = self.below(APIS.len());
        let wanted = self.scopes(api, 2);
        let client = self.client(self.below(2), of.1);
        let request = match of.0 {
            Some(user) => SilentRequest::new(&wanted, &AccountInfo::of(home(user))),
            None => SilentRequest::for_client(&wanted),
        };
        let (request, is_plain) = match self.below(8) {
            0 => (request.force_refresh(true), false),
            1 => (request.claims_challenge(CHALLENGE), false),
            _ => (request, true),
        };
        let expected = {
            let model = self.model.lock().unwrap();
            model.expected(of, &lower(&wanted), self.now()).filter(|_| is_plain).cloned()
        };
        if let Some(expected) = expected {
            let token = client.acquire(&request, &Server(|_: &TokenRequest| panic!("a request")));
            let token = token.unwrap_or_else(|error| panic!("{error} instead of {expected:?}"));
            assert_eq!(
                token.secret().expose(),
                expected.secret,
                "{}",
                client.plan(&request).unwrap()
            );
            self.hits.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // An app's explicit request is stored in any case; others give way to what came meanwhile.
        let yields = of.0.is_some() || is_plain;
        self.acquire_from_server(of, api, &wanted, &client, &request, yields);
    }

    fn acquire_from_server(
        &self,
        of: TokenOf,
        api: usize,
        wanted: &BTreeSet<String>,
        client: &Client<S>,
        request: &SilentRequest,
        yields: bool,
    ) {
        let token = self.issue(api, wanted, LIFETIMES[self.below(3)]);
        let known: BTreeSet<_> = {
            let model = self.model.lock().unwrap();
            model.tokens.get(&of).into_iter().flatten().map(|it| it.secret.clone()).collect()
        };
        let is_interrupted = self.below(10) == 0;
        let response = self.response(of, &token);
        let server = Server(|_: &TokenRequest| {
            if is_interrupted {
                self.write_as_another_library(of, api);
            }
            response.clone()
        });
        let has_refresh_token = self.model.lock().unwrap().refresh_tokens.contains(&of);
        match client.acquire(request, &server) {
            Ok(it) => assert_eq!(
                it.secret().expose(),
                token.secret,
                "{:?} {wanted:?} at {}: {it:?} {:?}",
                of,
                self.now(),
                self.model.lock().unwrap().tokens.get(&of)
            ),
            Err(AcquireError::InteractionRequired(_)) if of.0.is_some() && !has_refresh_token => {
                return;
            }
            Err(error) => panic!("{error}"),
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let stored = Issued { scopes: lower(&token.scopes), ..token };
        let mut model = self.model.lock().unwrap();
        let mut arrived = model.tokens.get(&of).into_iter().flatten();
        let overtakes =
            |it: &Issued| !known.contains(&it.secret) && !it.scopes.is_disjoint(&stored.scopes);
        if yields && arrived.any(overtakes) {
            self.overtaken.fetch_add(1, Ordering::Relaxed);
        } else {
            model.add(of, stored);
        }
    }
}

/// The number in an environment variable.
fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|it| it.parse().unwrap_or_else(|_| panic!("{name}={it} is no number")))
}

/// Runs over places that `open` opens, once for each writer.
pub(crate) fn run<S: CacheStore>(what: &str, steps: usize, open: impl Fn() -> S) {
    let seed = number("MSAL_CACHE_SEED").unwrap_or(18);
    let asked = number("MSAL_CACHE_STEPS").and_then(|it| usize::try_from(it).ok());
    let steps = asked.unwrap_or(steps);
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = |profile| TokenCache::builder(open()).profile(profile).clock(clock.clone()).build();
    let run = Run {
        rng: Mutex::new(Rng::with_seed(seed)),
        ours: [cache(Profile::Python), cache(Profile::Family)],
        theirs: cache(Profile::Python),
        clock: clock.clone(),
        their_lifetimes: if open().is_shared() { &LIFETIMES } else { &LIFETIMES[2..] },
        model: Mutex::default(),
        serial: AtomicUsize::new(0),
        hits: AtomicUsize::new(0),
        requests: AtomicUsize::new(0),
        overtaken: AtomicUsize::new(0),
    };
    for step in 0..steps {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.step()));
        assert!(
            outcome.is_ok(),
            "{what}: step {step} of MSAL_CACHE_SEED={seed} MSAL_CACHE_STEPS={steps}"
        );
    }
    let [hits, requests, overtaken] =
        [&run.hits, &run.requests, &run.overtaken].map(|it| it.load(Ordering::Relaxed));
    println!("{what}: {steps} steps, {hits} hits, {requests} requests, {overtaken} overtaken");
    assert!(hits > steps / 20 && requests > steps / 20 && overtaken > 0);
}

#[test]
fn p18_no_token_is_older_than_what_was_known_in_memory() {
    let memory = Arc::new(Memory::new());
    run("memory", 10_000, || memory.clone());
}

#[cfg(feature = "file")]
#[test]
fn p18_no_token_is_older_than_what_was_known_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    run("file", 600, || msal_cache::FileStore::open(&path).unwrap());
}

#[cfg(feature = "sqlite")]
#[test]
fn p18_no_token_is_older_than_what_was_known_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    run("SQLite", 1_000, || msal_cache::SqliteStore::open(&path).unwrap());
}
