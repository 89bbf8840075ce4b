//! The findings of `check` in files of the other libraries and in damaged ones, and the result of
//! `repair`.

use std::collections::{BTreeMap, BTreeSet};

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
fn files_of_the_msal_libraries_have_only_notes() {
    for (name, path) in fixtures("") {
        let text = std::fs::read_to_string(path).unwrap();
        let (cache, clock) = over(Memory::new());
        cache.deserialize(&text).unwrap();
        // At the time of writing, and long after: .NET's files have no fixed time of writing.
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
fn each_damaged_file_has_its_finding() {
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
        ("27-section-null", &["null-section"]),
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
fn a_repair_does_what_its_findings_say_and_changes_nothing_else() {
    for (name, path) in fixtures("").into_iter().chain(fixtures("mutations")) {
        let (cache, clock) = over(Memory::new());
        if cache.deserialize(&std::fs::read_to_string(path).unwrap()).is_err() {
            continue;
        }
        clock.set(2_000_000_000);
        let before = without_empty_sections(document(&cache));
        let repairable: Vec<_> =
            cache.check().unwrap().into_iter().filter(|it| it.remedy().is_some()).collect();
        let repaired = cache.repair().unwrap();
        assert_eq!(repaired.len(), repairable.len(), "{name}");
        assert!(repairable.iter().all(|it| repaired.contains(it)), "{name}");
        let left = cache.check().unwrap();
        assert!(left.iter().all(|it| it.remedy().is_none()), "{name}: {left:?}");
        assert!(cache.repair().unwrap().is_empty(), "{name}");

        // Records without a finding are unchanged.
        let after = without_empty_sections(document(&cache));
        for (section, records) in before.as_object().unwrap() {
            for (key, record) in records.as_object().into_iter().flatten() {
                let touched = repaired.iter().any(|it| it.entry().key() == key);
                if !touched {
                    assert_eq!(after[section].get(key), Some(record), "{name}: {key}");
                }
            }
        }
        if repaired.is_empty() {
            assert_eq!(after, before, "{name}");
        }
    }
}

/// JSON values that a record, or a part of it, may have in a damaged or foreign file.
const ODD: [&str; 14] = [
    "null",
    "true",
    "{}",
    "[]",
    "[1]",
    r#"{"a": 1}"#,
    "0",
    "-0.0",
    "1e400",
    r#""""#,
    r#"" ""#,
    r#""\ud800""#,
    r#""a\udc00b""#,
    r#""x""#,
];

/// Any value in any place. A repair that changes nothing would be offered for ever.
#[test]
fn repairs_come_to_an_end_whatever_a_record_holds() {
    let (_, path) = fixtures("").into_iter().find(|it| it.0 == "python-aad-guest.json").unwrap();
    let document: BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let object = |members: &BTreeMap<&str, String>| {
        let members = members.iter().map(|(name, json)| format!("{name:?}: {json}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
    };
    let mut cases = Vec::new();
    for (section, records) in &document {
        let (key, record) = records.first_key_value().unwrap();
        let record: BTreeMap<&str, String> =
            record.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect();
        let names = record.keys().copied();
        for name in names.chain(["home_account_id", "key_id", "keyid", "kid", "refresh_on", "x"]) {
            for odd in ODD {
                let mut record = record.clone();
                record.insert(name, odd.into());
                let place = format!("{section}.{name} = {odd}");
                cases.push((place, format!("{{{section:?}: {{{key:?}: {}}}}}", object(&record))));
            }
        }
        let record = object(&record);
        for odd in ODD {
            let place = format!("{section} record = {odd}");
            cases.push((place, format!("{{{section:?}: {{{key:?}: {odd}}}}}")));
            cases.push((format!("{section} = {odd}"), format!("{{{section:?}: {odd}}}")));
            if odd.starts_with('"') {
                let place = format!("{section} key = {odd}");
                cases.push((place, format!("{{{section:?}: {{{odd}: {record}}}}}")));
                cases.push((format!("member = {odd}"), format!(r#"{{{odd}: {{"k": {record}}}}}"#)));
            }
        }
    }
    let mut repaired = 0;
    for (name, text) in &cases {
        for now in [i64::MIN, NOW, i64::MAX] {
            let (cache, clock) = over(Memory::new());
            if cache.deserialize(text).is_err() {
                continue;
            }
            clock.set(now);
            repaired += cache.repair().unwrap().len();
            let left = cache.check().unwrap();
            assert!(left.iter().all(|it| it.remedy().is_none()), "{name}: {left:?}");
            assert!(cache.repair().unwrap().is_empty(), "{name}");
        }
    }
    assert!(repaired > 500, "{repaired}");
}

#[test]
fn a_repaired_record_is_readable_by_all_libraries_and_keeps_its_other_fields() {
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
fn the_newer_of_two_duplicates_is_kept_under_the_computed_key() {
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
fn a_family_refresh_token_under_its_family_and_one_under_its_client_are_distinct() {
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
fn findings_contain_no_secret() {
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

#[test]
fn a_repair_deletes_what_an_expired_token_superseded_and_brings_nothing_back() {
    let token = |scopes: &str, cached_at: i64, expires_on: i64| {
        json!({
            "credential_type": "AccessToken", "secret": format!("AT {cached_at}"),
            "home_account_id": "u.t", "environment": "login.example", "client_id": "c",
            "realm": "t", "target": scopes, "token_type": "Bearer",
            "cached_at": cached_at.to_string(), "expires_on": expires_on.to_string(),
        })
    };
    let all = json!({ "AccessToken": {
        "u.t-login.example-accesstoken-c-t-a b": token("a b", NOW - 90, NOW + 900),
        "u.t-login.example-accesstoken-c-t-b c": token("b c", NOW - 95, NOW + 900),
        "u.t-login.example-accesstoken-c-t-a": token("a", NOW - 80, NOW - 10),
        "u.t-login.example-accesstoken-c-t-d": token("d", NOW - 99, NOW + 900),
        "u.t-login.example-accesstoken-c-t-c": token("c", NOW - 70, NOW + 900),
    } });
    let cache = loaded(&all.to_string());
    let found = cache.check().unwrap();
    let of = |name: &str| {
        let keys = found.iter().filter(|it| it.kind().as_str() == name);
        keys.map(|it| it.entry().get("target").unwrap().into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("expired"), ["a"]);
    // "b c" was superseded by "a b" already.
    assert_eq!(of("superseded"), ["a b", "b c"]);
    cache.repair().unwrap();
    let left = document(&cache)["AccessToken"].as_object().unwrap().len();
    assert_eq!(left, 2);
    assert!(cache.repair().unwrap().is_empty());
}
