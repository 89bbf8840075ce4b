//! Opens a cache file that MSAL Python wrote, lists its accounts, finds a token, stores a sign-in
//! and signs a user out.
//!
//! Run it with `cargo run --example quickstart`. It needs no setup and no network, and its tokens
//! are not real.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::file::Permissions;
use msal_cache::{Client, CredentialType, Event, Fields, FileStore, Query, TokenCache};

/// The output of `SerializableTokenCache.serialize()` in MSAL Python 1.39.
const WRITTEN_BY_MSAL_PYTHON: &str = include_str!("../tests/fixtures/python-all.json");

/// A time at which its tokens are valid, in seconds since the Unix epoch.
const NOW: i64 = 1_700_000_100;

const CLIENT_ID: &str = "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE";
const AUTHORITY: &str = "https://login.microsoftonline.com/organizations";

fn main() -> Result<(), Box<dyn Error>> {
    let path = Path::new("demo/quickstart.json");
    fs::create_dir_all("demo")?;
    fs::write(path, WRITTEN_BY_MSAL_PYTHON)?;

    // By default, a file that other users can read is an error. `Repair` makes it private instead.
    let store = FileStore::builder(path).permissions(Permissions::Repair).open()?;
    // An app calls `TokenCache::new`, which uses the system's clock.
    let cache = TokenCache::with_clock(store, Arc::new(ManualClock::new(NOW)));
    let client = cache.client(CLIENT_ID, AUTHORITY);

    println!("1. Accounts in {}, which MSAL Python wrote:", path.display());
    print_accounts(&client)?;

    println!("\n2. An access token of Alice for Mail.Read:");
    // A name is no identifier: accounts of several tenants, or a former user, may have it.
    let accounts = client.accounts_named("alice@contoso.example")?;
    let [alice] = &accounts[..] else { return Err("there should be one account of Alice".into()) };
    let query = Query::new().home_account_id(alice.home_account_id()).target(["Mail.Read"]);
    for entry in cache.search(CredentialType::AccessToken, &query)? {
        let token = entry.access_token().ok_or("an access token")?;
        println!("   scopes: {}", token.target().unwrap_or_default());
        println!("   valid for {} s", token.expires_on() - NOW);
        // `Debug` redacts secrets. An app sends `token.secret().expose()`.
        println!("   {:?}", token.secret());
    }

    println!("\n3. Bob signs in. Accounts:");
    let added = cache.add(&bobs_sign_in())?;
    let bob = added.account().ok_or("the response names no user")?;
    println!("   (signed in: {})", bob.username().unwrap_or("a user without a name"));
    print_accounts(&client)?;

    println!("\n4. Alice signs out.");
    let removed = client.remove_account(alice)?;
    println!("   {removed} records removed");

    println!("\n5. Accounts in the file, read through a new handle:");
    print_accounts(&TokenCache::new(FileStore::open(path)?).client(CLIENT_ID, AUTHORITY))?;
    println!("\nTo read the file with MSAL Python: tests/peers/read {}", path.display());
    Ok(())
}

fn print_accounts(client: &Client<FileStore>) -> Result<(), Box<dyn Error>> {
    for account in client.accounts()? {
        println!("   {}", account.username().unwrap_or("(no user name)"));
    }
    Ok(())
}

/// A response of the token endpoint, with the parameters of its request.
fn bobs_sign_in() -> Event {
    // {"uid":"bob","utid":"contoso"}
    const CLIENT_INFO: &str = "eyJ1aWQiOiJib2IiLCJ1dGlkIjoiY29udG9zbyJ9";
    // {"preferred_username":"bob@contoso.example","sub":"s","oid":"bob"}
    const CLAIMS: &str =
        "eyJwcmVmZXJyZWRfdXNlcm5hbWUiOiJib2JAY29udG9zby5leGFtcGxlIiwic3ViIjoicyIsIm9pZCI6ImJvYiJ9";
    Event::new(CLIENT_ID)
        .token_endpoint("https://login.microsoftonline.com/contoso/oauth2/v2.0/token")
        .scope(["User.Read"])
        .grant_type("authorization_code")
        .response(
            Fields::new()
                .set("access_token", "an access token of Bob")
                .set("refresh_token", "a refresh token of Bob")
                .set("id_token", format!("e30.{CLAIMS}.signature"))
                .set("client_info", CLIENT_INFO)
                .set("expires_in", 3600),
        )
}
