//! A cache whose tokens are encrypted at rest: a database, and a key that changes while the app works.
//!
//! Run it with `cargo run --example sealed --features sealed,sqlite-bundled`.

use std::error::Error;
use std::fs;
use std::path::Path;

use msal_cache::sealed::{KeyRing, SealFailure, Sealed};
use msal_cache::{CredentialType, Event, Fields, Query, SqliteStore, TokenCache};

const DATABASE: &str = "demo/sealed.db";
const KEYS: &str = "demo/sealed.keys";
const NAME: &str = "my-app";

fn main() -> Result<(), Box<dyn Error>> {
    start_anew()?;

    // The keys: a file with mode 0600. In a service, they are better a credential of systemd.
    let keys = KeyRing::create_file(KEYS)?;
    let open =
        |keys: &KeyRing| SqliteStore::open(DATABASE).map(|it| Sealed::new(it, NAME, keys.clone()));
    let cache = TokenCache::new(open(&keys)?.hide_names());
    cache.add(
        &Event::new("client")
            .token_endpoint("https://login.microsoftonline.com/contoso/oauth2/v2.0/token")
            .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600)),
    )?;
    println!("{} token found", cache.find(CredentialType::AccessToken, &Query::new())?.len());
    println!("the token is legible in the database: {}", is_legible("s3cret")?);
    println!("the client is legible in the database: {}", is_legible("login.microsoftonline.com")?);

    // Another key. Apps that run read the file again when they meet it.
    let number = KeyRing::add_key_to_file(KEYS)?;
    let admin = open(&KeyRing::from_file(KEYS)?)?.hide_names();
    println!("key {number} has sealed {} records anew", admin.rekey()?);
    println!("records by key: {:?}", admin.keys_in_use()?);
    println!("{} token found", cache.find(CredentialType::AccessToken, &Query::new())?.len());

    // Without the keys, there is an error and no empty cache.
    let other = open(&KeyRing::generate()?)?;
    let error = TokenCache::new(other).entries(None).unwrap_err();
    println!("with other keys: {}", SealFailure::of(&error).ok_or("another error")?);
    Ok(())
}

/// Removes what an earlier run has left.
fn start_anew() -> Result<(), Box<dyn Error>> {
    fs::create_dir_all("demo")?;
    for name in [DATABASE, "demo/sealed.db-wal", "demo/sealed.db-shm", KEYS] {
        if Path::new(name).exists() {
            fs::remove_file(name)?;
        }
    }
    Ok(())
}

/// Whether the database or its log has a text.
fn is_legible(text: &str) -> Result<bool, Box<dyn Error>> {
    let mut bytes = fs::read(DATABASE)?;
    if Path::new("demo/sealed.db-wal").exists() {
        bytes.extend(fs::read("demo/sealed.db-wal")?);
    }
    Ok(bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}
