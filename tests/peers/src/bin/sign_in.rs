//! A program that signs a user in, for `tests/peers/browser`: the arguments are the way (`browser` or
//! `device-code`), the client id, the cache file, and options such as `timeout=2`. It writes a line of
//! JSON for each step to its standard output, and all trace events to its standard error.

use std::env;
use std::error::Error;
use std::time::Duration;

use msal_cache::http::HttpEndpoint;
use msal_cache::sign_in::{ResponseMode, SignInError};
use msal_cache::{AcquiredToken, Client, FileStore, TokenCache};
use serde_json::json;

const AUTHORITY: &str = "https://login.example/contoso";

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .init();
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [way, client_id, cache, options @ ..] = &arguments[..] else { return Err("usage".into()) };
    let option = |name: &str| {
        let mut pairs = options.iter().filter_map(|it| it.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
    };
    let server = env::var("MSAL_CACHE_OAUTH_SERVER")?;
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("{server}/contoso/oauth2/v2.0/token"))
        .device_authorization_endpoint(format!("{server}/contoso/oauth2/v2.0/devicecode"))
        .build()?;
    let client = TokenCache::new(FileStore::open(cache)?).client(client_id, AUTHORITY);
    if way == "silent" {
        let accounts = client.accounts()?;
        let account = accounts.first().ok_or("no user is signed in")?;
        let token = client.acquire_token_silent(["User.Read"], account, &endpoint)?;
        say(Ok(token));
        return Ok(());
    }
    let scopes = option("scopes").unwrap_or("User.Read");
    let timeout = option("timeout").map_or(Ok(60), str::parse).map(Duration::from_secs)?;
    let signed_in = match &**way {
        "browser" => browser(&client, &server, &endpoint, (scopes, timeout), option("mode")),
        "device-code" => {
            client.device_code([scopes]).issuer(&server).timeout(timeout).run(&endpoint, |flow| {
                println!(
                    "{}",
                    json!({ "code": flow.user_code(), "address": flow.verification_uri() })
                );
            })
        }
        _ => return Err("there are the ways browser, device-code and silent".into()),
    };
    say(signed_in);
    Ok(())
}

fn browser(
    client: &Client<FileStore>,
    server: &str,
    endpoint: &HttpEndpoint,
    (scopes, timeout): (&str, Duration),
    mode: Option<&str>,
) -> Result<AcquiredToken, SignInError> {
    let sign_in = client
        .sign_in([scopes])
        .authorization_endpoint(format!("{server}/contoso/oauth2/v2.0/authorize"))
        .issuer(server)
        .timeout(timeout);
    match mode {
        Some("query") => sign_in.response_mode(ResponseMode::Query),
        _ => sign_in,
    }
    .run(endpoint)
}

fn say(result: Result<AcquiredToken, SignInError>) {
    let line = match result {
        Ok(token) => {
            let account = token.account();
            let user = account.as_ref().and_then(|it| it.username());
            json!({ "user": user, "source": token.source().as_str() })
        }
        Err(error) => {
            let debug = format!("{error:?}");
            let end = debug.find(|it: char| !it.is_alphanumeric()).unwrap_or(debug.len());
            json!({ "error": debug[..end], "message": error.to_string() })
        }
    };
    println!("{line}");
}
