//! Changes by other programs are noticed, and only what was read is replaced.
#![cfg(unix)]

mod support;

use std::fs::{self, FileTimes, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use msal_cache_core::{Blob, BlobStore, Error, Revision};
use msal_cache_file::{FileBlob, FileStore, OnCorrupt};
use support::*;

/// Writes into the file, as other libraries do.
fn write_in_place(path: &Path, text: &str) {
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

/// Reads until the content is settled, and returns its revision.
fn settled(blob: &FileBlob) -> Revision {
    present(blob);
    thread::sleep(Duration::from_millis(25));
    let (revision, _) = present(blob);
    assert!(matches!(blob.read(Some(revision)).unwrap(), Blob::Unchanged));
    revision
}

#[test]
fn a_rewrite_of_the_same_size_and_time_is_noticed() {
    let dir = TestDir::new();
    let path = dir.cache_with(r#"{"a": 0}"#);
    let blob = blob(&path);
    let mut longest = Duration::ZERO;
    for round in 1..=20 {
        let revision = settled(&blob);
        let time = path.metadata().unwrap().modified().unwrap();
        let text = format!(r#"{{"a": {}}}"#, round % 10);
        write_in_place(&path, &text);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
        let started = Instant::now();
        loop {
            if let Blob::Present(_, bytes) = blob.read(Some(revision)).unwrap() {
                assert_eq!(bytes.expose(), text.as_bytes());
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(1));
        }
        longest = longest.max(started.elapsed());
    }
    println!("a rewrite of the same size and mtime was noticed within {longest:?}");
}

#[test]
fn rewrites_within_one_tick_are_all_noticed() {
    let dir = TestDir::new();
    let path = dir.cache_with("0000");
    let blob = blob(&path);
    let mut known = None;
    let mut content = Vec::new();
    for round in 0..2000 {
        let text = format!("{round:04}");
        // Not truncated: the size and, within a tick, the times are unchanged.
        OpenOptions::new().write(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
        match blob.read(known).unwrap() {
            Blob::Present(revision, bytes) => {
                known = Some(revision);
                content = bytes.expose().to_vec();
            }
            Blob::Unchanged => {}
            Blob::Absent => panic!("the file exists"),
        }
        assert_eq!(content, text.as_bytes());
    }
}

#[test]
fn an_unchanged_file_is_not_read() {
    let test = "an_unchanged_file_is_not_read";
    if let Some((_, folder)) = job() {
        let blob = blob(&folder.join("cache.json"));
        let revision = settled(&blob);
        let reads = || {
            let counters = fs::read_to_string("/proc/self/io").unwrap();
            let line = counters.lines().find_map(|line| line.strip_prefix("syscr: "));
            line.unwrap().parse::<u64>().unwrap()
        };
        let looking = reads();
        let looking = reads() - looking;
        let before = reads();
        for _ in 0..1000 {
            assert!(matches!(blob.read(Some(revision)).unwrap(), Blob::Unchanged));
        }
        assert_eq!(reads() - before, looking, "read calls");
        let started = Instant::now();
        for _ in 0..10_000 {
            blob.read(Some(revision)).unwrap();
        }
        println!("an unchanged file costs {:?}", started.elapsed() / 10_000);
        return;
    }
    let dir = TestDir::new();
    dir.cache_with("{}");
    print!("{}", run(command(test, "read", dir.folder())));
}

#[test]
fn a_written_content_is_known_without_reading() {
    let dir = TestDir::new();
    let blob = blob(&dir.cache());
    let revision = blob.swap(Revision::ABSENT, b"{}").unwrap();
    assert!(matches!(blob.read(Some(revision)).unwrap(), Blob::Unchanged));
    fs::remove_file(dir.cache()).unwrap();
    assert!(matches!(blob.read(Some(revision)).unwrap(), Blob::Absent));
}

#[test]
fn revisions_are_never_reused() {
    let dir = TestDir::new();
    let blob = blob(&dir.cache());
    let mut given = Vec::new();
    for text in ["{}", "[]", "{}", "{}"] {
        let _ = fs::remove_file(dir.cache());
        given.push(blob.swap(Revision::ABSENT, text.as_bytes()).unwrap());
        given.push(present(&blob).0);
    }
    let distinct: std::collections::HashSet<_> = given.iter().collect();
    assert_eq!(distinct.len(), given.len());
}

#[test]
fn only_the_content_that_was_read_is_replaced() {
    let dir = TestDir::new();
    let blob = blob(&dir.cache());
    let first = blob.swap(Revision::ABSENT, b"first").unwrap();
    let second = blob.swap(first, b"second").unwrap();
    for stale in [first, Revision::ABSENT, Revision::unique()] {
        assert!(matches!(blob.swap(stale, b"third"), Err(Error::Conflict)));
        assert_eq!(fs::read(dir.cache()).unwrap(), b"second");
    }
    write_in_place(&dir.cache(), "others");
    assert!(matches!(blob.swap(second, b"third"), Err(Error::Conflict)));
    assert_eq!(fs::read(dir.cache()).unwrap(), b"others");
    let hold = blob.hold().unwrap();
    let (others, _) = present(&blob);
    blob.swap(others, b"third").unwrap();
    drop(hold);
    assert_eq!(fs::read(dir.cache()).unwrap(), b"third");
    fs::remove_file(dir.cache()).unwrap();
    assert!(matches!(blob.swap(others, b"fourth"), Err(Error::Conflict)));
    assert!(!dir.cache().exists());
}

#[test]
fn the_time_of_a_write_is_not_before_the_write() {
    let dir = TestDir::new();
    let blob = blob(&dir.cache());
    let mut revision = Revision::ABSENT;
    for _ in 0..20 {
        let before = SystemTime::now();
        revision = blob.swap(revision, b"{}").unwrap();
        let written = dir.cache().metadata().unwrap().modified().unwrap();
        assert!(written >= before);
        let nanos = written.duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
        assert_eq!(nanos % 1_000_000, 0);
    }
}

#[test]
fn an_empty_file_is_not_absent() {
    let dir = TestDir::new();
    dir.cache_with("");
    let blob = blob(&dir.cache());
    assert_eq!(present(&blob).1, b"");
    assert!(matches!(blob.swap(Revision::ABSENT, b"{}"), Err(Error::Conflict)));
}

#[test]
fn a_broken_file_is_an_error_for_readers_and_set_aside_by_writers() {
    let dir = TestDir::new();
    dir.cache_with(r#"{"broken": tru"#);
    let store = FileStore::open(dir.cache()).unwrap();
    let error = accounts(&store).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { position: Some(_), .. }), "{error:?}");
    assert!(error.to_string().starts_with(dir.cache().to_str().unwrap()), "{error}");
    assert_eq!(fs::read_to_string(dir.cache()).unwrap(), r#"{"broken": tru"#);
    assert_eq!(dir.names(), ["cache.json"]);

    add(&store, "a").unwrap();
    assert_eq!(accounts(&store).unwrap(), ["a"]);
    assert_eq!(dir.names(), ["cache.json", "cache.json.corrupt-1"]);

    write_in_place(&dir.cache(), "again");
    add(&store, "b").unwrap();
    assert_eq!(accounts(&store).unwrap(), ["b"]);
    assert_eq!(dir.names(), ["cache.json", "cache.json.corrupt-1", "cache.json.corrupt-2"]);
    for (name, text) in [("1", r#"{"broken": tru"#), ("2", "again")] {
        let kept = dir.at(&format!("cache.json.corrupt-{name}"));
        assert_eq!(fs::read_to_string(&kept).unwrap(), text);
        assert_eq!(mode(&kept), 0o600);
    }
}

#[test]
fn a_broken_file_is_kept_with_on_corrupt_error() {
    let dir = TestDir::new();
    dir.cache_with("{");
    let store = FileStore::builder(dir.cache()).on_corrupt(OnCorrupt::Error).open().unwrap();
    assert!(matches!(add(&store, "a"), Err(Error::Corrupt { .. })));
    assert_eq!(fs::read_to_string(dir.cache()).unwrap(), "{");
    assert_eq!(dir.names(), ["cache.json"]);
}

#[test]
fn a_file_that_is_whole_by_now_is_not_set_aside() {
    let dir = TestDir::new();
    dir.cache_with("{");
    let blob = blob(&dir.cache());
    let (broken, _) = present(&blob);
    write_in_place(&dir.cache(), "{}");
    assert!(matches!(blob.quarantine(broken), Err(Error::Conflict)));
    assert_eq!(dir.names(), ["cache.json"]);
}

#[test]
fn readers_see_whole_documents_during_writes() {
    let dir = TestDir::new();
    let texts = ["a".repeat(100_000), "b".repeat(150_000)];
    let blob = blob(&dir.cache());
    let mut revision = blob.swap(Revision::ABSENT, texts[0].as_bytes()).unwrap();
    let done = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let finished = Done(&done);
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let reader = support::blob(&dir.cache());
                    let mut reads = 0;
                    while !done.load(Ordering::Relaxed) {
                        let (_, bytes) = present(&reader);
                        assert!(texts.iter().any(|text| text.as_bytes() == bytes));
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for round in 0..100 {
            revision = blob.swap(revision, texts[round % 2].as_bytes()).unwrap();
        }
        drop(finished);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum::<u64>()
    });
    println!("{reads} reads during 100 writes, none torn, empty or missing");
}
