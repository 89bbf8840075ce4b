//! Files that other users can access.
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};

use msal_cache_core::{Blob, BlobStore, Error};
use msal_cache_file::{FileStore, Permissions};
use support::*;

fn refused(error: &Error) -> String {
    assert!(matches!(error, Error::Insecure { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn p7_an_exposed_file_is_refused_with_the_command_that_repairs_it() {
    let dir = TestDir::new();
    dir.cache_with("{}");
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o666, 0o777, 0o610] {
        set_mode(&dir.cache(), mode);
        let text = refused(&FileStore::open(dir.cache()).unwrap_err());
        assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
        assert!(text.ends_with(&format!("run: chmod 600 {}", dir.cache().display())), "{text}");
    }
    set_mode(&dir.cache(), 0o600);
    FileStore::open(dir.cache()).unwrap();
    set_mode(&dir.cache(), 0o400);
    FileStore::open(dir.cache()).unwrap();
}

#[test]
fn p7_a_file_that_is_exposed_later_is_refused_for_reading_and_writing() {
    let dir = TestDir::new();
    let store = FileStore::open(dir.cache()).unwrap();
    add(&store, "a").unwrap();
    let before = fs::read(dir.cache()).unwrap();
    set_mode(&dir.cache(), 0o644);
    refused(&accounts(&store).unwrap_err());
    refused(&add(&store, "b").unwrap_err());
    assert_eq!(fs::read(dir.cache()).unwrap(), before);
    assert_eq!(dir.names(), ["cache.json"]);
    set_mode(&dir.cache(), 0o600);
    assert_eq!(accounts(&store).unwrap(), ["a"]);
}

#[test]
fn p7_an_exposed_file_is_repaired_on_request() {
    let dir = TestDir::new();
    dir.cache_with("{}");
    set_mode(&dir.cache(), 0o664);
    let open = || FileStore::builder(dir.cache()).permissions(Permissions::Repair).open();
    let store = open().unwrap();
    assert_eq!(mode(&dir.cache()), 0o600);
    set_mode(&dir.cache(), 0o644);
    assert_eq!(accounts(&store).unwrap(), [""; 0]);
    assert_eq!(mode(&dir.cache()), 0o600);
}

#[test]
fn p7_an_exposed_file_can_be_ignored_and_is_private_after_a_write() {
    let dir = TestDir::new();
    dir.cache_with("{}");
    set_mode(&dir.cache(), 0o666);
    let store = FileStore::builder(dir.cache()).permissions(Permissions::Ignore).open().unwrap();
    assert_eq!(accounts(&store).unwrap(), [""; 0]);
    assert_eq!(mode(&dir.cache()), 0o666);
    add(&store, "a").unwrap();
    assert_eq!(mode(&dir.cache()), 0o600);
}

/// A file of another user: one that root gives away, or one of root's.
fn foreign(dir: &TestDir) -> std::path::PathBuf {
    if !is_root() {
        return "/etc/hostname".into();
    }
    dir.cache_with("{}");
    chown(dir.cache(), Some(NOBODY), None).unwrap();
    dir.cache()
}

#[test]
fn p7_another_user_s_file_is_refused_and_can_t_be_repaired() {
    let dir = TestDir::new();
    let path = foreign(&dir);
    assert_ne!(path.metadata().unwrap().uid(), rustix::process::geteuid().as_raw());
    let link = dir.at("link.json");
    symlink(&path, &link).unwrap();
    for path in [path, link] {
        for permissions in [Permissions::Refuse, Permissions::Repair] {
            let opened = FileStore::builder(&path).permissions(permissions).open();
            let text = refused(&opened.unwrap_err());
            assert!(text.contains("belongs to user"), "{text}");
        }
    }
}

#[test]
fn p7_a_link_that_is_changed_to_another_user_s_file_is_refused() {
    let dir = TestDir::new();
    let theirs = foreign(&dir);
    let before = fs::read(&theirs).unwrap();
    fs::write(dir.at("mine.json"), "{}").unwrap();
    set_mode(&dir.at("mine.json"), 0o600);
    let link = dir.at("link.json");
    symlink("mine.json", &link).unwrap();
    let store = FileStore::open(&link).unwrap();
    add(&store, "a").unwrap();
    fs::remove_file(&link).unwrap();
    symlink(&theirs, &link).unwrap();
    refused(&accounts(&store).unwrap_err());
    refused(&add(&store, "b").unwrap_err());
    assert_eq!(fs::read(&theirs).unwrap(), before);
}

#[test]
fn a_chmod_is_noticed() {
    let dir = TestDir::new();
    dir.cache_with("{}");
    let open = FileStore::builder(dir.cache()).permissions(Permissions::Ignore);
    let blob = open.open_blob().unwrap();
    present(&blob);
    std::thread::sleep(std::time::Duration::from_millis(25));
    let (revision, _) = present(&blob);
    assert!(matches!(blob.read(Some(revision)).unwrap(), Blob::Unchanged));
    set_mode(&dir.cache(), 0o644);
    assert!(matches!(blob.read(Some(revision)).unwrap(), Blob::Present(..)));
}

#[test]
fn p7_the_command_in_the_error_repairs_the_file_whatever_its_path() {
    let dir = TestDir::new();
    for name in ["two words", "it's $(not) `run`;", "-n", "a\"b\\c*"] {
        let path = dir.at(name);
        fs::write(&path, "{}").unwrap();
        set_mode(&path, 0o644);
        let text = refused(&FileStore::open(&path).unwrap_err());
        let (_, command) = text.split_once("run: ").unwrap();
        let repaired = std::process::Command::new("sh").args(["-c", command]).status().unwrap();
        assert!(repaired.success(), "{command}");
        FileStore::open(&path).unwrap();
    }
}

#[test]
fn p7_a_folder_that_others_can_write_is_refused_or_repaired() {
    let dir = TestDir::new();
    let folder = dir.at("shared folder");
    fs::create_dir(&folder).unwrap();
    // A shared folder has a group that isn't the private group of its owner.
    if is_root() {
        chown(&folder, None, Some(NOBODY)).unwrap();
    }
    let path = folder.join("cache.json");
    let open = |permissions| FileStore::builder(&path).permissions(permissions).open();
    let (mut refusals, strangers) = (0, folder.metadata().unwrap());
    let strangers = strangers.gid() != strangers.uid();
    for bits in [0o777, 0o773, 0o722, 0o702, 0o770, 0o720] {
        if bits & 0o002 == 0 && !strangers {
            continue;
        }
        set_mode(&folder, 0o700);
        let _ = fs::remove_file(&path);
        let store = open(Permissions::Refuse).unwrap();
        set_mode(&folder, bits);
        let text = refused(&open(Permissions::Refuse).unwrap_err());
        let expected = format!("mode {bits:04o} lets others replace the files in it");
        assert!(text.contains(&expected), "{text}");
        // Also for a handle that was opened before, which writes nothing.
        refused(&add(&store, "a").unwrap_err());
        assert!(!path.exists());
        let ignoring = open(Permissions::Ignore).unwrap();
        add(&ignoring, "a").unwrap();
        refused(&accounts(&store).unwrap_err());

        let (_, command) = text.split_once("run: ").unwrap();
        let repaired = std::process::Command::new("sh").args(["-c", command]).status().unwrap();
        assert!(repaired.success(), "{command}");
        assert_eq!(accounts(&store).unwrap(), ["a"]);

        set_mode(&folder, bits);
        let repairing = open(Permissions::Repair).unwrap();
        assert_eq!(mode(&folder), bits & !0o022);
        assert_eq!(accounts(&repairing).unwrap(), ["a"]);
        refusals += 1;
    }
    // Every user can create files here, and only the owner of a file can remove it.
    set_mode(&folder, 0o1777);
    add(&open(Permissions::Refuse).unwrap(), "b").unwrap();
    println!("P7: folders of {refusals} modes were refused and repaired");
    assert!(refusals >= 4);
}

#[test]
fn p7_a_link_in_a_folder_that_others_can_write_is_refused() {
    let dir = TestDir::new();
    fs::create_dir(dir.at("open")).unwrap();
    set_mode(&dir.at("open"), 0o777);
    add(&FileStore::open(dir.cache()).unwrap(), "a").unwrap();
    symlink("../cache.json", dir.at("open/link.json")).unwrap();
    // Other users can change the link to any file of this user.
    let text = refused(&FileStore::open(dir.at("open/link.json")).unwrap_err());
    assert!(text.contains("chmod go-w"), "{text}");
}

/// The extension of MSAL Java creates the file empty, and gives it mode 0644 at each write.
#[test]
fn a_file_that_java_writes_is_made_private_where_it_is_shared() {
    let dir = TestDir::new();
    let java_writes = |text: &str| {
        dir.cache_with(text);
        set_mode(&dir.cache(), 0o644);
    };
    let open = |share, permissions: Option<Permissions>| {
        let builder = FileStore::builder(dir.cache()).share_with_java(share);
        match permissions {
            Some(permissions) => builder.permissions(permissions).open(),
            None => builder.open(),
        }
    };
    java_writes("");
    refused(&open(false, None).unwrap_err());
    let store = open(true, None).unwrap();
    assert_eq!(mode(&dir.cache()), 0o600);
    add(&store, "a").unwrap();
    let written = fs::read_to_string(dir.cache()).unwrap();
    java_writes(&written);
    assert_eq!(accounts(&store).unwrap(), ["a"]);
    assert_eq!(mode(&dir.cache()), 0o600);
    java_writes(&written);
    add(&store, "b").unwrap();
    assert_eq!(mode(&dir.cache()), 0o600);
    // `Ignore` leaves it as it is.
    java_writes(&written);
    assert_eq!(accounts(&open(true, Some(Permissions::Ignore)).unwrap()).unwrap(), ["a"]);
    assert_eq!(mode(&dir.cache()), 0o644);
    // Others could replace the file.
    set_mode(dir.folder(), 0o777);
    refused(&open(true, None).unwrap_err());
    set_mode(dir.folder(), 0o700);
}
