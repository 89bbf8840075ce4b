//! Caches in memory, and helpers for all stores.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use msal_cache::store::CacheStore;
use msal_cache::{AccountInfo, Client, CredentialType, Event, Fields, Query, TokenCache};

use crate::baseline;
use crate::measure::{Effort, Side, compare, computing, undone};
use crate::report::{Report, Row, thousands};
use crate::workload::{self, CLIENT, ENVIRONMENT, Probe, SignIn};

const NOPE: &str = "https://nope.example/scope";

/// The length of the first token that a query finds; 0 if there is none.
pub(crate) fn find<S: CacheStore>(cache: &TokenCache<S>, query: &Query) -> usize {
    let mut found = cache.search(CredentialType::AccessToken, query).unwrap();
    found.next().map_or(0, |it| it.access_token().unwrap().secret().expose().len())
}

/// The client of all tokens.
pub(crate) fn client<S: CacheStore>(cache: &TokenCache<S>) -> Client<S> {
    cache.client(CLIENT, format!("https://{ENVIRONMENT}/organizations"))
}

/// Signs a user out.
pub(crate) fn sign_out<S: CacheStore>(client: &Client<S>, account: &AccountInfo) {
    assert!(client.remove_account(account).unwrap() >= 4);
}

pub(crate) fn fill<S: CacheStore>(cache: &TokenCache<S>, sign_ins: impl Iterator<Item = SignIn>) {
    sign_ins.for_each(|sign_in| drop(cache.add(&sign_in.event()).unwrap()));
}

/// The name and target of an operation, this crate's side and the baseline's.
type Operation<'a> = (&'static str, f64, Side<'a>, Side<'a>);

pub(crate) fn measure(report: &mut Report, effort: Effort, tokens: usize) {
    let cache = TokenCache::in_memory();
    fill(&cache, workload::sign_ins(tokens));
    let mut baseline = baseline::Memory::of(workload::sign_ins(tokens));
    let probes = workload::probes(tokens);
    let nope = [NOPE.to_owned()];
    let users = tokens.div_ceil(workload::TOKENS);
    let mut run = |(operation, target, ours, baseline): Operation<'_>| {
        let [ours, baseline] = compare(effort, [ours, baseline]);
        report.push(Row {
            store: "memory",
            operation,
            tokens,
            target: Some(target),
            ours,
            baseline,
        });
    };
    let at = |nth: usize| &probes[nth % probes.len()];
    let prepared: Vec<_> = probes.iter().map(|it| it.query(&it.scopes)).collect();

    // Warm up, since most look-ups of an app are warm.
    for probe in &probes {
        assert_eq!(find(&cache, &probe.query(&probe.scopes)), probe.secret_len);
    }
    run((
        "exact hit",
        2.0,
        computing(|nth| {
            assert_eq!(find(&cache, &at(nth).query(&at(nth).scopes)), at(nth).secret_len);
        }),
        computing(|nth| assert_eq!(baseline.hit(at(nth)), at(nth).secret_len)),
    ));
    run((
        "exact hit, query at hand",
        2.0,
        computing(|nth| {
            assert_eq!(find(&cache, &prepared[nth % prepared.len()]), at(nth).secret_len);
        }),
        computing(|nth| assert_eq!(baseline.hit(at(nth)), at(nth).secret_len)),
    ));
    run((
        "subset hit",
        2.0,
        computing(|nth| {
            assert_eq!(find(&cache, &at(nth).query(&at(nth).scopes[1..2])), at(nth).secret_len);
        }),
        computing(|nth| {
            assert_eq!(baseline.subset(at(nth), &at(nth).scopes[1..2]), at(nth).secret_len);
        }),
    ));
    run((
        "miss",
        2.0,
        computing(|nth| assert_eq!(find(&cache, &at(nth).query(&nope)), 0)),
        computing(|nth| assert_eq!(baseline.subset(at(nth), &nope), 0)),
    ));
    run((
        "refresh token",
        2.0,
        computing(|nth| {
            let found = cache.search(CredentialType::RefreshToken, &at(nth).without_realm());
            assert!(black_box(found.unwrap().next()).is_some());
        }),
        computing(|nth| assert!(black_box(baseline.refresh_token(at(nth))).is_some())),
    ));
    run((
        "account of one user",
        2.0,
        computing(|nth| {
            let query = Query::new()
                .home_account_id(&at(nth).home_account_id)
                .environment(ENVIRONMENT)
                .realm(&at(nth).realm);
            let found = cache.search(CredentialType::Account, &query);
            assert!(black_box(found.unwrap().next()).is_some());
        }),
        computing(|nth| assert!(black_box(baseline.account(at(nth))).is_some())),
    ));
    run((
        "all accounts",
        2.0,
        computing(|_| {
            let query = Query::new().environment(ENVIRONMENT);
            assert_eq!(
                black_box(cache.find(CredentialType::Account, &query)).unwrap().len(),
                users
            );
        }),
        computing(|_| assert_eq!(black_box(baseline.accounts()).len(), users)),
    ));
    if tokens <= 100_000 {
        run(document_in(&cache));
        run(document_out(&cache));
    }
    changes(report, effort, tokens, &cache, baseline, &probes);
}

fn changes(
    report: &mut Report,
    effort: Effort,
    tokens: usize,
    cache: &TokenCache,
    mut baseline: baseline::Memory,
    probes: &[Probe],
) {
    let mut run = |(operation, target, ours, baseline): Operation<'_>| {
        let [ours, baseline] = compare(effort, [ours, baseline]);
        report.push(Row {
            store: "memory",
            operation,
            tokens,
            target: Some(target),
            ours,
            baseline,
        });
    };
    let at = |nth: usize| &probes[nth % probes.len()];
    let events: Vec<_> = probes.iter().map(|it| it.again.event()).collect();
    run((
        "add one response",
        4.0,
        computing(|nth| drop(cache.add(&events[nth % events.len()]).unwrap())),
        computing(|nth| baseline.add(&at(nth).again)),
    ));
    let restore: Vec<Vec<Event>> =
        probes.iter().map(|it| it.restore.iter().map(SignIn::event).collect()).collect();
    let client = client(cache);
    let accounts: Vec<_> = probes.iter().map(|it| AccountInfo::of(&it.home_account_id)).collect();
    run((
        "sign one account out",
        3.0,
        undone(
            (),
            |(), nth| sign_out(&client, &accounts[nth % accounts.len()]),
            |(), nth| {
                for event in &restore[nth % restore.len()] {
                    cache.add(event).unwrap();
                }
            },
        ),
        undone(
            &mut baseline,
            |baseline, nth| baseline.sign_out(at(nth)),
            |baseline, nth| at(nth).restore.iter().for_each(|it| baseline.add(it)),
        ),
    ));
}

fn document_in(cache: &TokenCache) -> Operation<'static> {
    let text = cache.serialize().unwrap();
    let copy = text.clone();
    (
        "whole document in",
        1.3,
        computing(move |_| {
            let cache = TokenCache::in_memory();
            cache.deserialize(black_box(&text)).unwrap();
            black_box(cache);
        }),
        computing(move |_| {
            let read: baseline::RawOwned = serde_json::from_str(black_box(&copy)).unwrap();
            black_box(read);
        }),
    )
}

fn document_out(cache: &TokenCache) -> Operation<'static> {
    let text: &'static str = Box::leak(cache.serialize().unwrap().into_boxed_str());
    let sections: baseline::Raw<'static> = serde_json::from_str(text).unwrap();
    let mut out = Vec::with_capacity(text.len());
    let cache = cache.clone();
    (
        "whole document out",
        1.5,
        computing(move |_| drop(black_box(cache.serialize().unwrap()))),
        computing(move |_| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&sections)).unwrap();
            black_box(&out);
        }),
    )
}

/// Look-ups of a client with many tokens that differ in their extended cache key.
pub(crate) fn measure_extended_keys(report: &mut Report, effort: Effort, tokens: usize) {
    const SCOPE: &str = "https://graph.microsoft.com/.default";
    let path = |nth: usize| format!("agent/{nth}");
    let event = |nth: usize| {
        Event::new(CLIENT)
            .token_endpoint(format!("https://{ENVIRONMENT}/tenant/oauth2/v2.0/token"))
            .scope([SCOPE])
            .grant_type("client_credentials")
            .data(Fields::new().set("fmi_path", path(nth)))
            .response(
                Fields::new()
                    .set("access_token", format!("{nth:01500}"))
                    .set("expires_in", workload::EXPIRES_ON - 1_700_000_000),
            )
    };
    let cache = TokenCache::in_memory();
    (0..tokens).for_each(|nth| drop(cache.add(&event(nth)).unwrap()));
    let keys: Vec<_> = (0..64)
        .map(|nth| {
            msal_cache::store::ext_cache_key([("fmi_path", path(nth * tokens / 64))]).unwrap()
        })
        .collect();
    let key_of = |out: &mut String, key: &str| {
        out.clear();
        for part in [CLIENT, "-", ENVIRONMENT, "-atext-tenant-", SCOPE, "-", key] {
            baseline::push_lower(out, part);
        }
    };
    let mut buffer = String::new();
    let mut baseline: std::collections::HashMap<String, Box<str>> =
        (0..tokens).map(|nth| (format!("{CLIENT}-tenant-{}", path(nth)), "".into())).collect();
    for key in &keys {
        key_of(&mut buffer, key);
        baseline.insert(buffer.clone(), "x".into());
    }
    let [ours, baseline] = compare(
        effort,
        [
            computing(|nth| {
                let query = Query::new()
                    .home_account_id(None)
                    .environment(ENVIRONMENT)
                    .client_id(CLIENT)
                    .realm("tenant")
                    .ext_cache_key(&keys[nth % keys.len()])
                    .target([SCOPE]);
                assert_eq!(find(&cache, &query), 1500);
            }),
            computing(|nth| {
                key_of(&mut buffer, &keys[nth % keys.len()]);
                assert!(black_box(baseline.get(&buffer)).is_some());
            }),
        ],
    );
    let operation = "hit by an extended key";
    report.push(Row { store: "memory", operation, tokens, target: Some(2.0), ours, baseline });
}

/// Look-ups per second by one thread, by a thread per core on one cache, and by as many threads on a
/// cache each, which share nothing: what the machine can give.
pub(crate) fn measure_threads(report: &mut Report, tokens: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let caches: Vec<_> = (0..cores)
        .map(|_| {
            let cache = TokenCache::in_memory();
            fill(&cache, workload::sign_ins(tokens));
            cache
        })
        .collect();
    let probes = workload::probes(tokens);
    let rate = |caches: &[&TokenCache]| {
        let begin = Barrier::new(caches.len());
        let time = Duration::from_millis(500);
        let count: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = caches
                .iter()
                .enumerate()
                .map(|(worker, cache)| {
                    let (probes, begin) = (&probes, &begin);
                    scope.spawn(move || {
                        begin.wait();
                        let started = Instant::now();
                        let mut count = 0;
                        while started.elapsed() < time {
                            for nth in 0..64 {
                                let probe = &probes[(worker + nth) % probes.len()];
                                assert!(find(cache, &probe.query(&probe.scopes)) > 0);
                            }
                            count += 64;
                        }
                        count
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        count * 2
    };
    let (one, each) = (&caches[0], caches.iter().collect::<Vec<_>>());
    let mut best = [0; 3];
    for _ in 0..5 {
        best[0] = best[0].max(rate(&[one]));
        best[1] = best[1].max(rate(&vec![one; cores]));
        best[2] = best[2].max(rate(&each));
    }
    let [alone, shared, apart] = best.map(thousands);
    report.note(format!(
        "Look-ups in memory: {alone} a second by one thread, {shared} by {cores} on one cache, {apart} by \
         {cores} on a cache each."
    ));
}
