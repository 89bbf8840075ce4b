use std::cmp::Reverse;

use crate::model::{Entry, Hosts, RefreshReason};
use crate::plan::candidates::{self, Candidate, Verdict};
use crate::plan::likeliest;
use crate::plan::request::ResolvedRequest;

/// The family whose refresh tokens a client tries that doesn't know yet whether it is in one: the
/// only family there is.
const FIRST_PARTY: &str = "1";

/// What a silent acquisition would do, step by step, decided from what is in the cache.
///
/// [`Client::plan`](crate::Client::plan) returns it, to find out why a token is refreshed or why
/// the user has to sign in; [`Client::acquire`](crate::Client::acquire) carries it out. `Display`
/// explains it, without secrets and user names.
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
    /// Whether the user has an account.
    pub(crate) has_account: bool,
    pub(crate) is_for_client: bool,
    pub(crate) is_on_behalf_of: bool,
    pub(crate) token_endpoint: String,
}

/// A token to return if the refresh fails.
#[derive(Clone, Debug)]
pub(crate) struct Fallback {
    pub(crate) entry: Entry,
    /// Only while the server doesn't respond, not after a refusal.
    pub(crate) outage_only: bool,
}

/// The family of the client, as far as the cache knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientFamily {
    /// Unknown, since the client has no token yet.
    Unknown,
    /// The client is in no family.
    None,
    /// The client is in this family.
    Member(String),
}

/// A refresh token that would be redeemed.
#[derive(Clone, Debug)]
pub struct Attempt {
    entry: Entry,
    role: Role,
}

/// Why a refresh token is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It belongs to a family that the client may be in. If the server responds
    /// `client_mismatch`, no other token of the family is tried.
    MaybeFamily,
    /// It belongs to the client's family.
    Family,
    /// It belongs to the client.
    Own,
}

impl Attempt {
    /// Whether a refresh token that the server calls bad may be removed. One of a family belongs to
    /// other clients too, for which it may be valid.
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
    /// The access tokens of the user, or of the app, in the order in which they are stored.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The access token that would be returned without a request.
    pub fn cached(&self) -> Option<&Entry> {
        self.cached.as_ref()
    }

    /// Why a new token is needed; `None` where a cached one is valid.
    pub fn refresh_reason(&self) -> Option<RefreshReason> {
        self.reason
    }

    /// The refresh tokens that would be redeemed, in this order, until the server accepts one. One
    /// that occurs twice, as the family's and as the client's own, is redeemed once. Empty where
    /// [`cached`](Self::cached) is returned, and for an app's own tokens, which are requested with
    /// the credential of the client.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The access token that would be returned if the refresh failed.
    pub fn fallback(&self) -> Option<&Entry> {
        self.fallback.as_ref().map(|it| &it.entry)
    }

    /// The family of the client, as far as the cache knows it.
    pub fn family(&self) -> &ClientFamily {
        &self.family
    }

    /// The token that is valid, but to be refreshed by now.
    pub(crate) fn still_good(&self) -> Option<&Entry> {
        self.fallback.as_ref().filter(|it| !it.outage_only).map(|it| &it.entry)
    }

    /// The plan for a request whose partition has these entries. Where the token of a user has to
    /// be refreshed, [`add_attempts`](Self::add_attempts) completes it.
    pub(crate) fn of(request: &ResolvedRequest, stored: &[Entry], now: i64) -> Self {
        let candidates = candidates::judge(request, stored, now);
        let mut plan = Self {
            cached: candidates::one(&candidates, |it| *it == Verdict::Good),
            reason: None,
            fallback: None,
            family: ClientFamily::Unknown,
            attempts: Vec::new(),
            has_account: false,
            is_for_client: request.request.home_account_id.is_none(),
            is_on_behalf_of: request.is_on_behalf_of(),
            token_endpoint: request.authority.token_endpoint().to_owned(),
            candidates,
        };
        if plan.cached.is_none() {
            let is_aging = |it: &Verdict| matches!(it, Verdict::Aging(_));
            let aging = candidates::one(&plan.candidates, is_aging);
            plan.reason = Some(plan.reason_to_refresh(request));
            let outage_only = aging.is_none();
            let entry = aging.or_else(|| candidates::outlasting(&plan.candidates, now));
            plan.fallback = entry.map(|entry| Fallback { entry, outage_only });
        }
        plan
    }

    /// Adds the refresh tokens to redeem, which depend on the metadata of clients.
    pub(crate) fn add_attempts(
        &mut self,
        request: &ResolvedRequest,
        stored: &[Entry],
        metadata: &[Entry],
    ) {
        if let Some(home) = &request.request.home_account_id {
            self.family = family(&request.client_id, &request.authority.hosts, metadata);
            self.attempts = attempts(request, home, stored, &self.family);
            self.has_account = has_account(stored, home, &request.authority.hosts);
        }
    }

    fn reason_to_refresh(&self, request: &ResolvedRequest) -> RefreshReason {
        let any = |verdict: fn(&Verdict) -> bool| {
            self.candidates.iter().any(|candidate| verdict(candidate.verdict()))
        };
        if request.request.force_refresh {
            RefreshReason::ForceRefresh
        } else if request.request.claims_challenge.is_some() {
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

/// Whether a user has an account on these hosts.
pub(crate) fn has_account(stored: &[Entry], home_account_id: &str, hosts: &Hosts) -> bool {
    stored.iter().filter_map(Entry::account).any(|it| {
        it.home_account_id() == Some(home_account_id) && hosts.rank(it.environment()).is_some()
    })
}

/// The family in the metadata of the client, of the nearest host that has some.
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

/// The refresh tokens to redeem: those of the family, then those of the client. The one that was
/// stored last comes first, whichever host of the cloud it is stored under; of the same time, the
/// one of the nearest host, and then the one that says its time. MSAL Python asks host by host, and
/// so may use a refresh token that another library has replaced.
fn attempts(
    request: &ResolvedRequest,
    home: &str,
    stored: &[Entry],
    family: &ClientFamily,
) -> Vec<Attempt> {
    let usable = |it: &&Entry| {
        // Tokens of other flows are for requests with the same assertion or parameters.
        !it.is_set_apart()
            && it.refresh_token().is_some_and(|token| token.home_account_id() == Some(home))
    };
    let mut tokens: Vec<_> = stored
        .iter()
        .filter(usable)
        .filter_map(|it| {
            let rank = request.authority.hosts.rank(it.known("environment"))?;
            let is_undated = it.stored_at() == 0;
            Some(((Reverse(likeliest::stored_at(it, stored)), rank, is_undated), it))
        })
        .collect();
    // Stable: of two of the same age, the one that was stored first.
    tokens.sort_by_key(|(order, _)| *order);
    let (id, role) = match family {
        ClientFamily::Unknown => (Some(FIRST_PARTY), Role::MaybeFamily),
        ClientFamily::None => (None, Role::Family),
        ClientFamily::Member(id) => (Some(id.as_str()), Role::Family),
    };
    let of_family = |it: &Entry| id.is_some() && it.known("family_id") == id;
    let own = |it: &Entry| it.known("client_id") == Some(&request.client_id);
    let attempt = |entry: &Entry, role| Attempt { entry: entry.clone(), role };
    let all = || tokens.iter().map(|(_, it)| *it);
    let family = all().filter(|it| of_family(it)).map(|it| attempt(it, role));
    let own = all().filter(|it| own(it)).map(|it| attempt(it, Role::Own));
    family.chain(own).collect()
}
