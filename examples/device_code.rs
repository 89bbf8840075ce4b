//! A command-line app that signs in by device code, and then stays signed in.
//!
//! `cargo run --example device_code --features http`
//!
//! Nothing has to be set up: the server is a stand-in within the example, which enters the code
//! by itself. With a real server you enter it, in a browser. The first of these commands starts
//! one on this machine, the second takes Microsoft's, and an app registration that allows public
//! client flows:
//!
//! ```sh
//! tests/peers/oauth-server cargo run --example device_code --features http
//! cargo run --example device_code --features http -- <client id> <tenant>
//! ```
//!
//! Run it twice: the second run finds you signed in.

use std::env;
use std::error::Error;

use msal_cache::{
    AcquireError, AcquiredToken, Client, FileStore, HttpEndpoint, SilentRequest, TokenCache,
};

mod stand_in;

const PATH: &str = "demo/device_code.json";
const SCOPES: [&str; 1] = ["User.Read"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => {}
        [client_id, tenant] => {
            let authority = format!("https://login.microsoftonline.com/{tenant}");
            return run(client_id, &authority, &HttpEndpoint::new());
        }
        _ => return Err("give a client id and a tenant, or nothing".into()),
    }
    // A server on this machine has another address each time. The tokens are stored under the
    // authority, which stays.
    let authority = "https://login.example/contoso";
    let server = stand_in::StandIn::start()?;
    let address = env::var("MSAL_CACHE_OAUTH_SERVER").unwrap_or_else(|_| server.url());
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("{address}/contoso/oauth2/v2.0/token"))
        .device_authorization_endpoint(format!("{address}/contoso/oauth2/v2.0/devicecode"))
        .build()?;
    run("command-line-app", authority, &endpoint)
}

fn run(client_id: &str, authority: &str, endpoint: &HttpEndpoint) -> Result<(), Box<dyn Error>> {
    let client = TokenCache::new(FileStore::open(PATH)?).client(client_id, authority);
    println!("1. A token, by whatever it takes:");
    show(&token(&client, endpoint, false)?);

    println!("\n2. Another one. Nobody is asked, neither you nor the server:");
    show(&token(&client, endpoint, false)?);

    println!("\n3. A new one. The server is asked, you are not:");
    show(&token(&client, endpoint, true)?);

    println!("\n4. Who is signed in, as the next run will find it in {PATH}:");
    let next_run = TokenCache::new(FileStore::open(PATH)?).client(client_id, authority);
    for account in next_run.accounts()? {
        println!("   {}", account.username().unwrap_or("(without a name)"));
    }
    Ok(())
}

/// A token: silently if that can be, else by asking somebody to sign in.
fn token(
    client: &Client<FileStore>,
    endpoint: &HttpEndpoint,
    force_refresh: bool,
) -> Result<AcquiredToken, Box<dyn Error>> {
    let mut claims = None;
    // With more than one account, a real app lets its user choose.
    if let Some(account) = client.accounts()?.first() {
        let request = SilentRequest::new(SCOPES, account).force_refresh(force_refresh);
        match client.acquire(&request, endpoint) {
            Err(AcquireError::InteractionRequired(why)) => {
                println!("   {why}");
                claims = why.server_error().and_then(|it| it.claims()).map(str::to_owned);
            }
            outcome => return Ok(outcome?),
        }
    }
    let flow = endpoint.initiate_device_flow(client, SCOPES, claims.as_deref())?;
    println!("   {}", flow.message());
    let signed_in = endpoint.acquire_token_by_device_flow(&flow, || false)?;
    client.cache().add(&signed_in)?;

    let accounts = client.accounts()?;
    let account = accounts.first().ok_or("the server didn't say who signed in")?;
    Ok(client.acquire_token_silent(SCOPES, account, endpoint)?)
}

fn show(token: &AcquiredToken) {
    // `token.secret().expose()` is what an app sends, behind the word `Bearer`.
    println!("   {:?} from {}", token.secret(), token.source().as_str());
}
