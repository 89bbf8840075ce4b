//! Plans silent requests: `why` and `get-token`.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;

use msal_cache::acquire::RefreshReason;
use msal_cache::entry::AccessToken;
use msal_cache::plan::{Candidate, Role, SilentPlan, Verdict};
use msal_cache::store::CacheStore;
use msal_cache::{AccountInfo, Authority, Entry, SilentRequest, TokenCache};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, printable};
use crate::flags::{RefreshArgs, TokenArgs, Type};
use crate::out::{BAD, BOLD, DIM, GOOD, Out, WARN, count};
use crate::run::Run;
use crate::select::{Users, expires_on, stored_at, type_of};
#[cfg(feature = "http")]
use crate::sign_in;
use crate::store::Access;
use crate::table::{Cell, Column, Table};
use crate::{clients, redact, tokens};

/// The maximum number of authorities for which a request is planned.
const MAX_AUTHORITIES: usize = 50;

/// The authority host if no other is known.
const PUBLIC_CLOUD: &str = "login.microsoftonline.com";

/// A silent request and its plan.
struct PlannedRequest {
    home: Option<String>,
    environment: String,
    tenant: String,
    plan: SilentPlan,
}

impl PlannedRequest {
    /// The valid token in the cache, which may be due for a refresh.
    fn token(&self) -> Option<&Entry> {
        let aging = self.plan.refresh_reason() == Some(RefreshReason::Aging);
        self.plan.cached().or_else(|| self.plan.fallback().filter(|_| aging))
    }

    /// What the library would do, as a stable name.
    fn outcome(&self) -> &'static str {
        match (&self.home, self.plan.cached(), self.plan.attempts()) {
            (_, Some(_), _) => "cached",
            (None, None, _) => "client-credential",
            (Some(_), None, []) => "sign-in",
            (Some(_), None, _) => "refresh",
        }
    }
}

pub(crate) fn get_token(
    run: &mut Run<'_>,
    name: &OsStr,
    args: &TokenArgs,
    refresh: &RefreshArgs,
    show_secrets: bool,
) -> Result<Outcome, Failure> {
    if Out::is_terminal() && !show_secrets {
        let reason = "standard output is a terminal, and the token would stay on the screen";
        let hint = "use $(msal-cache get-token ...) in a command, or add --show-secrets";
        return Err(Failure::usage(reason).with_hint(hint));
    }
    let loaded = run.load(name, if refreshes(refresh) { Access::Change } else { Access::Read })?;
    let users = Users::of(&loaded.entries);
    #[cfg(feature = "http")]
    if refreshes(refresh) {
        let content = (&loaded.cache, &*loaded.entries);
        return refreshed(run, content, &users, args, refresh);
    }
    let request = plan(&loaded.cache, &loaded.entries, &users, args)?;
    let token = request.token().and_then(Entry::access_token);
    let Some(token) = token else {
        let reason = match request.outcome() {
            "refresh" => "the cache has no valid token for this request: a refresh is needed",
            "sign-in" => "the cache has no valid token and no refresh token for this request",
            _ => "the cache has no valid token for this request",
        };
        let hint = "`msal-cache why` with the same options shows the tokens that were considered";
        return Err(Failure::nothing(reason).with_hint(hint));
    };
    print_token(run, token)
}

/// Prints a token of a user, after a refresh where that is necessary. Where it isn't, nothing is requested.
#[cfg(feature = "http")]
fn refreshed<S: CacheStore>(
    run: &mut Run<'_>,
    (cache, entries): (&TokenCache<S>, &[Entry]),
    users: &Users,
    args: &TokenArgs,
    refresh: &RefreshArgs,
) -> Result<Outcome, Failure> {
    let home = users.one(args.account.as_deref().unwrap_or_default())?;
    let wish = SilentRequest::new(&args.scope, &AccountInfo::of(home));
    let planned = match &refresh.issuer {
        Some(issuer) => {
            let authority = Authority::oidc(issuer, issuer)?;
            let plan = cache.client(&args.client, &authority).plan(&wish)?;
            let (environment, tenant) = (authority.environment().to_owned(), String::new());
            PlannedRequest { home: Some(home.to_owned()), environment, tenant, plan }
        }
        None => plan(cache, entries, users, args)?,
    };
    if let Some(token) = planned.plan.cached().and_then(Entry::access_token) {
        return print_token(run, token);
    }
    let endpoint = refresh.token_endpoint.as_deref();
    let endpoint = sign_in::endpoint(endpoint, refresh.no_instance_discovery)?;
    let authority = match &refresh.issuer {
        Some(issuer) => sign_in::of_issuer(&endpoint, issuer),
        None => sign_in::known(
            &endpoint,
            &format!("https://{}/{}", planned.environment, planned.tenant),
        ),
    };
    match (authority, planned.token().and_then(Entry::access_token)) {
        (Ok(authority), _) => {
            let client = cache.client(&args.client, authority);
            let token = sign_in::refresh(&client, &wish, &endpoint)?;
            print_token(run, token.access_token())
        }
        // It is due for a refresh, and valid.
        (Err(_), Some(token)) => print_token(run, token),
        (Err(failure), None) => Err(failure),
    }
}

/// Whether a refresh is asked for, which changes the store.
fn refreshes(args: &RefreshArgs) -> bool {
    #[cfg(feature = "http")]
    return args.refresh;
    #[cfg(not(feature = "http"))]
    {
        let RefreshArgs {} = args;
        false
    }
}

fn print_token(run: &mut Run<'_>, token: AccessToken<'_>) -> Result<Outcome, Failure> {
    if run.out.json {
        run.out.json(&json!({
            "token": redact::bearer(token),
            "token_type": token.token_type().unwrap_or("Bearer"),
            "expires_on": token.expires_on(),
            "scopes": token.scopes().collect::<Vec<_>>(),
        }))?;
    } else {
        run.out.product(redact::bearer(token))?;
    }
    Ok(Outcome::Done)
}

pub(crate) fn why(run: &mut Run<'_>, name: &OsStr, args: &TokenArgs) -> Result<Outcome, Failure> {
    let loaded = run.load(name, Access::Read)?;
    let users = Users::of(&loaded.entries);
    let request = plan(&loaded.cache, &loaded.entries, &users, args)?;
    let outcome = if request.plan.cached().is_some() { Outcome::Done } else { Outcome::Found };
    if run.out.json {
        run.out.json(&as_json(&request, args, &users, run.now()))?;
    } else {
        explain(run, &request, args, &users)?;
    }
    Ok(outcome)
}

/// Plans the request for each candidate authority, and returns the first plan with a valid token,
/// or else the first plan.
fn plan<S: CacheStore>(
    cache: &TokenCache<S>,
    entries: &[Entry],
    users: &Users,
    args: &TokenArgs,
) -> Result<PlannedRequest, Failure> {
    let home = args.account.as_deref().map(|account| users.one(account)).transpose()?;
    let request = match home {
        Some(home) => SilentRequest::new(&args.scope, &AccountInfo::of(home)),
        None => SilentRequest::for_client(&args.scope),
    };
    let authorities = authorities(entries, home, args);
    if authorities.len() > MAX_AUTHORITIES {
        let tenants = count(authorities.len(), "tenant");
        let reason = format!("there are tokens or accounts of this user in {tenants}");
        return Err(Failure::usage(reason).with_hint("add --tenant and --environment"));
    }
    let (mut first, mut invalid) = (None, None);
    for (environment, tenant) in authorities {
        // What a record says may be no authority, such as the realm `tfp`.
        let authority = match Authority::parse(&format!("https://{environment}/{tenant}")) {
            Ok(authority) => authority,
            Err(error) => {
                invalid.get_or_insert(error);
                continue;
            }
        };
        let client = cache.client(&args.client, authority);
        let plan = client.plan(&request)?;
        let candidate = PlannedRequest { home: home.map(str::to_owned), environment, tenant, plan };
        if candidate.token().is_some() {
            return Ok(candidate);
        }
        first.get_or_insert(candidate);
    }
    first.ok_or_else(|| match invalid {
        Some(error) => error.into(),
        None => Failure::usage("the tenant is unknown; add --tenant"),
    })
}

/// The candidate authorities, as host and tenant: the options, or else those of the client's access
/// tokens for the user, those of the user's accounts, and the user's home tenant.
fn authorities(entries: &[Entry], home: Option<&str>, args: &TokenArgs) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let of_user = |it: &&Entry| redact::text(it, "home_account_id").as_deref() == home;
    let of_client = |it: &&Entry| redact::text(it, "client_id").as_deref() == Some(&args.client);
    let text = |entry: &Entry, name| redact::text(entry, name).map(String::from);
    let tokens =
        entries.iter().filter(|it| type_of(it) == Type::Access).filter(of_user).filter(of_client);
    let accounts = entries.iter().filter(|it| type_of(it) == Type::Account).filter(of_user);
    for entry in tokens.chain(accounts) {
        let environment = args.environment.clone().or_else(|| text(entry, "environment"));
        let tenant = args.tenant.clone().or_else(|| text(entry, "realm"));
        found.extend(environment.zip(tenant));
    }
    let utid = home.and_then(|home| Some(home.rsplit_once('.')?.1.to_owned()));
    let environment = args.environment.clone().unwrap_or_else(|| PUBLIC_CLOUD.into());
    found.extend(args.tenant.clone().or(utid).map(|tenant| (environment, tenant)));
    let mut seen = HashSet::new();
    found.retain(|authority| seen.insert(authority.clone()));
    found
}

fn explain(
    run: &mut Run<'_>,
    request: &PlannedRequest,
    args: &TokenArgs,
    users: &Users,
) -> Result<(), Failure> {
    let who = request.home.as_deref().map_or("the app itself", |home| users.name(home));
    let mut table = Table::new([Column::new(""), Column::new("")]);
    for (name, text) in [
        ("user", who.to_owned()),
        ("client", clients::long(&args.client)),
        ("tenant", format!("{} at {}", request.tenant, request.environment)),
        ("scopes", args.scope.join(" ")),
    ] {
        table.row([Cell::dim(name), Cell::new(text)]);
    }
    run.out.table(&table)?;

    let candidates = request.plan.candidates();
    let owner = if request.home.is_some() { "for this user" } else { "for the app itself" };
    let number = count(candidates.len(), "access token");
    run.out.line(format!("\n{BOLD}In the cache: {number} {owner}{BOLD:#}"))?;
    for (verdict, ids) in verdicts(run, candidates) {
        run.out.line(format!("  {verdict}  {DIM}{ids}{DIM:#}"))?;
    }
    if request.plan.cached().is_none() && request.home.is_some() {
        // A refresh token that occurs twice is redeemed once.
        let mut seen = HashSet::new();
        let attempts: Vec<_> = request
            .plan
            .attempts()
            .iter()
            .filter(|it| seen.insert(redact::id(it.entry())))
            .collect();
        let number = count(attempts.len(), "refresh token");
        run.out.line(format!("\n{BOLD}Usable for a refresh: {number}{BOLD:#}"))?;
        for (at, attempt) in attempts.iter().enumerate() {
            let role = match (attempt.role(), redact::text(attempt.entry(), "family_id")) {
                (Role::MaybeFamily, Some(family)) => {
                    format!("family {family} (the client may be a member)")
                }
                (Role::Family, Some(family)) => format!("family {family} (the client is a member)"),
                _ => "the client's own".into(),
            };
            let stored = stored_at(attempt.entry());
            let stored = stored.map(|at| format!(", stored {}", run.out.calendar.relative(at)));
            let (id, stored) = (redact::id(attempt.entry()), stored.unwrap_or_default());
            let role = printable(&role);
            run.out.line(format!("  {}. {role}{stored}  {DIM}{id}{DIM:#}", at + 1))?;
        }
    }
    run.out.line("")?;
    let answer = answer(run, request);
    run.out.line(answer)?;
    Ok(())
}

/// The verdicts on the access tokens, each with its count and token ids; the closest to a usable
/// token come first.
fn verdicts(run: &Run<'_>, candidates: &[Candidate]) -> Vec<(String, String)> {
    const MAX_IDS: usize = 3;
    let mut groups = Vec::<(u8, String, Vec<String>)>::new();
    let mut known = HashMap::new();
    for candidate in candidates {
        let (rank, text) = describe(run, candidate);
        let group = *known.entry(text.clone()).or_insert(groups.len());
        if group == groups.len() {
            groups.push((rank, text, Vec::new()));
        }
        groups[group].2.push(redact::id(candidate.entry()));
    }
    groups.sort_by_key(|(rank, ..)| *rank);
    let lines = groups.into_iter().map(|(rank, text, ids)| {
        let style = match rank {
            0 => GOOD,
            1 => WARN,
            _ => BAD,
        };
        let mut shown = ids.iter().take(MAX_IDS).cloned().collect::<Vec<_>>().join(" ");
        if ids.len() > MAX_IDS {
            shown.push_str(" ...");
        }
        (format!("{:>3}  {style}{}{style:#}", ids.len(), printable(&text)), shown)
    });
    lines.collect()
}

/// A verdict as text, with the rank by which verdicts are sorted.
fn describe(run: &Run<'_>, candidate: &Candidate) -> (u8, String) {
    let calendar = &run.out.calendar;
    let expiry = expires_on(candidate.entry()).map(|at| calendar.both(at)).unwrap_or_default();
    match candidate.verdict() {
        Verdict::Good => (0, format!("valid, expires {expiry}")),
        Verdict::Aging(_) => (0, format!("valid, expires {expiry}, due for a refresh")),
        Verdict::AboutToExpire(_) => (1, format!("expires too soon: {expiry}")),
        Verdict::Expired(_) => (2, format!("expired {expiry}")),
        Verdict::LacksScopes(scopes) => (3, format!("lacks scope {}", scopes.join(" "))),
        other => (4, other.to_string()),
    }
}

/// The outcome as a sentence.
fn answer(run: &Run<'_>, request: &PlannedRequest) -> String {
    if let Some(entry) = request.plan.cached() {
        let (id, at) = (redact::id(entry), expires_on(entry).unwrap_or_default());
        let expires = run.out.calendar.relative(at);
        return format!("{GOOD}Token {id} would be returned{GOOD:#}; it expires {expires}.");
    }
    let fallback = match request.plan.fallback().map(redact::id) {
        Some(id) if request.token().is_some() => format!(" If that fails, token {id} is returned."),
        Some(id) => format!(" If the server doesn't answer, token {id} is returned."),
        None => String::new(),
    };
    match request.outcome() {
        "refresh" => format!(
            "{WARN}A refresh is needed{WARN:#}: the refresh tokens are tried in the order shown.{fallback}"
        ),
        "client-credential" => format!(
            "{WARN}A token request is needed{WARN:#}, with the credential of the client.{fallback}"
        ),
        _ => format!(
            "{BAD}The user has to sign in{BAD:#}: there is no valid token and no refresh token.{fallback}"
        ),
    }
}

fn verdict_name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Unreadable(_) => "unreadable",
        Verdict::OtherUser => "other-user",
        Verdict::OtherClient => "other-client",
        Verdict::OtherEnvironment => "other-environment",
        Verdict::OtherTenant => "other-tenant",
        Verdict::OtherTokenType => "other-token-type",
        Verdict::OtherKey => "other-key",
        Verdict::OtherExtendedCacheKey => "other-extended-cache-key",
        Verdict::LacksScopes(_) => "lacks-scopes",
        Verdict::Skipped => "skipped",
        Verdict::ClockMovedBack(_) => "clock-moved-back",
        Verdict::Expired(_) => "expired",
        Verdict::AboutToExpire(_) => "about-to-expire",
        Verdict::Aging(_) => "aging",
        _ => "other",
    }
}

fn as_json(request: &PlannedRequest, args: &TokenArgs, users: &Users, now: i64) -> Value {
    let candidates = request.plan.candidates().iter().map(|it| {
        json!({
            "id": redact::id(it.entry()),
            "verdict": verdict_name(it.verdict()),
            "message": it.verdict().to_string(),
        })
    });
    let attempts = request.plan.attempts().iter().map(|it| {
        let role = match it.role() {
            Role::MaybeFamily => "maybe-family",
            Role::Family => "family",
            _ => "own",
        };
        json!({"id": redact::id(it.entry()), "role": role})
    });
    json!({
        "outcome": request.outcome(),
        "home_account_id": request.home,
        "client_id": args.client,
        "environment": request.environment,
        "tenant": request.tenant,
        "scopes": args.scope,
        "token": request.plan.cached().map(|it| tokens::as_json(it, users, now)),
        "reason": request.plan.refresh_reason().map(|it| it.to_string()),
        "candidates": candidates.collect::<Vec<_>>(),
        "attempts": attempts.collect::<Vec<_>>(),
        "fallback": request.plan.fallback().map(redact::id),
    })
}
