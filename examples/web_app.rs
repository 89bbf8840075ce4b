//! A web app stores the tokens of a thousand users in SQLite: sign-in by authorization code, silent
//! token requests, sign-out and clean-up.
//!
//! Run it with `cargo run --example web_app --features http,sqlite-bundled`. It uses a server
//! within the example.

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use msal_cache::acquire::TokenSource;
use msal_cache::clock::{Clock, ManualClock, SystemClock};
use msal_cache::endpoint::{Form, TokenEndpoint, TokenRequest};
use msal_cache::http::HttpEndpoint;
use msal_cache::{AccountInfo, Client, Event, SqliteStore, TokenCache};

mod stand_in;

const PATH: &str = "demo/web_app.db";
const CLIENT: &str = "web-app";
const AUTHORITY: &str = "https://login.example/contoso";
const SCOPES: [&str; 1] = ["User.Read"];
const USERS: usize = 1000;
const THREADS: usize = 8;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    fs::create_dir_all("demo")?;
    for old in [PATH.into(), format!("{PATH}-wal"), format!("{PATH}-shm")] {
        if fs::exists(&old)? {
            fs::remove_file(old)?;
        }
    }
    let server = stand_in::StandIn::start()?;
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("{}/token", server.url()))
        .client_secret(stand_in::CLIENT_SECRET)
        .build()?;
    // A manual clock lets the example skip an hour. An app calls `TokenCache::new`, which uses the
    // system's clock.
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let cache = TokenCache::with_clock(SqliteStore::open(PATH)?, clock.clone());
    let client = cache.client(CLIENT, AUTHORITY);

    let started = Instant::now();
    for_each_user(|user| sign_in(&client, &endpoint, user))?;
    let took = started.elapsed().as_secs_f32();
    println!("1. {USERS} users sign in, in {took:.1} s:");
    println!("   {} accounts, {} records", client.accounts()?.len(), cache.entries(None)?.len());

    let before = server.token_requests();
    let started = Instant::now();
    for_each_user(|user| {
        let token = client.acquire_token_silent(SCOPES, &session(user), &endpoint)?;
        ensure(token.source() == TokenSource::Cache, "the token is cached")
    })?;
    let took = started.elapsed().as_secs_f32();
    println!("\n2. Each user opens a page, in {took:.2} s:");
    println!("   {} token requests", server.token_requests() - before);

    clock.advance(stand_in::LIFETIME + 1);
    let token = client.acquire_token_silent(SCOPES, &session(7), &endpoint)?;
    println!("\n3. An hour later, one user opens another page:");
    let reason = token.refresh_reason().ok_or("a reason")?;
    println!("   token from {}, because the cached one is {reason:?}", token.source().as_str());

    let removed = client.remove_account(&session(7))?;
    println!("\n4. This user signs out: {removed} records removed.");
    match client.acquire_token_silent(SCOPES, &session(7), &endpoint) {
        Ok(_) => return Err("a token after sign-out".into()),
        Err(why) => println!("   next page: {why}"),
    }
    println!("   accounts: {}", client.accounts()?.len());

    println!("\n5. A clean-up job removes expired tokens:");
    println!("   {} access tokens purged", cache.purge_expired()?);
    println!("   {} records left in {PATH}", cache.entries(None)?.len());
    Ok(())
}

/// What the app keeps in the user's session: the home account id. A user name is not an identifier,
/// since it can be reassigned.
fn session(user: usize) -> AccountInfo {
    AccountInfo::of(format!("user-{user}.contoso"))
}

/// Redeems the authorization code that the browser returned with (RFC 6749, section 4.1.3).
fn sign_in(
    client: &Client<SqliteStore>,
    endpoint: &HttpEndpoint,
    user: usize,
) -> Result<(), Failure> {
    let token_endpoint = client.token_endpoint()?;
    let form = Form::new()
        .with("client_id", CLIENT)
        .with("grant_type", "authorization_code")
        .with("code", format!("user-{user}"))
        .with("redirect_uri", "https://app.example/signed-in")
        .with("client_info", "1");
    let response = endpoint.send(&TokenRequest::new(&token_endpoint, CLIENT, form))?;
    ensure(response.status() == 200, "the server accepts the code")?;
    let event = Event::new(CLIENT)
        .token_endpoint(token_endpoint)
        .scope(SCOPES)
        .grant_type("authorization_code")
        .response(response.body().clone());
    client.cache().add(&event)?;
    Ok(())
}

/// Calls a function for all users, on several threads, as a server does.
fn for_each_user(call: impl Fn(usize) -> Result<(), Failure> + Sync) -> Result<(), Failure> {
    let call = &call;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || (first..USERS).step_by(THREADS).try_for_each(call)))
            .collect();
        threads.into_iter().try_for_each(|it| it.join().map_err(|_| "a thread panicked")?)
    })
}

fn ensure(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(format!("expected: {what}").into()) }
}
