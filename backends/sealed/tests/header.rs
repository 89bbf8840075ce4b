//! Hidden or legible names are a property of the store, which its header has: a handle that was opened for
//! the other kind gets an error, and never an empty cache.

mod support;

use std::sync::{Arc, Barrier};
use std::thread;

use msal_cache_core::{Batch, CacheStore, Error, Expect, Json, Load, Memory, Partition, Record};
use msal_cache_sealed::{KeyRing, SealFailure, Sealed};
use msal_cache_sqlite::{SqliteStore, Synchronous};
use support::{CANARY, header, keys, list, load, put, refusal, sorted, stored, token, user};

fn open<S>(inner: S, numbers: &[u32], hidden: bool) -> Sealed<S> {
    let sealed = Sealed::new(inner, "test", keys(numbers));
    if hidden { sealed.hide_names() } else { sealed }
}

/// Tries to put a record.
fn try_put(store: &impl CacheStore, record: &Record) -> msal_cache_core::Result<()> {
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).put(record.clone());
    store.commit(&batch).map(drop)
}

fn delete(inner: &impl CacheStore, partition: &Partition, record: &Record) {
    let mut batch = Batch::new();
    batch.change(partition, Expect::Any).delete_record(record);
    inner.commit(&batch).unwrap();
}

fn place() -> Partition {
    Partition::app("msal-cache", "sealed", None)
}

#[test]
fn p17_each_verb_of_a_handle_for_the_other_kind_of_names_is_refused() {
    for hidden in [false, true] {
        let inner = Arc::new(Memory::new());
        // Both know the store as an empty one.
        let (one, other) = (open(inner.clone(), &[1], hidden), open(inner.clone(), &[1], !hidden));
        for handle in [&one, &other] {
            assert_eq!(load(handle, &user(1)).unwrap(), []);
            assert_eq!(list(handle).unwrap(), []);
            assert_eq!(handle.are_names_hidden().unwrap(), None);
        }
        put(&one, &[token(1), token(2)]);
        let before = list(&*inner).unwrap();
        let names = SealFailure::Names { hidden };
        for handle in [&other, &open(inner.clone(), &[1], !hidden)] {
            assert_eq!(refusal(load(handle, &user(1))), names);
            assert_eq!(refusal(load(handle, &user(9))), names);
            let wanted = [(&user(1), None), (&user(2), None)];
            assert_eq!(refusal(handle.load_many(&wanted)), names);
            assert_eq!(refusal(list(handle)), names);
            assert_eq!(refusal(try_put(handle, &token(3))), names);
            assert_eq!(refusal(handle.rekey()), names);
            assert_eq!(refusal(handle.unseal()), names);
            assert_eq!(refusal(handle.seal_plain()), names);
            assert!(!handle.is_unchanged(&user(1), msal_cache_core::Revision::ABSENT));
            assert_eq!(handle.are_names_hidden().unwrap(), Some(hidden));
        }
        assert_eq!(list(&*inner).unwrap(), before);
        assert_eq!(sorted(list(&one).unwrap()), sorted(vec![token(1), token(2)]));
    }
}

#[test]
fn p17_the_kind_of_names_outlives_a_rekey() {
    for hidden in [false, true] {
        let inner = Arc::new(Memory::new());
        let app = open(inner.clone(), &[1, 2], hidden);
        put(&open(inner.clone(), &[1], hidden), &[token(1)]);
        let old = list(&app).unwrap();
        assert_eq!(app.rekey().unwrap(), 2);
        assert_eq!(app.keys_in_use().unwrap(), [(2, 2)].into());
        let new = open(inner.clone(), &[2], hidden);
        assert_eq!(list(&new).unwrap(), old);
        // A handle that knows the earlier header goes on.
        put(&app, &[token(2)]);
        assert_eq!(load(&app, &user(3)).unwrap(), []);
        assert_eq!(load(&new, &user(2)).unwrap(), [token(2)]);
        let other = open(inner, &[2], !hidden);
        assert_eq!(refusal(load(&other, &user(1))), SealFailure::Names { hidden });
    }
}

#[test]
fn p17_one_kind_of_names_wins_where_both_begin_at_once() {
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let open_both = |hidden| {
            let builder = SqliteStore::builder(&path).synchronous(Synchronous::Normal);
            open(builder.open().unwrap(), &[1], hidden)
        };
        let handles = [true, false, true, false].map(open_both);
        let start = Barrier::new(handles.len());
        let written: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = handles
                .iter()
                .enumerate()
                .map(|(at, handle)| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        (0..5).map(|nth| try_put(handle, &token(at * 5 + nth))).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let hidden = open_both(false).are_names_hidden().unwrap().expect("it has records");
        let mut expected = Vec::new();
        for (at, results) in written.into_iter().enumerate() {
            for (nth, result) in results.into_iter().enumerate() {
                if at.is_multiple_of(2) == hidden {
                    result.unwrap();
                    expected.push(token(at * 5 + nth));
                } else {
                    assert_eq!(refusal(result), SealFailure::Names { hidden }, "round {round}");
                }
            }
        }
        let reader = open_both(hidden);
        assert_eq!(sorted(list(&reader).unwrap()), sorted(expected.clone()));
        for record in expected {
            assert_eq!(load(&reader, record.partition()).unwrap(), [record]);
        }
    }
}

#[test]
fn p17_a_handle_notices_that_its_store_was_made_plain_or_begun_anew() {
    for hidden in [false, true] {
        let inner = Arc::new(Memory::new());
        let (app, admin) = (open(inner.clone(), &[1], hidden), open(inner.clone(), &[1], hidden));
        put(&app, &[token(1), token(2)]);
        let Load::Snapshot(known) = app.load(&user(1), None).unwrap() else { unreachable!() };
        let known = Some(known.revision());
        assert_eq!(admin.unseal().unwrap(), 2);
        assert_eq!(sorted(list(&*inner).unwrap()), sorted(vec![token(1), token(2)]));
        let is_plain = |failure| matches!(failure, SealFailure::NotSealed { .. });
        assert!(is_plain(refusal(app.load(&user(1), known))));
        assert!(is_plain(refusal(load(&app, &user(1)))));
        assert!(is_plain(refusal(load(&app, &user(9)))));
        assert!(is_plain(refusal(list(&app))));
        assert!(is_plain(refusal(try_put(&app, &token(3)))));
        assert_eq!(list(&*inner).unwrap().len(), 2);

        // Names of the other kind.
        assert_eq!(open(inner.clone(), &[1], !hidden).seal_plain().unwrap(), 2);
        let names = SealFailure::Names { hidden: !hidden };
        assert_eq!(refusal(load(&app, &user(1))), names);
        assert_eq!(refusal(try_put(&app, &token(3))), names);

        // Of the same kind, by another key.
        open(inner.clone(), &[1], !hidden).unseal().unwrap();
        assert_eq!(admin.seal_plain().unwrap(), 2);
        assert_eq!(load(&app, &user(1)).unwrap(), [token(1)]);
        put(&app, &[token(3)]);
        for record in list(&*inner).unwrap() {
            let text: serde_json::Value = serde_json::from_str(record.value().expose()).unwrap();
            let user = text["partition"].as_str().unwrap().strip_prefix("user/");
            delete(&*inner, &user.map_or_else(place, Partition::user), &record);
        }
        assert_eq!(list(&*inner).unwrap(), []);
        put(&admin, &[token(4)]);
        assert_eq!(load(&app, &user(1)).unwrap(), []);
        assert_eq!(load(&app, &user(4)).unwrap(), [token(4)]);
        assert_eq!(app.load(&user(1), known).unwrap().into_records(), []);
    }
}

/// The records of a snapshot.
trait IntoRecords {
    fn into_records(self) -> Vec<Record>;
}

impl IntoRecords for Load {
    fn into_records(self) -> Vec<Record> {
        match self {
            Load::Snapshot(snapshot) => snapshot.into_records(),
            Load::Unchanged => panic!("the partition is unchanged"),
        }
    }
}

#[test]
fn p17_a_changed_header_is_refused() {
    for hidden in [false, true] {
        let inner = Arc::new(Memory::new());
        let app = open(inner.clone(), &[1, 2], hidden);
        put(&app, &[token(1)]);
        let header = header(&*inner);
        let text = header.value().expose();
        let replace = |text: String| {
            let mut batch = Batch::new();
            let changed = header.with_value(Json::from_stored(text));
            batch.change(place(), Expect::Any).put(changed);
            inner.commit(&batch).unwrap();
        };
        let check = || {
            // A handle that knows the header goes on reading what is there, and nothing else.
            let new = open(inner.clone(), &[1, 2], hidden);
            refusal(load(&new, &user(1)));
            for handle in [&app, &new] {
                refusal(load(handle, &user(2)));
                refusal(try_put(handle, &token(2)));
            }
        };
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                replace(String::from_utf8(bytes).unwrap());
                check();
            }
            replace(text[..at].into());
            check();
        }
        // That of another cache, and of a store whose names are of the other kind.
        for (name, hidden) in [("another", hidden), ("test", !hidden)] {
            let inner = Arc::new(Memory::new());
            let other = Sealed::new(inner.clone(), name, keys(&[1, 2]));
            put(&if hidden { other.hide_names() } else { other }, &[token(1)]);
            replace(support::header(&*inner).value().expose().into());
            check();
        }
        replace(text.into());
        assert_eq!(load(&app, &user(1)).unwrap(), [token(1)]);
    }
}

#[test]
fn p17_a_store_without_its_header_is_refused_and_can_be_recovered() {
    for hidden in [false, true] {
        let inner = Arc::new(Memory::new());
        let records: Vec<_> = (0..30).map(token).collect();
        put(&open(inner.clone(), &[1], hidden), &records);
        delete(&*inner, &place(), &header(&*inner));
        let app = open(inner.clone(), &[1], hidden);
        for number in [1, 99] {
            assert_eq!(refusal(load(&app, &user(number))), SealFailure::NoHeader);
        }
        assert_eq!(refusal(list(&app)), SealFailure::NoHeader);
        assert_eq!(refusal(try_put(&app, &token(99))), SealFailure::NoHeader);
        assert_eq!(refusal(app.rekey()), SealFailure::NoHeader);
        assert_eq!(stored(&*inner).len(), 30);
        assert_eq!(app.unseal().unwrap(), 30);
        assert_eq!(sorted(list(&*inner).unwrap()), sorted(records.clone()));
        assert_eq!(app.seal_plain().unwrap(), 30);
        assert_eq!(sorted(list(&app).unwrap()), sorted(records));
        assert_eq!(load(&app, &user(7)).unwrap(), [token(7)]);
    }
}

#[test]
fn each_store_hides_names_by_a_key_of_its_own() {
    let [one, other] = [Arc::new(Memory::new()), Arc::new(Memory::new())];
    for inner in [&one, &other] {
        put(&open(inner.clone(), &[1], true), &[token(1)]);
    }
    assert_ne!(stored(&*one)[0].key(), stored(&*other)[0].key());
    let shown = format!("{:?}", list(&*one).unwrap());
    assert!(!shown.contains(CANARY) && !shown.contains("u1.t"));
}

#[test]
fn a_guard_of_an_empty_store_excludes_other_handles() {
    let inner = Arc::new(Memory::new());
    let (one, other) = (open(inner.clone(), &[1], true), open(inner.clone(), &[1], true));
    let held = one.guard(&user(1), std::time::Duration::ZERO).unwrap();
    let refused = other.guard(&user(1), std::time::Duration::ZERO);
    assert!(matches!(refused, Err(Error::Locked { .. })));
    drop(held);
    drop(other.guard(&user(1), std::time::Duration::ZERO).unwrap());
    assert_eq!(stored(&*inner), []);
}

#[test]
fn a_record_in_the_place_of_the_header_is_not_accepted() {
    let inner = Arc::new(Memory::new());
    let sealed = open(inner.clone(), &[1], false);
    let record = Record::new("MsalCacheSealed".into(), "names", Json::new("{}").unwrap());
    assert!(matches!(try_put(&sealed, &record), Err(Error::Invalid { .. })));
    assert_eq!(list(&*inner).unwrap(), []);
}

#[test]
fn keys_of_a_callback_hide_names() {
    let ring = KeyRing::from_callback(1, |_| Ok(Some(support::key(1)))).unwrap();
    let sealed = Sealed::new(Memory::new(), "test", ring).hide_names();
    put(&sealed, &[token(1)]);
    assert_eq!(load(&sealed, &user(1)).unwrap(), [token(1)]);
}
