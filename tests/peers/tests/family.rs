//! MSAL Python and MSAL Node read a file that `Profile::Family` writes, by their application API,
//! without errors and without deleting or missing records.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::file::Permissions;
use msal_cache::{Event, FileStore, Profile, TokenCache};
use msal_cache_peers::{NOW, Peer, cache_files, difference, document, id_token};
use serde_json::{Value, json};
use tempfile::TempDir;

const HOST: &str = "login.microsoftonline.com";
const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const ALICE: &str = "22222222-2222-2222-2222-222222222222";
const BOB: &str = "33333333-3333-3333-3333-333333333333";
const APP: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const DAEMON: &str = "cccccccc-0000-0000-0000-000000000001";
/// A client of Microsoft's own family.
const FAMILY: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// A cache file, opened by this crate and by both peers.
struct Shared {
    _folder: TempDir,
    path: PathBuf,
    ours: TokenCache<FileStore>,
    python: Peer,
    node: Peer,
}

impl Shared {
    /// Starts the peers and creates a file with this text.
    fn over(initial: &str) -> Self {
        Self::between(Peer::start(), Peer::node(), initial)
    }

    /// Creates another file with the same peers.
    fn another(self, initial: &str) -> Self {
        Self::between(self.python, self.node, initial)
    }

    fn between(mut python: Peer, node: Peer, initial: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("msal_token_cache.json");
        fs::write(&path, initial).unwrap();
        let store = FileStore::builder(&path).permissions(Permissions::Repair).open().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let ours = TokenCache::builder(store).profile(Profile::Family).clock(clock).build();
        python.get("open_file", json!({ "cache": "c", "path": path }));
        Self { _folder: folder, path, ours, python, node }
    }

    fn add(&self, event: &Value) {
        self.ours.add(&Event::from_json(&event.to_string()).unwrap()).unwrap();
    }

    fn on_disk(&self) -> Value {
        document(&fs::read_to_string(&self.path).unwrap())
    }

    /// Calls a command of MSAL Node with the file.
    fn node(&mut self, command: &str, client: &str, parameters: Value) -> Result<Value, String> {
        let common = json!({
            "path": self.path, "client_id": client, "now": NOW,
            "authority": format!("https://{HOST}/{TENANT}"),
        });
        let called = self.node.call(command, merged(common, parameters));
        called.map_err(|raised| format!("Node, {command}: {raised}"))
    }

    /// Calls a command of MSAL Python with the file.
    fn python(&mut self, command: &str, client: &str, parameters: Value) -> Result<Value, String> {
        let common = json!({
            "cache": "c", "client_id": client, "authority": format!("https://{HOST}/{TENANT}"),
        });
        let called = self.python.call(command, merged(common, parameters));
        called.map_err(|raised| format!("Python, {command}: {raised}"))
    }

    /// Asserts that each library returns this access token from the cache, without a request.
    fn both_find(&mut self, client: &str, user: &str, scopes: &[&str], secret: &str) {
        let wanted = json!({ "scopes": scopes, "home_account_id": home(user) });
        let found = self.node("silent", client, wanted.clone()).unwrap();
        assert_eq!(found["access_token"], secret, "Node: {found}");
        assert_eq!(found["from_cache"], true, "Node: {found}");
        assert_eq!(found["requests"], json!([]), "Node: {found}");
        let wanted = merged(wanted, json!({ "now": NOW }));
        let found = self.python("silent", client, wanted).unwrap();
        assert_eq!(found["result"]["access_token"], secret, "Python: {found}");
        assert_eq!(found["requests"], 0, "Python: {found}");
    }

    /// Asserts that MSAL Node refreshes with this refresh token.
    fn node_refreshes_with(&mut self, client: &str, user: &str, refresh_token: &str) {
        let wanted = json!({
            "scopes": ["User.Read"], "home_account_id": home(user), "refresh": true,
            "responses": [response(user, "User.Read", "refreshed")],
        });
        let found = self.node("silent", client, wanted).unwrap();
        assert_eq!(found["access_token"], "AT-refreshed");
        assert_eq!(found["requests"][0]["refresh_token"], refresh_token, "{found}");
    }
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

fn home(user: &str) -> String {
    format!("{user}.{TENANT}")
}

/// The response of the token endpoint to a sign-in.
fn response(user: &str, scopes: &str, secret: &str) -> Value {
    let claims = json!({
        "iss": format!("https://{HOST}/{TENANT}/v2.0"), "aud": "app", "oid": user, "sub": "sub",
        "tid": TENANT, "preferred_username": "user@contoso.example", "name": "A User",
        "iat": NOW, "exp": NOW + 3600, "ver": "2.0",
    });
    json!({
        "token_type": "Bearer",
        "scope": scopes,
        "access_token": format!("AT-{secret}"),
        "refresh_token": format!("RT-{secret}"),
        "id_token": id_token(&claims),
        "client_info": msal_cache_peers::client_info(user, TENANT),
        "expires_in": 3600,
        "ext_expires_in": 7200,
    })
}

/// The sign-in of a user to an app.
fn sign_in(client: &str, user: &str, scopes: &str, secret: &str) -> Value {
    json!({
        "client_id": client,
        "scope": scopes.split(' ').collect::<Vec<_>>(),
        "token_endpoint": format!("https://{HOST}/{TENANT}/oauth2/v2.0/token"),
        "grant_type": "authorization_code",
        "response": response(user, scopes, secret),
    })
}

/// A token of an app for itself.
fn app_token(scope: &str, secret: &str, data: &Value) -> Value {
    json!({
        "client_id": DAEMON,
        "scope": [scope],
        "token_endpoint": format!("https://{HOST}/{TENANT}/oauth2/v2.0/token"),
        "grant_type": "client_credentials",
        "data": data,
        "response": { "access_token": format!("AT-{secret}"), "expires_in": 3600 },
    })
}

const FMI_PATH: &str = "SomeFmiPath/FmiCredentialPath";
const API: &str = "api://exchange/.default";

/// A file of this crate with all kinds of records.
fn everything() -> Shared {
    let shared = Shared::over("{}");
    shared.add(&sign_in(APP, ALICE, "User.Read openid profile offline_access", "user"));
    shared.add(&sign_in(APP, ALICE, "Mail.Read openid profile offline_access", "mail"));
    shared.add(&sign_in(APP, BOB, "User.Read", "bob"));
    let mut family = sign_in(FAMILY, ALICE, "User.Read", "family");
    family["response"]["foci"] = "1".into();
    shared.add(&family);
    shared.add(&app_token(API, "app", &json!({})));
    shared.add(&app_token(API, "fmi", &json!({ "fmi_path": FMI_PATH })));
    shared
}

#[test]
fn both_find_users_and_their_tokens() {
    let mut shared = everything();
    for (client, user, scopes, secret) in [
        (APP, ALICE, &["User.Read"][..], "AT-user"),
        (APP, ALICE, &["user.read", "openid"], "AT-user"),
        (APP, ALICE, &["Mail.Read"], "AT-mail"),
        (APP, BOB, &["User.Read"], "AT-bob"),
        (FAMILY, ALICE, &["User.Read"], "AT-family"),
    ] {
        if scopes[0] == "user.read" {
            // In MSAL Python, scopes are case-sensitive.
            let wanted = json!({ "scopes": scopes, "home_account_id": home(user) });
            assert_eq!(shared.node("silent", client, wanted).unwrap()["access_token"], secret);
            continue;
        }
        shared.both_find(client, user, scopes, secret);
    }
    for client in [APP, FAMILY] {
        let listed = shared.node("accounts", client, json!({})).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 2, "Node: {listed}");
        let listed = shared.python("accounts", client, json!({})).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 2, "Python: {listed}");
    }
    shared.node_refreshes_with(APP, BOB, "RT-bob");
    shared.node_refreshes_with(FAMILY, ALICE, "RT-family");
}

#[test]
fn node_finds_the_tokens_of_an_app_and_returns_them_for_no_other_request() {
    let mut shared = everything();
    let before = shared.on_disk();
    let plain = json!({ "scopes": [API] });
    let with_path = json!({ "scopes": [API], "fmi_path": FMI_PATH });
    for (wanted, secret) in [(&plain, "AT-app"), (&with_path, "AT-fmi")] {
        let found = shared.node("for_client", DAEMON, wanted.clone()).unwrap();
        assert_eq!((&found["access_token"], &found["from_cache"]), (&secret.into(), &true.into()));
    }
    // MSAL Python finds an app's token only if its home account id is `null`, on which MSAL .NET
    // throws. So MSAL Python requests another token.
    for wanted in [plain, with_path] {
        let wanted = merged(wanted, json!({ "now": NOW }));
        let found = shared.python("for_client", DAEMON, wanted).unwrap();
        assert_eq!(found["requests"], 1, "{found}");
        assert_eq!(found["result"]["error"], "invalid_grant", "{found}");
    }
    assert_kept(&before, &shared.on_disk());

    // For another path, neither the plain token nor that of the first path is returned. (When MSAL
    // Node stores the new token, it deletes the plain one, also if it wrote that itself.)
    let other = json!({
        "scopes": [API], "fmi_path": "another",
        "responses": [{ "access_token": "AT-another", "expires_in": 3600, "token_type": "Bearer" }],
    });
    let found = shared.node("for_client", DAEMON, other).unwrap();
    assert_eq!(
        (&found["access_token"], &found["from_cache"]),
        (&"AT-another".into(), &false.into())
    );
}

/// Asserts that each record of `before` is unchanged in `after`.
fn assert_kept(before: &Value, after: &Value) {
    let mut left = after.clone();
    for (section, records) in left.as_object_mut().unwrap() {
        if let Some(records) = records.as_object_mut() {
            records.retain(|key, _| before[section].get(key).is_some());
        }
    }
    assert!(left == *before, "{}", difference(before, &left));
}

#[test]
fn writes_of_the_others_delete_none_of_our_records() {
    let mut shared = everything();
    let before = shared.on_disk();
    let carol = "44444444-4444-4444-4444-444444444444";
    let sign_in_of_carol = json!({
        "scopes": ["User.Read"], "responses": [response(carol, "User.Read", "carol")],
    });
    shared.node("sign_in", APP, sign_in_of_carol).unwrap();
    let after = shared.on_disk();
    assert_kept(&before, &after);
    assert_ne!(before, after, "Node writes");

    let dave = "55555555-5555-5555-5555-555555555555";
    let event = sign_in(APP, dave, "User.Read", "dave");
    shared.python.get("add", json!({ "cache": "c", "event": event, "now": NOW }));
    assert_kept(&after, &shared.on_disk());

    // Our write deletes none of their records.
    let after = shared.on_disk();
    shared.add(&sign_in(APP, "66666666-6666-6666-6666-666666666666", "User.Read", "erin"));
    assert_kept(&after, &shared.on_disk());
    for user in [carol, dave] {
        let wanted = json!({ "scopes": ["User.Read"], "home_account_id": home(user) });
        assert_eq!(shared.node("silent", APP, wanted).unwrap()["from_cache"], true, "{user}");
    }
}

#[test]
fn a_sign_out_by_another_library_leaves_no_record_of_the_user() {
    for (client, secret) in [(APP, "RT-mail"), (FAMILY, "RT-family")] {
        for by_node in [true, false] {
            let mut shared = everything();
            assert!(shared.on_disk().to_string().contains(secret));
            let user = json!({ "home_account_id": home(ALICE) });
            if by_node {
                shared.node("sign_out", client, user).unwrap();
            } else {
                shared.python("sign_out", client, user).unwrap();
            }
            let left = shared.on_disk();
            for section in ["AccessToken", "RefreshToken", "IdToken", "Account"] {
                for (key, record) in left[section].as_object().into_iter().flatten() {
                    let is_hers = record["home_account_id"] == home(ALICE);
                    // MSAL Python keeps the refresh tokens of other apps.
                    let is_of_another = section == "RefreshToken" && record["client_id"] != client;
                    assert!(!is_hers || is_of_another && !by_node, "by Node: {by_node}: {key}");
                }
            }
            assert!(left.to_string().contains(&home(BOB)));
        }
    }
}

/// The files with which MSAL Node fails even after a sign-in with this crate, because of a record
/// that is valid for another library. In the first two, MSAL Node doesn't recognize the extended
/// cache key of MSAL Python or Go, so two tokens match and it returns none. In the last one, an
/// account has tenant profiles that are not strings.
const NODE_FAILS: [&str; 3] = [
    "38-ext_cache_key.json",
    "39-only-ext_cache_key-leak.json",
    "44-tenantProfiles-nonstring.json",
];

#[test]
fn p8_both_can_use_a_damaged_file_after_a_sign_in_with_this_crate() {
    let (mut files, mut failed) = (0, Vec::new());
    let mut shared = Shared::over("{}");
    for (name, initial) in cache_files("mutations") {
        if !serde_json::from_str::<Value>(&initial).is_ok_and(|it| it.is_object()) {
            continue;
        }
        files += 1;
        shared = shared.another(&initial);
        shared.add(&sign_in(APP, ALICE, "User.Read", "new"));
        let wanted = json!({ "scopes": ["User.Read"], "home_account_id": home(ALICE) });
        // With instance discovery, since one of the files has only an alias of the host.
        let discovering = json!({ "now": NOW, "discover": true });
        let found = shared.python("silent", APP, merged(wanted.clone(), discovering)).unwrap();
        assert_eq!(found["result"]["access_token"], "AT-new", "{name}: {found}");
        assert_eq!(found["requests"], 0, "{name}: {found}");

        let found = shared.node("silent", APP, wanted.clone());
        if !found.is_ok_and(|it| it["access_token"] == "AT-new" && it["from_cache"] == true) {
            failed.push(name.clone());
            continue;
        }
        let refresh =
            json!({ "refresh": true, "responses": [response(ALICE, "User.Read", "newer")] });
        let found = shared.node("silent", APP, merged(wanted, refresh)).unwrap();
        assert_eq!(found["requests"][0]["refresh_token"], "RT-new", "{name}: {found}");
    }
    assert_eq!(failed, NODE_FAILS);
    println!("{files} damaged files; after a sign-in, MSAL Python reads all, MSAL Node all but 3");
    assert_eq!(files, 49);
}

/// An expired access token as MSAL Node or .NET writes it.
fn expired(credential_type: &str, home: &str, client: &str) -> Value {
    json!({
        "home_account_id": home, "environment": HOST, "credential_type": credential_type,
        "client_id": client, "secret": "AT-expired", "realm": TENANT, "target": "Other.Scope",
        "cached_at": "1600000000", "expires_on": "1600003600", "extended_expires_on": "1600003600",
    })
}

#[test]
fn a_sign_in_removes_expired_tokens_on_which_python_fails() {
    // With this credential type, each search of MSAL Python fails.
    let of_alice = json!({ "AccessToken": {
        "k": expired("AccessToken_With_AuthScheme", &home(ALICE), APP),
    } });
    // With this key, each search of MSAL Python fails to remove the token and writes the file.
    let of_key = json!({ "AccessToken": { "k-": expired("AccessToken", &home(ALICE), APP) } });
    let of_app = json!({ "AccessToken": { "k": expired("ATExt", "", DAEMON) } });
    let wanted = json!({ "scopes": ["User.Read"], "home_account_id": home(ALICE), "now": NOW });
    let search = json!({ "cache": "c", "credential_type": "AccessToken", "now": NOW });

    let mut shared = Shared::over("{}");
    for initial in [&of_alice, &of_app] {
        shared = shared.another(&initial.to_string());
        assert_eq!(
            shared.python.call("search", search.clone()).unwrap_err().kind,
            "AssertionError"
        );
    }
    for initial in [&of_alice, &of_key] {
        shared = shared.another(&initial.to_string());
        shared.add(&sign_in(APP, ALICE, "User.Read", "new"));
        let written = fs::read(&shared.path).unwrap();
        let found = shared.python("silent", APP, wanted.clone()).unwrap();
        assert_eq!(found["result"]["access_token"], "AT-new", "{found}");
        assert_eq!(fs::read(&shared.path).unwrap(), written, "MSAL Python wrote");
    }
    // A token in another partition is removed by a purge.
    shared = shared.another(&of_app.to_string());
    shared.add(&sign_in(APP, ALICE, "User.Read", "new"));
    assert_eq!(shared.python.call("search", search.clone()).unwrap_err().kind, "AssertionError");
    assert_eq!(shared.ours.purge_expired().unwrap(), 1);
    assert_eq!(shared.python.list("search", search).len(), 1);
}

#[test]
fn apps_of_a_family_find_its_refresh_token() {
    let mut shared = everything();
    let another = "1950a258-227b-4e31-a9cf-717495945fc2";
    let wanted = json!({ "scopes": ["User.Read"], "home_account_id": home(ALICE), "now": NOW });
    let found = shared.python("silent", another, wanted).unwrap();
    assert_eq!(found["requests"], 1, "with the family's refresh token: {found}");
    // MSAL Node uses a family refresh token only for the client that received it, so each client
    // keeps one.
    let mut event = sign_in(another, ALICE, "User.Read", "another");
    event["response"]["foci"] = "1".into();
    shared.add(&event);
    for (client, token) in [(FAMILY, "RT-family"), (another, "RT-another")] {
        let before = fs::read(&shared.path).unwrap();
        shared.node_refreshes_with(client, ALICE, token);
        fs::write(&shared.path, before).unwrap();
    }
}

#[test]
fn node_sees_one_account_in_its_file_after_our_write() {
    for (name, initial) in cache_files("") {
        if !matches!(&*name, "node-aad.json" | "node-foci.json" | "node-aad-overlapping-at.json") {
            continue;
        }
        let mut shared = Shared::over(&initial);
        let client = match &*name {
            "node-foci.json" => FAMILY,
            _ => APP,
        };
        let before = shared.node("accounts", client, json!({})).unwrap();
        let mut event = sign_in(client, ALICE, "User.Read", "ours");
        if client == FAMILY {
            event["response"]["foci"] = "1".into();
        }
        shared.add(&event);
        let after = shared.node("accounts", client, json!({})).unwrap();
        assert_eq!(after.as_array().unwrap().len(), before.as_array().unwrap().len(), "{name}");
        let wanted = json!({ "scopes": ["User.Read"], "home_account_id": home(ALICE) });
        let found = shared.node("silent", client, wanted).unwrap();
        assert_eq!(found["access_token"], "AT-ours", "{name}: {found}");
        shared.node_refreshes_with(client, ALICE, "RT-ours");
    }
}

/// MSAL Node and this crate agree which token of an API counts: each returns the other's newer one,
/// and neither returns an older one, whatever its scopes.
#[test]
fn node_and_this_crate_return_the_same_newest_token() {
    let mut shared = Shared::over("{}");
    let clock = Arc::new(ManualClock::new(NOW));
    let store = FileStore::open(&shared.path).unwrap();
    // The profile for MSAL Python keeps the older tokens, so that they have to be ranked.
    let ours = TokenCache::with_clock(store, clock.clone());
    let client = ours.client(APP, format!("https://{HOST}/{TENANT}"));
    let alice = msal_cache::AccountInfo::of(home(ALICE));
    let mut compared = 0;
    for (step, (writer, scopes)) in [
        ("ours", "User.Read openid profile offline_access"),
        ("ours", "Mail.Read User.Read openid profile offline_access"),
        ("node", "User.Read openid profile offline_access"),
        ("ours", "Mail.Read openid profile offline_access"),
        ("node", "Files.Read openid profile offline_access"),
        ("python", "Mail.Read User.Read openid profile offline_access"),
        ("ours", "User.Read openid profile offline_access"),
        ("node", "Files.Read Mail.Read openid profile offline_access"),
    ]
    .into_iter()
    .enumerate()
    {
        let now = NOW + 10 * i64::try_from(step).unwrap();
        clock.set(now);
        let secret = format!("{step}");
        let event = sign_in(APP, ALICE, scopes, &secret);
        match writer {
            "ours" => drop(ours.add(&Event::from_json(&event.to_string()).unwrap()).unwrap()),
            "python" => {
                shared.python.get("add", json!({ "cache": "c", "event": event, "now": now }));
            }
            _ => {
                let responses = json!([response(ALICE, scopes, &secret)]);
                let scopes: Vec<_> = scopes.split(' ').take(1).collect();
                let request = json!({ "scopes": scopes, "responses": responses, "now": now });
                shared.node("sign_in", APP, request).unwrap();
            }
        }
        for scope in ["User.Read", "Mail.Read", "Files.Read"] {
            let wanted = json!({ "scopes": [scope], "home_account_id": home(ALICE), "now": now });
            let request = msal_cache::SilentRequest::new([scope], &alice);
            let plan = client.plan(&request).unwrap();
            let found = plan.cached().and_then(msal_cache::Entry::access_token);
            let found = found.map(|it| it.secret().expose().to_owned());
            // Node refuses to choose between two, which this crate's Python profile or MSAL Python
            // left, or refreshes, which the server refuses here.
            let theirs = shared.node("silent", APP, wanted);
            let theirs = theirs.ok().filter(|it| it["from_cache"] == true);
            let theirs = theirs.and_then(|it| it["access_token"].as_str().map(str::to_owned));
            if let Some(theirs) = &theirs {
                assert_eq!(found.as_ref(), Some(theirs), "step {step}: {scope}\n{plan}");
                compared += 1;
            }
            if scopes.contains(scope) {
                assert_eq!(
                    found,
                    Some(format!("AT-{secret}")),
                    "step {step}: {scope}
{plan}"
                );
            }
        }
    }
    assert!(compared >= 8, "{compared}");
}

#[test]
fn the_peers_have_the_pinned_versions() {
    let about = Peer::node().get("about", json!({}));
    let pins = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("package.json"));
    let pins: Value = serde_json::from_str(&pins.unwrap()).unwrap();
    assert_eq!(about["msal-node"], pins["dependencies"]["@azure/msal-node"]);
}
