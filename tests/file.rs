//! The cache over a file, through the public API. `backends/file` has the tests of the file store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use msal_cache::clock::ManualClock;
use msal_cache::file::{OnCorrupt, Permissions};
use msal_cache::{CredentialType, Error, FileStore, Query, TokenCache};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{NOW, document, fixtures, sign_in};

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    (folder, path)
}

fn open(path: &Path) -> TokenCache<FileStore> {
    over(FileStore::open(path).unwrap())
}

fn over(store: FileStore) -> TokenCache<FileStore> {
    TokenCache::with_clock(store, Arc::new(ManualClock::new(NOW)))
}

fn write_private(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn files_of_every_library_are_read_and_extended_without_loss() {
    for (name, fixture) in fixtures("") {
        let (_folder, path) = place();
        let text = fs::read(&fixture).unwrap();
        write_private(&path, &text);
        let cache = open(&path);
        let before: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(document(&cache), before, "{name}");
        assert_eq!(fs::read(&path).unwrap(), text, "{name}: a read wrote");

        cache.add(&sign_in("bob", "User.Read", "b")).unwrap();
        let after: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for (section, records) in before.as_object().unwrap() {
            for (key, record) in records.as_object().unwrap() {
                assert_eq!(after[section].get(key), Some(record), "{name}: {key}");
            }
        }
        assert_eq!(document(&open(&path)), after, "{name}");
    }
}

#[test]
fn directories_are_private_and_no_other_file_is_left() {
    let (folder, _) = place();
    let path = folder.path().join("a/b/cache.json");
    let cache = open(&path);
    assert_eq!(cache.find(CredentialType::Account, &Query::new()).unwrap(), []);
    assert!(!folder.path().join("a").exists(), "a read writes nothing");
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join("a")), 0o700);
    assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    assert_eq!(names(path.parent().unwrap()), ["cache.json"]);
}

#[test]
fn p6_a_broken_file_is_a_read_error_and_the_next_sign_in_replaces_it() {
    let whole = fs::read(&fixtures("")[0].1).unwrap();
    let truncated = &whole[..whole.len() / 2];
    let mut flipped = whole.clone();
    flipped[10] ^= 0x80;
    let mut healed = 0;
    for broken in [
        &b""[..],
        b" \n",
        b"null",
        b"[\"CANARY\"]",
        b"CANARY",
        b"{\"AccessToken\": [\"CANARY\"]}",
        b"{\"Account\": {\"k\": \"\xff\xfeCANARY\"}}",
        truncated,
        &flipped,
    ] {
        let (folder, path) = place();
        write_private(&path, broken);
        let cache = open(&path);
        let error = cache.find(CredentialType::AccessToken, &Query::new()).unwrap_err();
        let printed = format!("{error} / {error:?}");
        assert!(
            matches!(&error, Error::Corrupt { place, .. } if *place == path.display().to_string())
        );
        assert!(!printed.contains("CANARY"), "{printed}");
        assert_eq!(fs::read(&path).unwrap(), broken, "a read wrote");

        let strict = over(FileStore::builder(&path).on_corrupt(OnCorrupt::Error).open().unwrap());
        let added = strict.add(&sign_in("alice", "User.Read", "1"));
        assert!(matches!(added, Err(Error::Corrupt { .. })), "{added:?}");
        assert_eq!(fs::read(&path).unwrap(), broken, "OnCorrupt::Error wrote");

        cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
        assert_eq!(cache.find(CredentialType::AccessToken, &Query::new()).unwrap().len(), 1);
        assert_eq!(names(folder.path()), ["cache.json", "cache.json.corrupt-1"]);
        let aside = folder.path().join("cache.json.corrupt-1");
        assert_eq!(fs::read(&aside).unwrap(), broken);
        assert_eq!(mode(&aside), 0o600);
        healed += 1;
    }
    println!("{healed} broken files: each read failed, each sign-in succeeded");
}

/// Reads a damaged file, signs a user in and finds the account. Returns whether the file was
/// broken.
fn recovers(damaged: &[u8]) -> bool {
    let (folder, path) = place();
    write_private(&path, damaged);
    let cache = open(&path);
    let accounts = || cache.find(CredentialType::Account, &Query::new());
    let before = match accounts() {
        Ok(found) => Some(found.len()),
        Err(Error::Corrupt { .. }) => None,
        Err(error) => panic!("{error:?}"),
    };
    cache.add(&sign_in("somebody-else", "User.Read", "1")).unwrap();
    assert_eq!(accounts().unwrap().len(), before.unwrap_or_default() + 1);
    if before.is_none() {
        let aside = fs::read(folder.path().join("cache.json.corrupt-1")).unwrap();
        assert_eq!(aside, damaged, "the renamed file has changed");
    } else {
        assert_eq!(names(folder.path()), ["cache.json"]);
    }
    before.is_none()
}

#[test]
fn p6_a_sign_in_recovers_from_a_truncated_file_or_a_flipped_bit() {
    // Each read of a broken file waits for a writer to complete it, so use many threads.
    const AT_ONCE: usize = 128;
    let (_, path) = fixtures("").into_iter().find(|(name, _)| name == "python-adfs.json").unwrap();
    let whole = fs::read(path).unwrap();
    let mut random = fastrand::Rng::with_seed(6);
    let cut = (0..whole.len()).map(|at| whole[..at].to_vec());
    let mut flipped = Vec::new();
    for at in (0..whole.len()).step_by(4) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << random.u8(0..8);
        flipped.push(damaged);
    }
    let files: Vec<_> = cut.chain(flipped).collect();
    let broken: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|worker| {
                let files = files.iter().skip(worker).step_by(AT_ONCE);
                scope.spawn(move || files.filter(|it| recovers(it)).count())
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    println!("{} damaged files, {broken} of them broken: each sign-in succeeded", files.len());
    assert!(broken >= whole.len() - 1, "{broken}");
    assert!(broken < files.len(), "a flipped bit in a string is valid JSON");
}

#[test]
fn p6_a_removal_from_a_broken_file_is_an_error_and_keeps_it() {
    let (folder, path) = place();
    let cache = open(&path);
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let find = |credential_type| cache.find(credential_type, &Query::new()).unwrap().remove(0);
    let (account, refresh) = (find(CredentialType::Account), find(CredentialType::RefreshToken));
    write_private(&path, b"{\"Account\": {");
    for removed in [
        cache.remove_account(&account),
        cache.remove_rt(&refresh),
        cache.modify(CredentialType::Account, &account, None),
        cache.purge_expired().map(drop),
    ] {
        assert!(matches!(removed, Err(Error::Corrupt { .. })), "{removed:?}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"{\"Account\": {");
    assert_eq!(names(folder.path()), ["cache.json"]);
    cache.add(&sign_in("bob", "User.Read", "2")).unwrap();
    assert_eq!(names(folder.path()), ["cache.json", "cache.json.corrupt-1"]);
}

#[test]
fn p8_a_damaged_record_in_a_file_is_kept_and_affects_no_other() {
    let (mut kept, mut records, mut refused) = (0, 0, 0);
    for (name, fixture) in fixtures("mutations") {
        let (folder, path) = place();
        let text = fs::read(&fixture).unwrap();
        write_private(&path, &text);
        let cache = open(&path);
        if let Err(error) = cache.entries(None) {
            assert!(matches!(error, Error::Corrupt { .. }), "{name}: {error:?}");
            cache.add(&sign_in("somebody-else", "User.Read", "x")).unwrap();
            assert_eq!(fs::read(folder.path().join("cache.json.corrupt-1")).unwrap(), text);
            refused += 1;
            continue;
        }
        for credential_type in CredentialType::KNOWN {
            cache.find(credential_type, &Query::new()).unwrap_or_else(|it| panic!("{name}: {it}"));
        }
        assert_eq!(fs::read(&path).unwrap(), text, "{name}: a read wrote");
        let without_mark = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let before: Value = serde_json::from_slice(without_mark).unwrap();
        cache.add(&sign_in("somebody-else", "User.Read", "x")).unwrap();
        let after: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for (section, value) in before.as_object().unwrap() {
            let Some(value) = value.as_object() else {
                assert!(value.is_null() || after[section] == *value, "{name}: {section}");
                continue;
            };
            for (key, record) in value {
                assert_eq!(after[section].get(key), Some(record), "{name}: {key}");
                records += 1;
            }
        }
        let query = Query::new().home_account_id(crate::common::home("somebody-else").as_str());
        let found = open(&path).find(CredentialType::AccessToken, &query).unwrap();
        assert_eq!(found.len(), 1, "{name}");
        kept += 1;
    }
    println!("P8: {kept} damaged files kept all {records} records, {refused} were renamed");
    assert_eq!(kept + refused, 57);
}

#[test]
fn p7_a_file_readable_by_others_is_refused_or_repaired() {
    let (_folder, path) = place();
    open(&path).add(&sign_in("alice", "User.Read", "1")).unwrap();
    let cache = open(&path);
    assert_eq!(cache.find(CredentialType::Account, &Query::new()).unwrap().len(), 1);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    // Also through a handle that was open before.
    for result in [
        FileStore::open(&path).map(drop),
        cache.find(CredentialType::Account, &Query::new()).map(drop),
        cache.add(&sign_in("bob", "User.Read", "2")).map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Insecure { path: it, .. } if *it == path), "{error:?}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    assert_eq!(mode(&path), 0o644, "a refusal changes nothing");
    let store = FileStore::builder(&path).permissions(Permissions::Repair).open().unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(over(store).find(CredentialType::Account, &Query::new()).unwrap().len(), 1);
}

#[test]
fn an_unusable_path_is_an_error_that_names_it() {
    let (folder, path) = place();
    assert!(
        matches!(FileStore::open(folder.path()), Err(Error::Io { path, .. }) if path == folder.path())
    );
    fs::write(&path, "a file").unwrap();
    let beyond = path.join("cache.json");
    let opened = FileStore::open(&beyond);
    assert!(matches!(opened, Err(Error::Io { path, .. }) if path == beyond));
}

#[test]
fn a_file_of_100_mb_of_spaces_is_an_error() {
    let (_folder, path) = place();
    write_private(&path, &vec![b' '; 100 << 20]);
    let cache = open(&path);
    let error = cache.find(CredentialType::Account, &Query::new()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    let store = FileStore::builder(&path).max_size(1 << 20).open().unwrap();
    let error = over(store).find(CredentialType::Account, &Query::new()).unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { size, limit, .. } if (size, limit) == (100 << 20, 1 << 20))
    );
}

#[test]
fn a_change_is_visible_to_another_handle_at_once() {
    let (_folder, path) = place();
    let (one, other) = (open(&path), open(&path));
    for n in 0..20 {
        let (writer, reader) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
        writer.add(&sign_in(&format!("user{n}"), "User.Read", "x")).unwrap();
        let accounts = reader.find(CredentialType::Account, &Query::new()).unwrap();
        assert_eq!(accounts.len(), n + 1);
    }
}
