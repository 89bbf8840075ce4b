//! Tokens on behalf of users.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use msal_cache::acquire::TokenSource;
use msal_cache::clock::ManualClock;
use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::{
    AccountInfo, AcquireError, Client, CredentialType, Memory, Query, SilentRequest, TokenCache,
};
use serde_json::json;

use crate::canary::clean;
use crate::common::{client_info, id_token};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPES: [&str; 1] = ["api://orders/read"];
const NOW: i64 = 1_700_000_000;

type Sent = BTreeMap<String, String>;

/// A server that issues a token to each assertion, and replaces refresh tokens.
#[derive(Default)]
struct Server {
    sent: Mutex<Vec<Sent>>,
    /// The response to the next requests.
    refuses: Mutex<Vec<&'static str>>,
    keeps_refresh_tokens: bool,
}

impl Server {
    fn last(&self) -> Sent {
        self.sent.lock().unwrap().last().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    fn refuse(&self, with: &'static str) {
        self.refuses.lock().unwrap().push(with);
    }
}

impl TokenEndpoint for Server {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let form: Sent =
            request.form().iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut sent = self.sent.lock().unwrap();
        sent.push(form.clone());
        if let Some(body) = self.refuses.lock().unwrap().pop() {
            return TokenResponse::from_json(400, body);
        }
        let number = sent.len();
        let mut body = json!({
            "access_token": format!("CANARY-at-{number}"), "expires_in": 3600,
            "token_type": "Bearer", "scope": format!("{} offline_access", form["scope"]),
            "id_token": id_token("alice"), "client_info": client_info("alice"),
        });
        if !(self.keeps_refresh_tokens && form["grant_type"] == "refresh_token") {
            body["refresh_token"] = json!(format!("CANARY-rt-{number}"));
        }
        TokenResponse::from_json(200, &body.to_string())
    }
}

fn client() -> (Client, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());
    (cache.client("middle-tier", "https://login.microsoftonline.com/contoso"), clock)
}

#[test]
fn a_token_is_found_by_its_assertion_alone() {
    let ((client, _), server) = (client(), Server::default());
    let one = client.acquire_token_on_behalf_of("CANARY-one", SCOPES, &server).unwrap();
    let form = server.last();
    assert_eq!((&*form["grant_type"], &*form["assertion"]), (JWT_BEARER, "CANARY-one"));
    assert_eq!(form["requested_token_use"], "on_behalf_of");
    assert_eq!(form["scope"], "api://orders/read offline_access");
    assert!(!form.contains_key("user_assertion_hash"), "{form:?}");

    let same = client.acquire_token_on_behalf_of("CANARY-one", SCOPES, &server).unwrap();
    assert_eq!(same.source(), TokenSource::Cache);
    assert_eq!(same.secret().expose(), one.secret().expose());
    let other = client.acquire_token_on_behalf_of("CANARY-two", SCOPES, &server).unwrap();
    assert_eq!(other.source(), TokenSource::IdentityProvider);
    assert_ne!(other.secret().expose(), one.secret().expose());
    assert_eq!(server.count(), 2);

    // No other flow finds it, and it belongs to no account.
    assert!(client.accounts().unwrap().is_empty() && one.account().is_none());
    for plan in [
        SilentRequest::for_client(SCOPES),
        SilentRequest::new(SCOPES, &AccountInfo::of("alice.home")),
        SilentRequest::on_behalf_of(SCOPES, "CANARY-three"),
    ] {
        assert!(client.plan(&plan).unwrap().cached().is_none(), "{plan:?}");
        clean("the request", &format!("{plan:?} {}", client.plan(&plan).unwrap()));
    }
    let sections = [CredentialType::RefreshToken, CredentialType::IdToken, CredentialType::Account];
    for section in sections {
        assert!(client.cache().find(section, &Query::new()).unwrap().is_empty());
    }
    let printed = format!("{one:?} {:?}", one.entry());
    clean("the token", &printed);
    // The assertion itself isn't stored.
    assert!(!client.cache().serialize().unwrap().contains("CANARY-one"));
}

#[test]
fn a_token_is_refreshed_by_the_refresh_token_of_its_assertion() {
    for keeps_refresh_tokens in [false, true] {
        let (client, clock) = client();
        let server = Server { keeps_refresh_tokens, ..Server::default() };
        client.acquire_token_on_behalf_of("CANARY-one", SCOPES, &server).unwrap();
        client.acquire_token_on_behalf_of("CANARY-two", SCOPES, &server).unwrap();
        let mut expected = "CANARY-rt-1".to_owned();
        for _ in 0..3 {
            clock.advance(3600);
            let token = client.acquire_token_on_behalf_of("CANARY-one", SCOPES, &server).unwrap();
            assert_eq!(token.source(), TokenSource::IdentityProvider);
            let form = server.last();
            assert_eq!(form["grant_type"], "refresh_token");
            assert_eq!(form["refresh_token"], expected);
            assert!(!form.contains_key("assertion"), "{form:?}");
            if !keeps_refresh_tokens {
                expected = format!("CANARY-rt-{}", server.count());
            }
        }
        // Other scopes of the same assertion are granted by the same refresh token.
        client.acquire_token_on_behalf_of("CANARY-one", ["api://stock/read"], &server).unwrap();
        assert_eq!(server.last()["refresh_token"], expected);
    }
}

#[test]
fn the_assertion_follows_where_the_refresh_token_is_refused() {
    let ((client, clock), server) = (client(), Server::default());
    client.acquire_token_on_behalf_of("CANARY-one", SCOPES, &server).unwrap();
    clock.advance(3600);
    server.refuse(r#"{"error": "invalid_grant"}"#);
    client.acquire_token_on_behalf_of("CANARY-one", SCOPES, &server).unwrap();
    assert_eq!(server.count(), 3);
    assert_eq!(server.last()["grant_type"], JWT_BEARER);
}

#[test]
fn what_the_user_has_to_do_is_in_the_error() {
    let ((client, _), server) = (client(), Server::default());
    server.refuse(
        r#"{"error": "interaction_required", "suberror": "basic_action",
            "claims": "{\"access_token\":{\"acrs\":{\"value\":\"c1\"}}}"}"#,
    );
    let failed = client.acquire_token_on_behalf_of("CANARY", SCOPES, &server).unwrap_err();
    assert!(failed.is_interaction_required(), "{failed:?}");
    assert!(failed.server_error().unwrap().claims().unwrap().contains("c1"));
    clean("the error", &format!("{failed} {failed:?}"));
    server.refuse(r#"{"error": "invalid_client"}"#);
    let failed = client.acquire_token_on_behalf_of("CANARY", SCOPES, &server).unwrap_err();
    assert!(matches!(failed, AcquireError::Configuration(_)), "{failed:?}");
    let failed = client.acquire_token_on_behalf_of(" ", SCOPES, &server).unwrap_err();
    assert!(matches!(failed, AcquireError::Invalid(_)), "{failed:?}");
    assert_eq!(server.count(), 2);
}

#[test]
fn a_challenge_skips_the_cached_token() {
    let ((client, _), server) = (client(), Server::default());
    client.acquire_token_on_behalf_of("CANARY", SCOPES, &server).unwrap();
    let challenge = r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#;
    let request = SilentRequest::on_behalf_of(SCOPES, "CANARY").claims_challenge(challenge);
    let token = client.acquire(&request, &server).unwrap();
    assert_eq!(token.source(), TokenSource::IdentityProvider);
    assert_eq!(server.last()["claims"], challenge);
    let again = client.acquire_token_on_behalf_of("CANARY", SCOPES, &server).unwrap();
    assert_eq!(again.secret().expose(), token.secret().expose());
    assert_eq!(server.count(), 2);
}

#[test]
fn threads_with_one_assertion_share_one_request() {
    let ((client, clock), server) = (client(), Server::default());
    for expected in [1, 2] {
        let barrier = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    client.acquire_token_on_behalf_of("CANARY", SCOPES, &server).unwrap();
                });
            }
        });
        assert_eq!(server.count(), expected);
        clock.advance(3600);
    }
}

#[test]
fn nothing_of_an_expired_assertion_is_left_after_a_purge() {
    let ((client, clock), server) = (client(), Server::default());
    for user in 0..100 {
        let assertion = format!("CANARY-{user}");
        client.acquire_token_on_behalf_of(&assertion, SCOPES, &server).unwrap();
    }
    clock.advance(3601);
    assert_eq!(client.cache().purge_expired().unwrap(), 100);
    assert!(!client.cache().serialize().unwrap().contains("CANARY"));
    client.acquire_token_on_behalf_of("CANARY-0", SCOPES, &server).unwrap();
    assert_eq!(server.last()["grant_type"], JWT_BEARER);
    assert_eq!(client.remove_tokens_for_client().unwrap(), 1);
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn the_async_face_does_the_same() {
    use msal_cache::AsyncTokenCache;
    use msal_cache::store::Offload;

    let server = Arc::new(Server::default());
    let client = AsyncTokenCache::in_memory()
        .client("middle-tier", "https://login.microsoftonline.com/contoso");
    let endpoint = Offload::new(server.clone());
    for expected in [TokenSource::IdentityProvider, TokenSource::Cache] {
        let token = client.acquire_token_on_behalf_of("CANARY", SCOPES, &endpoint).await.unwrap();
        assert_eq!(token.source(), expected);
    }
    assert_eq!(server.count(), 1);
}
