//! What needs the network: `sign-in`, and the refresh of `get-token`.

use std::ffi::OsStr;
use std::io;

use msal_cache::acquire::AcquiredToken;
use msal_cache::http::{HttpEndpoint, MetadataError};
use msal_cache::sign_in::SignInError;
use msal_cache::store::CacheStore;
use msal_cache::{AccountInfo, AcquireError, Authority, Client, Error, SilentRequest};
use serde_json::json;

use crate::failure::{Failure, Outcome, complain, printable};
use crate::flags::SignInArgs;
use crate::run::Run;
use crate::store::Access;

/// Signs a user in, and stores the tokens.
pub(crate) fn sign_in(
    run: &mut Run<'_>,
    name: &OsStr,
    args: &SignInArgs,
) -> Result<Outcome, Failure> {
    let (store, cache) = run.open(name, Access::Create)?;
    let endpoint = endpoint(args.token_endpoint.as_deref(), args.no_instance_discovery)?;
    let authority = match (&args.issuer, &args.tenant) {
        (Some(issuer), _) => of_issuer(&endpoint, issuer)?,
        (None, tenant) => {
            let tenant = tenant.as_deref().unwrap_or_default();
            known(&endpoint, &format!("https://{}/{tenant}", args.environment))?
        }
    };
    let client = cache.client(&args.client, authority);
    let token = if args.device_code {
        by_device_code(&client, &endpoint, args)
    } else {
        by_browser(&client, &endpoint, args)
    };
    let token = token.map_err(failed)?;
    let account = token.account();
    let username = account.as_ref().and_then(|it| it.username());
    if run.out.json {
        run.out.json(&json!({
            "username": username,
            "home_account_id": account.as_ref().map(AccountInfo::home_account_id),
            "client_id": args.client,
            "expires_on": token.access_token().expires_on(),
            "scopes": token.access_token().scopes().collect::<Vec<_>>(),
        }))?;
    } else {
        let who = printable(username.unwrap_or("a user without a name"));
        run.out.line(format!("Signed in {who}; the tokens are in {}", store.text()))?;
    }
    Ok(Outcome::Done)
}

fn by_browser<S: CacheStore>(
    client: &Client<S>,
    endpoint: &HttpEndpoint,
    args: &SignInArgs,
) -> Result<AcquiredToken, SignInError> {
    let mut sign_in = client.sign_in(&args.scope).port(args.port).timeout(args.timeout);
    if let Some(name) = &args.account {
        sign_in = sign_in.login_hint(name);
    }
    if let Some(address) = &args.authorization_endpoint {
        sign_in = sign_in.authorization_endpoint(address);
    }
    if args.no_browser {
        // For programs, too: standard output has the result only.
        sign_in = sign_in.open_with(|address| {
            complain(&format!("To sign in, open {address}"));
            Ok(())
        });
    }
    sign_in.run(endpoint)
}

fn by_device_code<S: CacheStore>(
    client: &Client<S>,
    endpoint: &HttpEndpoint,
    args: &SignInArgs,
) -> Result<AcquiredToken, SignInError> {
    let sign_in = client.device_code(&args.scope).timeout(args.timeout);
    sign_in.run(endpoint, |flow| complain(&printable(flow.message())))
}

/// Acquires a token silently, by the refresh tokens of the cache.
pub(crate) fn refresh<S: CacheStore>(
    client: &Client<S>,
    request: &SilentRequest,
    endpoint: &HttpEndpoint,
) -> Result<AcquiredToken, Failure> {
    match client.acquire(request, endpoint) {
        // The token is valid; the reason why it isn't stored follows it.
        Err(AcquireError::NotStored { token, source }) => {
            complain(&format!("warning: the token is not stored: {source}"));
            Ok(*token)
        }
        Err(AcquireError::InteractionRequired(why)) => {
            let hint = "sign in by `msal-cache sign-in`, with the same client, or by another app";
            Err(Failure::nothing(printable(&why.to_string())).with_hint(hint))
        }
        Err(AcquireError::Invalid(error)) => Err(Failure::usage(error.to_string())),
        Err(AcquireError::Cache(error)) => Err(Failure::Shared(error)),
        result => result.map_err(|error| Failure::Server(chain(&error))),
    }
}

/// The authority with the endpoints of its metadata document, if they are not known otherwise.
pub(crate) fn known(endpoint: &HttpEndpoint, authority: &str) -> Result<Authority, Failure> {
    endpoint.discover_unknown(&Authority::parse(authority)?).map_err(undiscovered)
}

/// The provider of an issuer.
pub(crate) fn of_issuer(endpoint: &HttpEndpoint, issuer: &str) -> Result<Authority, Failure> {
    endpoint.discover_issuer(issuer).map_err(undiscovered)
}

fn undiscovered(error: MetadataError) -> Failure {
    match error {
        MetadataError::Invalid(error) => error.into(),
        MetadataError::UnknownHost { host, .. } => Failure::Server(format!(
            "Microsoft doesn't know the host {}; if it is that of a private cloud or of a domain of your own, \
             add --no-instance-discovery",
            printable(&host)
        )),
        error => Failure::Server(chain(&error)),
    }
}

pub(crate) fn endpoint(
    token_endpoint: Option<&str>,
    no_instance_discovery: bool,
) -> Result<HttpEndpoint, Error> {
    let builder = HttpEndpoint::builder()
        .app("msal-cache", env!("CARGO_PKG_VERSION"))
        .instance_discovery(!no_instance_discovery);
    match token_endpoint {
        Some(address) => builder.token_endpoint(address).build(),
        None => builder.build(),
    }
}

fn failed(error: SignInError) -> Failure {
    match error {
        SignInError::Invalid(error) => error.into(),
        SignInError::NotStored { source, .. } => Failure::Shared(source),
        error => Failure::Server(chain(&error)),
    }
}

/// An error with its causes. Those of the library print no secret.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) && error.downcast_ref::<io::Error>().is_none() {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    printable(&text)
}
