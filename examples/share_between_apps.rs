//! Two processes write to one cache file at the same time. Each finds the other's tokens, and no
//! token is lost.
//!
//! Run it with `cargo run --example share_between_apps`.

use std::env;
use std::error::Error;
use std::process::Command;

use msal_cache::{CredentialType, Event, Fields, FileStore, Query, TokenCache};

const PATH: &str = "demo/shared.json";
const TOKENS: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    // The example starts itself twice, as the two apps.
    if let Some(app) = env::args().nth(1) {
        return run_app(&app);
    }
    let mut apps = Vec::new();
    for name in ["mail-app", "file-app"] {
        apps.push(Command::new(env::current_exe()?).arg(name).spawn()?);
    }
    for mut app in apps {
        if !app.wait()?.success() {
            return Err("an app failed".into());
        }
    }
    let cache = TokenCache::new(FileStore::open(PATH)?);
    for name in ["mail-app", "file-app"] {
        let query = Query::new().client_id(name).home_account_id(None);
        let tokens = cache.find(CredentialType::AccessToken, &query)?.len();
        println!("{PATH} contains {tokens} of {TOKENS} tokens of {name}");
    }
    Ok(())
}

fn run_app(name: &str) -> Result<(), Box<dyn Error>> {
    let cache = TokenCache::new(FileStore::open(PATH)?);
    for n in 0..TOKENS {
        cache.add(
            &Event::new(name)
                .token_endpoint("https://login.microsoftonline.com/contoso/oauth2/v2.0/token")
                .scope([format!("scope-{n}")])
                .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600)),
        )?;
    }
    let others = cache
        .search(CredentialType::AccessToken, &Query::new())?
        .filter(|entry| entry.get("client_id").as_deref() != Some(name))
        .count();
    println!("{name} stored {TOKENS} tokens and sees {others} of the other app");
    Ok(())
}
