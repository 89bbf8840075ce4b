//! What `check` finds in the files of the other libraries and in spoilt ones, and what `repair`
//! makes of them.

use std::collections::BTreeSet;

use msal_cache::check::Severity;
use msal_cache::{Memory, TokenCache};
use serde_json::{Value, json};

use crate::common::{NOW, document, fixtures, over, without_empty_sections};

fn loaded(text: &str) -> TokenCache<Memory> {
    let (cache, _) = over(Memory::new());
    cache.deserialize(text).unwrap();
    cache
}

fn kinds(cache: &TokenCache<Memory>) -> BTreeSet<&'static str> {
    cache.check().unwrap().iter().map(|it| it.kind().as_str()).collect()
}

#[test]
fn what_the_libraries_write_by_themselves_has_notes_at_most() {
    for (name, path) in fixtures("") {
        let text = std::fs::read_to_string(path).unwrap();
        let (cache, clock) = over(Memory::new());
        cache.deserialize(&text).unwrap();
        // When the file was written, and long after: .NET's weren't written at a fixed time.
        for now in [NOW, 2_000_000_000] {
            clock.set(now);
            for finding in cache.check().unwrap() {
                let text = format!("{name}: {:?} {:?}", finding.kind(), finding.entry());
                assert_eq!(finding.severity(), Severity::Note, "{text}");
            }
        }
    }
}

#[test]
fn each_spoilt_file_has_its_finding() {
    let mut checked = 0;
    for (name, expected) in [
        ("00-base", &[][..]),
        ("02-expires_on-int", &["number"]),
        ("03-cached_at-int", &["number"]),
        ("04-expires_on-float", &["number"]),
        ("05-refresh_on-null", &["empty-time"]),
        ("06-refresh_on-empty", &["empty-time"]),
        ("09-no-cached_at", &["no-cached-at"]),
        ("10-no-expires_on", &["unreadable"]),
        ("11-app-at-home-null", &["null-home-account"]),
        ("12-app-at-home-empty", &[]),
        ("13-app-at-home-missing", &[]),
        ("17-acct-no-authority_type", &["no-authority-type"]),
        ("19-acct-no-local_account_id", &["no-local-account-id"]),
        ("20-family_id-int", &["number"]),
        ("22-unknown-section-object", &["unknown-section"]),
        ("23-unknown-section-string", &["unknown-member"]),
        ("25-unknown-section-array", &["unknown-member"]),
        ("26-unknown-fields", &[]),
        ("27-section-null", &[]),
        ("29-entry-null", &["null"]),
        ("30-idt-credtype-IDToken", &["other-credential-type"]),
        ("32-random-keys", &["misplaced-key"]),
        ("33-dup-idt-key", &["duplicate"]),
        ("34-dup-at-overlap", &["overlap"]),
        ("35-both-envs", &["alias"]),
        ("36-both-appmetadata-foci", &["alias"]),
    ] {
        let path = fixtures("mutations").into_iter().find(|it| it.0 == format!("{name}.json"));
        let cache = loaded(&std::fs::read_to_string(path.unwrap().1).unwrap());
        assert_eq!(kinds(&cache), expected.iter().copied().collect(), "{name}");
        checked += 1;
    }
    assert_eq!(checked, 26);
}

#[test]
fn a_repair_mends_what_it_says_and_leaves_the_rest_as_it_is() {
    for (name, path) in fixtures("").into_iter().chain(fixtures("mutations")) {
        let (cache, clock) = over(Memory::new());
        if cache.deserialize(&std::fs::read_to_string(path).unwrap()).is_err() {
            continue;
        }
        clock.set(2_000_000_000);
        let before = without_empty_sections(document(&cache));
        let promised: Vec<_> =
            cache.check().unwrap().into_iter().filter(|it| it.remedy().is_some()).collect();
        let mended = cache.repair().unwrap();
        assert_eq!(mended.len(), promised.len(), "{name}");
        assert!(promised.iter().all(|it| mended.contains(it)), "{name}");
        let left = cache.check().unwrap();
        assert!(left.iter().all(|it| it.remedy().is_none()), "{name}: {left:?}");
        assert!(cache.repair().unwrap().is_empty(), "{name}");

        // What no finding is about stands where it stood.
        let after = without_empty_sections(document(&cache));
        for (section, records) in before.as_object().unwrap() {
            for (key, record) in records.as_object().into_iter().flatten() {
                let touched = mended.iter().any(|it| it.entry().key() == key);
                if !touched {
                    assert_eq!(after[section].get(key), Some(record), "{name}: {key}");
                }
            }
        }
        if mended.is_empty() {
            assert_eq!(after, before, "{name}");
        }
    }
}

#[test]
fn a_record_is_made_readable_for_everyone_and_keeps_all_else() {
    let cache = loaded(
        r#"{"AccessToken": {"odd": {
            "secret": "s", "home_account_id": "U.T", "environment": "login.example",
            "client_id": "c", "realm": "t", "target": "A b", "expires_on": 1700003600.5,
            "refresh_on": null, "extended_expires_on": "", "cached_at": 1700000000,
            "invented": {"by": [1.50, null]}
        }}}"#,
    );
    cache.repair().unwrap();
    assert_eq!(
        document(&cache),
        json!({"AccessToken": {"u.t-login.example-accesstoken-c-t-a b": {
            "secret": "s", "home_account_id": "U.T", "environment": "login.example",
            "client_id": "c", "realm": "t", "target": "A b", "expires_on": "1700003600",
            "cached_at": "1700000000", "invented": {"by": [1.50, null]},
            "credential_type": "AccessToken"
        }}})
    );
}

fn refresh_token(secret: &str, stored: &str) -> Value {
    json!({
        "credential_type": "RefreshToken", "secret": secret, "home_account_id": "u.t",
        "environment": "login.example", "client_id": "c", "last_modification_time": stored,
    })
}

#[test]
fn of_two_records_for_one_identity_the_newer_stays_under_the_key_that_is_found() {
    let text = json!({"RefreshToken": {
        "u.t-login.example-refreshtoken-c--": refresh_token("old", "1"),
        "somewhere": refresh_token("new", "2"),
    }});
    let cache = loaded(&text.to_string());
    let expected = BTreeSet::from(["duplicate", "misplaced-key", "no-account"]);
    assert_eq!(kinds(&cache), expected);
    assert_eq!(cache.repair().unwrap().len(), 2);
    assert_eq!(
        document(&cache),
        json!({"RefreshToken": {"u.t-login.example-refreshtoken-c--": refresh_token("new", "2")}})
    );
}

#[test]
fn a_family_s_token_under_its_family_and_under_its_client_are_two() {
    let mut token = refresh_token("one", "1");
    token["family_id"] = "1".into();
    let text = json!({"RefreshToken": {
        "u.t-login.example-refreshtoken-c--": token,
        "u.t-login.example-refreshtoken-1--": token,
    }});
    let cache = loaded(&text.to_string());
    assert!(cache.repair().unwrap().is_empty());
    assert_eq!(document(&cache), text);
}

#[test]
fn no_finding_prints_a_secret() {
    use crate::canary::{clean, event};
    let (cache, clock) = over(Memory::new());
    cache.add(&event()).unwrap();
    let text = cache.serialize().unwrap().replace("\"credential_type\"", "\"was\"");
    cache.deserialize(&text).unwrap();
    clock.advance(7200);
    let found = cache.check().unwrap();
    assert!(found.len() > 2);
    for finding in found {
        clean("Finding", &format!("{finding} {finding:?} {}", finding.meaning()));
    }
}
