//! Scans the memory of a process for tokens after its cache was dropped.
#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

use msal_cache::store::CacheStore;
use msal_cache::{CredentialType, Event, Fields, FileStore, Memory, Query, TokenCache};
use zeroize::Zeroizing;

const JOB: &str = "MSAL_CACHE_MEMORY_JOB";

/// The letters of the tokens are only in memory while a token is: the scan compares hidden letters.
const HIDDEN: u8 = 0x55;

/// The hidden beginning of the tokens of this process.
fn hidden() -> Vec<u8> {
    let letter = |n: usize| b'A' + u8::try_from((n * 7 + 3) % 26).unwrap();
    (0..40).map(|n| letter(n) ^ HIDDEN).collect()
}

/// A token, which is overwritten when it is dropped.
fn token() -> Zeroizing<String> {
    let mut token = Zeroizing::new(String::with_capacity(2000));
    for letter in hidden() {
        token.push(char::from(letter ^ HIDDEN));
    }
    for n in 0..200 {
        write!(token, "{n}.").unwrap();
    }
    token
}

/// How many copies of the token are in the memory that this process can write to.
fn copies() -> usize {
    let hidden = hidden();
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut found = 0;
    let mut part = vec![0; 1 << 20];
    for map in maps.lines().filter(|map| map.split(' ').nth(1).unwrap().starts_with("rw")) {
        let (start, end) = map.split(' ').next().unwrap().split_once('-').unwrap();
        let [mut at, end] = [start, end].map(|it| u64::from_str_radix(it, 16).unwrap());
        while at < end {
            let length = usize::try_from((end - at).min(part.len() as u64)).unwrap();
            let Ok(read) = memory.read_at(&mut part[..length], at) else {
                // The page was unmapped since.
                at += 4096;
                continue;
            };
            for byte in &mut part[..read] {
                *byte ^= HIDDEN;
            }
            found += memchr::memmem::find_iter(&part[..read], &hidden).count();
            // The scan also comes to this buffer.
            part.fill(0);
            let read = read as u64;
            // A token may begin in this part and end in the next one.
            at += if at + read < end {
                read.saturating_sub(hidden.len() as u64).max(1)
            } else {
                read
            };
        }
    }
    found
}

fn use_and_drop<S: CacheStore>(store: S) {
    let cache = TokenCache::new(store);
    let response = Fields::new()
        .set("access_token", token().as_str())
        .set("refresh_token", token().as_str())
        .set("client_info", "eyJ1aWQiOiJ1IiwidXRpZCI6InQifQ")
        .set("expires_in", 3600);
    let event = Event::new("client")
        .token_endpoint("https://login.example/t/oauth2/v2.0/token")
        .scope(["User.Read"])
        .response(response);
    cache.add(&event).unwrap();
    let found = cache.find(CredentialType::AccessToken, &Query::new()).unwrap();
    assert_eq!(found.len(), 1);
    assert!(copies() > 1, "the scan finds nothing: {}", copies());
    // A second response replaces the tokens, and a sign-out removes them.
    cache.add(&event).unwrap();
    cache.remove_user("u.t").unwrap();
    drop((found, event));
    assert_eq!(copies(), 0, "after the sign-out");
    drop(cache);
    assert_eq!(copies(), 0, "after the cache was dropped");
}

/// Reads tokens whose JSON text has escapes, as other libraries may write them.
fn read_escaped_and_drop(store: impl CacheStore) {
    let cache = TokenCache::new(store);
    let found = cache.find(CredentialType::AccessToken, &Query::new()).unwrap();
    let [entry] = &found[..] else { panic!("{found:?}") };
    assert!(entry.access_token().unwrap().secret().expose().starts_with('/'));
    // The text of the record, and the decoded token.
    assert!(copies() > 1, "the scan finds nothing: {}", copies());
    drop((found, cache));
    assert_eq!(copies(), 0, "after the cache was dropped");
}

#[test]
fn no_token_with_escapes_is_left_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    // A part of the memory that is freed is used again at once.
    let letters: String = hidden().iter().map(|letter| char::from(letter ^ HIDDEN)).collect();
    let token = letters.repeat(40);
    let document = format!(
        r#"{{"AccessToken": {{"k": {{"secret": "\/{token}\u0041", "home_account_id": "u.t",
            "credential_type": "AccessToken", "environment": "login.example", "client_id": "client",
            "realm": "t", "target": "S", "cached_at": "1700000000", "expires_on": "4000000000"}}}}}}"#
    );
    let mut options = fs::OpenOptions::new();
    let file =
        options.write(true).create_new(true).mode(0o600).open(folder.path().join("cache.json"));
    file.unwrap().write_all(document.as_bytes()).unwrap();
    run("escaped", folder.path());
}

/// Runs a job in a process of its own.
fn run(job: &str, folder: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "job", "--nocapture"]).env(JOB, job).current_dir(folder);
    let output = child.output().unwrap();
    assert!(output.status.success(), "{job}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn no_token_is_left_in_memory_after_a_sign_out() {
    for job in ["memory", "file"] {
        let folder = tempfile::tempdir().unwrap();
        run(job, folder.path());
    }
}

/// In a process of its own, which runs nothing else.
#[test]
fn job() {
    match std::env::var(JOB).as_deref() {
        Ok("memory") => use_and_drop(Memory::new()),
        Ok("escaped") => read_escaped_and_drop(FileStore::open("cache.json").unwrap()),
        Ok("file") => use_and_drop(FileStore::open("cache.json").unwrap()),
        _ => {}
    }
}
