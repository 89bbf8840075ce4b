//! Which of several access tokens counts: the newest evidence wins.
//!
//! Two tokens of one user, client, tenant, cloud, type, key and flow that have a scope in common are
//! for one API, so the later one is the newer evidence about it: it may be the response to a
//! challenge or to a new sign-in, after the earlier one was revoked. MSAL Node
//! (`CacheManager.saveAccessToken`) and .NET (`TokenCache.DeleteAccessTokensWithIntersectingScopes`)
//! therefore delete the earlier one when they store the later one. MSAL Python, Go and Java keep both.
//!
//! - Later is what was stored in a later second (`cached_at`), and in the same second what has a
//!   later position in the cache.
//! - An earlier token is not returned, with whichever profile: see
//!   [`Verdict::Superseded`](crate::plan::Verdict::Superseded).
//! - A response that is stored is the latest. The tokens that it [`supersedes`] are deleted by
//!   [`Profile::Family`](crate::Profile::Family). [`Profile::Python`](crate::Profile::Python) deletes
//!   those that would be ranked before it, since the clocks of two writers differ or a clock was set
//!   back, and moves its record behind those of the same second.
//! - What deletes a token deletes the earlier ones for the same API [too](with_superseded).
//! - The response to a request that was sent before another writer stored a token for the same API
//!   is not stored: it is [`overtaken`].
//! - Tokens without a common scope don't supersede each other. Nothing says that they are for one
//!   API: after a challenge of one API, the tokens of others are still good.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use msal_cache_core::CredentialType;

use crate::model::{CONSUMERS_ID, Cloud, Clouds, Decoded, Entry, same_tenant, schema};

/// Whether an access token of a new response makes this one obsolete: both can answer the same
/// requests. Which of them is stored under which key doesn't matter.
pub(crate) fn supersedes(new: &Entry, old: &Entry, clouds: &Clouds) -> bool {
    is_access_token(new)
        && is_access_token(old)
        && new.problem().is_none()
        && old.problem().is_none()
        && are_alike(new, old, clouds)
        && share_scope(new, old)
}

/// The new access token, if a token that is for the same API was stored since the request was sent
/// for which `before` was read: that one is the newer evidence, and the new one is not stored.
pub(crate) fn overtaken<'a>(
    records: &'a [Entry],
    stored: &Decoded,
    before: Option<&Decoded>,
    clouds: &Clouds,
) -> Option<&'a Entry> {
    let new = records.iter().find(|it| is_access_token(it))?;
    let is_known = |it: &Entry| {
        let known = before.and_then(|before| before.at_key_of(it));
        known.is_some_and(|known| known.has_secret_of(it))
    };
    let arrived = |it: &&Entry| supersedes(it, new, clouds) && !is_known(it);
    stored.entries.iter().any(|it| arrived(&it)).then_some(new)
}

/// The access tokens to delete so that these can be deleted: they themselves, and the earlier ones
/// for the same API, which would be returned again without them.
pub(crate) fn with_superseded<'a>(
    stored: &'a [Entry],
    is_deleted: impl Fn(&Entry) -> bool,
    clouds: &Clouds,
) -> Vec<&'a Entry> {
    let tokens = || stored.iter().filter(|it| is_access_token(it));
    if !tokens().any(&is_deleted) {
        return Vec::new();
    }
    let mut order: Vec<_> = tokens().enumerate().collect();
    order.sort_unstable_by_key(|(at, it)| Reverse((it.stored_at(), *at)));
    // The scopes of what is deleted, by what requests tell apart.
    let mut lost: HashMap<String, ScopeTable> = HashMap::new();
    let mut deleted = Vec::new();
    for (_, token) in order {
        let owner = owner(token, clouds);
        let is_lost = || {
            let lost = owner.as_ref().and_then(|owner| lost.get(owner));
            lost.is_some_and(|lost| lost.has_any_of(token))
        };
        if is_deleted(token) || is_lost() {
            deleted.push(token);
            if let Some(owner) = owner {
                lost.entry(owner).or_default().add(token);
            }
        }
    }
    deleted
}

/// What requests tell apart, but the scopes; `None` for a token that no request gets.
fn owner(token: &Entry, clouds: &Clouds) -> Option<String> {
    if token.problem().is_some() || token.is_set_apart() {
        return None;
    }
    let (host, realm) = (text(token, "environment"), text(token, "realm"));
    let host = clouds.of(host).map_or(host, Cloud::preferred_network);
    let realm = if same_tenant(realm, CONSUMERS_ID) { CONSUMERS_ID } else { realm };
    let parts = [
        text(token, "home_account_id"),
        text(token, "client_id"),
        &*realm.to_ascii_lowercase(),
        &*host.to_lowercase(),
        &*token.token_type().to_ascii_lowercase(),
        token.key_id().unwrap_or_default(),
        token.ext_cache_key().unwrap_or_default(),
    ];
    Some(parts.join("\0"))
}

/// Whether two access tokens differ in nothing but their scopes, as far as requests can tell.
fn are_alike(one: &Entry, other: &Entry, clouds: &Clouds) -> bool {
    let same = |name| text(one, name) == text(other, name);
    same("home_account_id")
        && same("client_id")
        && same_tenant(text(one, "realm"), text(other, "realm"))
        && clouds.are_one(text(one, "environment"), text(other, "environment"))
        && one.token_type().eq_ignore_ascii_case(other.token_type())
        && one.key_id() == other.key_id()
        && one.ext_cache_key() == other.ext_cache_key()
        && !one.is_set_apart()
        && !other.is_set_apart()
}

fn text<'a>(entry: &'a Entry, name: &'static str) -> &'a str {
    entry.known(name).unwrap_or_default()
}

pub(crate) fn is_access_token(entry: &Entry) -> bool {
    *entry.credential_type() == CredentialType::AccessToken
}

/// Up to this many comparisons, a table of the scopes isn't worth its memory.
const FEW: usize = 256;

/// Whether two tokens have a scope in common. As in MSAL Node (`ScopeSet.intersectingScopeSets`),
/// the scopes of `OpenID` Connect, which any token has, don't count, unless `new` has no other.
pub(crate) fn share_scope(new: &Entry, old: &Entry) -> bool {
    if new.scopes().len() * old.scopes().len() <= FEW {
        return api_scopes(new).any(|scope| old.scopes().any(|it| it.eq_ignore_ascii_case(scope)));
    }
    let known = ScopeTable::of([new]);
    known.has_any_of(old)
}

/// The scopes of some tokens, to find out whether another one shares one.
#[derive(Default)]
pub(crate) struct ScopeTable(HashSet<String>);

impl ScopeTable {
    pub(crate) fn of<'a>(tokens: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut table = Self::default();
        tokens.into_iter().for_each(|it| table.add(it));
        table
    }

    fn add(&mut self, token: &Entry) {
        self.0.extend(api_scopes(token).map(str::to_ascii_lowercase));
    }

    pub(crate) fn has_any_of(&self, token: &Entry) -> bool {
        !self.0.is_empty() && token.scopes().any(|it| self.0.contains(&it.to_ascii_lowercase()))
    }
}

/// The scopes that say what a token is for: all but those of `OpenID` Connect, or all if it has no
/// other.
fn api_scopes(token: &Entry) -> impl Iterator<Item = &str> {
    let has_no_other = token.scopes().all(schema::is_openid_scope);
    token.scopes().filter(move |it| has_no_other || !schema::is_openid_scope(it))
}
