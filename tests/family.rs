//! `Profile::Family`: the records for all libraries, and those that they replace. `tests/peers`
//! checks that the real libraries read them.

use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::cloud::{Cloud, Clouds};
use msal_cache::store::ext_cache_key;
use msal_cache::{CredentialType, Error, Event, Fields, Memory, Profile, Query, TokenCache};
use serde_json::{Map, Value, json};

use crate::common::{
    CLIENT, Counting, NOW, app_token, base64, client_info, document, fixtures, home, sign_in,
    without_empty_sections,
};

const PUBLIC: &str = "login.microsoftonline.com";
const CACHED: &str = "login.windows.net";

/// Alice, her tenant and the client of the damaged files.
const OID: &str = "22222222-2222-2222-2222-222222222222";
const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const APP: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

type Cache = TokenCache<Counting<Memory>>;

fn cache() -> (Cache, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(NOW));
    let store = Counting::new(Memory::new());
    let cache = TokenCache::builder(store).profile(Profile::Family).clock(clock.clone()).build();
    (cache, clock)
}

/// A cache with the records of another library.
fn over(standing: &Value) -> Cache {
    let (cache, _) = cache();
    cache.deserialize(&standing.to_string()).unwrap();
    cache
}

fn at(host: &str, event: Event) -> Event {
    event.token_endpoint(format!("https://{host}/tenant/oauth2/v2.0/token"))
}

/// A sign-in of Alice to the app of the damaged files.
fn alice(scopes: &str, secret: &str) -> Event {
    let info = base64(&format!(r#"{{"uid":"{OID}","utid":"{TENANT}"}}"#));
    let claims = format!(r#"{{"oid":"{OID}","sub":"s","preferred_username":"alice"}}"#);
    Event::new(APP)
        .token_endpoint(format!("https://{PUBLIC}/{TENANT}/oauth2/v2.0/token"))
        .scope([scopes])
        .grant_type("authorization_code")
        .response(
            Fields::new()
                .set("access_token", format!("AT-{secret}"))
                .set("refresh_token", format!("RT-{secret}"))
                .set("id_token", format!("e30.{}.signature", base64(&claims)))
                .set("client_info", info)
                .set("expires_in", 3600),
        )
}

/// The records of a section, with their keys.
fn section(cache: &Cache, name: &str) -> Map<String, Value> {
    document(cache)[name].as_object().cloned().unwrap_or_default()
}

/// The only record of a section.
fn only(cache: &Cache, name: &str) -> (String, Value) {
    let records = section(cache, name);
    assert_eq!(records.len(), 1, "{name}: {records:#?}");
    records.into_iter().next().unwrap()
}

fn secrets(cache: &Cache, name: &str) -> Vec<String> {
    let records = section(cache, name);
    let mut secrets: Vec<_> =
        records.values().map(|it| it["secret"].as_str().unwrap().to_owned()).collect();
    secrets.sort();
    secrets
}

#[test]
fn the_default_profile_is_python() {
    assert_eq!(Profile::default(), Profile::Python);
    let (python, _) = crate::common::cache();
    python.add(&app_token("s", "x")).unwrap();
    let written = document(&python);
    let record = written["AccessToken"].as_object().unwrap().values().next().unwrap();
    assert_eq!(record["home_account_id"], Value::Null);
}

#[test]
fn a_record_has_only_strings_and_all_fields_that_other_libraries_need() {
    let odd = Fields::new()
        .set("access_token", "AT")
        .set("refresh_token", "RT")
        .set("client_info", client_info("alice"))
        .set("foci", 1)
        .set("token_type", true)
        .set("refresh_in", 60);
    for event in [
        sign_in("alice", "User.Read", "1"),
        app_token("s", "2"),
        app_token("s", "3").data(Fields::new().set("fmi_path", "a/b").set("n", 7)),
        sign_in("alice", "", "4"),
        sign_in("alice", "s", "5").response(odd),
        Event::new(CLIENT).response(Fields::new().set("access_token", "AT")),
        sign_in("alice", "s", "6").response(
            Fields::new()
                .set("id_token", format!("e30.{}.s", base64(r#"{"sub":7,"oid":8,"upn":9}"#))),
        ),
    ] {
        let (cache, _) = cache();
        cache.add(&event).unwrap();
        let written = document(&cache);
        assert_eq!(written.as_object().unwrap().len(), 5, "a section is missing: {written:#}");
        for (name, records) in written.as_object().unwrap() {
            for record in records.as_object().unwrap().values() {
                for (field, value) in record.as_object().unwrap() {
                    let is_mark = field == "ext" || field == "additionalCacheKeyComponents";
                    let texts = value.is_string()
                        || is_mark && value.as_object().unwrap().values().all(Value::is_string);
                    assert!(texts, "{field}: {value}");
                }
                let needed: &[&str] = match name.as_str() {
                    "AccessToken" => &[
                        "home_account_id environment client_id secret credential_type realm target",
                        "cached_at expires_on extended_expires_on token_type",
                    ],
                    "RefreshToken" => &[
                        "home_account_id environment client_id secret credential_type",
                        "last_modification_time",
                    ],
                    "IdToken" => &["home_account_id environment client_id secret realm"],
                    "Account" => &[
                        "home_account_id environment realm local_account_id username",
                        "authority_type",
                    ],
                    _ => &["client_id environment"],
                };
                for field in needed.iter().flat_map(|it| it.split(' ')) {
                    assert!(record.get(field).is_some(), "{name} without {field}: {record}");
                }
            }
        }
    }
}

#[test]
fn keys_are_those_of_most_libraries() {
    let (cache, _) = cache();
    cache.add(&at(PUBLIC, sign_in("Alice", "User.Read", "1"))).unwrap();
    let key = |name| only(&cache, name).0;
    let (user, client) = (format!("{}-{PUBLIC}", home("alice")), CLIENT);
    assert_eq!(key("AccessToken"), format!("{user}-accesstoken-{client}-tenant-user.read"));
    assert_eq!(key("RefreshToken"), format!("{user}-refreshtoken-{client}--"));
    assert_eq!(key("IdToken"), format!("{user}-idtoken-{client}-tenant-"));
    assert_eq!(key("Account"), format!("{user}-tenant"));
    assert_eq!(key("AppMetadata"), format!("appmetadata-{PUBLIC}-{client}"));
    // MSAL Python removes it by a key from its fields, so neither has a `target`.
    assert_eq!(only(&cache, "RefreshToken").1.get("target"), None);
}

#[test]
fn a_family_token_is_keyed_by_client_if_the_key_contains_the_family_id() {
    let of_family = |family: &str| {
        let mut fields = Fields::new().set("foci", family);
        for name in ["refresh_token", "access_token"] {
            fields = fields.set(name, "s");
        }
        sign_in("alice", "s", "x").response(fields.set("client_info", client_info("alice")))
    };
    let (cache, _) = cache();
    cache.add(&of_family("1")).unwrap();
    assert_eq!(only(&cache, "RefreshToken").0, "alice.tenant-login.example-refreshtoken-1--");
    cache.add(&of_family("client")).unwrap();
    let of_client = "alice.tenant-login.example-refreshtoken-client-id--";
    assert!(section(&cache, "RefreshToken").contains_key(of_client));
}

#[test]
fn each_client_of_a_family_keeps_its_own_family_token() {
    let of_client = |host: &str, client: &str, secret: &str| {
        let response = Fields::new()
            .set("access_token", "AT")
            .set("refresh_token", secret)
            .set("client_info", client_info("alice"))
            .set("foci", "1");
        at(host, Event::new(client).scope(["s"]).response(response))
    };
    let (cache, _) = cache();
    for (client, secret) in [("a", "RT-a"), ("b", "RT-b"), ("a", "RT-a2")] {
        cache.add(&of_client("login.example", client, secret)).unwrap();
    }
    assert_eq!(secrets(&cache, "RefreshToken"), ["RT-a2"], "the key contains no family ID");
    for (client, secret) in [("a", "RT-1"), ("b", "RT-2"), ("a", "RT-3")] {
        cache.add(&of_client("login1.example", client, secret)).unwrap();
    }
    assert_eq!(secrets(&cache, "RefreshToken"), ["RT-2", "RT-3", "RT-a2"]);
}

#[test]
fn tokens_with_a_common_scope_replace_each_other() {
    for (old, new, stays) in [
        ("User.Read", "User.Read", false),
        ("User.Read Mail.Read", "user.read", false),
        ("User.Read", "Mail.Read User.Read", false),
        ("User.Read", "Mail.Read", true),
        ("User.Read openid profile", "Mail.Read openid profile offline_access email", true),
        ("User.Read openid", "openid", false),
        ("", "User.Read", true),
    ] {
        let (cache, _) = cache();
        cache.add(&sign_in("alice", old, "old")).unwrap();
        cache.add(&sign_in("bob", old, "bob")).unwrap();
        let commits = cache.store().commits();
        cache.add(&sign_in("alice", new, "new")).unwrap();
        assert_eq!(cache.store().commits(), commits + 1);
        let left = secrets(&cache, "AccessToken");
        let expected = ["AT-bob", "AT-new", "AT-old"];
        assert_eq!(left, expected[..if stays { 3 } else { 2 }], "{old:?}, then {new:?}");
        assert_eq!(secrets(&cache, "RefreshToken"), ["RT-bob", "RT-new"]);
    }
}

#[test]
fn distinct_tokens_are_not_replaced() {
    let standing = json!({
        "home_account_id": home("alice"), "environment": "login.example", "client_id": CLIENT,
        "realm": "tenant", "target": "User.Read", "secret": "old",
        "expires_on": (NOW + 60).to_string(), "credential_type": "AccessToken",
    });
    for (name, value) in [
        ("client_id", "another"),
        ("realm", "another"),
        ("environment", "another.example"),
        ("token_type", "pop"),
        ("key_id", "k"),
        ("kid", "k"),
        ("ext_cache_key", "k"),
        ("user_assertion_hash", "h"),
        ("userAssertionHash", "h"),
    ] {
        let mut record = standing.clone();
        record[name] = value.into();
        let cache = over(&json!({"AccessToken": {"k": record}}));
        cache.add(&sign_in("alice", "User.Read", "new")).unwrap();
        assert_eq!(secrets(&cache, "AccessToken"), ["AT-new", "old"], "{name}");
    }
    let cache = over(&json!({"AccessToken": {"k": standing}}));
    cache.add(&sign_in("alice", "User.Read", "new")).unwrap();
    assert_eq!(secrets(&cache, "AccessToken"), ["AT-new"]);
}

#[test]
fn duplicates_under_keys_of_other_libraries_are_removed_in_the_same_commit() {
    let (cache, _) = cache();
    cache.add(&sign_in("alice", "User.Read", "old")).unwrap();
    // The same records under keys of other libraries.
    let mut standing = document(&cache);
    for name in ["AccessToken", "RefreshToken", "IdToken", "AppMetadata"] {
        let records = standing[name].as_object_mut().unwrap();
        let (key, record) = records.clone().into_iter().next().unwrap();
        for suffix in ["-", "---"] {
            records.insert(format!("{key}{suffix}"), record.clone());
        }
    }
    let cache = over(&standing);
    let commits = cache.store().commits();
    cache.add(&sign_in("alice", "User.Read", "new")).unwrap();
    assert_eq!(cache.store().commits(), commits + 1);
    for name in ["AccessToken", "RefreshToken", "IdToken", "AppMetadata", "Account"] {
        only(&cache, name);
    }
    assert_eq!(secrets(&cache, "RefreshToken"), ["RT-new"]);
}

#[test]
fn an_account_keeps_its_host_name() {
    let another = "login.microsoft.com";
    for (standing, asked, expected) in [
        (vec![], CACHED, CACHED),
        (vec![CACHED], PUBLIC, CACHED),
        (vec![CACHED, PUBLIC], another, PUBLIC),
        (vec![another, CACHED], CACHED, CACHED),
        (vec!["login.microsoftonline.us"], PUBLIC, PUBLIC),
    ] {
        let mut document = json!({});
        for host in &standing {
            // As written by MSAL Python.
            let (python, _) = crate::common::cache();
            python.add(&at(host, sign_in("alice", "User.Read", "old"))).unwrap();
            for (name, records) in crate::common::document(&python).as_object().unwrap() {
                for (key, record) in records.as_object().unwrap() {
                    document[name][key] = record.clone();
                }
            }
        }
        let cache = over(&document);
        cache.add(&at(asked, sign_in("alice", "User.Read", "new"))).unwrap();
        let one_cloud = |it: &&Value| it["environment"] != "login.microsoftonline.us";
        for name in ["AccessToken", "RefreshToken", "IdToken", "AppMetadata"] {
            let records = section(&cache, name);
            let ours: Vec<_> = records.values().filter(one_cloud).collect();
            assert_eq!(ours.len(), 1, "{standing:?} {asked} {name}: {records:#?}");
            assert_eq!(ours[0]["environment"], expected, "{standing:?} {asked} {name}");
        }
        // Accounts are never removed, since they have fields of other libraries.
        let accounts = section(&cache, "Account");
        assert_eq!(
            accounts.len(),
            standing.len().max(1) + usize::from(standing.contains(&"login.microsoftonline.us"))
        );
    }
}

#[test]
fn custom_clouds_have_their_own_host_names() {
    let clouds = Clouds::none().with(Cloud::new("login.example").alias("sts.example"));
    let cache = TokenCache::builder(Memory::new()).profile(Profile::Family).clouds(clouds).build();
    cache.add(&at("sts.example", sign_in("alice", "s", "1"))).unwrap();
    cache.add(&at("login.example", sign_in("alice", "s", "2"))).unwrap();
    let found = cache.find(CredentialType::Account, &Query::new()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].account().unwrap().environment(), Some("sts.example"));
    // The public cloud is unknown here.
    cache.add(&at(PUBLIC, sign_in("bob", "s", "1"))).unwrap();
    cache.add(&at(CACHED, sign_in("bob", "s", "2"))).unwrap();
    assert_eq!(cache.find(CredentialType::Account, &Query::new()).unwrap().len(), 3);
}

#[test]
fn an_account_keeps_the_fields_of_other_libraries() {
    let standing = json!({"Account": {format!("{}-{PUBLIC}-tenant", home("alice")): {
        "home_account_id": home("alice"), "environment": PUBLIC, "realm": "tenant",
        "local_account_id": "old", "username": "old", "authority_type": "MSSTS",
        "name": "Alice", "tenantProfiles": ["{}"],
    }}});
    let cache = over(&standing);
    cache.add(&at(PUBLIC, sign_in("alice", "User.Read", "1"))).unwrap();
    let (_, account) = only(&cache, "Account");
    assert_eq!(account["name"], "Alice");
    assert_eq!(account["tenantProfiles"], json!(["{}"]));
    assert_eq!(account["local_account_id"], "alice");
    assert_eq!(account["username"], "alice@example");
}

#[test]
fn tokens_with_an_extended_key_have_the_fields_of_every_library() {
    let (cache, _) = cache();
    let data = Fields::new().set("fmi_path", "SomeFmiPath/FmiCredentialPath").set("empty", "");
    cache.add(&app_token("api/.default", "ext").data(data)).unwrap();
    cache.add(&app_token("api/.default", "plain")).unwrap();
    let records = section(&cache, "AccessToken");
    let ext = records.values().find(|it| it["secret"] == "AT-ext").unwrap();
    let hash = "cojvfy5tzae3njpkvcebguvvx5vvmnj8hphqrbogjoi";
    let path = json!({"fmi_path": "SomeFmiPath/FmiCredentialPath"});
    assert_eq!(ext["ext_cache_key"], hash);
    assert_eq!(ext["ext_cache_key_hash"], hash);
    assert_eq!(ext["ext"], path);
    assert_eq!(ext["additionalCacheKeyComponents"], path);
    assert_eq!(ext["credential_type"], "AccessToken");
    let key = ext_cache_key([("fmi_path", "SomeFmiPath/FmiCredentialPath")]).unwrap();
    let query = Query::new().client_id(CLIENT).ext_cache_key(key);
    assert_eq!(cache.find(CredentialType::AccessToken, &query).unwrap().len(), 1);
    let plain = Query::new().client_id(CLIENT).home_account_id(None);
    assert_eq!(cache.find(CredentialType::AccessToken, &plain).unwrap().len(), 1);
}

#[test]
fn key_bound_tokens_are_rejected_and_nothing_is_written() {
    let (cache, _) = cache();
    let bound = sign_in("alice", "s", "1").data(Fields::new().set("key_id", "CANARY"));
    let pop = sign_in("alice", "s", "1")
        .response(Fields::new().set("access_token", "CANARY").set("token_type", "pop"));
    for (event, named) in [(bound, "event.data.key_id"), (pop, "event.response.token_type")] {
        let error = cache.add(&event).unwrap_err();
        assert!(matches!(&error, Error::Invalid { field, .. } if field == named), "{error:?}");
        assert!(!error.to_string().contains("CANARY"));
    }
    assert_eq!(cache.store().commits(), 0);
    let adfs = Fields::new().set("access_token", "AT").set("token_type", "bearer");
    cache.add(&sign_in("alice", "s", "1").response(adfs)).unwrap();
}

#[test]
fn a_field_set_to_null_is_removed() {
    let (cache, _) = cache();
    cache.add(&sign_in("alice", "s", "1")).unwrap();
    let entry = cache.find(CredentialType::AccessToken, &Query::new()).unwrap().remove(0);
    let changes = Fields::new().set("refresh_on", None::<&str>).set("token_type", None::<&str>);
    cache.modify(CredentialType::AccessToken, &entry, Some(&changes)).unwrap();
    let (_, record) = only(&cache, "AccessToken");
    assert_eq!((record.get("refresh_on"), record.get("token_type")), (None, None));
    assert_eq!(record["secret"], "AT-1");
}

#[test]
fn a_sign_in_is_one_commit_and_unchanged_metadata_is_not_written() {
    let (cache, clock) = cache();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    clock.advance(1);
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    assert_eq!(cache.store().commits(), 2);
    cache.add(&app_token("s", "2")).unwrap();
    assert_eq!(cache.store().commits(), 3);
    clock.advance(10_000);
    cache.add(&sign_in("alice", "Mail.Read", "3")).unwrap();
    assert_eq!(secrets(&cache, "AccessToken"), ["AT-2", "AT-3"], "the expired token is removed");
}

#[test]
fn p8_a_sign_in_to_a_damaged_file_loses_no_record() {
    let mut files = 0;
    for (name, path) in fixtures("mutations") {
        let text = std::fs::read_to_string(path).unwrap();
        let Ok(standing) = serde_json::from_str::<Value>(&text) else { continue };
        if !standing.is_object() || name.starts_with("60-") {
            continue;
        }
        files += 1;
        // A sign-in of another user keeps all records.
        let cache = over(&standing);
        cache.add(&sign_in("somebody-else", "User.Read", "x")).unwrap();
        assert_kept(&name, &standing, &document(&cache), |_, record| record.is_null());

        // A sign-in of Alice removes only the records that it replaces.
        let cache = over(&standing);
        cache.add(&alice("User.Read", "new")).unwrap();
        let written = document(&cache);
        assert_kept(&name, &standing, &written, |section, record| match section {
            _ if record.is_null() => true,
            "AccessToken" => {
                let marks =
                    ["ext", "ext_cache_key", "additionalCacheKeyComponents", "user_assertion_hash"];
                let target = record["target"].as_str().unwrap_or_default().to_lowercase();
                record["client_id"] == APP
                    && target.contains("user.read")
                    && marks.iter().all(|mark| record.get(mark).is_none())
            }
            "RefreshToken" | "IdToken" | "AppMetadata" => record["client_id"] == APP,
            _ => false,
        });
        let found = |of: CredentialType| {
            let query = Query::new().home_account_id(format!("{OID}.{TENANT}")).client_id(APP);
            cache.find(of, &query).unwrap()
        };
        let token = found(CredentialType::RefreshToken).remove(0);
        assert_eq!(token.refresh_token().unwrap().secret().expose(), "RT-new", "{name}");
        let tokens = found(CredentialType::AccessToken);
        let new =
            tokens.iter().filter(|it| it.access_token().unwrap().secret().expose() == "AT-new");
        assert_eq!(new.count(), 1, "{name}");
        assert_eq!(found(CredentialType::IdToken).len(), 1, "{name}");
        let metadata = Query::new().client_id(APP);
        assert_eq!(cache.find(CredentialType::AppMetadata, &metadata).unwrap().len(), 1, "{name}");
    }
    println!("{files} damaged files, no record lost");
    assert_eq!(files, 48);
}

/// Asserts that each record of `before` is kept, unless it may be removed.
fn assert_kept(name: &str, before: &Value, after: &Value, may_go: impl Fn(&str, &Value) -> bool) {
    for (section, records) in without_empty_sections(before.clone()).as_object().unwrap() {
        let Some(records) = records.as_object() else {
            assert!(after.get(section).is_some(), "{name}: {section}");
            continue;
        };
        for (key, record) in records {
            let it = after[section].get(key);
            assert!(it.is_some() || may_go(section, record), "{name}: {section} {key}");
        }
    }
}
