//! Sealed stores, compared with the same stores unsealed.

use std::hint::black_box;
use std::path::Path;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use msal_cache::sealed::{KeyRing, Sealed, SealedBlob};
use msal_cache::sqlite::Synchronous;
use msal_cache::store::{CacheStore, Document, Load, Partition};
use msal_cache::{FileStore, Memory, SqliteStore, TokenCache};

use crate::measure::{Effort, Side, compare, computing};
use crate::memory::find;
use crate::report::{Report, Row};
use crate::workload::{self, Probe};

fn keys() -> KeyRing {
    KeyRing::from_text("1 3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=").unwrap()
}

fn rows(path: &Path) -> SqliteStore {
    SqliteStore::builder(path).synchronous(Synchronous::Normal).open().unwrap()
}

fn document(path: &Path) -> Document<SealedBlob<msal_cache::file::FileBlob>> {
    let blob = FileStore::builder(path).open_blob().unwrap();
    Document::new(SealedBlob::new(blob, "bench", keys()))
}

/// Looks a token up that the cache has decoded.
fn look_up<'a, S: CacheStore + 'a>(cache: TokenCache<S>, probes: &'a [Probe]) -> Side<'a> {
    let look_up = move |nth: usize| {
        let probe = &probes[nth % probes.len()];
        assert_eq!(find(&cache, &probe.query(&probe.scopes)), probe.secret_len);
    };
    (0..probes.len()).for_each(&look_up);
    computing(look_up)
}

/// The number of bytes in the values of a partition.
fn load(store: &impl CacheStore, partition: &Partition) -> usize {
    let Load::Snapshot(found) = store.load(partition, None).unwrap() else { unreachable!() };
    found.records().iter().map(|it| it.value().expose().len()).sum()
}

pub(crate) fn measure(report: &mut Report, effort: Effort, tokens: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let at = |name: &str| folder.path().join(name);
    let plain = TokenCache::in_memory();
    crate::memory::fill(&plain, workload::sign_ins(tokens));
    let probes = workload::probes(tokens);
    let sealed = |path: &Path| Sealed::new(rows(path), "bench", keys());
    plain.copy_to(&TokenCache::new(rows(&at("plain.db")))).unwrap();
    plain.copy_to(&TokenCache::new(sealed(&at("sealed.db")))).unwrap();
    plain.copy_to(&TokenCache::new(sealed(&at("hidden.db")).hide_names())).unwrap();
    plain.copy_to(&TokenCache::new(FileStore::open(at("plain.json")).unwrap())).unwrap();
    plain.copy_to(&TokenCache::new(document(&at("sealed.bin")))).unwrap();
    let mut run = |operation, target, [ours, baseline]: [Side<'_>; 2]| {
        let [ours, baseline] = compare(effort, [ours, baseline]);
        let target = Some(target);
        report.push(Row { store: "sealed", operation, tokens, target, ours, baseline });
    };

    let in_memory = |hidden: bool| {
        let store = Sealed::new(Memory::new(), "bench", keys());
        let cache = TokenCache::new(if hidden { store.hide_names() } else { store });
        plain.copy_to(&cache).unwrap();
        look_up(cache, &probes)
    };
    let unsealed = || {
        let cache = TokenCache::in_memory();
        plain.copy_to(&cache).unwrap();
        look_up(cache, &probes)
    };
    run("memory: find again", 1.1, [in_memory(false), unsealed()]);
    run("memory, hidden names: find again", 1.1, [in_memory(true), unsealed()]);
    let in_rows = || look_up(TokenCache::new(rows(&at("plain.db"))), &probes);
    let legible = look_up(TokenCache::new(sealed(&at("sealed.db"))), &probes);
    run("SQLite: find again", 1.1, [legible, in_rows()]);
    let hidden = look_up(TokenCache::new(sealed(&at("hidden.db")).hide_names()), &probes);
    run("SQLite, hidden names: find again", 1.1, [hidden, in_rows()]);

    // A load, and the same load unsealed with the least decryption that it needs.
    let users: Vec<_> = probes.iter().map(|it| Partition::user(&it.home_account_id)).collect();
    let cipher = XChaCha20Poly1305::new(&[7; 32].into());
    let values = |user: &Partition| -> Vec<_> {
        let Load::Snapshot(found) = plain.store().load(user, None).unwrap() else { unreachable!() };
        let seal = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            let tag =
                cipher.encrypt_inout_detached(&[9; 24].into(), b"", bytes.as_mut_slice().into());
            (bytes, tag.unwrap())
        };
        found.records().iter().map(|it| seal(it.value().expose())).collect()
    };
    let values: Vec<_> = users.iter().map(values).collect();
    let floor = |path: &Path| {
        let (store, values, users, cipher) = (rows(path), &values, &users, &cipher);
        computing(move |nth| {
            let nth = nth % users.len();
            let mut size = 0;
            for (bytes, tag) in &values[nth] {
                let mut bytes = bytes.clone();
                let text = bytes.as_mut_slice().into();
                cipher.decrypt_inout_detached(&[9; 24].into(), b"", text, tag).unwrap();
                size += black_box(bytes).len();
            }
            assert_eq!(load(&store, &users[nth]), size);
        })
    };
    let sealed_load = |store: Sealed<SqliteStore>| {
        let users = &users;
        computing(move |nth| assert!(load(&store, &users[nth % users.len()]) > 0))
    };
    run(
        "SQLite: load a user",
        1.3,
        [sealed_load(sealed(&at("sealed.db"))), floor(&at("plain.db"))],
    );
    let hidden = sealed_load(sealed(&at("hidden.db")).hide_names());
    run("SQLite, hidden names: load a user", 1.3, [hidden, floor(&at("plain.db"))]);

    let first = &probes[0];
    let find_first = |store: &dyn CacheStore| {
        let cache = TokenCache::new(store);
        assert_eq!(find(&cache, &first.query(&first.scopes)), first.secret_len);
    };
    let open_sealed = || computing(|_| find_first(&document(&at("sealed.bin"))));
    let open_plain = |_| find_first(&FileStore::open(at("plain.json")).unwrap());
    run("file: open and find one", 2.0, [open_sealed(), computing(open_plain)]);
    // To encrypt takes as long, and needs no copy.
    let mut bytes = std::fs::read(at("plain.json")).unwrap();
    let floor = computing(|nth| {
        open_plain(nth);
        let text = bytes.as_mut_slice().into();
        black_box(cipher.encrypt_inout_detached(&[9; 24].into(), b"", text).unwrap());
    });
    run("file: the same, with the bare decryption", 1.3, [open_sealed(), floor]);
}
