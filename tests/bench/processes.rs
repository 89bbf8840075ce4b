//! Whole processes: one that opens a cache and finds a token, and four that write to one cache at
//! the same time. They run this program with other arguments.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use msal_cache::store::CacheStore;
use msal_cache::{CredentialType, Query, TokenCache};

use crate::baseline;
use crate::memory::find as find_one;
use crate::report::Report;
use crate::workload::{TOKENS, User};

/// The kind of cache that a process opens.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    File,
    BaselineFile,
    Sqlite,
    BaselineSqlite,
}

const KINDS: &[(&str, Kind)] = &[
    ("file", Kind::File),
    ("baseline-file", Kind::BaselineFile),
    ("sqlite", Kind::Sqlite),
    ("baseline-sqlite", Kind::BaselineSqlite),
];

const PROCESSES: usize = 4;
const ADDS: usize = 200;

fn command(task: &str, kind: Kind, path: &Path, number: usize) -> Command {
    let (name, _) =
        KINDS.iter().find(|(_, it)| *it as usize == kind as usize).expect("all are listed");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--worker", task, name]).arg(path).arg(number.to_string());
    command
}

/// Opens a cache and finds the access token of this number, in a new process.
pub(crate) fn find(kind: Kind, path: &Path, token: usize) {
    assert!(command("find", kind, path, token).status().unwrap().success());
}

/// Runs the task of a worker process, if this is one.
pub(crate) fn is_worker() -> bool {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, worker, task, name, path, number] = &arguments[..] else { return false };
    if worker != "--worker" {
        return false;
    }
    let (_, kind) = KINDS.iter().find(|(it, _)| it == name).expect("a kind of cache");
    let (path, number) = (Path::new(path), number.parse().unwrap());
    match task.as_str() {
        "find" => do_find(*kind, path, number),
        "add" => do_add(*kind, path, number),
        other => panic!("unknown task {other}"),
    }
    true
}

fn do_find(kind: Kind, path: &Path, token: usize) {
    let sign_in = User::new(token / TOKENS, "").sign_in(token % TOKENS, 0);
    let home = String::from_utf8(base64_decode(&sign_in.client_info)).unwrap();
    let info: serde_json::Value = serde_json::from_str(&home).unwrap();
    let home = format!("{}.{}", info["uid"].as_str().unwrap(), info["utid"].as_str().unwrap());
    let query = || {
        Query::new()
            .home_account_id(&home)
            .environment(crate::workload::ENVIRONMENT)
            .client_id(crate::workload::CLIENT)
            .realm(&sign_in.realm)
            .target(&sign_in.scopes)
    };
    let mut key = String::new();
    baseline::access_token_key(&mut key, &home, &sign_in.realm, &sign_in.scopes);
    let found = match kind {
        Kind::File => {
            find_one(&TokenCache::new(msal_cache::FileStore::open(path).unwrap()), &query())
        }
        Kind::BaselineFile => baseline::open_and_find(path, &key),
        Kind::Sqlite => {
            find_one(&TokenCache::new(msal_cache::SqliteStore::open(path).unwrap()), &query())
        }
        Kind::BaselineSqlite => baseline::sqlite::open_and_find(path, &key),
    };
    assert_eq!(found, sign_in.access_token.len());
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Adds sign-ins of users that no other worker adds, and prints the longest time of one.
fn do_add(kind: Kind, path: &Path, worker: usize) {
    let sign_ins: Vec<_> =
        (0..ADDS).map(|nth| User::new(worker * ADDS + nth, "new").sign_in(0, 0)).collect();
    let events: Vec<_> = sign_ins.iter().map(super::workload::SignIn::event).collect();
    let mut add: Box<dyn FnMut(usize)> = match kind {
        Kind::File => {
            let cache = TokenCache::new(msal_cache::FileStore::open(path).unwrap());
            Box::new(move |nth| drop(cache.add(&events[nth]).unwrap()))
        }
        Kind::BaselineFile => Box::new(|nth| baseline::add_to_shared(path, &sign_ins[nth])),
        Kind::Sqlite => {
            let cache = TokenCache::new(msal_cache::SqliteStore::open(path).unwrap());
            Box::new(move |nth| drop(cache.add(&events[nth]).unwrap()))
        }
        Kind::BaselineSqlite => {
            let mut connection = baseline::sqlite::open(path, "FULL");
            Box::new(move |nth| baseline::sqlite::add(&mut connection, &sign_ins[nth]))
        }
    };
    println!("ready");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    let mut longest = Duration::ZERO;
    for nth in 0..ADDS {
        let started = Instant::now();
        add(nth);
        longest = longest.max(started.elapsed());
    }
    println!("{}", longest.as_micros());
}

/// Runs the processes concurrently. Returns the adds per second and the longest time of one.
fn race(kind: Kind, path: &Path) -> (f64, Duration) {
    let mut workers: Vec<(Child, BufReader<_>)> = (0..PROCESSES)
        .map(|worker| {
            let mut child = command("add", kind, path, worker)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let out = BufReader::new(child.stdout.take().unwrap());
            (child, out)
        })
        .collect();
    let line = |out: &mut BufReader<_>| {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };
    for (_, out) in &mut workers {
        assert_eq!(line(out), "ready\n");
    }
    let started = Instant::now();
    for (child, _) in &mut workers {
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    let mut longest = Duration::ZERO;
    for (child, out) in &mut workers {
        let micros: u64 = line(out).trim().parse().expect("a worker failed");
        longest = longest.max(Duration::from_micros(micros));
        assert!(child.wait().unwrap().success());
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let adds = (PROCESSES * ADDS) as f64;
    (adds / started.elapsed().as_secs_f64(), longest)
}

fn lost<S: CacheStore>(cache: &TokenCache<S>) -> usize {
    let stored = cache.entries(Some(CredentialType::AccessToken)).unwrap().len();
    PROCESSES * ADDS - stored
}

pub(crate) fn measure(report: &mut Report) {
    let mut both = |name: &str,
                    target: f64,
                    ours: Kind,
                    baseline: Kind,
                    lost: &dyn Fn(&Path) -> usize| {
        let mut rates = (Vec::new(), Vec::new());
        let (mut wait, mut missing) = (Duration::ZERO, 0);
        for _ in 0..3 {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let path = folder.path().join("ours");
            let (rate, longest) = race(ours, &path);
            rates.0.push(rate);
            wait = wait.max(longest);
            missing += lost(&path);
            rates.1.push(race(baseline, &folder.path().join("baseline")).0);
        }
        let median = |mut rates: Vec<f64>| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        };
        let (ours, baseline) = (median(rates.0), median(rates.1));
        report.note(format!(
                "{PROCESSES} processes with {ADDS} adds each on one {name}: {ours:.0} adds/s, \
             {:.2} of the baseline's {baseline:.0} (target {target}); {missing} lost; longest wait {} ms.",
                ours / baseline,
                wait.as_millis(),
            ));
    };
    both("file", 0.8, Kind::File, Kind::BaselineFile, &|path| {
        lost(&TokenCache::new(msal_cache::FileStore::open(path).unwrap()))
    });
    both("SQLite database", 0.7, Kind::Sqlite, Kind::BaselineSqlite, &|path| {
        lost(&TokenCache::new(msal_cache::SqliteStore::open(path).unwrap()))
    });
}
