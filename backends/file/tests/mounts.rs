//! Real media that fail, and containers. Mounting needs privileges that tests usually don't have, so
//! these tests only run by name, in their own namespaces:
//! `unshare -rm cargo test -p msal-cache-file --test mounts`.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{BlobStore, Error};
use msal_cache_file::{FileStore, OnCorrupt, Permissions};
use support::*;

/// Mounts a file system until it is dropped.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn new(arguments: &[&str], from: &Path, to: &'a Path) -> Self {
        let mut mount = Command::new("mount");
        let mounted = mount.args(arguments).arg(from).arg(to).status().unwrap();
        assert!(mounted.success(), "this test needs its own mount namespace");
        Self(to)
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// On a file system where `chmod` succeeds and changes nothing, as on an SMB share or a FAT disk.
#[test]
fn a_repair_without_effect_is_an_error_that_names_the_way_out() {
    let dir = TestDir::new();
    let (real, view) = (dir.at("real"), dir.at("view"));
    for folder in [&real, &view] {
        fs::create_dir(folder).unwrap();
    }
    let mut bindfs = Command::new("bindfs");
    bindfs.args(["--perms=0644:a+D", "--chmod-ignore"]).arg(&real).arg(&view);
    assert!(bindfs.status().expect("this test needs bindfs").success());
    let _mount = Mount(&view);
    let cache = view.join("cache.json");

    let is_named = |error: Error, path: &Path| {
        let Error::Insecure { path: named, reason, remedy } = error else { panic!("{error:?}") };
        assert!(reason.contains("keeps no permissions (chmod has no effect)"), "{reason}");
        assert!(remedy.contains("Permissions::Ignore"), "{remedy}");
        assert!(named.starts_with(path), "{named:?}");
    };
    let open = |permissions| FileStore::builder(&cache).permissions(permissions).open();
    // Nothing is written to a new file that others can read.
    for permissions in [Permissions::Refuse, Permissions::Repair] {
        is_named(open(permissions).and_then(|it| add(&it, "secret")).unwrap_err(), &view);
        for name in fs::read_dir(&real).unwrap() {
            let text = fs::read_to_string(name.unwrap().path()).unwrap_or_default();
            assert!(!text.contains("secret"), "{text}");
        }
    }
    // A repair of an existing file looks again.
    fs::write(real.join("cache.json"), "{}").unwrap();
    set_mode(&real.join("cache.json"), 0o644);
    let repaired = open(Permissions::Repair).and_then(|it| accounts(&it));
    is_named(repaired.unwrap_err(), &view);
    // The way out that is named works.
    let store = open(Permissions::Ignore).unwrap();
    add(&store, "a").unwrap();
    assert_eq!(accounts(&store).unwrap(), ["a"]);
}

#[test]
fn a_file_that_is_a_mount_point_is_written_in_place() {
    let dir = TestDir::new();
    dir.cache_with("{}");
    fs::write(dir.at("outside.json"), "{}").unwrap();
    set_mode(&dir.at("outside.json"), 0o600);
    let cache = dir.cache();
    let mount = Mount::new(&["--bind"], &dir.at("outside.json"), &cache);
    let store = FileStore::open(dir.cache()).unwrap();
    add(&store, "a").unwrap();
    add(&store, "b").unwrap();
    assert_eq!(accounts(&FileStore::open(dir.at("outside.json")).unwrap()).unwrap(), ["a", "b"]);
    // A broken file can't be renamed, so it is an error.
    fs::write(dir.cache(), "{").unwrap();
    assert!(matches!(add(&store, "c"), Err(Error::Corrupt { .. })));
    drop(mount);
    assert_eq!(dir.names(), ["cache.json", "outside.json"]);
}

#[test]
fn p1_a_writer_into_a_mount_is_killed_and_the_file_is_whole() {
    const KILLS: usize = 30;
    let test = "p1_a_writer_into_a_mount_is_killed_and_the_file_is_whole";
    if let Some((job, folder)) = job() {
        let store = FileStore::open(folder.join("cache.json")).unwrap();
        for number in 0.. {
            add(&store, &format!("{job}-{number}")).unwrap();
            fs::write(folder.join("acknowledged"), number.to_string()).unwrap();
        }
    }
    let dir = TestDir::new();
    dir.cache_with("{}");
    let ballast = "x".repeat(500_000);
    let content = format!(r#"{{"Account": {{"ballast": {{"x": "{ballast}"}}}}}}"#);
    fs::write(dir.at("outside.json"), content).unwrap();
    set_mode(&dir.at("outside.json"), 0o600);
    let cache = dir.cache();
    let _mount = Mount::new(&["--bind"], &dir.at("outside.json"), &cache);
    let (mut acknowledged, mut journals) = (0, 0);
    for kill in 0..KILLS {
        let _ = fs::remove_file(dir.at("acknowledged"));
        let mut writer = spawn(test, &kill.to_string(), dir.folder());
        wait_for(&dir.at("acknowledged"));
        thread::sleep(Duration::from_micros(fastrand::u64(0..20_000)));
        writer.0.kill().unwrap();
        writer.0.wait().unwrap();
        journals += usize::from(dir.at("cache.json.journal").exists());
        // The next writer finishes the write of the dead one.
        let store = FileStore::open(dir.cache()).unwrap();
        add(&store, &format!("after-{kill}")).unwrap();
        let found = accounts(&store).unwrap();
        let last = fs::read_to_string(dir.at("acknowledged")).unwrap().parse().unwrap_or(0);
        for number in 0..=last {
            assert!(found.contains(&format!("{kill}-{number}")), "{number} of {last} is lost");
        }
        assert!(found.contains(&"ballast".into()));
        acknowledged += last + 1;
    }
    println!(
        "P1: {KILLS} kills of writers into a mounted file during {acknowledged} acknowledged writes: \
         0 unreadable, 0 lost; {journals} writes were finished by the next writer"
    );
}

#[test]
fn p9_a_full_file_system_keeps_the_old_file() {
    let dir = TestDir::new();
    fs::create_dir(dir.at("small")).unwrap();
    set_mode(&dir.at("small"), 0o700);
    let small = dir.at("small");
    let _mount = Mount::new(&["-t", "tmpfs", "-o", "size=64k,mode=700"], Path::new("none"), &small);
    let path = small.join("cache.json");
    let store = FileStore::open(&path).unwrap();
    let mut written = 0;
    // A lock file needs space for some milliseconds after its release, until it is closed.
    let wait_for_space = || thread::sleep(Duration::from_millis(30));
    let error = loop {
        wait_for_space();
        // The file grows until the new one doesn't fit beside the old one.
        match add(&store, &format!("{written}-{}", "x".repeat(2000))) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1000, "it never became full");
    };
    assert!(
        matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull),
        "{error:?}"
    );
    let before = fs::read(&path).unwrap();
    assert!(error.to_string().contains("free space on its file system"), "{error}");
    wait_for_space();
    assert!(add(&store, &"y".repeat(3000)).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(&small).unwrap().count(), 1, "no other file remains");
    assert_eq!(accounts(&FileStore::open(&path).unwrap()).unwrap().len(), written);
    wait_for_space();
    // Without room for a lock file, the file is still readable and whole.
    let mut filler = fs::File::create(small.join("filler")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
    assert!(add(&store, "z").is_err());
    let verified = verify(&store).unwrap_err();
    assert!(
        matches!(&verified, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull),
        "{verified:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
    // Another test may have started a process that has it open for a moment.
    filler.set_len(0).unwrap();
    drop(filler);
    fs::remove_file(small.join("filler")).unwrap();
    let more = Command::new("mount").args(["-o", "remount,size=1m"]).arg(&small).status().unwrap();
    assert!(more.success());
    add(&store, "z").unwrap();
    assert_eq!(accounts(&store).unwrap().len(), written + 1);
    println!("P9: a full tmpfs: {written} records fitted, and were kept when the next one did not");
}

#[test]
fn p7_a_read_only_mount_can_be_read_and_returns_read_only_when_written() {
    let dir = TestDir::new();
    fs::create_dir(dir.at("media")).unwrap();
    set_mode(&dir.at("media"), 0o700);
    let path = dir.at("media/cache.json");
    add(&FileStore::open(&path).unwrap(), "a").unwrap();
    let broken = dir.at("media/broken.json");
    fs::write(&broken, "{").unwrap();
    set_mode(&broken, 0o600);
    let media = dir.at("media");
    let mount = Mount::new(&["--bind"], &media, &media);
    let again = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&media).status().unwrap();
    assert!(again.success());
    let store = FileStore::open(&path).unwrap();
    assert_eq!(accounts(&store).unwrap(), ["a"]);
    let error = add(&store, "b").unwrap_err();
    assert!(matches!(&error, Error::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains(media.to_str().unwrap()), "{error}");
    let verified = verify(&store).unwrap_err();
    assert!(matches!(&verified, Error::ReadOnly { .. }), "{verified:?}");
    let missing = FileStore::open(media.join("below/cache.json")).unwrap();
    assert!(matches!(add(&missing, "b"), Err(Error::ReadOnly { .. })));
    for on_corrupt in [OnCorrupt::Quarantine, OnCorrupt::Error] {
        let broken = FileStore::builder(&broken).on_corrupt(on_corrupt).open().unwrap();
        assert!(matches!(accounts(&broken), Err(Error::Corrupt { .. })));
        assert!(add(&broken, "b").is_err());
    }
    assert_eq!(accounts(&store).unwrap(), ["a"]);
    drop(mount);
}

/// Process ids of a container mean nothing outside of it, but a free `flock` does.
#[test]
fn p5_the_lock_of_a_holder_killed_in_another_container_is_taken_over_without_delay() {
    let test = "p5_the_lock_of_a_holder_killed_in_another_container_is_taken_over_without_delay";
    if let Some((_, folder)) = job() {
        let _held = blob(&folder.join("cache.json")).hold().map(|_hold| {
            fs::write(folder.join("held"), "").unwrap();
            thread::sleep(Duration::from_secs(60));
        });
        unreachable!("this process was not killed");
    }
    let dir = TestDir::new();
    let plain = command(test, "hold", dir.folder());
    let mut container = Command::new("unshare");
    container.args(["--pid", "--fork", "--kill-child"]).arg(plain.get_program());
    container.args(plain.get_args());
    container.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    container.stdout(std::process::Stdio::null());
    let mut child = Spawned(container.spawn().unwrap());
    wait_for(&dir.at("held"));
    let refused = FileStore::builder(dir.cache()).lock_timeout(Duration::from_millis(200));
    let refused = refused.open_blob().unwrap().hold().map(|_| ());
    assert!(matches!(refused, Err(Error::Locked { .. })), "it is alive, whatever its process id");
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    // The process in the container is killed when its parent dies.
    let killed = Instant::now();
    let blob = blob(&dir.cache());
    let started = Instant::now();
    drop(blob.hold().unwrap());
    let waited = started.elapsed();
    println!("P5: a holder killed in another container: the next waited {waited:?}");
    assert!(killed.elapsed() < Duration::from_secs(2), "{waited:?}");
}
