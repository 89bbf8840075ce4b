//! Caches in a SQLite database.

use std::path::Path;

use msal_cache::sqlite::Synchronous;
use msal_cache::{AccountInfo, SqliteStore, TokenCache};

use crate::baseline;
use crate::measure::{Effort, Side, compare, computing, side};
use crate::memory::{client, fill, find, sign_out};
use crate::processes::{self, Kind};
use crate::report::{Report, Row};
use crate::workload::{self, SignIn};

#[expect(clippy::too_many_lines, reason = "a list of operations")]
pub(crate) fn measure(report: &mut Report, effort: Effort, tokens: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (ours, baselines) = (folder.path().join("ours.db"), folder.path().join("baseline.db"));
    let open = |synchronous| {
        let builder = SqliteStore::builder(&ours).synchronous(synchronous);
        TokenCache::new(builder.open().unwrap())
    };
    {
        let cache = TokenCache::in_memory();
        fill(&cache, workload::sign_ins(tokens));
        cache.copy_to(&open(Synchronous::Normal)).unwrap();
        let memory = baseline::Memory::of(workload::sign_ins(tokens));
        baseline::sqlite::fill(&mut baseline::sqlite::open(&baselines, "NORMAL"), &memory.sections);
    }
    let probes = workload::probes(tokens);
    let mut key = String::new();
    let keys: Vec<_> = probes
        .iter()
        .map(|it| {
            baseline::access_token_key(&mut key, &it.home_account_id, &it.realm, &it.scopes);
            key.clone()
        })
        .collect();
    let at = |nth: usize| &probes[nth % probes.len()];
    let key_at = |nth: usize| &keys[nth % keys.len()];
    let mut run = |operation, target, [ours, baseline]: [Side<'_>; 2]| {
        let [ours, baseline] = compare(effort, [ours, baseline]);
        report.push(Row {
            store: "sqlite",
            operation,
            tokens,
            target: Some(target),
            ours,
            baseline,
        });
    };
    let cache = open(Synchronous::Full);
    let mut select = String::new();
    let connection = baseline::sqlite::open(&baselines, "FULL");
    run(
        "find again, unchanged",
        1.5,
        [
            computing(|nth| {
                assert_eq!(find(&cache, &at(nth).query(&at(nth).scopes)), at(nth).secret_len);
            }),
            computing(|nth| {
                let probe = at(nth);
                baseline::access_token_key(
                    &mut select,
                    &probe.home_account_id,
                    &probe.realm,
                    &probe.scopes,
                );
                assert!(baseline::sqlite::find(&connection, &select).len() > probe.secret_len);
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
                assert_eq!(
                    baseline::sqlite::open_and_find(&baselines, key_at(nth)),
                    at(nth).secret_len
                );
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
        let mut connection = baseline::sqlite::open(&baselines, name);
        // Warm up: a user that the process hasn't read yet is read first.
        for sign_in in &again {
            cache.add(&sign_in.event()).unwrap();
        }
        run(
            operation,
            1.5,
            [
                side(|nth| {
                    let sign_in = &mut again[nth % count];
                    baseline::renew(sign_in, nth);
                    cache.add(&sign_in.event()).unwrap();
                }),
                side(|nth| {
                    let sign_in = &mut renewed[nth % count];
                    baseline::renew(sign_in, nth);
                    baseline::sqlite::add(&mut connection, sign_in);
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
        [process(Kind::Sqlite, &ours), process(Kind::BaselineSqlite, &baselines)],
    );
    // A sign-out works, too.
    sign_out(&client(&cache), &AccountInfo::of(&at(0).home_account_id));
    fill(&cache, at(0).restore.iter().map(SignIn::clone));
}
