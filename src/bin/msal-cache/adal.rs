//! Imports caches of ADAL, the predecessor of MSAL: the JSON text of `adal.TokenCache.serialize()`, which
//! Azure CLI kept in `accessTokens.json` before it used MSAL.
//!
//! An entry has neither the home account of its user nor the scopes of its access token, so that it can't
//! be stored as what it is. Its refresh token is redeemed, as MSAL's migration guide recommends; the
//! response has what is missing.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::Path;

use msal_cache::http::HttpEndpoint;
use msal_cache::{AccountInfo, AcquireError, Error};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cache::Cache;
use crate::clients;
use crate::failure::{Failure, Outcome, printable};
use crate::flags::RedeemArgs;
use crate::out::{BAD, BOLD, DIM, GOOD, count};
use crate::run::Run;
use crate::sign_in::{chain, endpoint, known};
use crate::store::Access;

/// What is expected of the input.
const ADAL_CACHE: &str = "a cache of ADAL";

/// A refresh token, which may be in several entries: ADAL has one for each resource.
struct AdalToken {
    client: String,
    /// The name of the user, or the `sub` of the ID token.
    user: Option<String>,
    refresh_token: Zeroizing<String>,
    /// Where it was used: an authority, and the first resource there.
    uses: Vec<(String, Option<String>)>,
}

/// An entry. Other members are not read.
#[derive(Deserialize)]
struct AdalEntry {
    #[serde(rename = "_authority")]
    authority: Option<String>,
    #[serde(rename = "_clientId")]
    client: Option<String>,
    #[serde(rename = "userId")]
    user: Option<String>,
    resource: Option<String>,
    #[serde(rename = "refreshToken")]
    refresh_token: Option<String>,
}

/// Redeems the refresh tokens of a document, and stores the responses, each in one commit.
pub(crate) fn import(
    run: &mut Run<'_>,
    name: &OsStr,
    input: &Path,
    text: &str,
    args: &RedeemArgs,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let (tokens, skipped) = parse(text)
        .map_err(|error| Failure::input(input, ADAL_CACHE, Error::not_json(ADAL_CACHE, &error)))?;
    if !args.redeem {
        let reason = format!(
            "the document is {ADAL_CACHE}, whose refresh tokens have to be redeemed over HTTPS"
        );
        let hint = "add --redeem; ADAL can't use a refresh token any more that its server replaces";
        return Err(Failure::usage(reason).with_hint(hint));
    }
    let store = run.store(name)?;
    let mut users = Vec::new();
    if !dry_run {
        let cache = run.waiting("Opening", || store.open(run.common, Access::Create))?;
        // A refresh token whose response can't be stored is lost.
        run.waiting("Writing", || cache.verify())?;
        let endpoint = endpoint(args.token_endpoint.as_deref(), args.no_instance_discovery)?;
        let all = tokens.iter().map(|it| redeem(&cache, it, &endpoint));
        users = run.waiting("Redeeming", || all.collect::<Result<_, _>>())?;
    }
    let refused = users.iter().filter(|it| it.is_err()).count();
    if run.out.json {
        let users: Vec<_> = if dry_run {
            tokens.iter().map(|it| as_json(it, None, None)).collect()
        } else {
            let redeemed = tokens.iter().zip(&users);
            redeemed
                .map(|(token, it)| as_json(token, it.as_ref().ok(), it.as_ref().err()))
                .collect()
        };
        run.out.json(&json!({
            "store": store.name(), "dry_run": dry_run, "users": users, "skipped": skipped,
        }))?;
    } else {
        for (at, token) in tokens.iter().enumerate() {
            let client = clients::long(&token.client);
            let name = token.user.as_deref().unwrap_or("a user without a name");
            run.out.line(match users.get(at) {
                None => format!(
                    "{BOLD}{} would be signed in for {}{BOLD:#}",
                    printable(name),
                    printable(&client)
                ),
                Some(Ok(account)) => {
                    let name = account.as_ref().and_then(AccountInfo::username).unwrap_or(name);
                    let (name, client) = (printable(name), printable(&client));
                    format!("{GOOD}✓{GOOD:#} {name} signed in for {client}")
                }
                Some(Err(reason)) => {
                    let (name, client) = (printable(name), printable(&client));
                    format!("{BAD}✗{BAD:#} {name} not signed in for {client}: {reason}")
                }
            })?;
        }
        if skipped > 0 {
            let skipped = count(skipped, "entry");
            run.out.line(format!("{DIM}{skipped} without a refresh token skipped{DIM:#}"))?;
        }
    }
    if refused > 0 {
        let all = count(tokens.len(), "refresh token");
        return Err(Failure::Server(format!("{refused} of {all} could not be redeemed")));
    }
    Ok(if tokens.is_empty() { Outcome::Found } else { Outcome::Done })
}

/// The refresh tokens of a document, and the number of entries without one: those of apps.
fn parse(text: &str) -> Result<(Vec<AdalToken>, usize), serde_json::Error> {
    let entries: Vec<AdalEntry> = serde_json::from_str(text)?;
    let (mut tokens, mut skipped) = (Vec::<AdalToken>::new(), 0);
    let (mut known, mut seen) = (HashMap::new(), HashSet::new());
    for entry in entries {
        let (Some(client), Some(refresh_token), Some(authority)) =
            (entry.client, entry.refresh_token, entry.authority)
        else {
            skipped += 1;
            continue;
        };
        let next = tokens.len();
        let at = *known.entry((client.clone(), refresh_token.clone())).or_insert(next);
        if at == next {
            let refresh_token = refresh_token.into();
            tokens.push(AdalToken { client, user: entry.user, refresh_token, uses: Vec::new() });
        }
        if seen.insert((at, authority.clone())) {
            tokens[at].uses.push((authority, entry.resource));
        }
    }
    Ok((tokens, skipped))
}

/// Redeems a refresh token at the first authority that accepts it. The error within is the reason why
/// there is none; the one outside is that of the store.
fn redeem(
    cache: &Cache,
    token: &AdalToken,
    endpoint: &HttpEndpoint,
) -> Result<Result<Option<AccountInfo>, String>, Failure> {
    let mut refused = None;
    for (authority, resource) in &token.uses {
        let authority = match known(endpoint, authority) {
            Ok(authority) => authority,
            Err(error) => {
                refused.get_or_insert(printable(&error.message()));
                continue;
            }
        };
        // As Azure CLI, in `resource_to_scopes`.
        let scope = resource.iter().filter(|it| !it.is_empty()).map(|it| format!("{it}/.default"));
        let client = cache.client(&token.client, authority);
        match client.acquire_token_by_refresh_token(&token.refresh_token, scope, endpoint) {
            Ok(token) => return Ok(Ok(token.account())),
            Err(AcquireError::NotStored { source, .. }) => return Err(Failure::Shared(source)),
            Err(AcquireError::Cache(error)) => return Err(Failure::Shared(error)),
            Err(error) => refused.get_or_insert(chain(&error)),
        };
    }
    Ok(Err(refused.unwrap_or_default()))
}

fn as_json(
    token: &AdalToken,
    account: Option<&Option<AccountInfo>>,
    error: Option<&String>,
) -> Value {
    let account = account.and_then(Option::as_ref);
    json!({
        "username": account.and_then(AccountInfo::username).or(token.user.as_deref()),
        "home_account_id": account.map(AccountInfo::home_account_id),
        "client_id": token.client,
        "error": error,
    })
}
