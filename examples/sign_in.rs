//! A desktop or command-line app signs its user in by the system browser, and stays signed in.
//!
//! Run it with `cargo run --example sign_in --features http -- <client id> <tenant>`. It needs an app
//! registration with the redirect URI `http://localhost` for mobile and desktop applications. Without
//! arguments, it uses a server within the example, and a browser that has no window.

use std::error::Error;

use msal_cache::http::HttpEndpoint;
use msal_cache::{AcquireError, AcquiredToken, Client, FileStore, TokenCache};

#[path = "sign_in/demo.rs"]
mod demo;
mod stand_in;

const SCOPES: [&str; 1] = ["User.Read"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [client_id, tenant] = &arguments[..] else { return demo::run() };
    let authority = format!("https://login.microsoftonline.com/{tenant}");
    let client =
        TokenCache::new(FileStore::open("demo/sign_in.json")?).client(client_id, authority);
    let token = token(&client, &HttpEndpoint::new())?;
    println!("{} from {}", name(&token), token.source().as_str());
    Ok(())
}

/// Gets a token silently if possible, and otherwise by a sign-in.
fn token(
    client: &Client<FileStore>,
    endpoint: &HttpEndpoint,
) -> Result<AcquiredToken, Box<dyn Error>> {
    let mut sign_in = client.sign_in(SCOPES);
    // Where there are several accounts, a real app lets the user choose.
    if let Some(account) = client.accounts()?.first() {
        match client.acquire_token_silent(SCOPES, account, endpoint) {
            Err(AcquireError::InteractionRequired(why)) => {
                sign_in = sign_in.login_hint(account.username().unwrap_or_default());
                if let Some(claims) = why.server_error().and_then(|it| it.claims()) {
                    sign_in = sign_in.claims_challenge(claims);
                }
            }
            outcome => return Ok(outcome?),
        }
    }
    Ok(sign_in.run(endpoint)?)
}

fn name(token: &AcquiredToken) -> String {
    let name = token.account().and_then(|it| it.username().map(str::to_owned));
    name.unwrap_or_else(|| "a user without a name".into())
}
