use std::fmt;
use std::sync::Arc;

use msal_cache_core::internal::now;
use msal_cache_core::{CacheStore, CredentialType, Memory, Partition, Ready, Result};

use crate::TokenCacheBuilder;
use crate::check::Finding;
use crate::engine::{CacheOptions, Engine, Threads};
use crate::model::{Added, Clock, Decoded, Entry, Event, Fields, Query};

/// A cache of tokens and accounts, over any [`CacheStore`].
///
/// It does what MSAL Python's `TokenCache` and `SerializableTokenCache` do, with the same results
/// for the same input. These differences are intended:
///
/// - A read never writes. Expired access tokens are not found; the next write to their partition
///   deletes them, and so does [`purge_expired`](Self::purge_expired).
/// - A record is changed and removed by the key under which it is stored, so records of other
///   libraries are too.
/// - A record that can't be used is skipped and kept. It affects no other.
/// - Scopes match as sets, ignoring ASCII case.
/// - A token response is one commit: all of it is stored, or nothing.
///
/// All methods take `&self` and may be called from many threads at once. Cloning is cheap, and
/// clones share one cache.
///
/// ```
/// use msal_cache::{CredentialType, Event, Fields, Query, TokenCache};
///
/// let cache = TokenCache::in_memory();
/// cache.add(
///     &Event::new("client-id")
///         .token_endpoint("https://login.microsoftonline.com/tenant/oauth2/v2.0/token")
///         .scope(["https://graph.microsoft.com/.default"])
///         .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600)),
/// )?;
///
/// let query = Query::new().client_id("client-id").target(["https://graph.microsoft.com/.default"]);
/// let found = cache.find(CredentialType::AccessToken, &query)?;
/// assert_eq!(found[0].access_token().unwrap().secret().expose(), "s3cret");
/// # Ok::<(), msal_cache::Error>(())
/// ```
pub struct TokenCache<S = Memory>(pub(crate) Arc<BlockingEngine<S>>);

/// The engine of the blocking face. The store is shared with async faces of the cache.
pub(crate) type BlockingEngine<S> = Engine<Ready<Arc<S>>, Threads>;

impl TokenCache {
    /// A cache that ends with the process.
    pub fn in_memory() -> Self {
        Self::new(Memory::new())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a credential type is written at the call, and rarely kept in a variable"
)]
impl<S: CacheStore> TokenCache<S> {
    /// A cache in this store.
    pub fn new(store: S) -> Self {
        Self::builder(store).build()
    }

    /// A cache in this store that reads the time from this clock.
    pub fn with_clock(store: S, clock: Arc<dyn Clock>) -> Self {
        Self::builder(store).clock(clock).build()
    }

    /// A cache in this store, with options.
    ///
    /// ```
    /// use msal_cache::{Memory, Profile, TokenCache};
    ///
    /// let cache = TokenCache::builder(Memory::new()).profile(Profile::Family).build();
    /// # let _ = cache;
    /// ```
    pub fn builder(store: S) -> TokenCacheBuilder<S> {
        TokenCacheBuilder::new(store)
    }

    /// Proves that the store can be read and written: it writes a record, reads it back and deletes it.
    /// An app that calls it at its start can use another store before a user signs in.
    ///
    /// The record is an access token of no user, in a partition of its own: no other record is touched,
    /// and none is left, also where a step fails. A process that is killed meanwhile leaves the record;
    /// it expires after five minutes, and is deleted as any expired token. A place that didn't exist
    /// exists afterwards, empty.
    ///
    /// It proves what is true at this moment: a disk can be full later. An error doesn't say that the
    /// cache is empty.
    ///
    /// ```
    /// use msal_cache::store::CacheStore;
    /// use msal_cache::{Memory, TokenCache};
    ///
    /// fn usable(store: Box<dyn CacheStore>) -> TokenCache<Box<dyn CacheStore>> {
    ///     let cache = TokenCache::new(store);
    ///     match cache.verify() {
    ///         Ok(()) => cache,
    ///         Err(error) => {
    ///             eprintln!("tokens are kept in memory: {error}");
    ///             TokenCache::new(Box::new(Memory::new()))
    ///         }
    ///     }
    /// }
    /// # assert!(usable(Box::new(Memory::new())).verify().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the store, such as [`Error::ReadOnly`](crate::Error::ReadOnly),
    /// [`Error::Io`](crate::Error::Io) on a full disk, or [`Error::Corrupt`](crate::Error::Corrupt) where
    /// the place can't be read, and is then not written. [`Error::NotKept`](crate::Error::NotKept) where
    /// the store reports no error and doesn't return what was written.
    pub fn verify(&self) -> Result<()> {
        now(self.0.verify())
    }

    /// Waits until no refresh is in flight, including those that go on in threads of their own while
    /// their callers have a token that is still valid (see
    /// [`Client::with_refresh_wait`](crate::Client::with_refresh_wait)).
    ///
    /// A program calls it before it ends: a refresh token that the server has just replaced would be
    /// lost with the response. It takes as long as the endpoint, `HttpEndpoint` at most 30 seconds
    /// unless set.
    pub fn finish_refreshes(&self) {
        now(self.0.finish_refreshes());
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.0.store.0
    }

    /// Stores a response of a token endpoint: access token, account, ID token, refresh token and
    /// the metadata of the client, as far as the response has them, in one commit.
    ///
    /// The commit also deletes the expired access tokens of the same user, or of the same client
    /// and tenant; those with an extended cache key are left to
    /// [`purge_expired`](Self::purge_expired). With [`Profile::Family`](crate::Profile::Family), it
    /// also deletes what the new records replace.
    ///
    /// Returns who signed in, and what was stored.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) where the event is invalid, with the name of the field.
    pub fn add(&self, event: &Event) -> Result<Added> {
        now(self.0.add(event))
    }

    /// Finds entries of one type. Entries that can't be used and expired access tokens are not
    /// found.
    ///
    /// The entry that was stored last comes first: an access token may be older and still valid, but
    /// revoked (see [which token is returned](crate::docs::which_token)). Times are in seconds.
    /// Entries of the same time come in the order of their positions; if the query has scopes, in the
    /// reverse order, so that the last one comes first.
    pub fn search(
        &self,
        credential_type: CredentialType,
        query: &Query,
    ) -> Result<impl Iterator<Item = Entry> + use<S>> {
        let read = self.read(&credential_type, query)?;
        Ok(self.0.matches(&read, &credential_type, query).into_iter())
    }

    /// The result of [`search`](Self::search) in a vector.
    pub fn find(&self, credential_type: CredentialType, query: &Query) -> Result<Vec<Entry>> {
        let read = self.read(&credential_type, query)?;
        Ok(self.0.matches(&read, &credential_type, query).into_vec())
    }

    /// All entries of one type or of all, including expired ones and those that can't be used (see
    /// [`Entry::problem`]). For administration; its cost grows with the cache.
    pub fn entries(&self, credential_type: Option<CredentialType>) -> Result<Vec<Entry>> {
        now(self.0.entries(credential_type.as_ref()))
    }

    /// Changes an entry, or removes it: `None`, or no fields, removes it, as in MSAL Python.
    ///
    /// It changes the record that is stored under the key of the entry by now: fields that aren't
    /// given keep their stored values, also where another writer has just changed them. If the
    /// record was removed, it is written again from the entry.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) where the entry has another type, or is not an object.
    pub fn modify(
        &self,
        credential_type: CredentialType,
        old_entry: &Entry,
        new_key_value_pairs: Option<&Fields>,
    ) -> Result<()> {
        now(self.0.modify(&credential_type, old_entry, new_key_value_pairs))
    }

    /// Removes a refresh token.
    pub fn remove_rt(&self, rt_item: &Entry) -> Result<()> {
        self.modify(CredentialType::RefreshToken, rt_item, None)
    }

    /// Replaces the secret of a refresh token, and sets the time.
    pub fn update_rt(&self, rt_item: &Entry, new_rt: &str) -> Result<()> {
        now(self.0.update_rt(rt_item, new_rt))
    }

    /// Removes an access token.
    pub fn remove_at(&self, at_item: &Entry) -> Result<()> {
        self.modify(CredentialType::AccessToken, at_item, None)
    }

    /// Removes an ID token.
    pub fn remove_idt(&self, idt_item: &Entry) -> Result<()> {
        self.modify(CredentialType::IdToken, idt_item, None)
    }

    /// Removes the record of an account, and no token.
    /// [`Client::remove_account`](crate::Client::remove_account) signs a user out.
    pub fn remove_account(&self, account_item: &Entry) -> Result<()> {
        self.modify(CredentialType::Account, account_item, None)
    }

    /// Removes everything of a user, of all clients and clouds, in one commit: no record of the user
    /// is left in the store, and no byte of the user's id but in the keys of records of other users.
    /// Another program may have stored such a record under a key with this id; its fields say whose
    /// it is. [`check`](Self::check) reports it, and [`repair`](Self::repair) gives it its own key.
    /// Returns the number of removed records.
    ///
    /// ```
    /// use msal_cache::TokenCache;
    ///
    /// let cache = TokenCache::in_memory();
    /// cache.deserialize(r#"{"Account": {"k": {"home_account_id": "uid.utid"}}}"#)?;
    /// assert_eq!(cache.remove_user("uid.utid")?, 1);
    /// assert!(!cache.serialize()?.contains("uid"));
    /// # Ok::<(), msal_cache::Error>(())
    /// ```
    pub fn remove_user(&self, home_account_id: &str) -> Result<usize> {
        now(self.0.remove_user(home_account_id))
    }

    /// Deletes all expired access tokens, of all users and clients, and returns their number. The
    /// earlier tokens for the API of an expired one are deleted and counted, too: they
    /// [count no more](crate::docs::which_token), and without the expired one they would again.
    /// Nothing else is deleted.
    pub fn purge_expired(&self) -> Result<u64> {
        now(self.0.purge_expired())
    }

    /// Finds what is wrong with the cache, for all libraries that share it. Reads all of it and
    /// changes nothing; see the [module](crate::check).
    pub fn check(&self) -> Result<Vec<Finding>> {
        now(self.0.check())
    }

    /// Repairs what [`check`](Self::check) finds and can be repaired, in one commit. Returns the
    /// repaired findings, those with a [`remedy`](Finding::remedy).
    ///
    /// Nothing usable is lost: it deletes expired access tokens, records that are `null`, and the
    /// older one of two records with one identity, if their times tell which one is older. [`serialize`](Self::serialize) makes a backup.
    pub fn repair(&self) -> Result<Vec<Finding>> {
        now(self.0.repair())
    }

    /// The whole cache as the JSON document that all MSAL libraries read.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) where a value is not JSON, or where the store has two records under one
    /// key: the document would lose one.
    pub fn serialize(&self) -> Result<String> {
        now(self.0.serialize())
    }

    /// Replaces the whole cache by a document that [`serialize`](Self::serialize) or any MSAL
    /// library has written. The empty text is the empty cache.
    ///
    /// It replaces what the store has when it is called; a record that another writer adds at the
    /// same moment is kept.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) where the text is not such a document. The cache is unchanged then.
    pub fn deserialize(&self, state: &str) -> Result<()> {
        now(self.0.deserialize(state))
    }

    /// Copies all records into another cache, over any store, including expired and unreadable
    /// records and unknown sections. Returns the number of records.
    ///
    /// Records of the target under the same keys are replaced; others are kept. It is one commit in
    /// the target: all of it is copied, or nothing.
    ///
    /// ```
    /// use msal_cache::TokenCache;
    ///
    /// let (old, new) = (TokenCache::in_memory(), TokenCache::in_memory());
    /// old.deserialize(r#"{"Account": {"k": {"home_account_id": "uid.utid"}}, "version": 3}"#)?;
    /// assert_eq!(old.copy_to(&new)?, 2);
    /// assert_eq!(new.serialize()?, old.serialize()?);
    /// # Ok::<(), msal_cache::Error>(())
    /// ```
    pub fn copy_to<T: CacheStore>(&self, target: &TokenCache<T>) -> Result<usize> {
        now(self.0.copy_to(&target.0))
    }

    /// Whether the cache was changed through this handle or a clone of it since the last
    /// [`serialize`](Self::serialize) or [`deserialize`](Self::deserialize).
    pub fn has_state_changed(&self) -> bool {
        self.0.has_changed()
    }

    /// Reads the partition or the section of a query. What has to be read has functions of its own: a
    /// hit takes not much longer than the compiler's copies of a future.
    #[inline]
    fn read(&self, credential_type: &CredentialType, query: &Query) -> Result<Arc<Decoded>> {
        match query.partition(credential_type) {
            Some(partition) => match self.0.current(&partition) {
                Some(current) => Ok(current),
                None => self.read_partition(&partition),
            },
            None => self.read_section(credential_type),
        }
    }

    #[inline(never)]
    fn read_partition(&self, partition: &Partition) -> Result<Arc<Decoded>> {
        now(self.0.look_up(partition))
    }

    #[inline(never)]
    fn read_section(&self, credential_type: &CredentialType) -> Result<Arc<Decoded>> {
        now(self.0.look_up_section(credential_type))
    }

    pub(crate) fn build(store: S, options: CacheOptions) -> Self {
        let blocks = !store.is_immediate();
        Self(Arc::new(Engine::new(Ready(Arc::new(store)), Threads, options, blocks)))
    }
}

impl<S> Clone for TokenCache<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: fmt::Debug> fmt::Debug for TokenCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("store", &*self.0.store.0).finish_non_exhaustive()
    }
}
