//! Asking a cache questions, and keeping it small.
//!
//! `cargo run --example query_and_clean_up`

use std::error::Error;
use std::sync::Arc;

use msal_cache::{CredentialType, Event, Fields, ManualClock, Memory, Query, TokenCache};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(ManualClock::new(1_700_000_000));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());

    // A daemon gets tokens for itself, of different lifetimes.
    for (scope, lifetime) in [
        ("https://graph.microsoft.com/.default", 3600),
        ("https://vault.azure.net/.default", 60),
        ("https://storage.azure.com/.default", 60),
    ] {
        cache.add(&token(scope, lifetime, Fields::new()))?;
    }
    // And one for an agent, which is kept apart from its own.
    let agent = Fields::new().set("fmi_path", "agents/seven");
    cache.add(&token("https://graph.microsoft.com/.default", 3600, agent))?;

    let find = |query: &Query| cache.find(CredentialType::AccessToken, query);
    let mine = Query::new().client_id("daemon").home_account_id(None);
    println!("tokens of the daemon itself:   {}", find(&mine)?.len());

    // Scopes are a set, and their case doesn't matter.
    let graph = mine.clone().target(["HTTPS://graph.microsoft.com/.default"]);
    println!("of these, for the graph:       {}", find(&graph)?.len());

    let key = msal_cache::ext_cache_key([("fmi_path", "agents/seven")]).unwrap_or_default();
    println!("of the agent:                  {}", find(&mine.clone().ext_cache_key(key))?.len());

    println!("\n100 seconds later");
    clock.advance(100);
    println!("tokens that are good:          {}", find(&mine)?.len());
    let all = || cache.entries(Some(CredentialType::AccessToken));
    println!("stored, the expired included:  {}", all()?.len());
    println!("purged:                        {}", cache.purge_expired()?);
    println!("stored now:                    {}", all()?.len());

    // A record that can't be read is passed over by searches and listed here.
    cache.deserialize(r#"{"AccessToken": {"odd": {"secret": "x", "expires_on": "tomorrow"}}}"#)?;
    println!("\na cache with an odd record in it");
    println!("found:                         {}", find(&Query::new())?.len());
    for entry in all()? {
        println!("{:?} can't be used: {}", entry.key(), entry.problem().unwrap_or("it can"));
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
