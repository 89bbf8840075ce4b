//! Caches in a file.

use std::path::Path;

use msal_cache::{FileStore, TokenCache};

use crate::baseline;
use crate::measure::{Effort, Side, compare, computing, side};
use crate::memory::{fill, find};
use crate::processes::{self, Kind};
use crate::report::{Report, Row};
use crate::workload::{self, Probe};

fn key(probe: &Probe) -> String {
    let mut key = String::new();
    baseline::access_token_key(&mut key, &probe.home_account_id, &probe.realm, &probe.scopes);
    key
}

/// Writes a cache file with this number of tokens.
pub(crate) fn write(path: &Path, tokens: usize) {
    let cache = TokenCache::in_memory();
    fill(&cache, workload::sign_ins(tokens));
    let file = TokenCache::new(FileStore::open(path).unwrap());
    cache.copy_to(&file).unwrap();
}

pub(crate) fn measure(report: &mut Report, effort: Effort, tokens: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (ours, baselines) = (folder.path().join("ours.json"), folder.path().join("baseline.json"));
    write(&ours, tokens);
    std::fs::copy(&ours, &baselines).unwrap();
    let probes = workload::probes(tokens);
    let keys: Vec<_> = probes.iter().map(key).collect();
    let at = |nth: usize| &probes[nth % probes.len()];
    let mut run = |operation, target, [ours, baseline]: [Side<'_>; 2]| {
        let [ours, baseline] = compare(effort, [ours, baseline]);
        report.push(Row { store: "file", operation, tokens, target: Some(target), ours, baseline });
    };
    let open_and_find = |nth: usize| {
        let cache = TokenCache::new(FileStore::open(&ours).unwrap());
        assert_eq!(find(&cache, &at(nth).query(&at(nth).scopes)), at(nth).secret_len);
    };
    run(
        "open and find one",
        1.5,
        [
            computing(open_and_find),
            computing(|nth| {
                let key = &keys[nth % keys.len()];
                assert_eq!(baseline::open_and_find(&baselines, key), at(nth).secret_len);
            }),
        ],
    );
    let cache = TokenCache::new(FileStore::open(&ours).unwrap());
    let find_again = |nth: usize| {
        assert_eq!(find(&cache, &at(nth).query(&at(nth).scopes)), at(nth).secret_len);
    };
    // A file that was read right after its last change is read once more; see `Seen`.
    (0..probes.len()).for_each(find_again);
    std::thread::sleep(std::time::Duration::from_millis(50));
    let mut memory = baseline::Memory::of(workload::sign_ins(tokens));
    let stamp = baseline::stamp(&baselines);
    run(
        "find again, unchanged",
        2.0,
        [
            computing(find_again),
            computing(|nth| {
                assert!(baseline::stamp(&baselines) == stamp);
                assert_eq!(memory.hit(at(nth)), at(nth).secret_len);
            }),
        ],
    );
    let mut json = baseline::JsonFile::open(&baselines);
    let mut again: Vec<_> = probes.iter().map(|it| it.again.clone()).collect();
    let mut renewed = again.clone();
    let count = again.len();
    run(
        "add one response, durable",
        1.3,
        [
            side(|nth| {
                let sign_in = &mut again[nth % count];
                baseline::renew(sign_in, nth);
                cache.add(&sign_in.event()).unwrap();
            }),
            side(|nth| {
                let sign_in = &mut renewed[nth % count];
                baseline::renew(sign_in, nth);
                json.add(sign_in);
            }),
        ],
    );
    let process = |kind, path: &Path| {
        let (path, probe) = (path.to_owned(), tokens - 1);
        side(move |_| processes::find(kind, &path, probe))
    };
    run(
        "whole process: open, find one",
        1.3,
        [process(Kind::File, &ours), process(Kind::BaselineFile, &baselines)],
    );
}
