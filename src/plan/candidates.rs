//! The access tokens that a request may get, and what is against each of them.

use msal_cache_core::internal::seconds;
use smallvec::SmallVec;

use crate::model::{Entry, Field, Problem, schema};
use crate::plan::evidence::{ScopeTable, is_access_token, share_scope};
use crate::plan::records::INNER_REFRESH_TOKEN;
use crate::plan::request::ResolvedRequest;

/// The most, in seconds, that the clocks of two machines differ by. A token that was stored further
/// in the future shows that the clock was set back.
const CLOCKS_DIFFER: i64 = 300;

/// An access token that was considered.
#[derive(Clone, Debug)]
pub struct Candidate {
    entry: Entry,
    verdict: Verdict,
}

/// Whether an access token can be returned: the first reason, in this order, against it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It can be returned.
    Good,
    /// The record can't be used.
    Unreadable(Problem),
    /// It belongs to another user.
    OtherUser,
    /// It belongs to another client.
    OtherClient,
    /// It belongs to another cloud.
    OtherEnvironment,
    /// It is for another tenant.
    OtherTenant,
    /// Its type is not the requested one, such as `pop` instead of `Bearer`.
    OtherTokenType,
    /// It is bound to another key than the requested one, or to one although none is requested.
    OtherKey,
    /// It belongs to another flow, such as one on behalf of a user.
    OtherFlow,
    /// It has another extended cache key.
    OtherExtendedCacheKey,
    /// It lacks these requested scopes.
    LacksScopes(Vec<String>),
    /// The request skips cached tokens.
    Skipped,
    /// A token that was stored later is for the same API: they have a scope in common.
    Superseded,
    /// It was stored in the future, this many seconds from now.
    ClockMovedBack(i64),
    /// It expired this many seconds ago.
    Expired(i64),
    /// It expires in this many seconds, sooner than the skew allows.
    AboutToExpire(i64),
    /// It is valid, but was to be refreshed this many seconds ago.
    Aging(i64),
}

impl Candidate {
    /// The access token.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Whether it can be returned.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Whether it is what the request is for, apart from its times.
    fn satisfies(&self) -> bool {
        matches!(
            self.verdict,
            Verdict::Good
                | Verdict::Aging(_)
                | Verdict::ClockMovedBack(_)
                | Verdict::Expired(_)
                | Verdict::AboutToExpire(_)
        )
    }

    /// Whether it is what the request is for, apart from its times and its scopes.
    fn is_alike(&self) -> bool {
        self.satisfies() || matches!(self.verdict, Verdict::LacksScopes(_))
    }
}

/// The access token that would be returned, without the rest of a plan: the last of those that
/// satisfy the request, if it is valid and no later token is for the same API.
pub(crate) fn cached(request: &ResolvedRequest, stored: &[Entry], now: i64) -> Option<Entry> {
    if request.skips_cached() {
        return None;
    }
    let hashes: SmallVec<[u32; 4]> =
        request.request.scopes.iter().map(|it| schema::scope_hash(it)).collect();
    let mut last: Option<(usize, &Entry)> = None;
    for (at, token) in stored.iter().enumerate().filter(|(_, it)| is_access_token(it)) {
        let is_last = last.is_none_or(|(_, known)| known.stored_at() <= token.stored_at());
        if is_last && has_scopes(request, &hashes, token) && mismatch(request, token).is_none() {
            last = Some((at, token));
        }
    }
    let (at, token) = last.filter(|(_, it)| in_time(request, it, now) == Verdict::Good)?;
    let is_superseded = stored.iter().enumerate().any(|(position, it)| {
        (it.stored_at(), position) > (token.stored_at(), at)
            && is_access_token(it)
            && share_scope(it, token)
            && mismatch(request, it).is_none()
    });
    (!is_superseded).then(|| token.clone())
}

/// All access tokens of an owner, with what is against each of them.
pub(crate) fn judge(request: &ResolvedRequest, stored: &[Entry], now: i64) -> Vec<Candidate> {
    let tokens = stored.iter().filter(|it| is_access_token(it));
    let judged =
        tokens.map(|it| Candidate { entry: it.clone(), verdict: verdict(request, it, now) });
    let mut candidates: Vec<_> = judged.collect();
    let rank = |(at, it): (usize, &Candidate)| (it.entry.stored_at(), at);
    let satisfying = candidates.iter().enumerate().filter(|(_, it)| it.satisfies());
    let Some(last) = satisfying.map(rank).max() else { return candidates };
    let later = candidates.iter().enumerate().filter(|(_, it)| it.is_alike());
    let later = later.filter(|(at, it)| rank((*at, it)) > last).map(|(_, it)| &it.entry);
    let later = ScopeTable::of(later);
    for (at, it) in candidates.iter_mut().enumerate().filter(|(_, it)| it.satisfies()) {
        if rank((at, it)) < last || later.has_any_of(&it.entry) {
            it.verdict = Verdict::Superseded;
        }
    }
    candidates
}

/// The access token with such a verdict. There is at most one that isn't superseded.
pub(crate) fn one(among: &[Candidate], fits: fn(&Verdict) -> bool) -> Option<Entry> {
    among.iter().find(|it| fits(&it.verdict)).map(|it| it.entry.clone())
}

/// The token that is within its extended lifetime (`ext_expires_in`), for an outage.
pub(crate) fn outlasting(candidates: &[Candidate], now: i64) -> Option<Entry> {
    let is_late = |it: &Verdict| {
        matches!(it, Verdict::Expired(_) | Verdict::AboutToExpire(_) | Verdict::ClockMovedBack(_))
    };
    one(candidates, is_late).filter(|it| {
        let time = |name| it.known(name).and_then(seconds).unwrap_or_default();
        time("expires_on").max(time("extended_expires_on")) > now
    })
}

/// The access token with the refresh token that was stored last for this assertion, of any scopes.
pub(crate) fn with_refresh_token<'a>(
    request: &ResolvedRequest,
    stored: &'a [Entry],
) -> Option<&'a Entry> {
    let tokens = stored.iter().filter(|it| is_access_token(it) && mismatch(request, it).is_none());
    tokens.filter(|it| it.text(INNER_REFRESH_TOKEN).is_some()).max_by_key(|it| it.stored_at())
}

/// Whether an access token can be returned, apart from other tokens.
fn verdict(request: &ResolvedRequest, token: &Entry, now: i64) -> Verdict {
    if let Some(mismatch) = mismatch(request, token) {
        return mismatch;
    }
    let lacks = |scope: &&String| !token.scopes().any(|it| it.eq_ignore_ascii_case(scope));
    let missing: Vec<_> = request.request.scopes.iter().filter(lacks).cloned().collect();
    if !missing.is_empty() {
        return Verdict::LacksScopes(missing);
    }
    if request.skips_cached() { Verdict::Skipped } else { in_time(request, token, now) }
}

/// Whether a token has the scopes of a request, whose hashes are given.
fn has_scopes(request: &ResolvedRequest, hashes: &[u32], token: &Entry) -> bool {
    request.request.scopes.iter().zip(hashes).all(|(scope, hash)| token.has_scope(scope, *hash))
}

/// What is against an access token but its scopes and times. Its fields say whose it is, and not its
/// partition: ids that differ in case share one, and a store may confuse them.
fn mismatch(request: &ResolvedRequest, token: &Entry) -> Option<Verdict> {
    if let Some(problem) = token.problem() {
        return Some(Verdict::Unreadable(problem));
    }
    let home = token.field(Field::HomeAccountId).filter(|home| !home.is_empty());
    if home != request.request.home_account_id.as_deref() {
        return Some(Verdict::OtherUser);
    }
    if token.field(Field::ClientId) != Some(&request.client_id) {
        return Some(Verdict::OtherClient);
    }
    if request.authority.hosts.rank(token.field(Field::Environment)).is_none() {
        return Some(Verdict::OtherEnvironment);
    }
    if !request.authority.has_realm(token.field(Field::Realm), home) {
        return Some(Verdict::OtherTenant);
    }
    let wanted_type = request.token_type.as_ref();
    if wanted_type.is_some_and(|it| !it.eq_ignore_ascii_case(token.token_type())) {
        return Some(Verdict::OtherTokenType);
    }
    if token.key_id() != request.key_id.as_deref() {
        return Some(Verdict::OtherKey);
    }
    if token.is_set_apart() {
        return Some(Verdict::OtherFlow);
    }
    (token.ext_cache_key() != request.ext_cache_key.as_deref())
        .then_some(Verdict::OtherExtendedCacheKey)
}

/// Whether the times of an access token allow to return it.
fn in_time(request: &ResolvedRequest, token: &Entry, now: i64) -> Verdict {
    let time = |field| token.field(field).and_then(seconds);
    // A token without an expiry has a problem.
    let left = time(Field::ExpiresOn).unwrap_or_default().saturating_sub(now);
    let stored_in = time(Field::CachedAt).unwrap_or(now).saturating_sub(now);
    let aging = time(Field::RefreshOn).map(|at| now.saturating_sub(at)).filter(|since| *since >= 0);
    match aging {
        _ if left < 0 => Verdict::Expired(left.saturating_neg()),
        _ if left < request.skew => Verdict::AboutToExpire(left),
        _ if stored_in > CLOCKS_DIFFER => Verdict::ClockMovedBack(stored_in),
        Some(since) => Verdict::Aging(since),
        None => Verdict::Good,
    }
}
