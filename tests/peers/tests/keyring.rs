//! One entry of a key store, shared with `msal_extensions` and `azure-identity` of Python, and with MSAL
//! Node's extensions. Needs a session
//! bus, so it only runs by name: `tests/peers/keyring`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{env, fs, thread};

use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::secret_service::{SecretEntry, SecretServiceStore};
use msal_cache::{CredentialType, Event, Fields, Profile, TokenCache};
use msal_cache_peers::{client_info, id_token};
use serde_json::{Value, json};

/// An app of another library with the cache open.
struct App {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl App {
    fn python(home: &Path, place: &[&str]) -> Self {
        // `LibsecretPersistence` writes, reads and deletes one test entry, so two that begin at the same
        // time fail.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let python = env::var_os("MSAL_CACHE_KEYRING_PYTHON").expect("run tests/peers/keyring");
        let mut python =
            Self::run(Command::new(python).arg(here("keyring.py")).arg(home).args(place));
        python.users();
        python
    }

    fn node(signal: &Path, service: &str, account: &str) -> Self {
        Self::run(
            Command::new("node").arg(here("keyring.mjs")).arg(signal).args([service, account]),
        )
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { stdin: child.stdin.take(), stdout, child }
    }

    fn send(&mut self, command: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the app has failed; its error is above");
        serde_json::from_str::<Value>(&line).unwrap()["ok"].take()
    }

    fn call(&mut self, command: &Value) -> Value {
        self.send(command);
        self.receive()
    }

    fn users(&mut self) -> Vec<String> {
        serde_json::from_value(self.call(&json!({"users": null}))).unwrap()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The app of Azure CLI, by which the Azure SDK signs users in.
const CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const GRAPH: [&str; 1] = ["https://graph.microsoft.com/.default"];
const AUTHORITY: &str = "https://login.microsoftonline.com/organizations";

/// The sign-in of `keyring.py`.
fn sign_in(user: &str) -> Event {
    let claims = json!({"oid": user, "sub": user, "preferred_username": format!("{user}@example"), "tid": "tenant"});
    Event::new(CLIENT)
        .token_endpoint(format!("{AUTHORITY}/oauth2/v2.0/token"))
        .scope(GRAPH)
        .grant_type("authorization_code")
        .response(
            Fields::new()
                .set("token_type", "Bearer")
                .set("access_token", format!("AT-{user}"))
                .set("refresh_token", format!("RT-{user}"))
                .set("id_token", id_token(&claims))
                .set("client_info", client_info(user, "tenant"))
                .set("expires_in", 3600)
                .set("foci", "1"),
        )
}

fn users(cache: &TokenCache<SecretServiceStore>) -> Vec<String> {
    let accounts = cache.entries(Some(CredentialType::Account)).unwrap();
    let mut users: Vec<_> = accounts
        .iter()
        .map(|it| it.account().unwrap().home_account_id().unwrap().to_owned())
        .collect();
    users.sort();
    users
}

/// A token endpoint that is not asked.
struct NoServer;

impl TokenEndpoint for NoServer {
    fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
        panic!("the token is cached")
    }
}

/// The entry of `azure-identity` in this home folder, which the process doesn't have.
fn tools(home: &Path) -> SecretEntry {
    let signal = home.join(".IdentityService/msal.cache.nocae");
    let entry = SecretEntry::new("msal.cache.nocae", signal).unwrap();
    entry.attribute("MsalClientID", "Microsoft.Developer.IdentityService")
}

/// The tests of `azure-identity` share its entry, so they are one.
#[test]
fn azure_identity_and_this_crate_find_and_write_the_same_entry() {
    let home = tempfile::tempdir().unwrap();
    let store = SecretServiceStore::open(tools(home.path())).unwrap();
    let cache = TokenCache::new(store);
    cache.verify().unwrap();

    // Python finds what this crate writes: the cache, and an app that uses a credential.
    let added = cache.add(&sign_in("rust")).unwrap();
    assert_eq!(added.account().unwrap().username(), Some("rust@example"));
    let mut python = App::python(home.path(), &["azure-identity"]);
    assert_eq!(python.users(), ["rust.tenant"]);
    assert_eq!(python.call(&json!({"token": "rust@example"})), "AT-rust");

    // This crate finds what Python writes.
    python.call(&json!({"add": "python"}));
    assert_eq!(users(&cache), ["python.tenant", "rust.tenant"]);
    let client = cache.client(CLIENT, AUTHORITY);
    let account = client.accounts_named("python@example").unwrap().remove(0);
    let token = client.acquire_token_silent(GRAPH, &account, &NoServer).unwrap();
    assert_eq!(token.secret().expose(), "AT-python");

    // A sign-out by this crate is one for Python.
    client.remove_account(&account).unwrap();
    assert_eq!(python.users(), ["rust.tenant"]);

    // A hundred writes in turn lose nothing.
    for n in 0..50 {
        cache.add(&sign_in(&format!("rust-{n}"))).unwrap();
        python.call(&json!({"add": format!("python-{n}")}));
    }
    assert_eq!(users(&cache).len(), 101);
    assert_eq!(python.users().len(), 101);
    assert_eq!(cache.entries(Some(CredentialType::RefreshToken)).unwrap().len(), 101);
    for name in ["rust-0", "python-0", "rust-49", "python-49"] {
        let user = format!("{name}@example");
        assert_eq!(python.call(&json!({"token": user.clone()})), format!("AT-{name}"));
        let account = client.accounts_named(&user).unwrap().remove(0);
        let token = client.acquire_token_silent(GRAPH, &account, &NoServer).unwrap();
        assert_eq!(token.secret().expose(), format!("AT-{name}"));
    }
    assert!(cache.check().unwrap().is_empty());
}

#[test]
fn the_entry_of_msal_python_without_a_schema_is_found_by_its_path() {
    let home = tempfile::tempdir().unwrap();
    let signal = home.path().join("cache.bin");
    let mut python = App::python(home.path(), &["extensions", signal.to_str().unwrap()]);
    python.call(&json!({"add": "python"}));
    let entry = SecretEntry::msal_python(&signal).unwrap();
    let cache = TokenCache::new(SecretServiceStore::open(entry).unwrap());
    assert_eq!(users(&cache), ["python.tenant"]);
    cache.add(&sign_in("rust")).unwrap();
    assert_eq!(python.users(), ["python.tenant", "rust.tenant"]);
}

#[test]
fn msal_node_and_this_crate_find_and_write_the_same_entry() {
    let home = tempfile::tempdir().unwrap();
    let signal = home.path().join("cache.json");
    let open = || {
        let entry = SecretEntry::msal_node("contoso", "alice", &signal).unwrap();
        let store = SecretServiceStore::open(entry).unwrap();
        TokenCache::builder(store).profile(Profile::Family).build()
    };
    let cache = open();
    cache.add(&sign_in("rust-0")).unwrap();
    let mut node = App::node(&signal, "contoso", "alice");
    assert_eq!(node.users(), ["rust-0.tenant"]);
    for n in 1..20 {
        node.call(&json!({"add": format!("node-{n}")}));
        cache.add(&sign_in(&format!("rust-{n}"))).unwrap();
    }
    assert_eq!(users(&cache).len(), 39);
    assert_eq!(node.users().len(), 39);
    assert!(open().check().unwrap().is_empty());
}

/// A place in the terms of both.
fn place(home: &Path, name: &str) -> (SecretEntry, [String; 4]) {
    let signal = home.join("cache.bin");
    let entry = SecretEntry::new("my_schema_name", &signal).unwrap().attribute("name", name);
    let text = signal.to_str().unwrap().to_owned();
    (entry, ["extensions".into(), text, "my_schema_name".into(), format!("name={name}")])
}

#[test]
fn a_hundred_writes_in_turn_by_each_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (entry, place) = place(home.path(), "in turn");
    let mut python = App::python(home.path(), &place.each_ref().map(|it| &**it));
    let cache = TokenCache::new(SecretServiceStore::open(entry).unwrap());
    for n in 0..100 {
        cache.add(&sign_in(&format!("rust-{n}"))).unwrap();
        python.call(&json!({"add": format!("python-{n}")}));
    }
    assert_eq!(users(&cache).len(), 200);
    assert_eq!(python.users().len(), 200);
    assert_eq!(cache.entries(Some(CredentialType::RefreshToken)).unwrap().len(), 200);
}

#[test]
fn writes_at_the_same_time_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (entry, place) = place(home.path(), "at once");
    let place = place.each_ref().map(|it| &**it);
    let mut pythons = ["p", "q"].map(|name| {
        let mut python = App::python(home.path(), &place);
        python.send(&json!({"many": [name, 15, 40]}));
        python
    });
    thread::scope(|threads| {
        for name in ["r", "s"] {
            let entry = entry.clone();
            threads.spawn(move || {
                let cache = TokenCache::new(SecretServiceStore::open(entry).unwrap());
                for n in 0..25 {
                    cache.add(&sign_in(&format!("{name}-{n}"))).unwrap();
                    thread::sleep(Duration::from_millis(100));
                }
            });
        }
    });
    for python in &mut pythons {
        println!("Python found the lock taken for 5 s this often: {}", python.receive());
    }
    let cache = TokenCache::new(SecretServiceStore::open(entry).unwrap());
    assert_eq!(users(&cache).len(), 80);
    assert_eq!(pythons[0].users().len(), 80);
    assert_eq!(cache.entries(Some(CredentialType::RefreshToken)).unwrap().len(), 80);
    assert!(!home.path().join("cache.bin.lockfile").exists());
    assert_eq!(fs::read(home.path().join("cache.bin")).unwrap(), b"");
}
