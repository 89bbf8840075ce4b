//! Queries a cache by client, scopes and extended cache key, and purges expired tokens.
//!
//! Run it with `cargo run --example query_and_clean_up`.

use std::error::Error;
use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::{CredentialType, Event, Fields, Memory, Query, TokenCache};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(ManualClock::new(1_700_000_000));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());

    // A daemon stores its own tokens, with different lifetimes.
    for (scope, lifetime) in [
        ("https://graph.microsoft.com/.default", 3600),
        ("https://vault.azure.net/.default", 60),
        ("https://storage.azure.com/.default", 60),
    ] {
        cache.add(&token(scope, lifetime, Fields::new()))?;
    }
    // A token for an agent has an extended cache key, so it is distinct from the daemon's own.
    let agent = Fields::new().set("fmi_path", "agents/seven");
    cache.add(&token("https://graph.microsoft.com/.default", 3600, agent))?;

    let find = |query: &Query| cache.find(CredentialType::AccessToken, query);
    let mine = Query::new().client_id("daemon").home_account_id(None);
    println!("tokens of the daemon:          {}", find(&mine)?.len());

    // Scopes are a set and ignore case.
    let graph = mine.clone().target(["HTTPS://graph.microsoft.com/.default"]);
    println!("of these, for Microsoft Graph: {}", find(&graph)?.len());

    let key = msal_cache::store::ext_cache_key([("fmi_path", "agents/seven")]).unwrap_or_default();
    println!("tokens of the agent:           {}", find(&mine.clone().ext_cache_key(key))?.len());

    println!("\nafter 100 seconds");
    clock.advance(100);
    println!("valid tokens of the daemon:    {}", find(&mine)?.len());
    let all = || cache.entries(Some(CredentialType::AccessToken));
    println!("stored tokens, also expired:   {}", all()?.len());
    println!("purged tokens:                 {}", cache.purge_expired()?);
    println!("stored tokens:                 {}", all()?.len());

    // `find` skips an unreadable record; `entries` lists it.
    cache.deserialize(r#"{"AccessToken": {"odd": {"secret": "x", "expires_on": "tomorrow"}}}"#)?;
    println!("\na cache with an unreadable record");
    println!("found tokens:                  {}", find(&Query::new())?.len());
    for entry in all()? {
        if let Some(problem) = entry.problem() {
            println!("{:?} can't be used: {problem}", entry.key());
        }
    }
    Ok(())
}

fn token(scope: &str, lifetime: i64, data: Fields) -> Event {
    Event::new("daemon")
        .token_endpoint("https://login.microsoftonline.com/contoso/oauth2/v2.0/token")
        .scope([scope])
        .grant_type("client_credentials")
        .data(data)
        .response(Fields::new().set("access_token", "s3cret").set("expires_in", lifetime))
}
