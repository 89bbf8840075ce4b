/// How much a cache stores, and how much of it is kept decoded in memory.
///
/// To keep a limit, access tokens are deleted, since a request gets a new one: the expired ones
/// first, then the least recently used. A token was used when a search of this
/// process found it, or else when it was stored: reading writes nothing, so other processes don't
/// know what this one uses. A refresh token, an account or an ID token is never deleted by a limit.
///
/// ```
/// use msal_cache::{Limits, Memory, TokenCache};
///
/// let limits = Limits::new().access_tokens(100_000).access_tokens_of_one_owner(50);
/// let cache = TokenCache::builder(Memory::new()).limits(limits).build();
/// # let _ = cache;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) access_tokens: Option<usize>,
    pub(crate) access_tokens_of_one_owner: Option<usize>,
    pub(crate) decoded_bytes: usize,
}

/// In bytes. Room for some 5,000 users of a file or a database, and for some 40,000 of a store that
/// has its records in memory anyway.
const DECODED_BYTES: usize = 64 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self { access_tokens: None, access_tokens_of_one_owner: None, decoded_bytes: DECODED_BYTES }
    }
}

impl Limits {
    /// No limit to what is stored, and 64 MiB of it decoded in memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// About how many access tokens are stored in all. Where
    /// [`add`](crate::TokenCache::add) comes to more, it deletes down to three quarters: once in a
    /// while and many, since finding those that were used longest ago means reading all. In
    /// between, processes that share a store count what they add themselves.
    pub fn access_tokens(mut self, most: usize) -> Self {
        self.access_tokens = Some(most);
        self
    }

    /// How many access tokens are stored of one user, or of one client in one tenant for itself.
    /// Tokens of an extended cache key count for themselves; they are bounded by
    /// [`access_tokens`](Self::access_tokens).
    pub fn access_tokens_of_one_owner(mut self, most: usize) -> Self {
        self.access_tokens_of_one_owner = Some(most);
        self
    }

    /// About how many bytes of memory are taken by what has been read and decoded. What the store
    /// has in memory anyway, such as [`Memory`](crate::Memory), is not counted again. 0 keeps
    /// nothing: each search reads.
    pub fn decoded_bytes(mut self, most: usize) -> Self {
        self.decoded_bytes = most;
        self
    }

    /// Whether it matters when a token was used.
    pub(crate) fn need_recency(self) -> bool {
        self.access_tokens.is_some() || self.access_tokens_of_one_owner.is_some()
    }
}
