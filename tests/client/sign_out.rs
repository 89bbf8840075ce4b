//! A sign-out is one commit and removes all records of the user.

use serde_json::{Value, json};

use super::{
    access_token, account, app_metadata, client, fill, refresh_token, section, user, with,
};
use crate::common::{CLIENT, cache};
use crate::stores::{Open, on_every_store};

on_every_store! { all_records_of_the_user_are_removed }

/// Records of a user as the libraries write them, with unknown fields and sections.
fn all_of_a_user(home: &str) -> Vec<(&'static str, Vec<Value>)> {
    let of = |record: Value| with(record, json!({ "home_account_id": home }));
    let id = json!({ "credential_type": "IdToken", "secret": "id", "environment": "login.example",
                     "client_id": CLIENT, "realm": "tenant" });
    vec![
        (
            "AccessToken",
            vec![
                of(access_token("User.Read", "at", 3600)),
                of(access_token("Mail.Read", "expired", -60)),
                of(with(access_token("x", "other realm", 60), json!({ "realm": "guest" }))),
                of(with(access_token("x", "sibling", 60), json!({ "client_id": "sibling" }))),
                of(with(access_token("x", "ext", 60), json!({ "ext": { "fmi_path": "p" } }))),
                of(json!({ "secret": "unreadable", "environment": "login.example" })),
            ],
        ),
        (
            "RefreshToken",
            vec![
                of(refresh_token("own", 0)),
                of(with(
                    refresh_token("family", 0),
                    json!({ "client_id": "sibling", "family_id": "1" }),
                )),
                of(json!({ "secret": "nobody's" })),
            ],
        ),
        ("IdToken", vec![of(id)]),
        ("Account", vec![of(account()), of(with(account(), json!({ "realm": "guest" })))]),
        ("InventedLater", vec![of(json!({ "environment": "login.example", "x": [1] }))]),
    ]
}

fn all_records_of_the_user_are_removed(open: Open) {
    let (cache, _) = open();
    let mut sections = all_of_a_user("alice-id.tenant");
    for (section, records) in all_of_a_user("bob-id.tenant") {
        let at = sections.iter().position(|(name, _)| *name == section).unwrap();
        sections[at].1.extend(records);
    }
    sections.push(("AppMetadata", vec![app_metadata(CLIENT, Some("1"))]));
    fill(&cache, &sections);
    let alice = msal_cache::AccountInfo::of("alice-id.tenant");
    assert_eq!(client(&cache).remove_account(&alice).unwrap(), 13);
    let text = cache.serialize().unwrap();
    assert!(!text.contains("alice-id"), "{text}");
    assert_eq!(text.matches("\"bob-id.tenant\"").count(), 13, "{text}");
    assert_eq!(client(&cache).remove_account(&alice).unwrap(), 0);
    assert_eq!(client(&cache).account("alice-id.tenant").unwrap(), None);
}

#[test]
fn a_sign_out_is_one_commit() {
    let (cache, _) = crate::common::over(crate::common::Counting::new(msal_cache::Memory::new()));
    fill(&cache, &all_of_a_user(super::HOME));
    let before = cache.store().commits();
    client(&cache).remove_account(&user()).unwrap();
    assert_eq!(cache.store().commits(), before + 1);
    client(&cache).remove_account(&user()).unwrap();
    assert_eq!(cache.store().commits(), before + 1, "a sign-out without records writes nothing");
}

#[test]
fn other_clients_keep_refresh_tokens_and_other_clouds_are_unchanged() {
    let (cache, _) = cache();
    let others = with(refresh_token("other client's", 0), json!({ "client_id": "other" }));
    let elsewhere = with(account(), json!({ "environment": "other.example" }));
    let sibling =
        with(refresh_token("sibling's", 0), json!({ "client_id": "s", "family_id": "1" }));
    fill(
        &cache,
        &[
            ("RefreshToken", vec![refresh_token("own", 0), others.clone(), sibling.clone()]),
            ("Account", vec![account(), elsewhere.clone()]),
        ],
    );
    // The client is not known to be in the family, so the family's tokens are kept.
    client(&cache).remove_account(&user()).unwrap();
    assert_eq!(section(&cache, "RefreshToken"), [others, sibling]);
    assert_eq!(section(&cache, "Account"), [elsewhere]);
    // `remove_user` removes the records of all clients and clouds.
    assert_eq!(cache.remove_user(super::HOME).unwrap(), 3);
    assert!(cache.entries(None).unwrap().is_empty());
}

#[test]
fn a_sign_out_covers_all_hosts_of_a_cloud() {
    let (cache, _) = cache();
    let under = |record, host: &str| with(record, json!({ "environment": host }));
    fill(
        &cache,
        &[
            (
                "Account",
                vec![
                    under(account(), "login.windows.net"),
                    under(account(), "sts.windows.net"),
                    under(account(), "login.microsoftonline.us"),
                ],
            ),
            ("RefreshToken", vec![under(refresh_token("rt", 0), "LOGIN.windows.net")]),
        ],
    );
    let client = cache.client(CLIENT, "https://login.microsoftonline.com/common");
    assert_eq!(client.remove_account(&user()).unwrap(), 3);
    assert_eq!(section(&cache, "Account").len(), 1);
}

/// The concatenated bytes of all files in a directory.
#[cfg(any(feature = "file", feature = "sqlite"))]
fn bytes_in(folder: &std::path::Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    files.flat_map(|path| std::fs::read(path).unwrap()).collect()
}

#[cfg(any(feature = "file", feature = "sqlite"))]
fn assert_no_data_left<S: msal_cache::store::CacheStore>(
    folder: &std::path::Path,
    cache: &msal_cache::TokenCache<S>,
) {
    let holds = |text: &str| {
        let bytes = bytes_in(folder);
        bytes.windows(text.len()).any(|it| it == text.as_bytes())
    };
    fill(cache, &all_of_a_user("bob-id.tenant"));
    for round in 0..3 {
        for user in ["alice-id", "carol-id"] {
            let mut event = crate::common::sign_in(user, "User.Read", "secret");
            if round == 1 {
                event = event.username(user);
            }
            cache.add(&event).unwrap();
        }
        let alice = msal_cache::AccountInfo::of("alice-id.tenant");
        assert!(holds("alice-id"), "the store does not contain the user");
        assert_eq!(client(cache).remove_account(&alice).unwrap(), 4);
        assert!(!holds("alice-id"), "the store still contains the user");
        assert!(holds("bob-id") && holds("carol-id"));
    }
}

#[cfg(feature = "file")]
#[test]
fn no_data_of_the_user_is_left_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = msal_cache::FileStore::open(folder.path().join("cache.json")).unwrap();
    assert_no_data_left(folder.path(), &crate::common::over(store).0);
}

#[cfg(feature = "sqlite")]
#[test]
fn no_data_of_the_user_is_left_in_the_database_or_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = msal_cache::SqliteStore::open(folder.path().join("cache.db")).unwrap();
    assert_no_data_left(folder.path(), &crate::common::over(store).0);
}

#[test]
fn the_record_of_another_user_under_the_id_of_a_removed_one_is_kept_and_can_be_moved() {
    let (cache, _) = crate::common::cache();
    let bob = super::with(super::account(), serde_json::json!({ "home_account_id": "bob.tenant" }));
    let document = serde_json::json!({ "Account": {
        "uid.tenant-login.example-tenant": bob,
        "another key": super::account(),
    } });
    cache.deserialize(&document.to_string()).unwrap();
    assert_eq!(cache.remove_user("uid.tenant").unwrap(), 1);
    assert_eq!(super::section(&cache, "Account"), [bob], "its fields say whose it is");
    assert!(cache.serialize().unwrap().contains("uid.tenant"), "in the key");
    cache.repair().unwrap();
    assert!(!cache.serialize().unwrap().contains("uid.tenant"));
    assert!(cache.serialize().unwrap().contains("bob.tenant-login.example-tenant"));
}
