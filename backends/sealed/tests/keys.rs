//! Where keys come from, and what is refused.

mod support;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use msal_cache_core::{Blob, BlobStore, Error, Memory, Revision};
use msal_cache_sealed::{Key, KeyRing, SealFailure, Sealed};
use support::{key, keys, list, put, refusal, token};

#[cfg(unix)]
#[test]
fn a_key_file_is_private_and_one_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let ring = KeyRing::create_file(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(KeyRing::create_file(&path), Err(Error::Io { .. })));
    assert_eq!(ring.numbers(), [1]);
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(KeyRing::from_file(&path), Err(Error::Insecure { .. })), "{mode:o}");
        assert!(KeyRing::add_key_to_file(&path).is_err());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(KeyRing::add_key_to_file(&path).unwrap(), 2);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(KeyRing::from_file(&path).unwrap().numbers(), [1, 2]);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1);
    // A folder in which others can replace the file.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(KeyRing::from_file(&path), Err(Error::Insecure { .. })));
}

#[test]
fn a_text_that_is_no_key_ring_is_refused_without_showing_it() {
    let good = "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=";
    assert_eq!(KeyRing::from_text(&format!("# c\n\n5 {good}\n4 {good}")).unwrap().newest(), 5);
    for text in [
        String::new(),
        "# nothing".into(),
        good.into(),
        format!("x {good}"),
        format!("-1 {good}"),
        format!("4294967296 {good}"),
        format!("1 {good}\n1 {good}"),
        format!("names {good}"),
        format!("1 {}", &good[4..]),
        format!("1 !{}", &good[1..]),
        "1 ".into(),
    ] {
        let error = KeyRing::from_text(&text).unwrap_err();
        assert!(matches!(SealFailure::of(&error), Some(SealFailure::Keys { .. })), "{text}");
        assert!(!format!("{error:?}").contains("3q2"), "{error:?}");
    }
    assert!(KeyRing::new([]).is_err());
    assert!(KeyRing::new([(1, key(1)), (1, key(2))]).is_err());
    assert!(Key::from_bytes(&[1; 31]).is_err());
}

#[test]
fn no_debug_shows_a_key() {
    let ring = KeyRing::from_text("1 3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=").unwrap();
    let sealed = Sealed::new(Memory::new(), "test", ring.clone());
    let shown = format!("{ring:?} {sealed:?} {:?} {:?}", ring.to_text(), key(1));
    assert!(!shown.contains("3q2") && !shown.contains("222") && !shown.contains("1, 1"), "{shown}");
}

#[test]
fn the_text_of_a_ring_is_read_back() {
    let ring = KeyRing::generate().unwrap();
    let text = ring.to_text();
    let same = KeyRing::from_text(std::str::from_utf8(text.expose()).unwrap()).unwrap();
    let inner = Arc::new(Memory::new());
    put(&Sealed::new(inner.clone(), "t", ring).hide_names(), &[token(1)]);
    let read = list(&Sealed::new(inner, "t", same).hide_names());
    assert_eq!(read.unwrap(), [token(1)]);
}

#[test]
fn a_callback_is_asked_once_for_each_key() {
    let inner = Arc::new(Memory::new());
    put(&Sealed::new(inner.clone(), "t", keys(&[1])), &[token(1)]);
    let (asked, calls) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (log, count) = (asked.clone(), calls.clone());
    let ring = KeyRing::from_callback(2, move |number| {
        log.lock().unwrap().push(number);
        count.fetch_add(1, Ordering::Relaxed);
        Ok((number <= 2).then(|| key(u8::try_from(number).unwrap())))
    })
    .unwrap();
    let sealed = Sealed::new(inner.clone(), "t", ring.clone());
    put(&sealed, &[token(2)]);
    for _ in 0..3 {
        assert_eq!(list(&sealed).unwrap().len(), 2);
    }
    assert_eq!(*asked.lock().unwrap(), [2, 1]);
    assert_eq!((ring.newest(), ring.numbers()), (2, vec![1, 2]));
    let error = KeyRing::from_callback(9, |_| Ok(None)).unwrap_err();
    assert!(error.to_string().contains("sealed"));
}

#[test]
fn a_missing_variable_or_credential_names_itself() {
    let shown = |error: Error| SealFailure::of(&error).unwrap().to_string();
    let error = KeyRing::from_env("MSAL_CACHE_NO_SUCH_VARIABLE").unwrap_err();
    assert!(shown(error).contains("MSAL_CACHE_NO_SUCH_VARIABLE"));
    let error = KeyRing::from_credential("cache-keys").unwrap_err();
    assert!(shown(error).contains("CREDENTIALS_DIRECTORY"));
    for name in ["", "../keys", ".", "a/b"] {
        assert!(matches!(KeyRing::from_credential(name), Err(Error::Invalid { .. })));
    }
}

#[test]
fn a_change_that_was_interrupted_does_not_prevent_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    KeyRing::create_file(&path).unwrap();
    // What a process leaves that is killed before it renames the file, and while it has the guard.
    for name in ["keys.new", "keys.lock"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    assert_eq!(KeyRing::add_key_to_file(&path).unwrap(), 2);
    assert_eq!(KeyRing::from_file(&path).unwrap().numbers(), [1, 2]);
    let names = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["keys"]);
}

#[test]
fn keys_that_are_added_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    KeyRing::create_file(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| KeyRing::add_key_to_file(&path).unwrap());
        }
    });
    assert_eq!(KeyRing::from_file(&path).unwrap().numbers(), (1..=9).collect::<Vec<_>>());
}

#[test]
fn a_key_file_may_be_a_bare_name() {
    struct InTheCurrentFolder(String);
    impl Drop for InTheCurrentFolder {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }
    let file = InTheCurrentFolder(format!("keys-{:x}.tmp", fastrand::u64(..)));
    KeyRing::create_file(&file.0).unwrap();
    assert_eq!(KeyRing::add_key_to_file(&file.0).unwrap(), 2);
}

/// Runs this test again with other variables, since a process must not change its own.
#[test]
fn keys_come_from_a_credential_and_from_a_variable() {
    const MARK: &str = "MSAL_CACHE_TEST_KEYS";
    if std::env::var_os(MARK).is_some() {
        assert_eq!(KeyRing::from_env(MARK).unwrap().numbers(), [1]);
        assert_eq!(KeyRing::from_credential("cache-keys").unwrap().numbers(), [3, 4]);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let text = keys(&[3, 4]).to_text();
    fs::write(folder.path().join("cache-keys"), text.expose()).unwrap();
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["keys_come_from_a_credential_and_from_a_variable", "--exact"])
        .env(MARK, "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=")
        .env("CREDENTIALS_DIRECTORY", folder.path())
        .status()
        .unwrap();
    assert!(status.success());
}

/// A string in memory, which threads share.
#[derive(Clone, Debug, Default)]
struct Variable(Arc<Mutex<Held>>);

type Held = Option<(Revision, Vec<u8>)>;

impl BlobStore for Variable {
    fn read(&self, _: Option<Revision>) -> msal_cache_core::Result<Blob> {
        // Others are between the reading and the writing of each.
        std::thread::yield_now();
        Ok(match &*self.0.lock().unwrap() {
            Some((revision, bytes)) => Blob::Present(*revision, bytes.clone().into()),
            None => Blob::Absent,
        })
    }

    fn swap(&self, expected: Revision, bytes: &[u8]) -> msal_cache_core::Result<Revision> {
        let mut held = self.0.lock().unwrap();
        let found = held.as_ref().map_or(Revision::ABSENT, |(revision, _)| *revision);
        if found != expected {
            return Err(Error::Conflict);
        }
        let revision = Revision::unique();
        *held = Some((revision, bytes.to_vec()));
        Ok(revision)
    }
}

#[test]
fn threads_that_create_keys_in_a_blob_at_once_have_the_same_ones() {
    for _ in 0..50 {
        let blob = Variable::default();
        assert!(KeyRing::from_blob(blob.clone()).is_err());
        let start = std::sync::Barrier::new(4);
        let texts: Vec<_> = std::thread::scope(|scope| {
            let create = || {
                start.wait();
                KeyRing::from_blob_or_new(blob.clone()).unwrap().to_text()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(texts.iter().all(|it| it == &texts[0]));
        assert_eq!(KeyRing::from_blob(blob).unwrap().to_text(), texts[0]);
    }
}

#[test]
fn a_key_that_is_added_to_a_blob_reaches_rings_that_are_open_and_a_removed_one_is_missing() {
    let blob = Variable::default();
    let ring = KeyRing::from_blob_or_new(blob.clone()).unwrap();
    let inner = Arc::new(Memory::new());
    let app = Sealed::new(inner.clone(), "t", KeyRing::from_blob(blob.clone()).unwrap());
    put(&app, &[token(1)]);
    assert_eq!((ring.add_key().unwrap(), ring.newest()), (2, 2));
    let other = Sealed::new(inner.clone(), "t", ring.clone());
    put(&other, &[token(2)]);
    assert_eq!(list(&app).unwrap().len(), 2);

    for wrong in [2, 3] {
        let refused = refusal(ring.remove_key(wrong));
        assert!(matches!(refused, SealFailure::Keys { .. }), "{wrong}");
    }
    ring.remove_key(1).unwrap();
    assert_eq!(KeyRing::from_blob(blob.clone()).unwrap().numbers(), [2]);
    let missing = refusal(list(&Sealed::new(inner.clone(), "t", ring)));
    assert!(matches!(missing, SealFailure::MissingKey { number: 1, .. }), "{missing}");
    // What an app holds it can still open.
    assert_eq!(list(&app).unwrap().len(), 2);
    *blob.0.lock().unwrap() = Some((Revision::unique(), b"1 \xff".to_vec()));
    assert!(matches!(refusal(KeyRing::from_blob(blob)), SealFailure::Keys { .. }));
}

#[test]
fn keys_in_a_file_are_added_and_removed_and_fixed_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let ring = KeyRing::create_file(&path).unwrap();
    assert_eq!(ring.add_key().unwrap(), 2);
    ring.remove_key(1).unwrap();
    assert_eq!(ring.numbers(), [2]);
    assert_eq!(KeyRing::from_file(&path).unwrap().to_text(), ring.to_text());
    assert_eq!(ring.add_key().unwrap(), 3);
    let fixed = keys(&[1, 2]);
    assert!(matches!(refusal(fixed.add_key()), SealFailure::Keys { .. }));
    assert!(matches!(refusal(fixed.remove_key(1)), SealFailure::Keys { .. }));
    assert_eq!(fixed.numbers(), [1, 2]);
}
