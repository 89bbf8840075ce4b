//! Adds the tokens of a token response.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use msal_cache::{Entry, Event, Fields, Profile, TokenCache};
use serde_json::json;

use crate::check::entry_line;
use crate::failure::{Failure, Outcome, printable};
use crate::flags::ProfileArg;
use crate::out::{DIM, GOOD};
use crate::run::Run;
use crate::select::{Users, tally};
use crate::store::Access;
use crate::{cache, input, tokens};

/// What is expected of the input.
const EVENT: &str = "a token response or an event";

/// The request that led to the response; used if the input is a response alone.
pub(crate) struct Request<'a> {
    pub(crate) client: &'a Option<String>,
    pub(crate) token_endpoint: &'a Option<String>,
    pub(crate) scope: &'a [String],
    pub(crate) grant_type: &'a Option<String>,
}

pub(crate) fn add(
    run: &mut Run<'_>,
    name: &OsStr,
    input: &Path,
    request: &Request<'_>,
    profile: ProfileArg,
) -> Result<Outcome, Failure> {
    let profile = match profile {
        ProfileArg::Python => Profile::Python,
        ProfileArg::Family => Profile::Family,
    };
    input::refuse_twice(name, input)?;
    let event = event(input, &input::text(input, EVENT)?, request)?;
    let (store, cache) = run.open(name, Access::Create)?;
    let before = cache.entries(None)?;
    let clock = cache::clock(run.common);
    let writer = TokenCache::builder(cache.store()).clock(clock).profile(profile).build();
    run.waiting("Writing", || writer.add(&event))?;
    let after = cache.entries(None)?;
    let users = Users::of(&after);
    let known: HashSet<_> =
        before.iter().map(|it| (it.credential_type(), it.key(), it.json().expose())).collect();
    let is_new =
        |it: &&Entry| !known.contains(&(it.credential_type(), it.key(), it.json().expose()));
    let added: Vec<_> = after.iter().filter(is_new).collect();
    if run.out.json {
        let added: Vec<_> = added.iter().map(|it| tokens::as_json(it, &users, run.now())).collect();
        run.out.json(&json!({"store": store.name(), "added": added}))?;
        return Ok(Outcome::Done);
    }
    run.out.line(format!("{GOOD}✓{GOOD:#} stored {}", tally(added.iter().copied())))?;
    for entry in added {
        let line = entry_line(entry, &users);
        run.out.line(format!("  {DIM}{}{DIM:#}", printable(&line)))?;
    }
    Ok(Outcome::Done)
}

/// Parses an event, or a token response that the options complete.
fn event(input: &Path, text: &str, request: &Request<'_>) -> Result<Event, Failure> {
    let Request { client, token_endpoint, scope, grant_type } = request;
    let fields = Fields::from_json(text).map_err(|error| Failure::input(input, EVENT, error))?;
    if fields.get("response").is_some() {
        if client.is_some() || token_endpoint.is_some() || !scope.is_empty() {
            let reason = "the input is an event, which contains the request";
            return Err(
                Failure::usage(reason).with_hint("omit --client, --token-endpoint and --scope")
            );
        }
        return Event::from_json(text).map_err(|error| Failure::input(input, "an event", error));
    }
    if fields.get("error").is_some() {
        return Err(Failure::usage("the input is an error response: it contains no tokens"));
    }
    let (Some(client), Some(endpoint)) = (client, token_endpoint) else {
        let reason = "the input is a token response without its request";
        return Err(Failure::usage(reason).with_hint("add --client, --token-endpoint and --scope"));
    };
    let mut event = Event::new(client).token_endpoint(endpoint).scope(*scope).response(fields);
    if let Some(grant_type) = grant_type {
        event = event.grant_type(grant_type);
    }
    Ok(event)
}
