//! The writer of this crate, the counterpart of `writer.py` and `writer.mjs`, and the reader.

use std::fmt::Arguments;
use std::io::{Write, stdin, stdout};
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache::{CredentialType, Event, FileStore, Query, TokenCache};
use msal_cache_peers::{Random, client_info, id_token};
use serde_json::json;

/// The sign-in of `user`.
fn sign_in(user: &str) -> Event {
    let event = json!({
        "client_id": "client",
        "scope": ["User.Read"],
        "token_endpoint": "https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
        "grant_type": "authorization_code",
        "response": {
            "token_type": "Bearer",
            "expires_in": 3600,
            "access_token": format!("AT-{user}"),
            "refresh_token": format!("RT-{user}"),
            "id_token": id_token(&json!({
                "oid": user, "sub": user, "preferred_username": format!("{user}@example"),
            })),
            "client_info": client_info(user, "tenant"),
        },
    });
    Event::from_json(&event.to_string()).expect("it is an event")
}

/// Creates a file with some users.
///
/// If MSAL Node reads and writes a file within one millisecond, it doesn't notice later changes and
/// overwrites them. A file of this size takes longer. MSAL Node also creates a missing file as an
/// empty one, which is not a cache to a reader of this crate until the first sign-in.
pub(crate) fn begin(path: &Path) {
    let memory = TokenCache::in_memory();
    for user in 0..200 {
        memory.add(&sign_in(&format!("first-{user}"))).expect("there is memory");
    }
    let file = TokenCache::new(FileStore::open(path).expect("it opens"));
    memory.copy_to(&file).expect("no other writer runs");
}

/// Prints a whole line and flushes it: a process may be killed after an acknowledged update.
fn say(line: Arguments<'_>) {
    static LINES: Mutex<()> = Mutex::new(());
    let _one = LINES.lock().expect("no thread panics while it holds the lock");
    let mut out = stdout();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).expect("it is read");
}

fn wait_for_a_line() {
    let mut line = String::new();
    stdin().read_line(&mut line).expect("a line");
}

/// Adds `count` tokens from each of `threads` handles.
pub(crate) fn write(path: &Path, name: &str, count: u64, pause: u64, threads: u64) {
    say(format_args!("ready"));
    wait_for_a_line();
    thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let cache = TokenCache::new(FileStore::open(path).expect("it opens"));
                let mut random = Random::new(thread + u64::from(std::process::id()));
                for number in (0..count * threads).filter(|number| number % threads == thread) {
                    thread::sleep(Duration::from_millis(pause / 2) + random.millis(pause));
                    let started = Instant::now();
                    let added = cache.add(&sign_in(&format!("{name}-{number}")));
                    let took = started.elapsed().as_millis();
                    match added {
                        Ok(_) => say(format_args!("ok {number} {took}")),
                        Err(error) => say(format_args!("err {number} {took} {error}: {error:?}")),
                    }
                }
            });
        }
    });
}

/// Reads all accounts repeatedly, until a line arrives on standard input.
pub(crate) fn read(path: &Path) {
    say(format_args!("ready"));
    let ended = thread::spawn(wait_for_a_line);
    let mut reads = 0_u64;
    while !ended.is_finished() {
        // A new handle has no decoded records, so it reads the file.
        let cache = TokenCache::new(FileStore::open(path).expect("it opens"));
        match cache.find(CredentialType::Account, &Query::new()) {
            Ok(_) => reads += 1,
            Err(error) => say(format_args!("err {reads} 0 {error}: {error:?}")),
        }
        thread::sleep(Duration::from_millis(2));
    }
    say(format_args!("reads {reads}"));
}
