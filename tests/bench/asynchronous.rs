//! The async face, compared with the blocking one, and with one bare hand-over to a thread for
//! blocking work.

use std::path::Path;
use std::time::Instant;

use msal_cache::store::AsyncCacheStore;
use msal_cache::{AsyncTokenCache, CredentialType, FileStore, Query, SqliteStore, TokenCache};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

use crate::measure::{Effort, Side, compare, computing, processor_time};
use crate::memory::{fill, find};
use crate::report::{Report, Row};
use crate::workload;

async fn awaited<S: AsyncCacheStore>(cache: &AsyncTokenCache<S>, query: &Query) -> usize {
    let mut found = cache.search(CredentialType::AccessToken, query).await.unwrap();
    found.next().map_or(0, |it| it.access_token().unwrap().secret().expose().len())
}

/// Look-ups one after the other in one task.
fn hits<'a, S: AsyncCacheStore>(
    runtime: &'a Runtime,
    cache: &'a AsyncTokenCache<S>,
    probes: &'a [workload::Probe],
    is_wall_clock: bool,
) -> Side<'a> {
    let mut next = 0;
    Box::new(move |times| {
        let (started, processor) = (Instant::now(), processor_time());
        runtime.block_on(async {
            for _ in 0..times {
                let probe = &probes[next % probes.len()];
                let found = awaited(cache, &probe.query(&probe.scopes)).await;
                assert_eq!(found, probe.secret_len);
                next += 1;
            }
        });
        if is_wall_clock { started.elapsed() } else { processor_time().saturating_sub(processor) }
    })
}

/// Bare hand-overs, one after the other in one task.
fn hand_overs(runtime: &Runtime) -> Side<'_> {
    Box::new(move |times| {
        let started = Instant::now();
        runtime.block_on(async {
            for _ in 0..times {
                spawn_blocking(|| ()).await.unwrap();
            }
        });
        started.elapsed()
    })
}

pub(crate) fn measure(report: &mut Report, effort: Effort, tokens: usize) {
    let probes = workload::probes(tokens);
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let blocking = TokenCache::in_memory();
    fill(&blocking, workload::sign_ins(tokens));
    let mut run = |store, operation, target, sides: [Side<'_>; 2]| {
        let [ours, baseline] = compare(effort, sides);
        report.push(Row { store, operation, tokens, target: Some(target), ours, baseline });
    };
    // Warm up, and then as in `memory`.
    for probe in &probes {
        assert_eq!(find(&blocking, &probe.query(&probe.scopes)), probe.secret_len);
    }
    let at = |nth: usize| &probes[nth % probes.len()];
    let cache = AsyncTokenCache::from(blocking.clone());
    run(
        "memory",
        "awaited hit / blocking hit",
        1.2,
        [
            hits(&runtime, &cache, &probes, false),
            computing(|nth| {
                assert_eq!(find(&blocking, &at(nth).query(&at(nth).scopes)), at(nth).secret_len);
            }),
        ],
    );
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = |name: &str| folder.path().join(name);
    let operation = "awaited hit / hand-over";
    let file = TokenCache::new(FileStore::open(path("cache.json")).unwrap());
    blocking.copy_to(&file).unwrap();
    let file = AsyncTokenCache::from(file);
    warm(&runtime, &file, &probes);
    // A file that was read right after its last change is read once more.
    std::thread::sleep(std::time::Duration::from_millis(50));
    warm(&runtime, &file, &probes);
    let ours = hits(&runtime, &file, &probes, true);
    run("file", operation, 1.5, [ours, hand_overs(&runtime)]);
    let database: &Path = &path("cache.db");
    let sqlite = TokenCache::new(SqliteStore::open(database).unwrap());
    blocking.copy_to(&sqlite).unwrap();
    let sqlite = AsyncTokenCache::from(sqlite);
    warm(&runtime, &sqlite, &probes);
    let ours = hits(&runtime, &sqlite, &probes, true);
    run("sqlite", operation, 1.5, [ours, hand_overs(&runtime)]);
}

fn warm<S: AsyncCacheStore>(
    runtime: &Runtime,
    cache: &AsyncTokenCache<S>,
    probes: &[workload::Probe],
) {
    runtime.block_on(async {
        for probe in probes {
            assert_eq!(awaited(cache, &probe.query(&probe.scopes)).await, probe.secret_len);
        }
    });
}
