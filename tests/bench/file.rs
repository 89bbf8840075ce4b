//! Caches in a file.

use std::path::Path;

use msal_cache::{FileStore, TokenCache};

use crate::floor;
use crate::measure::{Effort, Side, compare, computing, side};
use crate::memory::{fill, find};
use crate::processes::{self, Kind};
use crate::report::{Report, Row};
use crate::workload::{self, Probe};

fn key(probe: &Probe) -> String {
    let mut key = String::new();
    floor::access_token_key(&mut key, &probe.home_account_id, &probe.realm, &probe.scopes);
    key
}

/// A file as the cache writes it, with so many tokens.
pub(crate) fn write(path: &Path, tokens: usize) {
    let cache = TokenCache::in_memory();
    fill(&cache, workload::sign_ins(tokens));
    let file = TokenCache::new(FileStore::open(path).unwrap());
    cache.copy_to(&file).unwrap();
}

pub(crate) fn measure(report: &mut Report, effort: Effort, tokens: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (ours, floors) = (folder.path().join("ours.json"), folder.path().join("floor.json"));
    write(&ours, tokens);
    std::fs::copy(&ours, &floors).unwrap();
    let probes = workload::probes(tokens);
    let keys: Vec<_> = probes.iter().map(key).collect();
    let at = |nth: usize| &probes[nth % probes.len()];
    let mut run = |operation, target, [ours, floor]: [Side<'_>; 2]| {
        let [ours, floor] = compare(effort, [ours, floor]);
        report.push(Row { store: "file", operation, tokens, target: Some(target), ours, floor });
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
                assert_eq!(floor::open_and_find(&floors, key), at(nth).secret_len);
            }),
        ],
    );
    let cache = TokenCache::new(FileStore::open(&ours).unwrap());
    let find_again = |nth: usize| {
        assert_eq!(find(&cache, &at(nth).query(&at(nth).scopes)), at(nth).secret_len);
    };
    // What was read while the file was new is read once more; see `Seen`.
    (0..probes.len()).for_each(find_again);
    std::thread::sleep(std::time::Duration::from_millis(50));
    let mut memory = floor::Memory::of(workload::sign_ins(tokens));
    let stamp = floor::stamp(&floors);
    run(
        "find again, unchanged",
        2.0,
        [
            computing(find_again),
            computing(|nth| {
                assert!(floor::stamp(&floors) == stamp);
                assert_eq!(memory.hit(at(nth)), at(nth).secret_len);
            }),
        ],
    );
    let mut json = floor::JsonFile::open(&floors);
    let mut again: Vec<_> = probes.iter().map(|it| it.again.clone()).collect();
    let mut renewed = again.clone();
    let count = again.len();
    run(
        "add one response, durable",
        1.3,
        [
            side(|nth| {
                let sign_in = &mut again[nth % count];
                floor::renew(sign_in, nth);
                cache.add(&sign_in.event()).unwrap();
            }),
            side(|nth| {
                let sign_in = &mut renewed[nth % count];
                floor::renew(sign_in, nth);
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
        [process(Kind::File, &ours), process(Kind::FloorFile, &floors)],
    );
}
