//! A command-line app signs its user in by device code. The sign-in is kept in a file for the next
//! run.
//!
//! Run it with `cargo run --example device_code --features http`. It uses a server within the
//! example, which enters the code itself. With a real server, you enter the code in a browser. The
//! first of these commands uses an OAuth server on this machine. The second one uses Microsoft's,
//! and needs an app registration that allows public client flows:
//!
//! ```sh
//! tests/peers/oauth-server cargo run --example device_code --features http
//! cargo run --example device_code --features http -- <client id> <tenant>
//! ```

use std::env;
use std::error::Error;

use msal_cache::http::HttpEndpoint;
use msal_cache::{
    AccountInfo, AcquireError, AcquiredToken, Client, FileStore, SilentRequest, TokenCache,
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
        _ => return Err("usage: device_code [<client id> <tenant>]".into()),
    }
    // The tokens are stored under the authority, so the next run finds them, although the server's
    // port differs in each run.
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
    // Of an earlier run. Where there are several, a real app lets the user choose.
    let known = client.accounts()?.into_iter().next();
    println!("1. A token, from the cache, by refresh or by sign-in:");
    let first = token(&client, endpoint, known.as_ref(), false)?;
    show(&first);
    // It is the account that has just signed in, whichever accounts the file has.
    let account = first.account();

    println!("\n2. The same request again, which is answered from the cache:");
    show(&token(&client, endpoint, account.as_ref(), false)?);

    println!("\n3. A forced refresh, without the user:");
    show(&token(&client, endpoint, account.as_ref(), true)?);

    println!("\n4. The accounts in {PATH}, as the next run reads them:");
    let next_run = TokenCache::new(FileStore::open(PATH)?).client(client_id, authority);
    for account in next_run.accounts()? {
        println!("   {}", account.username().unwrap_or("(no user name)"));
    }
    Ok(())
}

/// Gets a token silently if possible, and otherwise by a sign-in.
fn token(
    client: &Client<FileStore>,
    endpoint: &HttpEndpoint,
    account: Option<&AccountInfo>,
    force_refresh: bool,
) -> Result<AcquiredToken, Box<dyn Error>> {
    let mut claims = None;
    if let Some(account) = account {
        let request = SilentRequest::new(SCOPES, account).force_refresh(force_refresh);
        match client.acquire(&request, endpoint) {
            Err(AcquireError::InteractionRequired(why)) => {
                println!("   {why}");
                claims = why.server_error().and_then(|it| it.claims()).map(str::to_owned);
            }
            outcome => return Ok(outcome?),
        }
    }
    let mut sign_in = client.device_code(SCOPES);
    if let Some(claims) = claims {
        sign_in = sign_in.claims_challenge(claims);
    }
    if let Ok(issuer) = env::var("MSAL_CACHE_OAUTH_SERVER") {
        // The issuer of the server on this machine, which doesn't follow from the authority.
        sign_in = sign_in.issuer(issuer);
    }
    let token = sign_in.run(endpoint, |code| println!("   {}", code.message()))?;
    // Another user may have signed in than the one before.
    let account = token.account().ok_or("the response names no user")?;
    println!("   {} has signed in", account.username().unwrap_or("a user without a name"));
    Ok(token)
}

fn show(token: &AcquiredToken) {
    // An app sends `token.secret().expose()` in the header `Authorization: Bearer ...`.
    println!("   {:?} from {}", token.secret(), token.source().as_str());
}
