//! What an app would get without asking its user, and why.

use std::collections::HashSet;

use msal_cache::{
    AccountInfo, CacheStore, Candidate, Entry, RefreshReason, Role, SilentPlan, SilentRequest,
    TokenCache, Verdict,
};
use serde_json::{Value, json};

use crate::args::{Type, Wanted};
use crate::failure::{Failure, Outcome, printable};
use crate::out::{BAD, BOLD, DIM, GOOD, Out, WARN, count};
use crate::select::{Users, expires_on, stored_at, type_of};
use crate::table::{Cell, Column, Table};
use crate::{Run, clients, redact, tokens};

/// Where tokens come from unless something else is known.
const PUBLIC_CLOUD: &str = "login.microsoftonline.com";

/// A request, and what would come of it.
struct Asked {
    home: Option<String>,
    environment: String,
    tenant: String,
    plan: SilentPlan,
}

impl Asked {
    /// The token that is in the cache and good; one that is only to be refreshed by now is.
    fn token(&self) -> Option<&Entry> {
        let aging = self.plan.refresh_reason() == Some(RefreshReason::Aging);
        self.plan.cached().or_else(|| self.plan.fallback().filter(|_| aging))
    }

    /// What the library would do.
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
    store: &str,
    wanted: &Wanted,
    show_secrets: bool,
) -> Result<Outcome, Failure> {
    if Out::is_terminal() && !show_secrets {
        let reason = "this is a terminal, and the token would stay on the screen";
        let hint = "pass it on, as in $(msal-cache get-token ...), or add --show-secrets";
        return Err(Failure::usage(reason).with_hint(hint));
    }
    let loaded = run.load(store)?;
    let users = Users::of(&loaded.entries);
    let asked = ask(&loaded.cache, &loaded.entries, &users, wanted)?;
    let token = asked.token().and_then(Entry::access_token);
    let Some(token) = token else {
        let reason = match asked.outcome() {
            "refresh" => "there is no good token in the cache: it has to be refreshed",
            "sign-in" => "there is no good token in the cache, and none to refresh one with",
            _ => "there is no good token in the cache",
        };
        let hint = "`msal-cache why`, with the same flags, tells what was looked at";
        return Err(Failure::nothing(reason).with_hint(hint));
    };
    if run.out.json {
        run.out.json(&json!({
            "token": redact::bearer(token),
            "token_type": token.token_type().unwrap_or("Bearer"),
            "expires_on": token.expires_on(),
            "scopes": token.scopes().collect::<Vec<_>>(),
        }))?;
    } else {
        run.out.line(redact::bearer(token))?;
    }
    Ok(Outcome::Done)
}

pub(crate) fn why(run: &mut Run<'_>, store: &str, wanted: &Wanted) -> Result<Outcome, Failure> {
    let loaded = run.load(store)?;
    let users = Users::of(&loaded.entries);
    let asked = ask(&loaded.cache, &loaded.entries, &users, wanted)?;
    let outcome = if asked.plan.cached().is_some() { Outcome::Done } else { Outcome::Found };
    if run.out.json {
        run.out.json(&as_json(&asked, wanted, &users, run.now()))?;
    } else {
        explain(run, &asked, wanted, &users)?;
    }
    Ok(outcome)
}

/// Plans the request, for the tenant that was given or for each that it may be about.
fn ask<S: CacheStore>(
    cache: &TokenCache<S>,
    entries: &[Entry],
    users: &Users,
    wanted: &Wanted,
) -> Result<Asked, Failure> {
    let home = wanted.account.as_deref().map(|account| users.one(account)).transpose()?;
    let request = match home {
        Some(home) => SilentRequest::new(&wanted.scope, &AccountInfo::of(home)),
        None => SilentRequest::for_client(&wanted.scope),
    };
    let mut first = None;
    for (environment, tenant) in authorities(entries, home, wanted) {
        let client = cache.client(&wanted.client, format!("https://{environment}/{tenant}"));
        let plan = client.plan(&request)?;
        let asked = Asked { home: home.map(str::to_owned), environment, tenant, plan };
        if asked.token().is_some() {
            return Ok(asked);
        }
        first.get_or_insert(asked);
    }
    first.ok_or_else(|| Failure::usage("it doesn't tell for which tenant; add --tenant"))
}

/// The authorities that the request may be about: what the flags say, or else where the client
/// has tokens of the user from, and the user's home.
fn authorities(entries: &[Entry], home: Option<&str>, wanted: &Wanted) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let of_user = |it: &&Entry| redact::text(it, "home_account_id").as_deref() == home;
    let of_client = |it: &&Entry| redact::text(it, "client_id").as_deref() == Some(&wanted.client);
    let text = |entry: &Entry, name| redact::text(entry, name).map(String::from);
    let tokens =
        entries.iter().filter(|it| type_of(it) == Type::Access).filter(of_user).filter(of_client);
    let accounts = entries.iter().filter(|it| type_of(it) == Type::Account).filter(of_user);
    for entry in tokens.chain(accounts) {
        let environment = wanted.environment.clone().or_else(|| text(entry, "environment"));
        let tenant = wanted.tenant.clone().or_else(|| text(entry, "realm"));
        found.extend(environment.zip(tenant));
    }
    let utid = home.and_then(|home| Some(home.rsplit_once('.')?.1.to_owned()));
    let environment = wanted.environment.clone().unwrap_or_else(|| PUBLIC_CLOUD.into());
    found.extend(wanted.tenant.clone().or(utid).map(|tenant| (environment, tenant)));
    let mut seen = HashSet::new();
    found.retain(|authority| seen.insert(authority.clone()));
    found
}

fn explain(
    run: &mut Run<'_>,
    asked: &Asked,
    wanted: &Wanted,
    users: &Users,
) -> Result<(), Failure> {
    let who = asked.home.as_deref().map_or("the app itself", |home| users.name(home));
    let mut table = Table::new([Column::new(""), Column::new("")]);
    for (name, text) in [
        ("user", who.to_owned()),
        ("client", clients::long(&wanted.client)),
        ("tenant", format!("{} at {}", asked.tenant, asked.environment)),
        ("scopes", wanted.scope.join(" ")),
    ] {
        table.row([Cell::dim(name), Cell::new(text)]);
    }
    run.out.table(&table)?;

    let candidates = asked.plan.candidates();
    let whose = if asked.home.is_some() { "of this user" } else { "of the app itself" };
    let number = count(candidates.len(), "access token");
    run.out.line(format!("\n{BOLD}In the cache: {number} {whose}{BOLD:#}"))?;
    for (verdict, ids) in verdicts(run, candidates) {
        run.out.line(format!("  {verdict}  {DIM}{ids}{DIM:#}"))?;
    }
    if asked.plan.cached().is_none() && asked.home.is_some() {
        // One that occurs twice is traded once.
        let mut seen = HashSet::new();
        let attempts: Vec<_> =
            asked.plan.attempts().iter().filter(|it| seen.insert(redact::id(it.entry()))).collect();
        let number = count(attempts.len(), "refresh token");
        run.out.line(format!("\n{BOLD}To trade for a new one: {number}{BOLD:#}"))?;
        for (at, attempt) in attempts.iter().enumerate() {
            let role = match (attempt.role(), redact::text(attempt.entry(), "family_id")) {
                (Role::MaybeFamily, Some(family)) => {
                    format!("of family {family}, to which the client may belong")
                }
                (Role::Family, Some(family)) => format!("of family {family}, the client's"),
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
    let answer = answer(run, asked);
    run.out.line(answer)?;
    Ok(())
}

/// What was found about the access tokens: those of one verdict together, the nearest to a token
/// that could be used first.
fn verdicts(run: &Run<'_>, candidates: &[Candidate]) -> Vec<(String, String)> {
    const MOST: usize = 3;
    let mut groups = Vec::<(u8, String, Vec<String>)>::new();
    for candidate in candidates {
        let (rank, text) = told(run, candidate);
        let id = redact::id(candidate.entry());
        match groups.iter_mut().find(|(_, known, _)| *known == text) {
            Some((_, _, ids)) => ids.push(id),
            None => groups.push((rank, text, vec![id])),
        }
    }
    groups.sort_by_key(|(rank, ..)| *rank);
    let lines = groups.into_iter().map(|(rank, text, ids)| {
        let style = match rank {
            0 => GOOD,
            1 => WARN,
            _ => BAD,
        };
        let mut shown = ids.iter().take(MOST).cloned().collect::<Vec<_>>().join(" ");
        if ids.len() > MOST {
            shown.push_str(" ...");
        }
        (format!("{:>3}  {style}{}{style:#}", ids.len(), printable(&text)), shown)
    });
    lines.collect()
}

fn told(run: &Run<'_>, candidate: &Candidate) -> (u8, String) {
    let calendar = &run.out.calendar;
    let expiry = expires_on(candidate.entry()).map(|at| calendar.both(at)).unwrap_or_default();
    match candidate.verdict() {
        Verdict::Good => (0, format!("good, expires {expiry}")),
        Verdict::Aging(_) => (0, format!("good, expires {expiry}, to be refreshed by now")),
        Verdict::AboutToExpire(_) => (1, format!("too close to its expiry {expiry}")),
        Verdict::Expired(_) => (2, format!("expired {expiry}")),
        Verdict::LacksScopes(scopes) => (3, format!("without scope {}", scopes.join(" "))),
        other => (4, other.to_string()),
    }
}

/// The answer in a sentence.
fn answer(run: &Run<'_>, asked: &Asked) -> String {
    if let Some(entry) = asked.plan.cached() {
        let (id, at) = (redact::id(entry), expires_on(entry).unwrap_or_default());
        let expires = run.out.calendar.relative(at);
        return format!("{GOOD}Token {id} would be returned{GOOD:#}; it expires {expires}.");
    }
    let fallback = match asked.plan.fallback().map(redact::id) {
        Some(id) if asked.token().is_some() => format!(" Should that fail, {id} is returned."),
        Some(id) => format!(" Should there be no answer, {id} is returned."),
        None => String::new(),
    };
    match asked.outcome() {
        "refresh" => format!(
            "{WARN}The server would be asked{WARN:#}, with the first refresh token that it takes.{fallback}"
        ),
        "client-credential" => format!(
            "{WARN}The server would be asked{WARN:#}, with the credential of the client.{fallback}"
        ),
        _ => format!(
            "{BAD}The user has to sign in{BAD:#}: there is no token, and none to refresh one with.{fallback}"
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
        Verdict::PassedOver => "passed-over",
        Verdict::ClockMovedBack(_) => "clock-moved-back",
        Verdict::Expired(_) => "expired",
        Verdict::AboutToExpire(_) => "about-to-expire",
        Verdict::Aging(_) => "aging",
        _ => "other",
    }
}

fn as_json(asked: &Asked, wanted: &Wanted, users: &Users, now: i64) -> Value {
    let candidates = asked.plan.candidates().iter().map(|it| {
        json!({
            "id": redact::id(it.entry()),
            "verdict": verdict_name(it.verdict()),
            "message": it.verdict().to_string(),
        })
    });
    let attempts = asked.plan.attempts().iter().map(|it| {
        let role = match it.role() {
            Role::MaybeFamily => "maybe-family",
            Role::Family => "family",
            _ => "own",
        };
        json!({"id": redact::id(it.entry()), "role": role})
    });
    json!({
        "outcome": asked.outcome(),
        "home_account_id": asked.home,
        "client_id": wanted.client,
        "environment": asked.environment,
        "tenant": asked.tenant,
        "scopes": wanted.scope,
        "token": asked.plan.cached().map(|it| tokens::as_json(it, users, now)),
        "reason": asked.plan.refresh_reason().map(|it| it.to_string()),
        "candidates": candidates.collect::<Vec<_>>(),
        "attempts": attempts.collect::<Vec<_>>(),
        "fallback": asked.plan.fallback().map(redact::id),
    })
}
