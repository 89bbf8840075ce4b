//! Web apps: the browser is sent away, and it comes back.

use msal_cache::clock::ManualClock;
use msal_cache::sign_in::{BegunSignIn, SignInState};
use msal_cache::{Client, Memory};

use super::*;

const REDIRECT_URI: &str = "https://app.example/signed-in";

fn begin(server: &Redeems, client: &Client) -> (BegunSignIn, Asked) {
    let begun = client.sign_in(["User.Read"]).begin_sign_in(REDIRECT_URI).unwrap();
    let asked = Asked::of(&begun.address);
    *server.asked.lock().unwrap() = Some(asked.clone());
    (begun, asked)
}

/// The state, as it comes back from a session.
fn kept(state: &SignInState) -> SignInState {
    serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap()
}

#[test]
fn a_user_signs_in_to_a_web_app_and_is_stored() {
    let (server, cache) = (Redeems::default(), TokenCache::in_memory());
    let client = cache.client("client-id", AUTHORITY);
    let (begun, asked) = begin(&server, &client);
    assert_eq!(asked.query["redirect_uri"], REDIRECT_URI);
    assert_eq!(asked.query["response_mode"], "query");
    assert_eq!(asked.query["code_challenge_method"], "S256");

    // A cookie has at most 4,096 bytes.
    assert!(serde_json::to_string(&begun.state).unwrap().len() < 1000);

    // Another instance of the app, with the same cache, gets the answer.
    let other = cache.client("client-id", AUTHORITY);
    let token = other.finish_sign_in(kept(&begun.state), &asked.good(), &server).unwrap();
    assert_eq!(token.account().unwrap().username(), Some("alice@contoso.example"));
    assert_eq!(token.metadata().requests(), 1);
    let forms = server.forms.lock().unwrap();
    let [form] = &forms[..] else { panic!("{forms:?}") };
    assert_eq!(form["redirect_uri"], REDIRECT_URI);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    assert_eq!(challenge, asked.query["code_challenge"]);
    assert!(!begun.address.contains(&form["code_verifier"]));
    assert_eq!(client.accounts().unwrap().len(), 1);

    // Neither part of a sign-in prints what ties it to its answer.
    let printed = format!("{begun:?}");
    for name in ["state", "nonce"] {
        assert!(!printed.contains(&asked.query[name]), "{printed}");
    }
    assert!(!printed.contains(&form["code_verifier"]), "{printed}");
}

#[test]
fn an_answer_of_another_sign_in_sends_no_code() {
    let (server, cache) = (Redeems::default(), TokenCache::in_memory());
    let client = cache.client("client-id", AUTHORITY);
    let (begun, asked) = begin(&server, &client);
    let (_, other) = begin(&server, &client);
    let good = asked.good();
    for answer in [&*other.good(), "", "code=CANARY", &format!("{good}&{good}"), "state=%ff"] {
        let failed = client.finish_sign_in(kept(&begun.state), answer, &server).unwrap_err();
        assert!(matches!(failed, SignInError::ForeignAnswer), "{answer}: {failed:?}");
        clean("the error", &format!("{failed} {failed:?}"));
    }
    let (server_says, state) = ("error=access_denied", &asked.query["state"]);
    let answer = format!("?{server_says}&state={state}");
    let declined = client.finish_sign_in(kept(&begun.state), &answer, &server).unwrap_err();
    assert!(matches!(declined, SignInError::Declined(_)), "{declined:?}");
    assert!(server.forms.lock().unwrap().is_empty());
}

#[test]
fn a_code_of_another_server_is_not_redeemed() {
    let server = Redeems::default();
    let client = TokenCache::in_memory().client("client-id", AUTHORITY);
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let begun = client.sign_in(["User.Read"]).issuer(&issuer).begin_sign_in(REDIRECT_URI).unwrap();
    let asked = Asked::of(&begun.address);
    *server.asked.lock().unwrap() = Some(asked.clone());
    let answer = |issuer: &str| {
        let issuer: String = form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
        format!("{}&iss={issuer}", asked.good())
    };
    let mixed = answer("https://evil.example");
    let failed = client.finish_sign_in(kept(&begun.state), &mixed, &server).unwrap_err();
    assert!(matches!(failed, SignInError::ForeignAnswer), "{failed:?}");
    client.finish_sign_in(begun.state, &answer(&issuer), &server).unwrap();
}

#[test]
fn a_sign_in_that_takes_too_long_or_belongs_to_another_client_ends() {
    let server = Redeems::default();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());
    let client = cache.client("client-id", AUTHORITY);
    let (begun, asked) = begin(&server, &client);
    for other in [
        cache.client("other", AUTHORITY),
        cache.client("client-id", format!("https://login.microsoftonline.com/{TENANT}")),
    ] {
        let failed = other.finish_sign_in(kept(&begun.state), &asked.good(), &server);
        assert!(matches!(failed, Err(SignInError::Invalid(_))), "{failed:?}");
    }
    clock.advance(600);
    let late = client.finish_sign_in(begun.state, &asked.good(), &server);
    assert!(matches!(late, Err(SignInError::TimedOut)), "{late:?}");
    assert!(server.forms.lock().unwrap().is_empty());
}

#[test]
fn an_invalid_redirect_uri_begins_no_sign_in() {
    let client = TokenCache::in_memory().client("client-id", AUTHORITY);
    for address in ["", "/signed-in", "https://app.example/#x", "https://app.example/a b"] {
        let begun = client.sign_in(["User.Read"]).begin_sign_in(address);
        assert!(matches!(begun, Err(SignInError::Invalid(_))), "{address}: {begun:?}");
    }
}

#[cfg(feature = "http-async")]
#[tokio::test]
async fn a_user_signs_in_to_an_async_web_app() {
    use msal_cache::AsyncTokenCache;
    use msal_cache::store::Offload;

    let server = Arc::new(Redeems::default());
    let client = AsyncTokenCache::in_memory().client("client-id", AUTHORITY);
    let begun = client.sign_in(["User.Read"]).begin_sign_in(REDIRECT_URI).unwrap();
    let asked = Asked::of(&begun.address);
    *server.asked.lock().unwrap() = Some(asked.clone());
    let (endpoint, answer) = (Offload::new(server), asked.good());
    let token = client.finish_sign_in(begun.state, &answer, &endpoint).await.unwrap();
    assert_eq!(client.accounts().await.unwrap(), [token.account().unwrap()]);
}
