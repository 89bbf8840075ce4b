//! MSAL Python's client for managed identities works over a file of this crate, and finds the tokens
//! that this crate stores.

use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::{CredentialType, Event, FileStore, Query, TokenCache};
use msal_cache_peers::{NOW, Peer, document};
use serde_json::{Value, json};

const VAULT: &str = "https://vault.azure.net";

/// What MSAL Python adds; `client_id` is `null` for the system-assigned identity.
fn event(client_id: &Value, secret: &str) -> Event {
    let event = json!({
        "client_id": client_id,
        "scope": [VAULT],
        "token_endpoint": "https://localhost/managed_identity",
        "response": {
            "access_token": secret, "expires_in": 7199, "token_type": "Bearer", "resource": VAULT,
        },
        "params": {},
        "data": {},
    });
    Event::from_json(&event.to_string()).unwrap()
}

#[test]
fn tokens_of_managed_identities_are_found_by_both() {
    let mut peer = Peer::start();
    for client_id in [Value::Null, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee".into()] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.json");
        let clock = Arc::new(ManualClock::new(NOW));
        let ours = TokenCache::with_clock(FileStore::open(&path).unwrap(), clock.clone());
        let query = |client_id: &Value| {
            Query::new()
                .client_id(client_id.as_str())
                .home_account_id(None)
                .environment("localhost")
                .realm("managed_identity")
                .target([VAULT])
        };
        let found = |of: &Value| -> Vec<String> {
            let found = ours.find(CredentialType::AccessToken, &query(of)).unwrap();
            found.iter().map(|it| it.access_token().unwrap().secret().expose().to_owned()).collect()
        };

        // Its round trip over our file: it stores a token, and finds it again.
        ours.add(&event(&"another client".into(), "AT-another")).unwrap();
        peer.get("open_file", json!({ "cache": "c", "path": path }));
        let mut theirs = |secrets: Value, now: i64| {
            let parameters = json!({
                "cache": "c", "resource": VAULT, "secrets": secrets, "now": now,
                "client_id": client_id,
            });
            let response = peer.get("managed_identity", parameters);
            let token = response["result"]["access_token"].clone();
            (token, response["requests"].clone())
        };
        assert_eq!(theirs(json!(["AT-1"]), NOW), (json!("AT-1"), json!(1)));
        assert_eq!(theirs(json!([]), NOW + 10), (json!("AT-1"), json!(0)));
        assert_eq!(found(&client_id), ["AT-1"]);
        assert_eq!(found(&"another client".into()), ["AT-another"]);

        // It finds what this crate stores.
        clock.set(NOW + 100);
        ours.add(&event(&client_id, "AT-2")).unwrap();
        assert_eq!(theirs(json!([]), NOW + 110), (json!("AT-2"), json!(0)));
        // And this crate what it stores after that one is to be refreshed.
        assert_eq!(theirs(json!(["AT-3"]), NOW + 7000), (json!("AT-3"), json!(1)));
        clock.set(NOW + 7000);
        assert_eq!(found(&client_id), ["AT-3"]);

        // Both write the same records.
        let file = document(&std::fs::read_to_string(&path).unwrap());
        let in_memory = TokenCache::with_clock(msal_cache::Memory::new(), clock.clone());
        in_memory.add(&event(&client_id, "AT-3")).unwrap();
        let expected = document(&in_memory.serialize().unwrap());
        for (key, record) in expected["AccessToken"].as_object().unwrap() {
            let stored = &file["AccessToken"][key];
            for (name, value) in record.as_object().unwrap() {
                if name != "expires_on" && name != "extended_expires_on" {
                    assert_eq!(&stored[name], value, "{name}");
                }
            }
        }
    }
}
