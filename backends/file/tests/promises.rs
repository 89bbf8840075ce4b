//! The guarantees about crashes, readers and writers, by number.
#![cfg(unix)]

mod support;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{Blob, BlobStore, Revision};
use msal_cache_file::FileStore;
use support::*;

/// Adds records until it is killed. Notes each acknowledged one in a file of this job.
fn write_until_killed(job: &str, folder: &Path) -> ! {
    let store = FileStore::open(folder.join("cache.json")).unwrap();
    let note = folder.join(format!("{job}.acknowledged"));
    let mut acknowledged = OpenOptions::new().create(true).append(true).open(note).unwrap();
    for number in 0.. {
        let name = format!("{job}-{number}");
        add(&store, &name).unwrap();
        acknowledged.write_all(format!("{name}\n").as_bytes()).unwrap();
    }
    unreachable!("this process was not killed");
}

/// Returns the acknowledged records that writers have noted, and removes the notes.
fn acknowledged(folder: &Path) -> Vec<String> {
    let notes = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let notes = notes.filter(|path| path.extension().is_some_and(|it| it == "acknowledged"));
    notes
        .flat_map(|note| {
            let text = fs::read_to_string(&note).unwrap();
            fs::remove_file(note).unwrap();
            // The kill may have cut off the last line.
            text.split_inclusive('\n')
                .filter_map(|line| Some(line.strip_suffix('\n')?.to_owned()))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn p1_after_200_kills_the_file_is_whole_and_no_acknowledged_write_is_lost() {
    const KILLS: usize = 200;
    let test = "p1_after_200_kills_the_file_is_whole_and_no_acknowledged_write_is_lost";
    if let Some((job, folder)) = job() {
        write_until_killed(&job, &folder);
    }
    let dir = TestDir::new();
    // Large, so that a write takes some time.
    let ballast = "x".repeat(200_000);
    dir.cache_with(&format!(r#"{{"Account": {{"ballast": {{"x": "{ballast}"}}}}}}"#));
    let (mut lost, mut unreadable, mut expected) = (0, 0, 0);
    let (mut leftovers, mut held, mut waits) = (0, 0, Vec::new());
    let mut kills = 0;
    while kills < KILLS {
        // One writer in the first half, then several.
        let writers = if kills < KILLS / 2 { 1 } else { 4 };
        let spawned: Vec<_> =
            (0..writers).map(|it| spawn(test, &format!("w{kills}-{it}"), dir.folder())).collect();
        let first = dir.at(&format!("w{kills}-0.acknowledged"));
        wait_for(&first);
        for mut writer in spawned {
            thread::sleep(Duration::from_micros(fastrand::u64(0..50_000)));
            writer.0.kill().unwrap();
            writer.0.wait().unwrap();
            kills += 1;
        }
        leftovers += dir.names().iter().filter(|name| name.starts_with('.')).count();
        let acknowledged = acknowledged(dir.folder());
        match fs::read(dir.cache()).map(|text| serde_json::from_slice::<serde_json::Value>(&text)) {
            Ok(Ok(document)) => {
                let accounts = document["Account"].as_object().unwrap();
                assert!(accounts.contains_key("ballast"));
                lost += acknowledged.iter().filter(|name| !accounts.contains_key(*name)).count();
            }
            broken => {
                unreadable += 1;
                println!("after {kills} kills: {broken:?}");
            }
        }
        expected += acknowledged.len();
        // The next writer isn't blocked, and removes temporary files.
        held += usize::from(dir.at("cache.json.lockfile").exists());
        let blob = blob(&dir.cache());
        let started = Instant::now();
        let guard = blob.hold().unwrap();
        waits.push(started.elapsed());
        drop(guard);
        assert_eq!(dir.names(), ["cache.json"]);
    }
    waits.sort();
    let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!(
        "P1: {kills} kills during {expected} acknowledged writes: {unreadable} unreadable files, \
         {lost} lost writes; {leftovers} temporary files were left behind and removed; the lock \
         was left behind {held} times, and the next writer waited {median:?}, at most {longest:?}"
    );
    assert!(median < Duration::from_millis(50));
    assert_eq!((unreadable, lost), (0, 0));
    assert!(expected >= KILLS / 2, "too little was written");
}

#[test]
fn p2_eight_readers_see_whole_documents_during_writes() {
    const READERS: usize = 8;
    let test = "p2_eight_readers_see_whole_documents_during_writes";
    let texts = ["a".repeat(1_000_000), "b".repeat(1_500_000)];
    if let Some((_, folder)) = job() {
        let reader = blob(&folder.join("cache.json"));
        let mut reads = 0;
        let started = Instant::now();
        while !folder.join("done").exists() && started.elapsed() < Duration::from_secs(60) {
            match reader.read(None).unwrap() {
                Blob::Present(_, bytes) => {
                    assert!(texts.iter().any(|text| text.as_bytes() == bytes.expose()), "torn");
                }
                other => panic!("empty: {other:?}"),
            }
            reads += 1;
        }
        return println!("\nreads {reads}");
    }
    let dir = TestDir::new();
    let writer = blob(&dir.cache());
    let mut revision = writer.swap(Revision::ABSENT, texts[0].as_bytes()).unwrap();
    let folder = dir.folder();
    let reads = thread::scope(|scope| {
        let readers: Vec<_> =
            (0..READERS).map(|_| scope.spawn(move || run(command(test, "read", folder)))).collect();
        for round in 0..200 {
            revision = writer.swap(revision, texts[(round + 1) % 2].as_bytes()).unwrap();
        }
        // Readers that have just started need time to read.
        thread::sleep(Duration::from_millis(200));
        fs::write(dir.at("done"), "").unwrap();
        let texts = readers.into_iter().map(|reader| reader.join().unwrap());
        texts
            .map(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix("reads ")).unwrap();
                line.parse::<u64>().unwrap()
            })
            .sum::<u64>()
    });
    println!("P2: {READERS} readers, 200 writes, {reads} reads: 0 torn, 0 empty");
    assert!(reads > 200, "too little was read");
}

#[test]
fn p3_no_record_of_any_process_is_lost() {
    const PROCESSES: usize = 4;
    const COMMITS: usize = 50;
    if let Some((job, folder)) = job() {
        // Half of the processes open the file by another name.
        let name = if job.ends_with('0') { "link.json" } else { "cache.json" };
        let path = folder.join(name);
        let longest = thread::scope(|scope| {
            let threads: Vec<_> = (0..2)
                .map(|thread| {
                    let (path, job) = (&path, &job);
                    scope.spawn(move || {
                        let store = FileStore::open(path).unwrap();
                        let mut longest = Duration::ZERO;
                        for commit in 0..COMMITS / 2 {
                            let started = Instant::now();
                            add(&store, &format!("{job}-{thread}-{commit}")).unwrap();
                            longest = longest.max(started.elapsed());
                        }
                        longest
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
        });
        return println!("\nlongest {}", longest.as_micros());
    }
    let dir = TestDir::new();
    std::os::unix::fs::symlink("cache.json", dir.at("link.json")).unwrap();
    let started = Instant::now();
    let longest = thread::scope(|scope| {
        let folder = dir.folder();
        let workers: Vec<_> = (0..PROCESSES)
            .map(|worker| {
                let test = "p3_no_record_of_any_process_is_lost";
                let job = format!("{worker}{}", worker % 2);
                scope.spawn(move || run(command(test, &job, folder)))
            })
            .collect();
        let longest = workers.into_iter().map(|worker| {
            let text = worker.join().unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("longest ")).unwrap();
            Duration::from_micros(line.parse().unwrap())
        });
        longest.max().unwrap()
    });
    let took = started.elapsed();
    let found: BTreeSet<_> =
        accounts(&FileStore::open(dir.cache()).unwrap()).unwrap().into_iter().collect();
    println!(
        "P3: {} of {} records of {PROCESSES} processes with 2 threads each were kept, half of them \
         through a link, in {took:?}; longest commit {longest:?}",
        found.len(),
        PROCESSES * COMMITS
    );
    assert_eq!(found.len(), PROCESSES * COMMITS);
    assert_eq!(dir.names(), ["cache.json", "link.json"]);
    assert!(longest < Duration::from_secs(5), "the timeout of MSAL Python");
}

#[test]
fn p5_the_lock_of_a_killed_holder_is_taken_over_without_delay() {
    const KILLS: usize = 20;
    let test = "p5_the_lock_of_a_killed_holder_is_taken_over_without_delay";
    if let Some((_, folder)) = job() {
        let blob = blob(&folder.join("cache.json"));
        let _hold = blob.hold().unwrap();
        fs::write(folder.join("held"), "").unwrap();
        thread::sleep(Duration::from_secs(60));
        unreachable!("this process was not killed");
    }
    let dir = TestDir::new();
    let mut waits = Vec::new();
    for _ in 0..KILLS {
        let mut child = spawn(test, "hold", dir.folder());
        wait_for(&dir.at("held"));
        let blob = FileStore::builder(dir.cache()).open_blob().unwrap();
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        assert!(dir.at("cache.json.lockfile").exists(), "the lock file was left behind");
        let started = Instant::now();
        let hold = blob.hold().unwrap();
        waits.push(started.elapsed());
        drop(hold);
        fs::remove_file(dir.at("held")).unwrap();
        assert_eq!(dir.names(), [""; 0]);
    }
    waits.sort();
    let (median, longest) = (waits[KILLS / 2], waits[KILLS - 1]);
    println!("P5: after {KILLS} killed holders the next waited {median:?}, at most {longest:?}");
    assert!(median < Duration::from_millis(50));
}

#[test]
fn p1_each_write_removes_what_a_killed_writer_left() {
    let dir = TestDir::new();
    let store = FileStore::open(dir.cache()).unwrap();
    for round in 0..3 {
        add(&store, &round.to_string()).unwrap();
        // As a writer leaves it that is killed before its rename.
        let left = dir.at(".cache.json.abcdef.tmp");
        fs::write(&left, "{\"RefreshToken\": {}}").unwrap();
        add(&store, &format!("{round} again")).unwrap();
        assert_eq!(dir.names(), ["cache.json"]);
    }
}
