//! Which files are written, with which permissions, and what prevents it.
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use msal_cache_core::{BlobStore, Error, Revision};
use msal_cache_file::{FileStore, Permissions};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use support::*;

#[test]
fn a_second_handle_reads_the_writes_of_the_first() {
    let dir = TestDir::new();
    let (one, two) = (FileStore::open(dir.cache()).unwrap(), FileStore::open(dir.cache()).unwrap());
    assert_eq!(accounts(&two).unwrap(), [""; 0]);
    add(&one, "a").unwrap();
    assert_eq!(accounts(&two).unwrap(), ["a"]);
    add(&two, "b").unwrap();
    assert_eq!(accounts(&one).unwrap(), ["a", "b"]);
    assert_eq!(dir.names(), ["cache.json"], "no other file remains");
    assert_eq!(one.path(), dir.cache());
}

#[test]
fn opening_and_reading_write_nothing() {
    let dir = TestDir::new();
    let store = FileStore::open(dir.at("not/yet/there.json")).unwrap();
    assert_eq!(accounts(&store).unwrap(), [""; 0]);
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn p7_files_and_folders_are_private_whatever_the_umask() {
    if let Some((_, folder)) = job() {
        return add(&FileStore::open(folder.join("one/two/cache.json")).unwrap(), "a").unwrap();
    }
    let umasks =
        ["000", "002", "022", "027", "077", "177", "277", "477", "577", "677", "700", "777"];
    for umask in umasks {
        let dir = TestDir::new();
        let test = "p7_files_and_folders_are_private_whatever_the_umask";
        let plain = command(test, "write", dir.folder());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("umask {umask}; exec \"$0\" \"$@\"")).arg(plain.get_program());
        shell.args(plain.get_args());
        shell.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // An explicit path doesn't need it.
        shell.env_remove("HOME");
        run(shell);
        assert_eq!(mode(&dir.at("one")), 0o700, "umask {umask}");
        assert_eq!(mode(&dir.at("one/two")), 0o700, "umask {umask}");
        assert_eq!(mode(&dir.at("one/two/cache.json")), 0o600, "umask {umask}");
    }
    println!("P7: {} umasks, without HOME: files 0600, folders 0700", umasks.len());
}

#[test]
fn an_existing_folder_keeps_its_mode() {
    let dir = TestDir::new();
    fs::create_dir(dir.at("shared")).unwrap();
    set_mode(&dir.at("shared"), 0o755);
    add(&FileStore::open(dir.at("shared/cache.json")).unwrap(), "a").unwrap();
    assert_eq!(mode(&dir.at("shared")), 0o755);
}

#[test]
fn p7_a_write_replaces_the_target_of_a_link_and_keeps_the_link() {
    let dir = TestDir::new();
    fs::create_dir(dir.at("far")).unwrap();
    symlink("far/real.json", dir.cache()).unwrap();
    let store = FileStore::open(dir.cache()).unwrap();
    add(&store, "a").unwrap();
    add(&store, "b").unwrap();
    assert!(dir.cache().symlink_metadata().unwrap().is_symlink());
    assert!(dir.at("far/real.json").symlink_metadata().unwrap().is_file());
    assert_eq!(accounts(&FileStore::open(dir.at("far/real.json")).unwrap()).unwrap(), ["a", "b"]);
    assert_eq!(dir.names(), ["cache.json", "far"]);
}

#[test]
fn p7_a_write_creates_the_missing_folder_of_a_link_target() {
    let dir = TestDir::new();
    symlink("far/away/real.json", dir.cache()).unwrap();
    add(&FileStore::open(dir.cache()).unwrap(), "a").unwrap();
    assert_eq!(mode(&dir.at("far/away")), 0o700);
    assert_eq!(mode(&dir.at("far/away/real.json")), 0o600);
}

#[test]
fn p7_a_loop_of_links_is_an_error() {
    let dir = TestDir::new();
    symlink("other", dir.cache()).unwrap();
    symlink("cache.json", dir.at("other")).unwrap();
    let error = FileStore::open(dir.cache()).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if *path == dir.cache()), "{error}");
}

#[test]
fn p7_a_path_that_is_not_a_file_is_refused_without_blocking() {
    let dir = TestDir::new();
    fs::create_dir(dir.at("folder")).unwrap();
    mknodat(CWD, dir.at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(dir.at("socket")).unwrap();
    fs::write(dir.at("file"), "").unwrap();
    let started = Instant::now();
    for name in ["folder", "pipe", "socket", "file/below"] {
        for permissions in [Permissions::Refuse, Permissions::Ignore] {
            let error =
                FileStore::builder(dir.at(name)).permissions(permissions).open().unwrap_err();
            let (Error::Io { path, .. } | Error::Insecure { path, .. }) = &error else {
                panic!("{error}");
            };
            assert_eq!(*path, dir.at(name), "{error}");
        }
    }
    // Created after the store was opened.
    let store = FileStore::open(dir.cache()).unwrap();
    fs::rename(dir.at("pipe"), dir.cache()).unwrap();
    assert!(matches!(accounts(&store), Err(Error::Insecure { .. })));
    assert!(matches!(add(&store, "a"), Err(Error::Insecure { .. })));
    assert!(started.elapsed() < Duration::from_secs(2));
    drop(socket);
}

#[test]
fn a_file_over_the_limit_is_neither_read_nor_written() {
    let dir = TestDir::new();
    dir.cache_with("0123456789");
    let open = |limit| FileStore::builder(dir.cache()).max_size(limit).open_blob().unwrap();
    assert!(matches!(
        open(9).read(None),
        Err(Error::TooLarge { size: 10, limit: 9, path }) if path == dir.cache()
    ));
    let blob = open(10);
    let (revision, bytes) = present(&blob);
    assert_eq!(bytes, b"0123456789");
    assert!(matches!(blob.swap(revision, b"01234567890"), Err(Error::TooLarge { size: 11, .. })));
    assert_eq!(fs::read(dir.cache()).unwrap(), b"0123456789");
}

#[test]
fn p7_read_only_folders_can_be_read_and_return_read_only_when_written() {
    let test = "p7_read_only_folders_can_be_read_and_return_read_only_when_written";
    if let Some((_, folder)) = job() {
        let store = FileStore::open(folder.join("cache.json")).unwrap();
        assert_eq!(accounts(&store).unwrap(), ["a"]);
        let error = add(&store, "b").unwrap_err();
        assert!(matches!(&error, Error::ReadOnly { path, .. } if *path == folder), "{error:?}");
        let verified = verify(&store).unwrap_err();
        assert!(
            matches!(&verified, Error::ReadOnly { path, .. } if *path == folder),
            "{verified:?}"
        );
        assert!(verified.to_string().contains("give this user write access"), "{verified}");
        assert_eq!(accounts(&store).unwrap(), ["a"]);
        let missing = FileStore::open(folder.join("below/cache.json")).unwrap();
        assert!(matches!(add(&missing, "b"), Err(Error::ReadOnly { .. })));
        fs::write(folder.join("cache.json"), "{").unwrap();
        let error = accounts(&store).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        return;
    }
    let dir = TestDir::new();
    add(&FileStore::open(dir.cache()).unwrap(), "a").unwrap();
    give_away(&dir.cache());
    give_away(dir.folder());
    set_mode(dir.folder(), 0o555);
    run_unprivileged(test, "read", dir.folder());
    set_mode(dir.folder(), 0o755);
    assert_eq!(dir.names(), ["cache.json"]);
}

#[test]
fn the_next_writer_removes_the_temporary_files_of_dead_ones() {
    let dir = TestDir::new();
    let left = [".cache.json.aB3dEf.tmp", ".cache.json.lockfile.aB3dEf.tmp"];
    let others = [".cache.json.notours.tmp", ".cache2.json.aB3dEf.tmp"];
    for name in left.iter().chain(&others) {
        fs::write(dir.at(name), "secret").unwrap();
    }
    let store = FileStore::open(dir.cache()).unwrap();
    accounts(&store).unwrap();
    assert!(left.iter().all(|name| dir.at(name).exists()), "reading writes nothing");
    add(&store, "a").unwrap();
    assert_eq!(dir.names(), [others[0], others[1], "cache.json"]);
}

#[test]
fn a_failed_write_leaves_no_file_behind() {
    let dir = TestDir::new();
    let blob = blob(&dir.cache());
    blob.swap(Revision::ABSENT, b"{}").unwrap();
    assert!(matches!(blob.swap(Revision::unique(), b"[]"), Err(Error::Conflict)));
    assert!(matches!(blob.swap(Revision::ABSENT, b"[]"), Err(Error::Conflict)));
    assert_eq!(fs::read(dir.cache()).unwrap(), b"{}");
    assert_eq!(dir.names(), ["cache.json"]);
}
