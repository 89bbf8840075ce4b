//! Caches in a SQLite database.

use std::path::Path;

use msal_cache::sqlite::Synchronous;
use msal_cache::{AccountInfo, SqliteStore, TokenCache};

use crate::floor;
use crate::measure::{Effort, Side, compare, computing, side};
use crate::memory::{client, fill, find, sign_out};
use crate::processes::{self, Kind};
use crate::report::{Report, Row};
use crate::workload::{self, SignIn};

#[expect(clippy::too_many_lines, reason = "one operation after the other")]
pub(crate) fn measure(report: &mut Report, effort: Effort, tokens: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (ours, floors) = (folder.path().join("ours.db"), folder.path().join("floor.db"));
    let open = |synchronous| {
        let builder = SqliteStore::builder(&ours).synchronous(synchronous);
        TokenCache::new(builder.open().unwrap())
    };
    {
        let cache = TokenCache::in_memory();
        fill(&cache, workload::sign_ins(tokens));
        cache.copy_to(&open(Synchronous::Normal)).unwrap();
        let memory = floor::Memory::of(workload::sign_ins(tokens));
        floor::sqlite::fill(&mut floor::sqlite::open(&floors, "NORMAL"), &memory.sections);
    }
    let probes = workload::probes(tokens);
    let mut key = String::new();
    let keys: Vec<_> = probes
        .iter()
        .map(|it| {
            floor::access_token_key(&mut key, &it.home_account_id, &it.realm, &it.scopes);
            key.clone()
        })
        .collect();
    let at = |nth: usize| &probes[nth % probes.len()];
    let key_at = |nth: usize| &keys[nth % keys.len()];
    let mut run = |operation, target, [ours, floor]: [Side<'_>; 2]| {
        let [ours, floor] = compare(effort, [ours, floor]);
        report.push(Row { store: "sqlite", operation, tokens, target: Some(target), ours, floor });
    };
    let cache = open(Synchronous::Full);
    let mut select = String::new();
    let connection = floor::sqlite::open(&floors, "FULL");
    run(
        "find again, unchanged",
        1.5,
        [
            computing(|nth| {
                assert_eq!(find(&cache, &at(nth).query(&at(nth).scopes)), at(nth).secret_len);
            }),
            computing(|nth| {
                let probe = at(nth);
                floor::access_token_key(
                    &mut select,
                    &probe.home_account_id,
                    &probe.realm,
                    &probe.scopes,
                );
                assert!(floor::sqlite::find(&connection, &select).len() > probe.secret_len);
            }),
        ],
    );
    drop(connection);
    run(
        "open and find one",
        1.5,
        [
            computing(|nth| {
                let cache = open(Synchronous::Full);
                assert_eq!(find(&cache, &at(nth).query(&at(nth).scopes)), at(nth).secret_len);
            }),
            computing(|nth| {
                assert_eq!(floor::sqlite::open_and_find(&floors, key_at(nth)), at(nth).secret_len);
            }),
        ],
    );
    let mut again: Vec<_> = probes.iter().map(|it| it.again.clone()).collect();
    let mut renewed = again.clone();
    let count = again.len();
    for (operation, synchronous, name) in [
        ("add one response, FULL", Synchronous::Full, "FULL"),
        ("add one response, NORMAL", Synchronous::Normal, "NORMAL"),
    ] {
        let cache = open(synchronous);
        let mut connection = floor::sqlite::open(&floors, name);
        // Whom a process doesn't know yet is read first.
        for sign_in in &again {
            cache.add(&sign_in.event()).unwrap();
        }
        run(
            operation,
            1.5,
            [
                side(|nth| {
                    let sign_in = &mut again[nth % count];
                    floor::renew(sign_in, nth);
                    cache.add(&sign_in.event()).unwrap();
                }),
                side(|nth| {
                    let sign_in = &mut renewed[nth % count];
                    floor::renew(sign_in, nth);
                    floor::sqlite::add(&mut connection, sign_in);
                }),
            ],
        );
    }
    let process = |kind, path: &Path| {
        let (path, probe) = (path.to_owned(), tokens - 1);
        side(move |_| processes::find(kind, &path, probe))
    };
    run(
        "whole process: open, find one",
        1.3,
        [process(Kind::Sqlite, &ours), process(Kind::FloorSqlite, &floors)],
    );
    // Works, and leaves nothing behind.
    sign_out(&client(&cache), &AccountInfo::of(&at(0).home_account_id));
    fill(&cache, at(0).restore.iter().map(SignIn::clone));
}
