//! The hosts of a cloud that instance discovery has found, in a cache.

use msal_cache::cloud::{Cloud, Clouds};
use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::{
    AsyncTokenCache, CredentialType, Event, Fields, Memory, Profile, Query, SilentRequest,
    TokenCache,
};

use super::*;
use crate::common::client_info;

/// Discovers `https://localhost:…/contoso`, whose cloud has these other hosts.
fn discovered(aliases: &[&str]) -> Authority {
    let provider = Provider::start();
    let query = format!(
        "/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flocalhost%3A{}%2Fcontoso%2F\
         oauth2%2Fv2.0%2Fauthorize",
        provider.port
    );
    let aliases: Vec<_> = aliases.iter().copied().chain(["localhost"]).collect();
    let document = json!({
        "tenant_discovery_endpoint": provider.issuer("/contoso/discovered"),
        "metadata": [{
            "preferred_network": aliases[0], "preferred_cache": aliases[0], "aliases": aliases,
        }],
    });
    provider.publish(&query, &document);
    provider.publish("/contoso/discovered", &provider.good("/contoso"));
    let builder = Provider::builder().instance_discovery_endpoint(provider.issuer("/instance"));
    let authority = Authority::parse(&provider.issuer("/contoso")).unwrap();
    builder.build().unwrap().discover(&authority).unwrap()
}

/// The response to a sign-in at a host of the cloud, as another app stores it.
fn signed_in(host: &str, secret: &str) -> Event {
    let response = Fields::new()
        .set("access_token", secret)
        .set("refresh_token", format!("rt-{secret}"))
        .set("client_info", client_info("alice"))
        .set("expires_in", 3600);
    Event::new("client-id")
        .authority(&Authority::parse(&format!("https://{host}/contoso")).unwrap())
        .scope(["s"])
        .response(response)
}

/// Issues new tokens for a refresh token.
struct Renews;

impl TokenEndpoint for Renews {
    fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let response = json!({
            "access_token": "new", "refresh_token": "rt-new", "token_type": "Bearer",
            "expires_in": 3600, "client_info": client_info("alice"),
        });
        TokenResponse::from_json(200, &response.to_string())
    }
}

#[test]
fn tokens_of_all_hosts_are_found_and_replaced() {
    let authority = discovered(&["login.private.example", "sts.private.example"]);
    // This profile deletes what a new token supersedes.
    let cache = TokenCache::builder(Memory::new()).profile(Profile::Family).build();
    cache.add(&signed_in("sts.private.example", "old")).unwrap();
    let undiscovered = cache.client("client-id", "https://localhost/contoso");
    assert!(undiscovered.accounts().unwrap().is_empty());

    let client = cache.client("client-id", &authority);
    let accounts = client.accounts().unwrap();
    let [account] = &accounts[..] else { panic!("{accounts:?}") };
    let find = || {
        let found = cache.find(CredentialType::AccessToken, &Query::new()).unwrap();
        found.iter().map(|it| it.access_token().unwrap().secret().expose().to_owned()).collect()
    };
    let token = client.acquire_token_silent(["s"], account, &Renews).unwrap();
    assert_eq!(token.secret().expose(), "old");
    let request = SilentRequest::new(["s"], account).force_refresh(true);
    assert_eq!(client.acquire(&request, &Renews).unwrap().secret().expose(), "new");
    let left: Vec<String> = find();
    assert_eq!(left, ["new"], "the token of the other host is replaced");
    // One user, also for the client of another host of the cloud, and for one without the metadata.
    cache.add(&signed_in("login.private.example", "third")).unwrap();
    for host in ["localhost", "login.private.example", "sts.private.example"] {
        let client = cache.client("client-id", format!("https://{host}/contoso"));
        assert_eq!(client.accounts().unwrap().len(), 1, "{host}");
    }
    // Both faces of a cache know it.
    let asynchronous = AsyncTokenCache::from(cache.clone());
    let client = asynchronous.client("client-id", "https://login.private.example/contoso");
    let accounts = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(accounts.block_on(client.accounts()).unwrap().len(), 1);
    // Another cache doesn't.
    let other = TokenCache::in_memory();
    other.add(&signed_in("sts.private.example", "old")).unwrap();
    let client = other.client("client-id", "https://login.private.example/contoso");
    assert!(client.accounts().unwrap().is_empty());
}

#[test]
fn what_a_server_says_changes_no_known_cloud() {
    let configured = Cloud::new("login.own.example").alias("sts.own.example");
    for known in ["login.microsoftonline.com", "STS.own.example"] {
        let clouds = Clouds::default().with(configured.clone());
        let cache = TokenCache::builder(Memory::new()).clouds(clouds).build();
        let host = known.to_lowercase();
        cache.add(&signed_in(&host, "CANARY")).unwrap();
        let authority = discovered(&["login.private.example", known]);
        let client = cache.client("client-id", &authority);
        assert!(client.accounts().unwrap().is_empty(), "{known}");
        let client = cache.client("client-id", format!("https://{host}/contoso"));
        assert_eq!(client.accounts().unwrap().len(), 1, "{known}");
    }
}
