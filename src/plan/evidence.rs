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
//! - The response to a request that was sent before another writer stored a token for the same API
//!   is not stored: it is [`overtaken`].
//! - Tokens without a common scope don't supersede each other. Nothing says that they are for one
//!   API: after a challenge of one API, the tokens of others are still good.

use std::collections::HashSet;

use msal_cache_core::CredentialType;

use crate::model::{Clouds, Decoded, Entry, same_tenant, schema};

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
pub(crate) struct ScopeTable(HashSet<String>);

impl ScopeTable {
    pub(crate) fn of<'a>(tokens: impl IntoIterator<Item = &'a Entry>) -> Self {
        let scopes = tokens.into_iter().flat_map(api_scopes);
        Self(scopes.map(str::to_ascii_lowercase).collect())
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
