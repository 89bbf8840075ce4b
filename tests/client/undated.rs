//! Refresh tokens of one client under the keys of several libraries, most of which don't say when
//! they were stored: the likeliest is redeemed first, and none is destroyed by a guess.

use msal_cache::{Client, Memory, Profile, SilentRequest, TokenCache};
use serde_json::{Value, json};

use super::server::{Server, invalid_grant, issued};
use super::{access_token, account, client, section, user, with};
use crate::common::{CLIENT, ENVIRONMENT, NOW, REALM, base64, client_info, sign_in};

const HOME: &str = super::HOME;

/// A library whose records don't say when they were stored, or one whose records do.
#[derive(Clone, Copy)]
enum By {
    Go,
    Dotnet,
    Node,
    Python(i64),
}

impl By {
    /// The key and the record of a refresh token.
    fn refresh_token(self, host: &str, secret: &str) -> (String, Value) {
        let mut record = json!({
            "credential_type": "RefreshToken", "secret": secret, "home_account_id": HOME,
            "environment": host, "client_id": CLIENT,
        });
        let end = match self {
            Self::Go => "",
            Self::Dotnet => "--",
            Self::Node => "---",
            Self::Python(stored) => {
                record["last_modification_time"] = stored.to_string().into();
                "--user.read"
            }
        };
        (format!("{HOME}-{host}-refreshtoken-{CLIENT}{end}"), record)
    }

    /// The key and the record of an ID token.
    fn id_token(self, host: &str, issued: i64) -> (String, Value) {
        let claims = base64(&json!({ "oid": "uid", "sub": "s", "iat": issued }).to_string());
        let record = json!({
            "credential_type": "IdToken", "secret": format!("e30.{claims}.s"), "realm": REALM,
            "home_account_id": HOME, "environment": host, "client_id": CLIENT,
        });
        let end = match self {
            Self::Go => "",
            Self::Dotnet | Self::Python(_) => "-",
            Self::Node => "--",
        };
        (format!("{HOME}-{host}-idtoken-{CLIENT}-{REALM}{end}"), record)
    }
}

type Keyed = (String, Value);

/// A cache with these refresh tokens and ID tokens, in this order.
fn holding(profile: Profile, tokens: &[Keyed], id_tokens: &[Keyed], more: &[Keyed]) -> TokenCache {
    let clock = std::sync::Arc::new(msal_cache::clock::ManualClock::new(NOW));
    let cache = TokenCache::builder(Memory::new()).profile(profile).clock(clock).build();
    // Written by hand: a map would sort the keys.
    let section = |records: &[Keyed]| {
        let records: Vec<_> =
            records.iter().map(|(key, record)| format!("{}: {record}", json!(key))).collect();
        format!("{{{}}}", records.join(","))
    };
    let document = format!(
        r#"{{"RefreshToken": {}, "IdToken": {}, "AccessToken": {}, "Account": {}}}"#,
        section(tokens),
        section(id_tokens),
        section(more),
        section(&[("a".into(), account())])
    );
    cache.deserialize(&document).unwrap();
    cache
}

fn planned(client: &Client) -> Vec<String> {
    let request = SilentRequest::new(["Files.Read"], &user());
    let plan = client.plan(&request).unwrap();
    let secret = |it: &msal_cache::plan::Attempt| {
        it.entry().refresh_token().unwrap().secret().expose().to_owned()
    };
    plan.attempts().iter().map(secret).collect()
}

#[test]
fn the_token_of_the_library_that_wrote_last_is_redeemed_first() {
    let at = |age: i64| NOW - age;
    for (tokens, id_tokens, expected) in [
        // .NET signs in, and Go refreshes. The ID tokens say when.
        (
            vec![
                By::Dotnet.refresh_token(ENVIRONMENT, "dotnet"),
                By::Go.refresh_token(ENVIRONMENT, "go"),
            ],
            vec![By::Dotnet.id_token(ENVIRONMENT, at(90)), By::Go.id_token(ENVIRONMENT, at(10))],
            ["go", "dotnet"],
        ),
        // The reverse, in the same positions.
        (
            vec![
                By::Dotnet.refresh_token(ENVIRONMENT, "dotnet"),
                By::Go.refresh_token(ENVIRONMENT, "go"),
            ],
            vec![By::Dotnet.id_token(ENVIRONMENT, at(10)), By::Go.id_token(ENVIRONMENT, at(90))],
            ["dotnet", "go"],
        ),
        (
            vec![
                By::Node.refresh_token(ENVIRONMENT, "node"),
                By::Go.refresh_token(ENVIRONMENT, "go"),
            ],
            vec![By::Node.id_token(ENVIRONMENT, at(5)), By::Go.id_token(ENVIRONMENT, at(9))],
            ["node", "go"],
        ),
        // One has a time of its own.
        (
            vec![
                By::Python(at(50)).refresh_token(ENVIRONMENT, "python"),
                By::Go.refresh_token(ENVIRONMENT, "go"),
            ],
            vec![By::Python(0).id_token(ENVIRONMENT, at(50)), By::Go.id_token(ENVIRONMENT, at(10))],
            ["go", "python"],
        ),
        (
            vec![
                By::Go.refresh_token(ENVIRONMENT, "go"),
                By::Python(at(5)).refresh_token(ENVIRONMENT, "python"),
            ],
            vec![By::Python(0).id_token(ENVIRONMENT, at(5)), By::Go.id_token(ENVIRONMENT, at(10))],
            ["python", "go"],
        ),
    ] {
        let cache = holding(Profile::Python, &tokens, &id_tokens, &[]);
        assert_eq!(planned(&client(&cache)), expected);
        let before = cache.serialize().unwrap();
        let found = cache.check().unwrap();
        // Nothing is destroyed: without times, each may be the one that works.
        let is_refresh_token = |it: &&msal_cache::check::Finding| {
            *it.entry().credential_type() == msal_cache::CredentialType::RefreshToken
        };
        let kinds: Vec<_> =
            found.iter().filter(is_refresh_token).map(|it| it.kind().as_str()).collect();
        assert!(!kinds.contains(&"duplicate"), "{found:?}");
        cache.repair().unwrap();
        assert_eq!(section(&cache, "RefreshToken").len(), 2, "{before}");
    }
}

#[test]
fn an_access_token_that_came_later_tells_that_another_library_has_refreshed() {
    let tokens = [
        By::Python(NOW - 50).refresh_token(ENVIRONMENT, "ours"),
        By::Dotnet.refresh_token(ENVIRONMENT, "dotnet"),
    ];
    for (age, expected) in [(50, ["ours", "dotnet"]), (10, ["dotnet", "ours"])] {
        let stored = json!({ "cached_at": (NOW - age).to_string() });
        let token = with(access_token("User.Read", "at", 3600), stored);
        let cache = holding(Profile::Family, &tokens, &[], &[("at".into(), token)]);
        assert_eq!(planned(&client(&cache)), expected, "{age}");
    }
}

#[test]
fn a_token_under_another_host_of_the_cloud_comes_first_if_it_is_newer() {
    let (near, far) = ("login.microsoftonline.com", "login.windows.net");
    for (ages, expected) in [((50, 10), ["far", "near"]), ((10, 50), ["near", "far"])] {
        let tokens = [
            By::Python(NOW - ages.0).refresh_token(near, "near"),
            By::Dotnet.refresh_token(far, "far"),
        ];
        let id_tokens = [By::Dotnet.id_token(far, NOW - ages.1)];
        let cache = holding(Profile::Python, &tokens, &id_tokens, &[]);
        let client = cache.client(CLIENT, format!("https://{near}/{REALM}"));
        assert_eq!(planned(&client), expected);
    }
}

#[test]
fn the_family_profile_leaves_one_refresh_token_after_a_refresh() {
    let response = || {
        let more = json!({ "refresh_token": "RT-new", "client_info": client_info("uid") });
        issued("new", more)
    };
    for refused in [false, true] {
        let tokens = [
            By::Python(NOW - 50).refresh_token(ENVIRONMENT, "RT-1"),
            By::Go.refresh_token(ENVIRONMENT, "RT-2"),
        ];
        let id_tokens = [By::Go.id_token(ENVIRONMENT, NOW - 10)];
        let cache = holding(Profile::Family, &tokens, &id_tokens, &[]);
        let client = client(&cache);
        let request = SilentRequest::new(["Files.Read"], &user());
        let answers = if refused { vec![invalid_grant(), response()] } else { vec![response()] };
        let server = Server::new(answers);
        client.acquire(&request, &server).unwrap();
        let expected: &[&str] = if refused { &["RT-2", "RT-1"] } else { &["RT-2"] };
        assert_eq!(server.redeemed(), expected, "what Go has replaced is not used first");
        let left = section(&cache, "RefreshToken");
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0]["secret"], "RT-new");
        // The next refresh uses it, and nothing that was spent or refused.
        let server = Server::new([response()]);
        client.acquire(&request.force_refresh(true), &server).unwrap();
        assert_eq!(server.redeemed(), ["RT-new"]);
    }
}

#[test]
fn a_sign_in_with_the_family_profile_leaves_one_refresh_token() {
    let tokens = [
        By::Node.refresh_token(ENVIRONMENT, "node"),
        By::Go.refresh_token(ENVIRONMENT, "go"),
        By::Python(NOW - 5).refresh_token(ENVIRONMENT, "python"),
    ];
    let cache = holding(Profile::Family, &tokens, &[], &[]);
    cache.add(&sign_in("uid", "User.Read", "1")).unwrap();
    assert_eq!(section(&cache, "RefreshToken").len(), 1);
}

#[test]
fn a_refresh_token_that_another_library_stores_meanwhile_is_kept() {
    let tokens = [By::Dotnet.refresh_token(ENVIRONMENT, "RT-1")];
    let cache = holding(Profile::Family, &tokens, &[], &[]);
    let client = client(&cache);
    let (key, record) = By::Go.refresh_token(ENVIRONMENT, "RT-go");
    let more = json!({ "refresh_token": "RT-new", "client_info": client_info("uid") });
    let server = Server::new([issued("new", more)]).meanwhile(|| {
        let mut document: Value = serde_json::from_str(&cache.serialize().unwrap()).unwrap();
        document["RefreshToken"][&*key] = record.clone();
        cache.deserialize(&document.to_string()).unwrap();
    });
    client.acquire(&SilentRequest::new(["Files.Read"], &user()), &server).unwrap();
    let left: Vec<_> =
        section(&cache, "RefreshToken").iter().map(|it| it["secret"].clone()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&json!("RT-go")) && left.contains(&json!("RT-new")), "{left:?}");
}

#[test]
fn only_evidence_makes_a_duplicate() {
    let found = |cache: &TokenCache| -> Vec<_> {
        let found = cache.check().unwrap();
        let about = |it: &&str| matches!(*it, "duplicate" | "undated");
        found.iter().map(|it| it.kind().as_str()).filter(about).collect()
    };
    for (tokens, expected) in [
        // Different tokens without times, and a time on one side only.
        (
            [By::Dotnet.refresh_token(ENVIRONMENT, "1"), By::Go.refresh_token(ENVIRONMENT, "2")],
            ["undated"],
        ),
        // The same token is in both.
        (
            [By::Dotnet.refresh_token(ENVIRONMENT, "1"), By::Go.refresh_token(ENVIRONMENT, "1")],
            ["duplicate"],
        ),
    ] {
        let cache = holding(Profile::Python, &tokens, &[], &[]);
        assert_eq!(found(&cache), expected);
    }
    // ID tokens say when they were issued.
    let of = |issued: [i64; 2]| {
        let id_tokens =
            [By::Dotnet.id_token(ENVIRONMENT, issued[0]), By::Go.id_token(ENVIRONMENT, issued[1])];
        holding(Profile::Python, &[], &id_tokens, &[])
    };
    assert_eq!(found(&of([NOW, NOW - 5])), ["duplicate"]);
    assert_eq!(found(&of([NOW, NOW])), ["duplicate"], "the same token");
    let message = holding(
        Profile::Python,
        &[By::Dotnet.refresh_token(ENVIRONMENT, "1"), By::Go.refresh_token(ENVIRONMENT, "2")],
        &[],
        &[],
    );
    let found = message.check().unwrap();
    let undated = found.iter().find(|it| it.kind().as_str() == "undated").unwrap();
    assert!(undated.to_string().contains("nothing says which one is newer"));
    assert_eq!(undated.remedy(), None);
}
