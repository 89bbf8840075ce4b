//! Processes that refresh at the same time. The server accepts each refresh token once and treats a
//! second use as theft. This is a separate binary, which also runs as the other processes.
#![cfg(any(feature = "file", feature = "sqlite"))]

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use msal_cache::acquire::TokenSource;
use msal_cache::endpoint::{
    TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
};
use msal_cache::store::CacheStore;
use msal_cache::{AccountInfo, Event, Fields, SilentRequest, TokenCache};

const CLIENT: &str = "client-id";
const AUTHORITY: &str = "https://login.example/tenant";
const HOME: &str = "uid.tenant";

/// Environment variables of the other processes.
const SERVER: &str = "MSAL_CACHE_TEST_SERVER";
const PLACE: &str = "MSAL_CACHE_TEST_PLACE";

const PROCESSES: usize = 8;

/// The number of refreshes of each process.
const ROUNDS: usize = 3;

/// The server. It reads a line with a refresh token, and writes a line with the next one or reports
/// a replay.
#[derive(Debug)]
struct Server {
    address: String,
    state: Arc<Mutex<Issued>>,
}

#[derive(Debug)]
struct Issued {
    current: String,
    count: usize,
    replays: usize,
}

impl Server {
    fn start(first: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let issued = Issued { current: first.into(), count: 0, replays: 0 };
        let state = Arc::new(Mutex::new(issued));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = shared.clone();
                thread::spawn(move || serve(&stream.unwrap(), &state).unwrap());
            }
        });
        Self { address, state }
    }
}

fn serve(mut stream: &TcpStream, state: &Mutex<Issued>) -> io::Result<()> {
    let mut given = String::new();
    BufReader::new(stream).read_line(&mut given)?;
    // Without a guard, the other processes would send requests in this time.
    thread::sleep(Duration::from_millis(20));
    let answer = {
        let mut state = state.lock().unwrap();
        if given.trim_end() == state.current {
            state.count += 1;
            state.current = format!("refresh-token-{}", state.count);
            state.current.clone()
        } else {
            state.replays += 1;
            "replay".into()
        }
    };
    writeln!(stream, "{answer}")
}

/// The connection to the server.
struct Wire(String);

impl Wire {
    fn exchange(&self, refresh_token: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(&self.0)?;
        writeln!(stream, "{refresh_token}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }
}

impl TokenEndpoint for Wire {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let form = request.form();
        let answer = self
            .exchange(form.get("refresh_token").unwrap_or_default())
            .map_err(|error| TransportError::new(TransportErrorKind::Unreachable, error))?;
        if answer == "replay" {
            return Ok(TokenResponse::new(400, Fields::new().set("error", "invalid_grant")));
        }
        let body = Fields::new()
            .set("access_token", format!("for {answer}"))
            .set("expires_in", 3600)
            .set("scope", form.get("scope").unwrap_or_default())
            .set("refresh_token", answer);
        Ok(TokenResponse::new(200, body))
    }
}

/// The task of another process. In each round, it refreshes a token with its own scopes. It also
/// needs a token that all processes need: one process requests it and the others find it.
fn other_process<S: CacheStore>(store: S, server: &str) {
    let cache = TokenCache::new(store);
    let client = cache.client(CLIENT, AUTHORITY);
    let (wire, user) = (Wire(server.into()), AccountInfo::of(HOME));
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "ready").unwrap();
    stdout.flush().unwrap();
    io::stdin().read_line(&mut String::new()).unwrap();
    let own = format!("Own.{}", std::process::id());
    for _ in 0..ROUNDS {
        let request = SilentRequest::new([&own], &user).force_refresh(true);
        let token = client.acquire(&request, &wire).expect("a valid token with its own scopes");
        assert_eq!(token.source(), TokenSource::IdentityProvider);
        assert!(token.access_token().scopes().any(|it| it == own));
        client.acquire_token_silent(["Shared"], &user, &wire).expect("a valid shared token");
    }
    let token = client.acquire_token_silent([&own], &user, &wire).expect("a cached token");
    assert_eq!(token.source(), TokenSource::Cache);
    writeln!(stdout, "done").unwrap();
}

/// Starts processes that run the test of this name in this binary at the same time. Then checks
/// their results, the server and the cache.
fn every_process_gets_a_valid_token<S: CacheStore>(test: &str, open: impl Fn(&Path) -> S) {
    if let (Ok(server), Some(place)) = (env::var(SERVER), env::var_os(PLACE)) {
        return other_process(open(place.as_ref()), &server);
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("cache");
    let server = Server::start("first");
    let cache = TokenCache::new(open(&place));
    let client_info = "eyJ1aWQiOiJ1aWQiLCJ1dGlkIjoidGVuYW50In0";
    let sign_in = Fields::new()
        .set("access_token", "at")
        .set("refresh_token", "first")
        .set("client_info", client_info);
    cache
        .add(
            &Event::new(CLIENT)
                .token_endpoint(format!("{AUTHORITY}/oauth2/v2.0/token"))
                .scope(["openid"])
                .response(sign_in),
        )
        .unwrap();
    let start = |_| {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(SERVER, &server.address)
            .env(PLACE, &place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        (child, stdout)
    };
    let mut children: Vec<_> = (0..PROCESSES).map(start).collect();
    for (_, stdout) in &mut children {
        assert!(stdout.by_ref().lines().any(|line| line.unwrap().contains("ready")));
    }
    for (child, _) in &mut children {
        writeln!(child.stdin.take().unwrap(), "go").unwrap();
    }
    for (child, stdout) in &mut children {
        let lines: Vec<_> = stdout.lines().map(Result::unwrap).collect();
        let ended = child.wait().unwrap();
        assert!(ended.success() && lines.iter().any(|it| it.contains("done")), "{lines:?}");
    }
    let issued = server.state.lock().unwrap();
    println!("{PROCESSES} processes: {} refreshes, {} replays", issued.count, issued.replays);
    assert_eq!(issued.replays, 0, "a refresh token was used twice");
    assert_eq!(issued.count, PROCESSES * ROUNDS + 1, "the shared token is requested once");
    assert!(
        cache.serialize().unwrap().contains(&issued.current),
        "the last refresh token is stored"
    );
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!left.iter().any(|it| it.to_string_lossy().contains("refresh-")), "{left:?}");
}

#[cfg(feature = "file")]
#[test]
fn processes_on_a_file() {
    every_process_gets_a_valid_token("processes_on_a_file", |place| {
        msal_cache::FileStore::open(place).unwrap()
    });
}

#[cfg(feature = "sqlite")]
#[test]
fn processes_on_a_database() {
    every_process_gets_a_valid_token("processes_on_a_database", |place| {
        msal_cache::SqliteStore::open(place).unwrap()
    });
}
