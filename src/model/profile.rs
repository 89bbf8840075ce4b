//! For whom a cache writes.

/// For whom a cache writes its records. What it reads is the same: everything that any MSAL
/// library has written.
///
/// A profile is chosen when a cache is made, with
/// [`TokenCache::builder`](crate::TokenCache::builder). It decides what
/// [`add`](crate::TokenCache::add) and [`modify`](crate::TokenCache::modify) write;
/// [`deserialize`](crate::TokenCache::deserialize) and [`copy_to`](crate::TokenCache::copy_to)
/// take records as they are.
///
/// Take [`Python`](Self::Python) for a file that MSAL Python shares and nobody else, or nobody at
/// all; [`Family`](Self::Family) for a file that several of the libraries share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// What MSAL Python 1.39 writes, value for value.
    ///
    /// Some of that hurts others. An app's own token has `home_account_id: null`, over which MSAL
    /// .NET throws; its file helper then deletes the file. Access tokens of overlapping scopes
    /// stand side by side: MSAL .NET refuses to choose, and MSAL Node deletes both.
    #[default]
    Python,

    /// What every MSAL library reads without throwing, deleting or missing anything, as far as
    /// they agree.
    ///
    /// A record has no `null`, and texts alone, times included. Access tokens always have
    /// `realm`, `target`, `cached_at`, `expires_on`, `extended_expires_on` and `token_type`. The
    /// document has all five sections. In the same commit, what the new records replace is
    /// deleted in their partition, though it stands under the key of another library or under
    /// another name of the same [cloud](crate::Clouds):
    ///
    /// - access tokens of the same client, user, tenant, token type and extended cache key that
    ///   have a scope in common with the new one (`openid`, `profile`, `offline_access` and `email`
    ///   don't count, unless it has no other);
    /// - refresh tokens of the same client and family;
    /// - ID tokens of the same client and tenant; the metadata of the same client;
    /// - `null` in the place of a record, over which MSAL Node and Go fail;
    /// - and expired access tokens, as with every profile. Those of other partitions are left to
    ///   [`purge_expired`](crate::TokenCache::purge_expired). An app that shares its file with
    ///   MSAL Python calls it when it starts: a search of MSAL Python fails over an expired token
    ///   that MSAL Node or .NET has marked with a type of its own.
    ///
    /// An account that another library wrote keeps the fields that are its alone.
    ///
    /// # Where the libraries want opposite things
    ///
    /// | what | one side | the other | chosen, and why |
    /// |---|---|---|---|
    /// | `home_account_id` of an app's own token | Python finds `null` alone | .NET throws over `null` and its helper deletes the file; Node and Go want a text | `""`. MSAL Python doesn't see the token and gets one of its own; nothing breaks |
    /// | `environment` | Python without instance discovery, and Go, find the host they were configured with | Node, .NET and Java write the host that the cloud prefers, and find every name of it | the name that stands in the cache for this user, the cloud's own first; else the one that was configured |
    /// | `environment` of app metadata | Python writes and looks for the configured host | Node fails if there are two rows of one client in one cloud | the name that stands there for this client: one row |
    /// | key of a refresh token | Python signs out by a key made of the client and the `target` | .NET and Java leave the target out; Node looks for the family in it | no `target`, which makes the keys of Python, .NET and Java the same; of a family, the key of the client, by which Python can sign out, as long as the family's number occurs in it (it is one digit, and the ids around it are long), else that of the family |
    /// | a family's refresh tokens | .NET, Go and Java keep one for all clients | Node takes the one that its own client got, though it keeps one too | one for each client, as Python does |
    /// | key of app metadata | Python looks it up with the client's id as it is spelt | the others write it in lower case | as it is spelt |
    /// | tokens bound to a key (`pop`, `ssh-cert`) | under `AccessToken`, Python takes them for bearer tokens | under the type that Node and .NET give them, a search of Python fails when they have expired | neither: [`Error::Invalid`](crate::Error::Invalid), and nothing is written. Keep them in a cache of their own |
    /// | tokens of an extended cache key | Python and Go look for `ext_cache_key`, Java for `ext_cache_key_hash` | .NET looks for `ext`, Node for `additionalCacheKeyComponents` | all four, so that none takes the token for a plain one |
    ///
    /// An app's own tokens and users' tokens should not share a file that MSAL .NET opens: it
    /// keeps them in two caches, and refuses an app's with refresh tokens in it.
    Family,
}
