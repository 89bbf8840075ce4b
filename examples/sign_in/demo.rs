//! The same sign-in with a server within the example, and with a browser that has no window.

use std::error::Error;

use msal_cache::sign_in::ResponseMode;
use msal_cache::{FileStore, TokenCache, http::HttpEndpoint};

use crate::stand_in::StandIn;
use crate::stand_in::browser::visit;
use crate::{SCOPES, name};

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let server = StandIn::start()?;
    let address = format!("{}/contoso/oauth2/v2.0", server.url());
    let endpoint = HttpEndpoint::builder().token_endpoint(format!("{address}/token")).build()?;
    let client = TokenCache::new(FileStore::open("demo/sign_in_stand_in.json")?)
        .client("desktop-app", "https://login.example/contoso");

    println!("1. A sign-in by the browser:");
    let token = client
        .sign_in(SCOPES)
        .authorization_endpoint(format!("{address}/authorize"))
        .response_mode(ResponseMode::Query)
        .open_with(|address| {
            println!("   opening {}?...", address.split('?').next().unwrap_or_default());
            visit(address)
        })
        .run(&endpoint)?;
    println!("   {} from {}", name(&token), token.source().as_str());

    println!("\n2. The next token, without the user:");
    let account = token.account().ok_or("a sign-in names its user")?;
    let token = client.acquire_token_silent(SCOPES, &account, &endpoint)?;
    println!("   {} from {}", name(&token), token.source().as_str());
    Ok(())
}
