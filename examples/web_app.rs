//! A web app with a thousand users, whose tokens are in SQLite.
//!
//! `cargo run --example web_app --features http,sqlite-bundled`
//!
//! The server is a stand-in within the example, and the sign-ins are what an app does when the
//! browser comes back with a code.

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use msal_cache::{
    AccountInfo, Client, Clock, Event, Form, HttpEndpoint, ManualClock, SqliteStore, SystemClock,
    TokenCache, TokenEndpoint, TokenRequest, TokenSource,
};

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
    // The clock is moved by hand, so that the example can let an hour pass. An app leaves it to
    // that of the system and calls `TokenCache::new`.
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let cache = TokenCache::with_clock(SqliteStore::open(PATH)?, clock.clone());
    let client = cache.client(CLIENT, AUTHORITY);

    let started = Instant::now();
    for_each_user(|user| sign_in(&client, &endpoint, user))?;
    let took = started.elapsed().as_secs_f32();
    println!("1. {USERS} users have signed in, in {took:.1} s:");
    println!("   {} accounts, {} records", client.accounts()?.len(), cache.entries(None)?.len());

    let before = server.token_requests();
    let started = Instant::now();
    for_each_user(|user| {
        let token = client.acquire_token_silent(SCOPES, &session(user), &endpoint)?;
        is(token.source() == TokenSource::Cache, "the cache has it")
    })?;
    let took = started.elapsed().as_secs_f32();
    println!("\n2. Each of them opens a page, {took:.2} s in all.");
    println!("   requests to the server: {}", server.token_requests() - before);

    clock.advance(stand_in::LIFETIME + 1);
    let token = client.acquire_token_silent(SCOPES, &session(7), &endpoint)?;
    println!("\n3. An hour later, one of them opens another page:");
    let reason = token.refresh_reason().ok_or("a reason")?;
    println!("   a token from {}; the one in the cache: {reason:?}", token.source().as_str());

    let removed = client.remove_account(&session(7))?;
    println!("\n4. That one signs out: {removed} records removed.");
    match client.acquire_token_silent(SCOPES, &session(7), &endpoint) {
        Ok(_) => return Err("a token of somebody who has signed out".into()),
        Err(why) => println!("   the next page: {why}"),
    }
    println!("   accounts: {}", client.accounts()?.len());

    println!("\n5. Those who left without signing out: a job removes what has expired.");
    println!("   {} access tokens purged", cache.purge_expired()?);
    println!("   {} records left in {PATH}", cache.entries(None)?.len());
    Ok(())
}

/// What the app keeps in the user's session: the home account id, and no name, which may change
/// hands.
fn session(user: usize) -> AccountInfo {
    AccountInfo::of(format!("user-{user}.contoso"))
}

/// The browser has come back with a code (RFC 6749, section 4.1.3).
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
    let answer = endpoint.send(&TokenRequest::new(&token_endpoint, CLIENT, form))?;
    is(answer.status() == 200, "the code was taken")?;
    let event = Event::new(CLIENT)
        .token_endpoint(token_endpoint)
        .scope(SCOPES)
        .grant_type("authorization_code")
        .response(answer.body().clone());
    client.cache().add(&event)?;
    Ok(())
}

/// Does it for all users, as the threads of a server do.
fn for_each_user(does: impl Fn(usize) -> Result<(), Failure> + Sync) -> Result<(), Failure> {
    let does = &does;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || (first..USERS).step_by(THREADS).try_for_each(does)))
            .collect();
        threads.into_iter().try_for_each(|it| it.join().map_err(|_| "a thread panicked")?)
    })
}

fn is(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(format!("it should be that {what}").into()) }
}
