//! What a core file of a process would have: its memory, which another process reads, while it has a sealed
//! store open, and after it has closed it.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msal_cache_core::{
    Blob, BlobStore, CacheStore, CredentialType, Document, Json, Record, Revision,
};
use msal_cache_file::{FileBlob, FileStore};
use msal_cache_sealed::{KeyRing, SealFailure, Sealed, SealedBlob};
use msal_cache_sqlite::SqliteStore;
use support::{list, load, put, user};

/// The variable with the folder of the process that is looked at.
const FOLDER: &str = "MSAL_CACHE_TEST_FOLDER";

fn open(folder: &Path, keys: &KeyRing) -> (impl CacheStore, impl CacheStore) {
    let rows = SqliteStore::open(folder.join("cache.db")).unwrap();
    let file = FileStore::builder(folder.join("cache.sealed")).open_blob().unwrap();
    (
        Sealed::new(rows, "test", keys.clone()).hide_names(),
        Document::new(SealedBlob::new(file, "test", keys.clone())),
    )
}

/// A document of several segments, which several threads open; a store can't read it.
fn large(folder: &Path, name: &str, keys: &KeyRing) -> SealedBlob<FileBlob> {
    let file = FileStore::builder(folder.join(name)).open_blob().unwrap();
    SealedBlob::new(file, "test", keys.clone())
}

/// The process that is looked at. It knows neither keys nor tokens but from the files.
fn look(folder: &Path) {
    let step = |name: &str| {
        println!("{name}");
        std::io::stdin().read_line(&mut String::new()).unwrap();
    };
    {
        let keys = KeyRing::from_file(folder.join("keys")).unwrap();
        let (rows, document) = open(folder, &keys);
        let held = [list(&rows).unwrap(), list(&document).unwrap()];
        for number in 0..10 {
            assert!(!load(&rows, &user(number)).unwrap().is_empty());
            assert!(!load(&document, &user(number)).unwrap().is_empty());
        }
        // Sealed anew, and read by another handle.
        put(&rows, &held[0]);
        put(&document, &held[1]);
        let (rows, document) = open(folder, &keys);
        assert_eq!(list(&rows).unwrap().len(), list(&document).unwrap().len());
        let whole = large(folder, "large", &keys).read(None).unwrap();
        assert!(matches!(&whole, Blob::Present(_, text) if text.expose().len() > 1 << 20));
        // All but one of its segments are opened.
        let broken = large(folder, "broken", &keys).read(None).unwrap_err();
        assert!(SealFailure::of(&broken).is_some());
        step("open");
        drop(held);
    }
    // A wrong key, and an error that is kept.
    let wrong = KeyRing::generate().unwrap();
    let (rows, _) = open(folder, &wrong);
    let error = list(&rows).unwrap_err();
    assert!(SealFailure::of(&error).is_some());
    step("closed");
}

/// A process, stopped at one of its steps.
struct Looked(Child, BufReader<std::process::ChildStdout>);

impl Looked {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "p17_a_core_file_has_no_key_and_no_token"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self(child, stdout)
    }

    /// Waits until it is at this step.
    fn wait(&mut self, step: &str) {
        let mut line = String::new();
        while !line.ends_with(&format!("{step}\n")) {
            line.clear();
            assert_ne!(self.1.read_line(&mut line).unwrap(), 0, "it has ended before: {step}");
        }
    }

    fn go_on(&mut self) {
        writeln!(self.0.stdin.as_mut().unwrap()).unwrap();
    }

    /// All memory that it can write, which a core file would have.
    fn memory(&self) -> Vec<u8> {
        let place = format!("/proc/{}", self.0.id());
        let mut memory = fs::File::open(format!("{place}/mem"))
            .unwrap_or_else(|error| panic!("the memory of a child can't be read: {error}"));
        let mut all = Vec::new();
        let maps = || fs::read_to_string(format!("{place}/maps")).unwrap();
        for line in maps().lines() {
            let mut words = line.split_whitespace();
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (begin, end) = range.split_once('-').unwrap();
            let [begin, end] = [begin, end].map(|it| u64::from_str_radix(it, 16).unwrap());
            memory.seek(SeekFrom::Start(begin)).unwrap();
            let read = (&mut memory).take(end - begin).read_to_end(&mut all);
            // A thread that has ended meanwhile, as of a test harness, has unmapped its stack.
            let is_gone = || !maps().lines().any(|it| it == line);
            assert!(read.is_ok() || is_gone(), "the memory can't be read: {line}: {read:?}");
        }
        assert!(all.len() > 1 << 20, "a process has more memory than {} bytes", all.len());
        all
    }
}

fn count(memory: &[u8], text: &[u8]) -> usize {
    memory.windows(text.len()).filter(|window| *window == text).count()
}

#[test]
fn p17_a_core_file_has_no_key_and_no_token() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return look(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = KeyRing::create_file(folder.path().join("keys")).unwrap();
    let text = keys.to_text();
    let text = std::str::from_utf8(text.expose()).unwrap();
    let base64 = text.lines().last().unwrap().split_once(' ').unwrap().1;
    let key = STANDARD.decode(base64).unwrap();
    // Random, so that the program doesn't have it.
    let canary = format!("{:032x}", fastrand::u128(..));
    let records = (0..10).map(|number| {
        let json =
            format!(r#"{{"home_account_id":"u{number}.t","secret":"{canary}{canary}{canary}"}}"#);
        let json = Json::new(json).unwrap();
        Record::new(CredentialType::RefreshToken, format!("key-{number}"), json)
    });
    let records: Vec<_> = records.collect();
    let (rows, document) = open(folder.path(), &keys);
    put(&rows, &records);
    put(&document, &records);
    drop((rows, document));
    let text = format!("{canary}\n").repeat(50_000);
    for name in ["large", "broken"] {
        large(folder.path(), name, &keys).swap(Revision::ABSENT, text.as_bytes()).unwrap();
    }
    let broken = folder.path().join("broken");
    let mut bytes = fs::read(&broken).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&broken, bytes).unwrap();

    let mut looked = Looked::start(folder.path());
    looked.wait("open");
    let memory = looked.memory();
    // The search finds what is there.
    assert_ne!(count(&memory, &key), 0);
    assert!(count(&memory, canary.as_bytes()) >= 60);
    looked.go_on();
    looked.wait("closed");
    let memory = looked.memory();
    let found = [&key[..], base64.as_bytes(), canary.as_bytes()].map(|it| count(&memory, it));
    // Also halves of the key, as the cipher has it in its state.
    let halves = [count(&memory, &key[..16]), count(&memory, &key[16..])];
    looked.go_on();
    assert!(looked.0.wait().unwrap().success());
    assert_eq!(
        (found, halves),
        ([0; 3], [0; 2]),
        "keys in bytes, in Base64, tokens; halves of keys"
    );
}
