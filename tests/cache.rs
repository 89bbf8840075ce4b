//! Each method of `TokenCache`, on every store.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use crate::common::{
    CLIENT, Counting, ENVIRONMENT, NOW, REALM, app_token, document, home, over, sign_in,
};
use crate::stores::{Open, on_every_store};
use msal_cache::account::AuthorityType;
use msal_cache::store::{CacheStore, ext_cache_key};
use msal_cache::{CredentialType, Entry, Error, Event, Fields, Memory, Query, TokenCache};
use serde_json::json;

on_every_store! {
    a_response_becomes_five_records
    an_expired_token_is_not_found_and_is_removed_by_the_next_write
    scopes_ignore_order_and_case_and_the_newest_match_is_first
    queries_match_present_and_absent_fields
    tokens_with_an_extended_key_are_found_only_by_it
    extended_keys_of_other_libraries_are_recognized
    entries_are_changed_and_removed_under_their_stored_key
    each_remove_accepts_only_its_own_type
    modify_changes_fields_and_keeps_unknown_ones
    modify_keeps_concurrent_changes_of_other_writers
    modify_can_move_an_entry_to_another_user
    new_entries_get_the_key_of_msal_python
    has_state_changed_is_reset_by_serialize
    deserialize_replaces_the_cache_and_an_empty_text_clears_it
    concurrent_threads_lose_no_update
}

fn secrets(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|it| it.access_token().unwrap().secret().expose().to_owned()).collect()
}

#[test]
fn a_cache_can_be_shared_by_threads_over_any_store() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let memory = std::sync::Arc::new(Memory::new());
    shared(&TokenCache::in_memory());
    shared(&TokenCache::new(memory.clone()));
    shared(&TokenCache::<Box<dyn CacheStore>>::new(Box::new(memory.clone())));
    let borrowed = TokenCache::new(&*memory);
    borrowed.add(&sign_in("alice", "User.Read", "1")).unwrap();
    assert_eq!(TokenCache::new(memory.clone()).entries(None).unwrap().len(), 5);
}

fn a_response_becomes_five_records(open: Open) {
    let (cache, _) = open();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let user = Query::new().home_account_id(home("alice"));
    let one = |credential_type: CredentialType, query: &Query| {
        let found = cache.find(credential_type, query).unwrap();
        assert_eq!(found.len(), 1);
        found[0].clone()
    };
    let entry = one(CredentialType::AccessToken, &user);
    let token = entry.access_token().unwrap();
    assert_eq!(token.secret().expose(), "AT-1");
    assert_eq!(token.home_account_id(), Some("alice.tenant"));
    assert_eq!(token.environment(), Some(ENVIRONMENT));
    assert_eq!(token.client_id(), Some(CLIENT));
    assert_eq!(token.realm(), Some(REALM));
    assert_eq!(token.target(), Some("User.Read"));
    assert_eq!(token.token_type(), Some("Bearer"));
    assert_eq!(token.cached_at(), Some(NOW));
    assert_eq!(token.expires_on(), NOW + 3600);
    assert_eq!(token.extended_expires_on(), Some(NOW + 3600));
    assert_eq!((token.refresh_on(), token.key_id(), token.ext_cache_key()), (None, None, None));

    let entry = one(CredentialType::RefreshToken, &user);
    let token = entry.refresh_token().unwrap();
    assert_eq!(token.secret().expose(), "RT-1");
    assert_eq!((token.family_id(), token.last_modification_time()), (None, Some(NOW)));

    let entry = one(CredentialType::IdToken, &user);
    let claims = entry.id_token().unwrap().claims().unwrap();
    assert_eq!(claims.get("oid"), Some(&json!("alice")));

    let entry = one(CredentialType::Account, &user);
    let account = entry.account().unwrap();
    assert_eq!(account.username(), Some("alice@example"));
    assert_eq!(account.local_account_id(), Some("alice"));
    assert_eq!(account.authority_type(), Some(AuthorityType::Mssts));
    assert_eq!(account.account_source(), Some("authorization_code"));

    let entry = one(CredentialType::AppMetadata, &Query::new().client_id(CLIENT));
    assert_eq!(entry.app_metadata().unwrap().family_id(), None);
}

#[test]
fn p4_a_sign_in_is_one_commit_and_a_read_is_none() {
    let (cache, clock) = over(Counting::new(Memory::new()));
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    assert_eq!(cache.store().commits(), 1);
    cache.add(&sign_in("alice", "Mail.Read", "2")).unwrap();
    assert_eq!(cache.store().commits(), 2);

    // Reads don't write, even if tokens have expired.
    clock.advance(10_000);
    for credential_type in CredentialType::KNOWN {
        cache.find(credential_type.clone(), &Query::new()).unwrap();
        cache.find(credential_type, &Query::new().home_account_id(home("alice"))).unwrap();
    }
    cache.entries(None).unwrap();
    cache.serialize().unwrap();
    assert_eq!(cache.store().commits(), 2);
    println!("1 sign-in: 1 commit; reads of an expired cache: 0 commits");
}

#[test]
fn a_sign_in_does_not_reread_a_known_user_unless_another_process_wrote() {
    // Entries of one second: `find` and `entries` return them in the same order.
    let (cache, clock) = over(Arc::new(Counting::new(Memory::new())));
    let store = cache.store().clone();
    let other = TokenCache::with_clock(store.clone(), clock);
    let found = || {
        let query = Query::new().home_account_id(home("alice"));
        secrets(&cache.find(CredentialType::AccessToken, &query).unwrap())
    };
    let stored = || secrets(&cache.entries(Some(CredentialType::AccessToken)).unwrap());
    let add = |scope, number| {
        let before = (store.reads.load(SeqCst), store.commits());
        cache.add(&sign_in("alice", scope, number)).unwrap();
        (store.reads.load(SeqCst) - before.0, store.commits() - before.1)
    };
    assert_eq!(add("User.Read", "1"), (1, 1), "a new user and the metadata are one read");
    assert_eq!(add("Mail.Read", "2"), (0, 1), "nothing is read again");
    assert_eq!(found().len(), 2);

    other.add(&sign_in("alice", "Files.Read", "3")).unwrap();
    assert_eq!(add("Mail.Read", "4"), (1, 2), "the first commit is a conflict");
    assert_eq!(found().len(), 3);
    assert_eq!(found(), stored());

    assert!(other.remove_user(&home("alice")).unwrap() > 0);
    assert_eq!(add("User.Read", "5"), (1, 2));
    assert_eq!(found().len(), 1, "only the new token is present");
    assert_eq!(found(), stored());
}

fn an_expired_token_is_not_found_and_is_removed_by_the_next_write(open: Open) {
    let (cache, clock) = open();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    cache.add(&sign_in("bob", "User.Read", "2")).unwrap();
    let count = || cache.entries(Some(CredentialType::AccessToken)).unwrap().len();
    clock.advance(3600);
    assert_eq!(cache.find(CredentialType::AccessToken, &Query::new()).unwrap().len(), 2);
    clock.advance(1);
    assert_eq!(cache.find(CredentialType::AccessToken, &Query::new()).unwrap().len(), 0);
    assert_eq!(count(), 2, "a read deletes nothing");
    cache.add(&sign_in("alice", "Mail.Read", "3")).unwrap();
    assert_eq!(count(), 2, "Alice's is removed, Bob's is kept");
    assert_eq!(cache.purge_expired().unwrap(), 1);
    assert_eq!(count(), 1);
    assert_eq!(cache.purge_expired().unwrap(), 0);
    assert_eq!(cache.entries(Some(CredentialType::RefreshToken)).unwrap().len(), 3);
}

#[test]
fn a_token_renewed_by_another_process_is_not_purged() {
    // Both handles have read the expired token. One renews it, then the other purges.
    let store = std::sync::Arc::new(Memory::new());
    let (one, clock) = over(store.clone());
    let other = TokenCache::with_clock(store, clock.clone());
    one.add(&sign_in("alice", "User.Read", "old")).unwrap();
    clock.advance(4000);
    let user = Query::new().home_account_id(home("alice"));
    assert_eq!(other.find(CredentialType::AccessToken, &user).unwrap().len(), 0);
    one.add(&sign_in("alice", "User.Read", "new")).unwrap();
    other.add(&sign_in("alice", "Mail.Read", "mail")).unwrap();
    let found = other.find(CredentialType::AccessToken, &user).unwrap();
    assert_eq!(secrets(&found), ["AT-new", "AT-mail"]);
}

fn scopes_ignore_order_and_case_and_the_newest_match_is_first(open: Open) {
    let (cache, clock) = open();
    for (scopes, secret) in [
        ("User.Read Mail.Read openid", "three"),
        ("user.read Mail.Read", "two"),
        ("User.Read", "one"),
    ] {
        cache.add(&sign_in("alice", scopes, secret)).unwrap();
        clock.advance(1);
    }
    let find = |scopes: &[&str]| {
        let query = Query::new().home_account_id(home("alice")).target(scopes);
        secrets(&cache.find(CredentialType::AccessToken, &query).unwrap())
    };
    assert_eq!(find(&["User.Read"]), ["AT-one", "AT-two", "AT-three"]);
    assert_eq!(find(&["mail.READ", "USER.read", "Mail.Read"]), ["AT-two", "AT-three"]);
    assert_eq!(find(&["openid User.Read"]), ["AT-three"]);
    assert_eq!(find(&["Files.Read"]), [""; 0]);
    assert_eq!(find(&[]), ["AT-one", "AT-two", "AT-three"]);
    // Blanks are not "any scopes".
    for blank in [&[""][..], &[" "], &["", "\t\n"]] {
        assert_eq!(find(blank), [""; 0], "{blank:?}");
    }
    assert_eq!(find(&["", "Mail.Read"]), ["AT-two", "AT-three"]);
    // A token with more scopes that is newer comes first, also within one second.
    cache.add(&sign_in("alice", "User.Read Files.Read", "four")).unwrap();
    assert_eq!(find(&["User.Read"])[0], "AT-four");
    cache.add(&sign_in("alice", "User.Read", "five")).unwrap();
    assert_eq!(find(&["User.Read"]), ["AT-five", "AT-four", "AT-two", "AT-three"]);
}

fn queries_match_present_and_absent_fields(open: Open) {
    let (cache, _) = open();
    cache.add(&sign_in("alice", "User.Read", "user")).unwrap();
    cache.add(&app_token("User.Read", "app")).unwrap();
    let find = |query: Query| secrets(&cache.find(CredentialType::AccessToken, &query).unwrap());
    assert_eq!(find(Query::new().home_account_id(None)), ["AT-app"]);
    assert_eq!(find(Query::new().home_account_id(None).client_id(CLIENT).realm(REALM)), ["AT-app"]);
    assert_eq!(find(Query::new().home_account_id("")), ["AT-app"]);
    assert_eq!(find(Query::new().home_account_id(home("alice"))), ["AT-user"]);
    assert_eq!(find(Query::new().home_account_id("ALICE.tenant")), [""; 0]);
    assert_eq!(find(Query::new().environment("LOGIN.Example").realm(REALM)).len(), 2);
    assert_eq!(find(Query::new().client_id("another")), [""; 0]);
    assert_eq!(find(Query::new().key_id(None)).len(), 2);
    assert_eq!(find(Query::new().field("expires_on", (NOW + 3600).to_string())).len(), 2);
    assert_eq!(find(Query::new().field("secret", "AT-app")), ["AT-app"]);
    assert_eq!(find(Query::new().field("invented", None)).len(), 2);
    assert_eq!(find(Query::new().field("invented", "x")), [""; 0]);
}

fn tokens_with_an_extended_key_are_found_only_by_it(open: Open) {
    let (cache, _) = open();
    let of = |path: &str, secret: &str| {
        app_token("api/.default", secret).data(Fields::new().set("fmi_path", path))
    };
    cache.add(&app_token("api/.default", "plain")).unwrap();
    cache.add(&of("a/b", "ab")).unwrap();
    cache.add(&of("a/c", "ac")).unwrap();
    for base in [
        Query::new().client_id(CLIENT),
        Query::new().client_id(CLIENT).realm(REALM).home_account_id(None).target(["api/.default"]),
    ] {
        let find = |query| secrets(&cache.find(CredentialType::AccessToken, &query).unwrap());
        assert_eq!(find(base.clone()), ["AT-plain"]);
        let key = ext_cache_key([("fmi_path", "a/b")]).unwrap();
        assert_eq!(find(base.clone().ext_cache_key(key)), ["AT-ab"]);
        assert_eq!(find(base.clone().ext_cache_key("unknown")), [""; 0]);
        assert_eq!(find(base.ext_cache_key(None)), ["AT-plain"]);
    }
}

fn extended_keys_of_other_libraries_are_recognized(open: Open) {
    for mark in [
        json!({"ext": {"fmi_path": "a/b"}}),
        json!({"additionalCacheKeyComponents": {"fmi_path": "a/b"}}),
        json!({"ext_cache_key_hash": ext_cache_key([("fmi_path", "a/b")])}),
    ] {
        let mut record = json!({
            "home_account_id": "", "environment": ENVIRONMENT, "client_id": CLIENT, "realm": REALM,
            "target": "s", "secret": "AT-x", "expires_on": (NOW + 1).to_string(),
        });
        record.as_object_mut().unwrap().extend(mark.as_object().unwrap().clone());
        let (cache, _) = open();
        cache.deserialize(&json!({"AccessToken": {"k": record}}).to_string()).unwrap();
        let query = Query::new().client_id(CLIENT).realm(REALM).home_account_id(None);
        assert_eq!(cache.find(CredentialType::AccessToken, &query).unwrap(), [], "{mark}");
        let query = query.ext_cache_key(ext_cache_key([("fmi_path", "a/b")]).unwrap());
        assert_eq!(cache.find(CredentialType::AccessToken, &query).unwrap().len(), 1, "{mark}");
    }
}

fn entries_are_changed_and_removed_under_their_stored_key(open: Open) {
    // One refresh token as MSAL Python and MSAL Node store it; the first one is older.
    let rt = |secret: &str, at: i64| {
        json!({"credential_type": "RefreshToken", "secret": secret, "home_account_id": "u.t",
               "environment": ENVIRONMENT, "client_id": CLIENT,
               "last_modification_time": at.to_string()})
    };
    let state = json!({"RefreshToken": {
        "u.t-login.example-refreshtoken-client-id---": rt("OLD", NOW - 10),
        "u.t-login.example-refreshtoken-client-id--": rt("NEW", NOW),
    }});
    let (cache, clock) = open();
    cache.deserialize(&state.to_string()).unwrap();
    let find = || cache.find(CredentialType::RefreshToken, &Query::new()).unwrap();
    let secret = |entry: &Entry| entry.refresh_token().unwrap().secret().expose().to_owned();
    assert_eq!(find().iter().map(secret).collect::<Vec<_>>(), ["NEW", "OLD"]);

    clock.advance(5);
    cache.update_rt(&find()[1], "NEWER").unwrap();
    assert_eq!(find().iter().map(secret).collect::<Vec<_>>(), ["NEWER", "NEW"]);
    assert_eq!(find()[0].key(), "u.t-login.example-refreshtoken-client-id---");
    assert_eq!(find()[0].refresh_token().unwrap().last_modification_time(), Some(NOW + 5));

    cache.remove_rt(&find()[0]).unwrap();
    assert_eq!(find().iter().map(secret).collect::<Vec<_>>(), ["NEW"]);
}

fn each_remove_accepts_only_its_own_type(open: Open) {
    let (cache, _) = open();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let first = |credential_type| cache.find(credential_type, &Query::new()).unwrap()[0].clone();
    let [at, rt, idt, account] = [
        CredentialType::AccessToken,
        CredentialType::RefreshToken,
        CredentialType::IdToken,
        CredentialType::Account,
    ]
    .map(first);
    for wrong in [
        cache.remove_at(&rt),
        cache.remove_rt(&at),
        cache.remove_idt(&account),
        cache.remove_account(&idt),
        cache.update_rt(&at, "x"),
    ] {
        assert!(matches!(wrong, Err(Error::Invalid { .. })));
    }
    assert_eq!(cache.entries(None).unwrap().len(), 5);
    cache.remove_at(&at).unwrap();
    cache.remove_rt(&rt).unwrap();
    cache.remove_idt(&idt).unwrap();
    cache.remove_account(&account).unwrap();
    cache.remove_account(&account).unwrap();
    let left = cache.entries(None).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(*left[0].credential_type(), CredentialType::AppMetadata);
}

fn modify_changes_fields_and_keeps_unknown_ones(open: Open) {
    let (cache, _) = open();
    let record =
        json!({"home_account_id": "u.t", "username": "old", "wam_account_ids": {"a": [1]}});
    let state = json!({"Account": {"some key": record}});
    cache.deserialize(&state.to_string()).unwrap();
    let entry = cache.find(CredentialType::Account, &Query::new()).unwrap()[0].clone();
    let fields = Fields::new().set("username", "new").set("added", json!({"b": null}));
    cache.modify(CredentialType::Account, &entry, Some(&fields)).unwrap();
    assert_eq!(
        document(&cache)["Account"]["some key"],
        json!({"home_account_id": "u.t", "username": "new", "wam_account_ids": {"a": [1]},
               "added": {"b": null}})
    );
    // As in MSAL Python, a removed entry is created again, and empty fields remove it.
    cache.modify(CredentialType::Account, &entry, None).unwrap();
    cache.modify(CredentialType::Account, &entry, Some(&fields)).unwrap();
    assert_eq!(document(&cache)["Account"]["some key"]["username"], "new");
    cache.modify(CredentialType::Account, &entry, Some(&Fields::new())).unwrap();
    assert_eq!(document(&cache), json!({}));
}

fn modify_keeps_concurrent_changes_of_other_writers(open: Open) {
    let (cache, _) = open();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let stale = cache.find(CredentialType::RefreshToken, &Query::new()).unwrap()[0].clone();
    let of_others = Fields::new().set("family_id", "1");
    cache.modify(CredentialType::RefreshToken, &stale, Some(&of_others)).unwrap();
    cache.update_rt(&stale, "rotated").unwrap();
    let entry = cache.find(CredentialType::RefreshToken, &Query::new()).unwrap()[0].clone();
    let token = entry.refresh_token().unwrap();
    assert_eq!((token.secret().expose(), token.family_id()), ("rotated", Some("1")));
}

fn modify_can_move_an_entry_to_another_user(open: Open) {
    let (cache, _) = open();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let alice = Query::new().home_account_id(home("alice"));
    let entry = cache.find(CredentialType::Account, &alice).unwrap()[0].clone();
    let fields = Fields::new().set("home_account_id", home("bob"));
    cache.modify(CredentialType::Account, &entry, Some(&fields)).unwrap();
    assert_eq!(cache.find(CredentialType::Account, &alice).unwrap(), []);
    let bob = Query::new().home_account_id(home("bob"));
    assert_eq!(cache.find(CredentialType::Account, &bob).unwrap().len(), 1);
    assert_eq!(cache.entries(Some(CredentialType::Account)).unwrap().len(), 1);
}

fn new_entries_get_the_key_of_msal_python(open: Open) {
    let (cache, _) = open();
    let fields: Fields =
        [("home_account_id", "U.T"), ("environment", "login.example"), ("realm", "r")]
            .into_iter()
            .collect();
    let entry = Entry::new(CredentialType::Account, &fields).unwrap();
    assert_eq!(entry.key(), "u.t-login.example-r");
    let name = Fields::new().set("username", "u");
    cache.modify(CredentialType::Account, &entry, Some(&name)).unwrap();
    assert_eq!(document(&cache)["Account"]["u.t-login.example-r"]["username"], "u");

    let invented = CredentialType::Other("Invented".into());
    assert!(matches!(Entry::new(invented.clone(), &fields), Err(Error::Invalid { .. })));
    let entry = Entry::with_key(invented.clone(), "k", &fields);
    cache.modify(invented.clone(), &entry, Some(&name)).unwrap();
    assert_eq!(cache.find(invented, &Query::new().field("username", "u")).unwrap().len(), 1);
}

fn has_state_changed_is_reset_by_serialize(open: Open) {
    let (cache, clock) = open();
    assert!(!cache.has_state_changed());
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let clone = cache.clone();
    assert!(clone.has_state_changed(), "clones share one cache");
    let state = clone.serialize().unwrap();
    assert!(!cache.has_state_changed());

    let entry = cache.find(CredentialType::RefreshToken, &Query::new()).unwrap()[0].clone();
    assert!(!cache.has_state_changed(), "a read is not a change");
    cache.remove_rt(&entry).unwrap();
    assert!(cache.has_state_changed());
    cache.deserialize(&state).unwrap();
    assert!(!cache.has_state_changed());
    assert_eq!(cache.serialize().unwrap(), state);

    assert_eq!(cache.purge_expired().unwrap(), 0);
    assert!(!cache.has_state_changed());
    clock.advance(4000);
    cache.purge_expired().unwrap();
    assert!(cache.has_state_changed());
    assert!(cache.deserialize("not JSON").is_err());
    assert!(cache.has_state_changed());
}

fn deserialize_replaces_the_cache_and_an_empty_text_clears_it(open: Open) {
    let (cache, _) = open();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let alice = cache.serialize().unwrap();
    cache.deserialize("").unwrap();
    assert_eq!(document(&cache), json!({}));
    cache.add(&sign_in("bob", "User.Read", "2")).unwrap();
    cache.deserialize(&alice).unwrap();
    assert_eq!(cache.serialize().unwrap(), alice);
    assert_eq!(cache.find(CredentialType::Account, &Query::new()).unwrap().len(), 1);
}

#[test]
fn a_store_that_mixes_up_users_is_detected() {
    /// Returns Alice's records for every user.
    #[derive(Debug)]
    struct MixedUp(Memory);
    impl msal_cache::store::CacheStore for MixedUp {
        fn load(
            &self,
            _: &msal_cache::store::Partition,
            known: Option<msal_cache::store::Revision>,
        ) -> msal_cache::Result<msal_cache::store::Load> {
            self.0.load(&msal_cache::store::Partition::user(&home("alice")), known)
        }
        fn commit(
            &self,
            batch: &msal_cache::store::Batch,
        ) -> msal_cache::Result<Vec<msal_cache::store::Revision>> {
            self.0.commit(batch)
        }
        fn list(
            &self,
            credential_type: Option<&CredentialType>,
            known: Option<msal_cache::store::Revision>,
        ) -> msal_cache::Result<msal_cache::store::Load> {
            self.0.list(credential_type, known)
        }
        fn purge(&self, now: i64) -> msal_cache::Result<u64> {
            self.0.purge(now)
        }
    }
    let memory = Memory::new();
    let (cache, _) = over(memory);
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let mixed_up = MixedUp(Memory::new());
    let (other, _) = over(&mixed_up);
    other.deserialize(&cache.serialize().unwrap()).unwrap();
    let bob = Query::new().home_account_id(home("bob"));
    let found = other.find(CredentialType::AccessToken, &bob);
    assert!(matches!(found, Err(Error::Corrupt { .. })), "{found:?}");
}

fn concurrent_threads_lose_no_update(open: Open) {
    const THREADS: usize = 8;
    const EACH: usize = 25;
    let (cache, _) = open();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let cache = cache.clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    let user = format!("user{}", n % 5);
                    let scopes = format!("scope-{thread}-{n}");
                    cache.add(&sign_in(&user, &scopes, &scopes)).unwrap();
                    let query = Query::new().home_account_id(home(&user)).target([&scopes]);
                    let found = cache.find(CredentialType::AccessToken, &query).unwrap();
                    assert_eq!(secrets(&found), [format!("AT-{scopes}")]);
                }
            });
        }
    });
    let all = cache.entries(Some(CredentialType::AccessToken)).unwrap();
    assert_eq!(all.len(), THREADS * EACH);
    assert_eq!(cache.entries(Some(CredentialType::Account)).unwrap().len(), 5);
}

#[test]
fn events_from_json_equal_built_events() {
    let built = Event::new("c")
        .scope(["b a", "c"])
        .token_endpoint("https://login.example/t")
        .environment("login.example")
        .response(Fields::new().set("access_token", "x"))
        .data(Fields::new().set("key_id", "k"))
        .grant_type("g")
        .username("u")
        .authority_type(AuthorityType::Adfs)
        .skip_account_creation(true)
        .account_id("id");
    let read: Event = serde_json::from_value(json!({
        "client_id": "c", "scope": ["b", "a c"], "token_endpoint": "https://login.example/t",
        "environment": "login.example", "response": {"access_token": "x"}, "data": {"key_id": "k"},
        "grant_type": "g", "username": "u", "authority_type": "ADFS", "skip_account_creation": true,
        "_account_id": "id", "params": {"ignored": 1}
    }))
    .unwrap();
    assert_eq!(built, read);
}
