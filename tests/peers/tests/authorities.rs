//! Which authorities share an app's own tokens, in MSAL Node and in this crate.

use std::fs;
use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::{Fields, FileStore, TokenCache};
use msal_cache_peers::{NOW, Peer};
use serde_json::json;

const SCOPE: &str = "api://things/.default";

const FIRST: &str = "MSAL Node takes the first segment of the path for the tenant: one tenant would \
                     get another one's token";
const POLICY: &str = "MSAL Node stores the tenant alone: the token of one policy would be returned \
                      for another one";

/// Responds with a token of this name.
struct Issues(&'static str);

impl TokenEndpoint for Issues {
    fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let fields = Fields::new().set("access_token", self.0).set("expires_in", 3600);
        Ok(TokenResponse::new(200, fields.set("token_type", "Bearer")))
    }
}

/// Whether MSAL Node returns the token of the first authority for the second one.
fn node_shares(node: &mut Peer, one: &str, other: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    fs::write(&path, "{}").unwrap();
    let mut ask = |authority: &str, secret: &str| {
        let response =
            json!({ "access_token": secret, "expires_in": 3600, "token_type": "Bearer" });
        let request = json!({
            "path": path, "client_id": "daemon", "authority": authority, "scopes": [SCOPE],
            "responses": [response], "now": NOW,
        });
        let found =
            node.call("for_client", request).unwrap_or_else(|why| panic!("{authority}: {why}"));
        found["access_token"].as_str().unwrap().to_owned()
    };
    assert_eq!(ask(one, "one"), "one");
    ask(other, "other") == "one"
}

/// The same in this crate.
fn we_share(one: &str, other: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path().join("cache.json")).unwrap();
    let cache = TokenCache::with_clock(store, Arc::new(ManualClock::new(NOW)));
    let ask = |authority: &str, secret: &'static str| {
        let client = cache.client("daemon", authority);
        let token = client.acquire_token_for_client([SCOPE], &Issues(secret)).unwrap();
        token.secret().expose().to_owned()
    };
    assert_eq!(ask(one, "one"), "one");
    ask(other, "other") == "one"
}

/// Two authorities, whether MSAL Node and whether this crate shares their tokens, and why they
/// differ.
type Pair = ([&'static str; 2], bool, bool, &'static str);

#[test]
fn authorities_share_app_tokens_as_in_msal_node_but_for_the_listed_ones() {
    let pairs: [Pair; 8] = [
        (["https://login.example/t", "https://login.example/t/"], true, true, ""),
        (["https://login.example/t", "https://login.example/u"], false, false, ""),
        (["https://login.example/t", "https://other.example/t"], false, false, ""),
        (["https://login.example/Tenant", "https://login.example/tenant"], true, true, ""),
        (["https://sts.example/adfs", "https://login.example/adfs"], false, false, ""),
        (["https://dsts.example/dstsv2/t", "https://dsts.example/dstsv2/u"], true, false, FIRST),
        (["https://h.example/t/b2c_1_p", "https://h.example/t/b2c_1_q"], true, false, POLICY),
        (["https://h.example/tfp/t/p", "https://h.example/tfp/u/p"], true, false, FIRST),
    ];
    let mut node = Peer::node();
    let mut wrong = Vec::new();
    for ([one, other], node_does, we_do, why) in pairs {
        let found = (node_shares(&mut node, one, other), we_share(one, other));
        if found != (node_does, we_do) || (node_does != we_do) == why.is_empty() {
            wrong.push(format!("{one} {other}: Node and ours {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
