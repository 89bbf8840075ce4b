//! A daemon gets tokens for itself with a client secret (client credentials grant).
//!
//! Run it with `cargo run --example daemon --features http`. It uses a server within the example.
//! To use a real OAuth server on this machine:
//!
//! ```sh
//! tests/peers/oauth-server cargo run --example daemon --features http
//! ```

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::thread::{self, ScopedJoinHandle};

use msal_cache::http::HttpEndpoint;
use msal_cache::{AcquireError, TokenCache};

mod stand_in;

const SCOPES: [&str; 1] = ["api://things/.default"];
const AUTHORITY: &str = "https://login.example/contoso";

fn main() -> Result<(), Box<dyn Error>> {
    let server = stand_in::StandIn::start()?;
    let address = env::var("MSAL_CACHE_OAUTH_SERVER").unwrap_or_else(|_| server.url());
    let token_endpoint = format!("{address}/contoso/oauth2/v2.0/token");
    // An app omits `token_endpoint`, which then follows from the authority, and reads the secret
    // from a vault.
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(&token_endpoint)
        .client_secret(stand_in::CLIENT_SECRET)
        .build()?;
    // Memory is enough, since a restarted daemon can request new tokens without a user.
    let cache = TokenCache::in_memory();
    let client = cache.client("daemon", AUTHORITY);

    println!("1. Fifty threads need a token at the same time. One request is sent.");
    let tokens = thread::scope(|scope| {
        let acquire = || client.acquire_token_for_client(SCOPES, &endpoint);
        let threads: Vec<_> = (0..50).map(|_| scope.spawn(acquire)).collect();
        threads.into_iter().map(ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
    });
    let mut distinct = BTreeSet::new();
    for token in tokens.map_err(|_| "a thread panicked")? {
        distinct.insert(token?.secret().expose().to_owned());
    }
    println!("   distinct tokens: {}", distinct.len());

    println!("\n2. The next call returns it from the cache.");
    let token = client.acquire_token_for_client(SCOPES, &endpoint)?;
    let expires_on = token.access_token().expires_on();
    println!("   {:?} from {}, valid until {expires_on}", token.secret(), token.source().as_str());

    println!("\n3. The API returned 401, so the token is removed and a new one requested.");
    client.invalidate(&token)?;
    let token = client.acquire_token_for_client(SCOPES, &endpoint)?;
    println!("   {:?} from {}", token.secret(), token.source().as_str());

    println!("\n4. A request with a wrong secret:");
    let wrong = HttpEndpoint::builder()
        .token_endpoint(&token_endpoint)
        .client_secret("not the secret")
        .build()?;
    client.remove_tokens_for_client()?;
    match client.acquire_token_for_client(SCOPES, &wrong) {
        Err(AcquireError::Configuration(why)) => println!("   {why}"),
        Err(other) => return Err(other.into()),
        Ok(_) => return Err("the server accepted a wrong secret".into()),
    }
    Ok(())
}
