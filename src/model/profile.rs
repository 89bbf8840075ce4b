//! The libraries that a cache writes for.

use msal_cache_core::{Error, Result};

use crate::model::{Event, schema};

/// The libraries that a cache writes for. With each profile, it reads everything that any MSAL
/// library has written.
///
/// [`TokenCache::builder`](crate::TokenCache::builder) sets the profile. It decides what
/// [`add`](crate::TokenCache::add) and [`modify`](crate::TokenCache::modify) write;
/// [`deserialize`](crate::TokenCache::deserialize) and [`copy_to`](crate::TokenCache::copy_to)
/// take records as they are.
///
/// Use [`Python`](Self::Python) for a file of this crate alone, or one that it shares with MSAL
/// Python only; [`Family`](Self::Family) for a file that several of the libraries share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// What MSAL Python 1.39 writes, value for value.
    ///
    /// Other libraries can't handle some of it. The token that an app has for itself has
    /// `home_account_id: null`: MSAL .NET throws an exception, and its file helper then deletes the
    /// file. Access tokens with overlapping scopes are kept: MSAL .NET refuses to choose one, and
    /// MSAL Node deletes both.
    #[default]
    Python,

    /// What every MSAL library reads without an exception, without deleting records and without
    /// missing any, as far as the libraries agree.
    ///
    /// A record has strings only, times included, and no `null`. Access tokens always have
    /// `realm`, `target`, `cached_at`, `expires_on`, `extended_expires_on` and `token_type`. The
    /// document has all five sections. The same commit deletes the records that the new ones
    /// replace, also those under the key of another library or under another host of the same
    /// [cloud](crate::cloud::Clouds), in the same partition:
    ///
    /// - access tokens of the same client, user, tenant, token type and extended cache key that
    ///   have a scope in common with the new one (`openid`, `profile`, `offline_access` and `email`
    ///   don't count, unless it has no other);
    /// - refresh tokens of the same client and family;
    /// - ID tokens of the same client and tenant; the metadata of the same client;
    /// - `null` in the place of a record, with which MSAL Node and Go fail;
    /// - and expired access tokens, as with every profile. Those of other partitions are left to
    ///   [`purge_expired`](crate::TokenCache::purge_expired). An app that shares its file with
    ///   MSAL Python calls it when it starts: a search of MSAL Python fails if there is an expired
    ///   token to which MSAL Node or .NET has given a type of its own.
    ///
    /// An account that another library wrote keeps the fields that only that library writes.
    ///
    /// # Where the libraries contradict each other
    ///
    /// | what | one side | the other | chosen, and why |
    /// |---|---|---|---|
    /// | `home_account_id` of an app's own token | Python finds only `null` | .NET throws an exception and its helper deletes the file; Node and Go require a string | `""`. MSAL Python doesn't see the token and gets one of its own; nothing breaks |
    /// | `environment` | Python without instance discovery, and Go, find the host they were configured with | Node, .NET and Java write the host that the cloud prefers, and find all its hosts | the host that the cache has for this user, the preferred one first; else the configured one |
    /// | `environment` of app metadata | Python writes and looks for the configured host | Node fails if there are two rows of one client in one cloud | the host that the cache has for this client: one row |
    /// | key of a refresh token | Python signs out by a key made of the client and the `target` | .NET and Java leave the target out; Node looks for the family in it | no `target`, which makes the keys of Python, .NET and Java the same; of a family, the key of the client, by which Python can sign out, as long as the family's number occurs in it (it is one digit, and the ids around it are long), else that of the family |
    /// | a family's refresh tokens | .NET, Go and Java keep one for all clients | Node takes the one that its own client got, though it keeps one too | one for each client, as Python does |
    /// | key of app metadata | Python looks it up with the client's id as it is spelt | the others write it in lower case | as it is spelt |
    /// | tokens bound to a key (`pop`, `ssh-cert`) | under `AccessToken`, Python takes them for bearer tokens | under the type that Node and .NET give them, a search of Python fails when they have expired | neither: [`Error::Invalid`], and nothing is written. Keep them in a cache of their own |
    /// | tokens of an extended cache key | Python and Go look for `ext_cache_key`, Java for `ext_cache_key_hash` | .NET looks for `ext`, Node for `additionalCacheKeyComponents` | all four, so that none takes the token for a plain one |
    ///
    /// An app's own tokens and users' tokens should not share a file that MSAL .NET opens: it
    /// keeps them in two caches, and refuses an app's with refresh tokens in it.
    Family,
}

impl Profile {
    /// Fails if a token of this response can't be written so that all of these libraries read it.
    pub(crate) fn check(self, event: &Event) -> Result<()> {
        if self == Self::Python {
            return Ok(());
        }
        let reason = "a token that is bound to a key can't be stored in a cache for all libraries: \
                      some would send it as a bearer token; keep it in a cache of its own";
        if event.data.get("key_id").is_some() {
            return Err(Error::invalid("event.data.key_id", reason));
        }
        let token_type =
            schema::token_type(event.response.get("token_type").and_then(|it| it.as_str()));
        if token_type.is_some_and(|it| !it.eq_ignore_ascii_case(schema::BEARER)) {
            return Err(Error::invalid("event.response.token_type", reason));
        }
        Ok(())
    }
}
