//! A daemon: an app without a user, which proves who it is by a secret (client credentials).
//!
//! `cargo run --example daemon --features http`
//!
//! The server is a stand-in within the example. `tests/peers/oauth-server` starts a real one on this
//! machine and runs a command with its address:
//!
//! `tests/peers/oauth-server cargo run --example daemon --features http`

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::thread::{self, ScopedJoinHandle};

use msal_cache::{AcquireError, HttpEndpoint, TokenCache};

mod stand_in;

const SCOPES: [&str; 1] = ["api://things/.default"];
const AUTHORITY: &str = "https://login.example/contoso";

fn main() -> Result<(), Box<dyn Error>> {
    let server = stand_in::StandIn::start()?;
    let address = env::var("MSAL_CACHE_OAUTH_SERVER").unwrap_or_else(|_| server.url());
    let token_endpoint = format!("{address}/contoso/oauth2/v2.0/token");
    // A real app leaves the address to the authority, and takes the secret from a vault.
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(&token_endpoint)
        .client_secret(stand_in::CLIENT_SECRET)
        .build()?;
    // In memory: a daemon that starts anew can ask anew. `FileStore` and `SqliteStore` do it too.
    let cache = TokenCache::in_memory();
    let client = cache.client("daemon", AUTHORITY);

    println!("1. Fifty threads need a token at once. One of them asks, for all.");
    let tokens = thread::scope(|scope| {
        let asks = || client.acquire_token_for_client(SCOPES, &endpoint);
        let threads: Vec<_> = (0..50).map(|_| scope.spawn(asks)).collect();
        threads.into_iter().map(ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
    });
    let mut different = BTreeSet::new();
    for token in tokens.map_err(|_| "a thread panicked")? {
        different.insert(token?.secret().expose().to_owned());
    }
    println!("   different tokens: {}", different.len());

    println!("\n2. Later, the cache has it.");
    let token = client.acquire_token_for_client(SCOPES, &endpoint)?;
    let expires_on = token.access_token().expires_on();
    println!("   {:?} from {}, good until {expires_on}", token.secret(), token.source().as_str());

    println!("\n3. The API says 401: it has been revoked. Away with it, and a new one.");
    client.invalidate(&token)?;
    let token = client.acquire_token_for_client(SCOPES, &endpoint)?;
    println!("   {:?} from {}", token.secret(), token.source().as_str());

    println!("\n4. With the wrong secret:");
    let wrong = HttpEndpoint::builder()
        .token_endpoint(&token_endpoint)
        .client_secret("not the secret")
        .build()?;
    client.remove_tokens_for_client()?;
    match client.acquire_token_for_client(SCOPES, &wrong) {
        Err(AcquireError::Refused(why)) => println!("   {why}"),
        Err(other) => return Err(other.into()),
        Ok(_) => return Err("the server took a wrong secret".into()),
    }
    Ok(())
}
