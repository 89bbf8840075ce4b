use std::cmp::Reverse;
use std::collections::HashSet;

use msal_cache_core::{CredentialType, seconds};

use crate::client::asked::Asked;
use crate::client::hosts::Hosts;
use crate::{Entry, RefreshReason};

/// A token that was stored so many seconds in the future, or more, says that the clock was moved
/// back. Less is what the clocks of two machines differ by.
const CLOCKS_DIFFER: i64 = 300;

/// The family whose refresh tokens a client may try that doesn't know yet whether it belongs to
/// one: the only one there is.
const FIRST_PARTY: &str = "1";

/// What a silent acquisition would do, step by step: made from what is in the cache, without
/// changing it and without asking anybody.
///
/// [`Client::plan`](crate::Client::plan) makes one, for whoever wants to know why a token is
/// refreshed or why a person has to sign in;
/// [`Client::acquire`](crate::Client::acquire) makes the same one, and carries it out. `Display`
/// tells it as text, without secrets and user names.
///
/// ```
/// use msal_cache::{AccountInfo, SilentRequest, TokenCache};
///
/// let cache = TokenCache::in_memory();
/// let client = cache.client("client-id", "https://login.microsoftonline.com/common");
/// let request = SilentRequest::new(["User.Read"], &AccountInfo::of("uid.utid"));
/// let plan = client.plan(&request)?;
/// assert!(plan.cached().is_none() && plan.attempts().is_empty());
/// assert!(plan.to_string().contains("the user has to sign in"));
/// # Ok::<(), msal_cache::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SilentPlan {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) cached: Option<Entry>,
    pub(crate) reason: Option<RefreshReason>,
    pub(crate) fallback: Option<Fallback>,
    pub(crate) family: ClientFamily,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) is_for_client: bool,
    pub(crate) token_endpoint: String,
}

/// An access token that was looked at.
#[derive(Clone, Debug)]
pub struct Candidate {
    entry: Entry,
    verdict: Verdict,
}

/// What was found about an access token: the first thing, in this order, that keeps it from being
/// given out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It can be given out.
    Good,
    /// It can't be read, for this reason.
    Unreadable(&'static str),
    /// It is another user's.
    OtherUser,
    /// It is another client's.
    OtherClient,
    /// It is of another cloud.
    OtherEnvironment,
    /// It is for another tenant.
    OtherTenant,
    /// It is of another type than is asked for, such as `pop` instead of `Bearer`.
    OtherTokenType,
    /// It is bound to another key, or to one where none is asked for.
    OtherKey,
    /// Its extended cache key is another one.
    OtherExtendedCacheKey,
    /// These scopes are asked for, and it lacks them.
    LacksScopes(Vec<String>),
    /// The request wants a new one.
    PassedOver,
    /// It was stored in the future, so many seconds from now.
    ClockMovedBack(i64),
    /// It expired so many seconds ago.
    Expired(i64),
    /// It expires in so many seconds, which is sooner than the skew allows.
    AboutToExpire(i64),
    /// It is good, and was to be refreshed so many seconds ago.
    Aging(i64),
}

impl Candidate {
    /// The access token.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// What was found about it.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

/// A token to return if the refresh fails.
#[derive(Clone, Debug)]
pub(crate) struct Fallback {
    pub(crate) entry: Entry,
    /// Only while the server gives no answer: its refusal is heeded.
    pub(crate) outage_only: bool,
}

/// What the cache knows of the family of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientFamily {
    /// The client has got no token yet, so nothing is known.
    Unknown,
    /// It is in none.
    None,
    /// It is in this one.
    Member(String),
}

/// A refresh token that would be traded.
#[derive(Clone, Debug)]
pub struct Attempt {
    entry: Entry,
    role: Role,
}

/// Why a refresh token is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It is a family's, and the client may belong to it: the answer will tell. If that is
    /// `client_mismatch`, no other one of a family is tried.
    MaybeFamily,
    /// It is that of the client's family.
    Family,
    /// It is the client's own.
    Own,
}

impl Attempt {
    /// Whether a refresh token that the server calls bad may be removed: one of a family is other
    /// clients' too, and they may fare better with it.
    pub(crate) fn is_expendable(&self) -> bool {
        self.role == Role::Own && self.entry.known("family_id").is_none_or(str::is_empty)
    }

    /// The refresh token.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Why it is tried.
    pub fn role(&self) -> Role {
        self.role
    }
}

impl SilentPlan {
    /// The access tokens of the user, or of the app, that were looked at, in the order in which
    /// they are stored.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The access token that would be returned without asking anybody.
    pub fn cached(&self) -> Option<&Entry> {
        self.cached.as_ref()
    }

    /// Why a new one is needed; `None` where the cached one is good.
    pub fn refresh_reason(&self) -> Option<RefreshReason> {
        self.reason
    }

    /// The refresh tokens that would be traded, in this order, until one is taken. One that
    /// occurs twice, as the family's and as the client's own, is traded once. None where
    /// [`cached`](Self::cached) is returned, and none for an app's own tokens: it asks with its
    /// own credential.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The access token that would be returned if the refresh failed.
    pub fn fallback(&self) -> Option<&Entry> {
        self.fallback.as_ref().map(|it| &it.entry)
    }

    /// What the cache knows of the family of the client.
    pub fn family(&self) -> &ClientFamily {
        &self.family
    }

    /// The token that is good, and only to be refreshed by now.
    pub(crate) fn still_good(&self) -> Option<&Entry> {
        self.fallback.as_ref().filter(|it| !it.outage_only).map(|it| &it.entry)
    }

    /// Makes a plan from what the partition of the request holds. Where a user's token has to be
    /// refreshed, [`add_attempts`](Self::add_attempts) completes it.
    pub(crate) fn of(asked: &Asked, stored: &[Entry], now: i64) -> Self {
        let tokens =
            stored.iter().filter(|it| *it.credential_type() == CredentialType::AccessToken);
        let candidates: Vec<_> = tokens
            .map(|it| Candidate { entry: it.clone(), verdict: verdict(asked, it, now) })
            .collect();
        let mut plan = Self {
            cached: best(asked, &candidates, |it| *it == Verdict::Good),
            reason: None,
            fallback: None,
            family: ClientFamily::Unknown,
            attempts: Vec::new(),
            is_for_client: asked.request.home_account_id.is_none(),
            token_endpoint: asked.site.authority.token_endpoint.clone(),
            candidates,
        };
        if plan.cached.is_none() {
            let aging = best(asked, &plan.candidates, |it| matches!(it, Verdict::Aging(_)));
            plan.reason = Some(plan.reason_to_refresh(asked));
            let outage_only = aging.is_none();
            let entry = aging.or_else(|| outlasting(asked, &plan.candidates, now));
            plan.fallback = entry.map(|entry| Fallback { entry, outage_only });
        }
        plan
    }

    /// Adds which refresh tokens are to be traded, by the metadata of clients.
    pub(crate) fn add_attempts(&mut self, asked: &Asked, stored: &[Entry], metadata: &[Entry]) {
        if let Some(home) = &asked.request.home_account_id {
            self.family = family(&asked.client_id, &asked.site.hosts, metadata);
            self.attempts = attempts(asked, home, stored, &self.family);
        }
    }

    fn reason_to_refresh(&self, asked: &Asked) -> RefreshReason {
        let any = |verdict: fn(&Verdict) -> bool| {
            self.candidates.iter().any(|candidate| verdict(&candidate.verdict))
        };
        if asked.request.force_refresh {
            RefreshReason::ForceRefresh
        } else if asked.request.claims_challenge.is_some() {
            RefreshReason::ClaimsChallenge
        } else if any(|it| matches!(it, Verdict::Aging(_))) {
            RefreshReason::Aging
        } else if any(|it| matches!(it, Verdict::Expired(_) | Verdict::AboutToExpire(_))) {
            RefreshReason::Expired
        } else if any(|it| matches!(it, Verdict::ClockMovedBack(_))) {
            RefreshReason::ClockMovedBack
        } else {
            RefreshReason::Absent
        }
    }
}

/// The access token that is given out, of those with such a verdict.
fn best(asked: &Asked, among: &[Candidate], fits: fn(&Verdict) -> bool) -> Option<Entry> {
    let fit = among.iter().filter(|it| fits(&it.verdict)).map(|it| &it.entry);
    fit.min_by_key(|it| preference(asked, it)).cloned()
}

/// What is found about an access token. The partition has told whose it is, but a store that
/// mixes users up must not be believed.
fn verdict(asked: &Asked, token: &Entry, now: i64) -> Verdict {
    let request = &asked.request;
    if let Some(problem) = token.problem() {
        return Verdict::Unreadable(problem);
    }
    let home = token.known("home_account_id").filter(|home| !home.is_empty());
    if home != request.home_account_id.as_deref() {
        return Verdict::OtherUser;
    }
    if token.known("client_id") != Some(&asked.client_id) {
        return Verdict::OtherClient;
    }
    if asked.site.hosts.rank(token.known("environment")).is_none() {
        return Verdict::OtherEnvironment;
    }
    if token.known("realm") != Some(&asked.site.authority.realm) {
        return Verdict::OtherTenant;
    }
    let token_type = token.known("token_type").unwrap_or("Bearer");
    if asked.token_type.as_ref().is_some_and(|it| !it.eq_ignore_ascii_case(token_type)) {
        return Verdict::OtherTokenType;
    }
    if token.known("key_id") != asked.key_id.as_deref() {
        return Verdict::OtherKey;
    }
    if token.ext_cache_key() != asked.ext_cache_key.as_deref() {
        return Verdict::OtherExtendedCacheKey;
    }
    let lacks = |wanted: &&String| !token.scopes().any(|it| it.eq_ignore_ascii_case(wanted));
    let missing: Vec<_> = request.scopes.iter().filter(lacks).cloned().collect();
    if !missing.is_empty() {
        return Verdict::LacksScopes(missing);
    }
    if request.force_refresh || request.claims_challenge.is_some() {
        return Verdict::PassedOver;
    }
    let time = |name| token.known(name).and_then(seconds);
    // Without an expiry it could not be read.
    let left = time("expires_on").unwrap_or_default().saturating_sub(now);
    let stored_in = time("cached_at").unwrap_or(now).saturating_sub(now);
    let aging = time("refresh_on").map(|at| now.saturating_sub(at)).filter(|since| *since >= 0);
    match aging {
        _ if left < 0 => Verdict::Expired(-left),
        _ if left < asked.skew => Verdict::AboutToExpire(left),
        _ if stored_in > CLOCKS_DIFFER => Verdict::ClockMovedBack(stored_in),
        Some(since) => Verdict::Aging(since),
        None => Verdict::Good,
    }
}

/// The tightest scopes first, then what is stored under the nearest host, then the newest.
fn preference(asked: &Asked, token: &Entry) -> (usize, Option<usize>, Reverse<i64>) {
    let rank = asked.site.hosts.rank(token.known("environment"));
    (token.scopes().count(), rank, Reverse(token.stored_at()))
}

/// The token that lasts longest beyond its expiry (`ext_expires_in`), for an outage.
fn outlasting(asked: &Asked, candidates: &[Candidate], now: i64) -> Option<Entry> {
    let until = |it: &Entry| {
        let time = |name| it.known(name).and_then(seconds).unwrap_or_default();
        time("expires_on").max(time("extended_expires_on"))
    };
    let fit = candidates.iter().filter(|it| {
        let late = matches!(
            it.verdict,
            Verdict::Expired(_) | Verdict::AboutToExpire(_) | Verdict::ClockMovedBack(_)
        );
        late && until(&it.entry) > now
    });
    fit.min_by_key(|it| (Reverse(until(&it.entry)), preference(asked, &it.entry)))
        .map(|it| it.entry.clone())
}

/// What the metadata of the client says, under the nearest host that has any.
pub(crate) fn family(client_id: &str, hosts: &Hosts, metadata: &[Entry]) -> ClientFamily {
    let own = metadata.iter().filter_map(|it| {
        let view = it.app_metadata().filter(|it| it.client_id() == Some(client_id))?;
        Some((hosts.rank(view.environment())?, view.family_id()))
    });
    match own.min_by_key(|(rank, _)| *rank) {
        None => ClientFamily::Unknown,
        Some((_, id)) => id
            .filter(|id| !id.is_empty())
            .map_or(ClientFamily::None, |id| ClientFamily::Member(id.to_owned())),
    }
}

/// The refresh tokens to trade: host by host, the nearest first, as MSAL Python orders them.
fn attempts(asked: &Asked, home: &str, stored: &[Entry], family: &ClientFamily) -> Vec<Attempt> {
    let usable =
        |it: &&Entry| it.refresh_token().is_some_and(|token| token.home_account_id() == Some(home));
    let mut tokens: Vec<_> = stored
        .iter()
        .filter(usable)
        .filter_map(|it| Some((asked.site.hosts.rank(it.known("environment"))?, it)))
        .collect();
    // Stable: of two that are as old, the one that was stored first.
    tokens.sort_by_key(|(rank, it)| (*rank, Reverse(it.stored_at())));
    let (id, role) = match family {
        ClientFamily::Unknown => (Some(FIRST_PARTY), Role::MaybeFamily),
        ClientFamily::None => (None, Role::Family),
        ClientFamily::Member(id) => (Some(id.as_str()), Role::Family),
    };
    let of_family = |it: &Entry| id.is_some() && it.known("family_id") == id;
    let own = |it: &Entry| it.known("client_id") == Some(&asked.client_id);
    let mut attempts = Vec::new();
    let ranks: Vec<_> = tokens.iter().map(|(rank, _)| *rank).collect();
    let mut seen = HashSet::new();
    for rank in ranks.into_iter().filter(|it| seen.insert(*it)) {
        let here = || tokens.iter().filter(|(it, _)| *it == rank).map(|(_, it)| *it);
        let attempt = |entry: &Entry, role| Attempt { entry: entry.clone(), role };
        attempts.extend(here().filter(|it| of_family(it)).map(|it| attempt(it, role)));
        attempts.extend(here().filter(|it| own(it)).map(|it| attempt(it, Role::Own)));
    }
    attempts
}
