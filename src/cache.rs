use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Error, Guards, Load, Memory, Partition, Record, Result,
    compose, decompose, retry,
};
use smallvec::SmallVec;

use crate::check::{self, Finding};
use crate::client::Flights;
use crate::decoded::{Decoded, Shelf};
use crate::family::{self, Environments};
use crate::plan::{Rules, Standing};
use crate::{
    Clock, Clouds, Entry, Event, Fields, Limits, Profile, Query, TokenCacheBuilder, plan, response,
    trace,
};

/// A cache of tokens and accounts, over any [`CacheStore`].
///
/// It does what MSAL Python's `TokenCache` and `SerializableTokenCache` do, with the same results
/// for the same input. Where it differs, it is on purpose:
///
/// - A read never writes. Expired access tokens are not found; they are deleted by the next
///   write to their partition, and by [`purge_expired`](Self::purge_expired).
/// - A record is changed and removed by the key under which it is stored, so those of other
///   libraries are too.
/// - A record that can't be read is passed over, and stays. It breaks no other.
/// - Scopes match as sets, without regard to ASCII case.
/// - One token response is one commit: all of it is stored, or nothing.
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
pub struct TokenCache<S = Memory>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    clock: Arc<dyn Clock>,
    profile: Profile,
    clouds: Clouds,
    limits: Limits,
    /// About how many access tokens are stored, where there is a limit to it.
    stored: AtomicUsize,
    decoded: Shelf,
    changed: AtomicBool,
    /// The requests of clients that are under way, and who waits for a turn.
    flights: Flights,
    guards: Guards,
}

impl TokenCache {
    /// A cache that is gone with the process.
    pub fn in_memory() -> Self {
        Self::new(Memory::new())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a type is named at the call, and rarely stands in a variable"
)]
impl<S: CacheStore> TokenCache<S> {
    /// A cache in this store.
    pub fn new(store: S) -> Self {
        Self::builder(store).build()
    }

    /// A cache in this store that asks this clock for the time.
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

    /// The store.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// Stores what a token endpoint has answered: access token, account, ID token, refresh token
    /// and the metadata of the client, as far as the response has them, in one commit.
    ///
    /// The commit also deletes the access tokens of the same user, or of the same client and
    /// tenant, that have expired; those of an extended cache key are left to
    /// [`purge_expired`](Self::purge_expired). With [`Profile::Family`], it also deletes what the
    /// new records replace.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the event can't be understood, with the name of the field.
    pub fn add(&self, event: &Event) -> Result<()> {
        let now = self.now();
        let first = self.records(event, &Environments::default(), now)?;
        let mut partitions: Vec<_> = first.iter().map(Entry::partition).collect();
        let unowned = Partition::unowned();
        if self.0.profile == Profile::Family {
            partitions.push(&unowned);
        }
        partitions.sort_unstable();
        partitions.dedup();
        let metadata = Partition::app_metadata();
        let mut checks = true;
        let (written, swept) = retry(|| {
            // What is known of the user needn't be read: the commit finds out whether it still
            // holds. That may fail once; the second attempt is right whatever stands there.
            let mut standing = Standing::new(checks);
            for partition in &partitions {
                let is_written = **partition != metadata && **partition != unowned;
                let known = self.0.decoded.exact(partition).filter(|_| checks && is_written);
                let stands = match known {
                    Some(known) => known,
                    None => readable(self.partition(partition))?.unwrap_or_default(),
                };
                standing.insert((*partition).clone(), stands);
            }
            checks = false;
            let records = self.fitting(&standing, event, &first, now)?;
            let (batch, swept) = plan::add(&standing, &records, self.rules(now));
            self.commit(&batch, &records)?;
            Ok((records.len(), swept))
        })?;
        trace::added(written, swept);
        self.set_changed();
        // The response is stored, so the call has succeeded. What can't be deleted now is tried
        // again by the next one.
        if let Err(error) = self.keep_to_limit(now) {
            trace::over_limit(&error);
        }
        Ok(())
    }

    /// Deletes access tokens where there are more than the cache may hold.
    fn keep_to_limit(&self, now: i64) -> Result<()> {
        let Inner { limits, stored, decoded, .. } = &*self.0;
        let Some(most) = limits.access_tokens else { return Ok(()) };
        if stored.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        let tokens = self.list(Some(&CredentialType::AccessToken))?;
        let tokens: Vec<_> = tokens.into_iter().map(Entry::read).collect();
        let mut left = tokens.len();
        if left > most {
            let down_to = most / 4 * 3;
            // What is known of their use stands with what searches have read.
            let used_at = |it: &Entry| {
                let read = decoded.partition(it.partition());
                let read = read.iter().flat_map(|read| &read.entries);
                let known = read.filter(|known| known.is_at_place_of(it)).map(Entry::used_at);
                known.max().unwrap_or_default().max(it.used_at())
            };
            self.commit(&plan::evict(&tokens, down_to, now, used_at), &[])?;
            left = down_to;
        }
        stored.store(left, Ordering::Relaxed);
        Ok(())
    }

    /// The records of an event, under these environments.
    pub(crate) fn records(
        &self,
        event: &Event,
        environments: &Environments,
        now: i64,
    ) -> Result<Vec<Entry>> {
        response::records(event, now, self.0.profile, environments)
    }

    /// The `first` records of an event as the profile has them fit into what stands there.
    pub(crate) fn fitting(
        &self,
        standing: &Standing,
        event: &Event,
        first: &[Entry],
        now: i64,
    ) -> Result<Vec<Entry>> {
        match self.0.profile {
            Profile::Python => Ok(first.to_vec()),
            Profile::Family => family::settle(standing, first, &self.0.clouds, |environments| {
                self.records(event, environments, now)
            }),
        }
    }

    /// Finds entries of one type. Entries that can't be read and access tokens that have expired
    /// are not found.
    ///
    /// Asked for scopes, the token with the fewest others comes first. Then what was stored last
    /// comes first, and what was stored at the same time in the order of storing.
    pub fn search(
        &self,
        credential_type: CredentialType,
        query: &Query,
    ) -> Result<impl Iterator<Item = Entry> + use<S>> {
        Ok(self.matches(&credential_type, query)?.into_iter())
    }

    /// The same as [`search`](Self::search), in a vector.
    pub fn find(&self, credential_type: CredentialType, query: &Query) -> Result<Vec<Entry>> {
        Ok(self.matches(&credential_type, query)?.into_vec())
    }

    fn matches(&self, credential_type: &CredentialType, query: &Query) -> Result<Found> {
        // Nothing else expires. Asking for the time takes as long as a tenth of a hit.
        let is_token = *credential_type == CredentialType::AccessToken;
        let now = if is_token { self.now() } else { 0 };
        let read = match query.partition(credential_type) {
            Some(partition) => self.partition(&partition)?,
            None => self.section(credential_type)?,
        };
        let matches = |it: &&Entry| {
            it.credential_type() == credential_type
                && it.problem().is_none()
                && !it.has_expired(now)
                && query.matches(it)
        };
        let mut found: Found = read.entries.iter().filter(matches).cloned().collect();
        if is_token && self.0.limits.need_recency() {
            found.iter().for_each(|it| it.use_at(now));
        }
        if found.len() > 1 {
            let asked = query.has_scopes();
            found.sort_by_key(|it| {
                (if asked { it.scopes().len() } else { 0 }, Reverse(it.stored_at()))
            });
        }
        trace::searched(credential_type.as_str(), read.entries.len(), found.len());
        Ok(found)
    }

    /// Everything that is stored, of one type or of all: what has expired and what can't be read
    /// (see [`Entry::problem`]) included. For administration; its cost grows with the cache.
    pub fn entries(&self, credential_type: Option<CredentialType>) -> Result<Vec<Entry>> {
        let records = self.list(credential_type.as_ref())?;
        // An empty section is a record to the store, and nothing to a person.
        let empty =
            |it: &Record| it.credential_type.as_str().is_empty() && it.value.expose() == "{}";
        Ok(records.into_iter().filter(|it| !empty(it)).map(Entry::read).collect())
    }

    /// Changes an entry, or removes it: `None`, or no fields, removes it, as in MSAL Python.
    ///
    /// What is changed is the record that stands under the key of the entry by now: fields that
    /// aren't given keep the value that they have there, also where somebody else has just
    /// changed them. If the record is gone, it is made again out of the entry.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the entry is of another type, or is not an object.
    pub fn modify(
        &self,
        credential_type: CredentialType,
        old_entry: &Entry,
        new_key_value_pairs: Option<&Fields>,
    ) -> Result<()> {
        if *old_entry.credential_type() != credential_type {
            let found = old_entry.credential_type();
            return Err(Error::invalid(
                "entry",
                format!("it is {found} instead of {credential_type}"),
            ));
        }
        match new_key_value_pairs.filter(|fields| !fields.is_empty()) {
            None => self.commit(&plan::remove(old_entry), &[])?,
            Some(fields) => retry(|| {
                let standing = self.partition(old_entry.partition())?;
                self.commit(&plan::change(&standing, old_entry, fields, self.0.profile)?, &[])
            })?,
        }
        self.set_changed();
        Ok(())
    }

    /// Removes a refresh token.
    pub fn remove_rt(&self, rt_item: &Entry) -> Result<()> {
        self.modify(CredentialType::RefreshToken, rt_item, None)
    }

    /// Gives a refresh token its new secret, and the time.
    pub fn update_rt(&self, rt_item: &Entry, new_rt: &str) -> Result<()> {
        let fields = Fields::new()
            .set("secret", new_rt)
            .set("last_modification_time", self.0.clock.now().to_string());
        self.modify(CredentialType::RefreshToken, rt_item, Some(&fields))
    }

    /// Removes an access token.
    pub fn remove_at(&self, at_item: &Entry) -> Result<()> {
        self.modify(CredentialType::AccessToken, at_item, None)
    }

    /// Removes an ID token.
    pub fn remove_idt(&self, idt_item: &Entry) -> Result<()> {
        self.modify(CredentialType::IdToken, idt_item, None)
    }

    /// Removes the entry of an account, and no token.
    pub fn remove_account(&self, account_item: &Entry) -> Result<()> {
        self.modify(CredentialType::Account, account_item, None)
    }

    /// Deletes every access token that has expired, of all users and clients, and returns their
    /// number. Nothing else is deleted.
    pub fn purge_expired(&self) -> Result<u64> {
        let purged = self.0.store.purge(self.0.clock.now())?;
        if purged > 0 {
            self.0.decoded.forget_all();
            self.set_changed();
        }
        Ok(purged)
    }

    /// Looks for what is wrong with the cache, for whichever library shares it. Reads all of it
    /// and changes nothing; see the [module](crate::check).
    pub fn check(&self) -> Result<Vec<Finding>> {
        Ok(check::check(&self.entries(None)?, self.0.clock.now()))
    }

    /// Mends what [`check`](Self::check) finds and can be mended, in one commit, and returns what
    /// was mended: the findings with a [`remedy`](Finding::remedy), as they stood.
    ///
    /// Nothing is lost that anyone could use: it deletes access tokens that have expired, records
    /// that are `null`, and of two records for one identity the older one. Whoever wants all of
    /// it back keeps what [`serialize`](Self::serialize) gives before.
    pub fn repair(&self) -> Result<Vec<Finding>> {
        let now = self.0.clock.now();
        let mended = retry(|| {
            let found = check::check(&self.entries(None)?, now);
            let (mut batch, mut mended) = (Batch::new(), Vec::new());
            for partition in check::mendable(&found) {
                let stands = self.partition(&partition)?;
                let entries = &stands.entries;
                mended.extend(check::mend(&mut batch, &partition, stands.revision, entries, now));
            }
            self.commit(&batch, &[])?;
            // In the order in which `check` tells them, and not by user.
            let at: HashMap<_, _> = found
                .iter()
                .enumerate()
                .map(|(at, it)| ((it.entry().credential_type(), it.entry().key()), at))
                .collect();
            mended.sort_by_key(|it: &Finding| {
                at.get(&(it.entry().credential_type(), it.entry().key())).copied()
            });
            Ok(mended)
        })?;
        if !mended.is_empty() {
            self.set_changed();
        }
        Ok(mended)
    }

    /// The whole cache as the JSON document that all MSAL libraries read.
    pub fn serialize(&self) -> Result<String> {
        // Before reading: a change that comes in between shall not be forgotten.
        self.0.changed.store(false, Ordering::SeqCst);
        let document = self.list(None).and_then(compose);
        if document.is_err() {
            self.set_changed();
        }
        document
    }

    /// Replaces the whole cache by a document that [`serialize`](Self::serialize) or any MSAL
    /// library has written. The empty text is the empty cache.
    ///
    /// What is in the store is replaced as it is read now; a record that somebody else adds in
    /// this moment stays.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] where the text is not such a document. The cache is then as it was.
    pub fn deserialize(&self, state: &str) -> Result<()> {
        let new = if state.is_empty() { Vec::new() } else { decompose(state)? };
        // As in `serialize`: before reading, so that no change is forgotten.
        self.0.changed.store(false, Ordering::SeqCst);
        let replaced = readable(self.list(None)).and_then(|standing| {
            self.commit(&plan::replace(standing.unwrap_or_default(), new), &[])
        });
        if replaced.is_err() {
            self.set_changed();
        }
        replaced
    }

    /// Copies everything into another cache, over whatever store: expired and unreadable records
    /// and unknown sections included. Returns the number of records.
    ///
    /// What stands there under the same key is replaced; what stands under other keys stays. It is
    /// one commit there: all of it arrives, or nothing.
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
        let records = self.list(None)?;
        let copied = records.len();
        let placed = records.into_iter().map(|record| (record.partition(), record));
        target.commit(&plan::put_all(placed), &[])?;
        if copied > 0 {
            target.set_changed();
        }
        Ok(copied)
    }

    /// Whether the cache was changed through this handle or a clone of it since the last
    /// [`serialize`](Self::serialize) or [`deserialize`](Self::deserialize).
    pub fn has_state_changed(&self) -> bool {
        self.0.changed.load(Ordering::SeqCst)
    }

    pub(crate) fn of(options: TokenCacheBuilder<S>) -> Self {
        let TokenCacheBuilder { store, clock, profile, clouds, limits } = options;
        Self(Arc::new(Inner {
            store,
            clock,
            profile,
            clouds,
            limits,
            // Nobody has counted yet.
            stored: AtomicUsize::new(usize::MAX / 2),
            decoded: Shelf::of(limits.decoded_bytes),
            changed: AtomicBool::new(false),
            flights: Flights::default(),
            guards: Guards::new(),
        }))
    }

    pub(crate) fn now(&self) -> i64 {
        self.0.clock.now()
    }

    pub(crate) fn profile(&self) -> Profile {
        self.0.profile
    }

    pub(crate) fn clouds(&self) -> &Clouds {
        &self.0.clouds
    }

    pub(crate) fn rules(&self, now: i64) -> Rules<'_> {
        let Inner { profile, clouds, limits, .. } = &*self.0;
        Rules { now, profile: *profile, clouds, most: limits.access_tokens_of_one_owner }
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.0.flights
    }

    pub(crate) fn guards(&self) -> &Guards {
        &self.0.guards
    }

    pub(crate) fn set_changed(&self) {
        self.0.changed.store(true, Ordering::SeqCst);
    }

    /// Commits a batch and remembers that the cache was changed.
    pub(crate) fn commit_change(&self, batch: &Batch) -> Result<()> {
        if !batch.is_empty() {
            self.commit(batch, &[])?;
            self.set_changed();
        }
        Ok(())
    }

    /// Commits a batch, of which these entries have been decoded already.
    pub(crate) fn commit(&self, batch: &Batch, written: &[Entry]) -> Result<()> {
        if !batch.is_empty() {
            let revisions = self.0.store.commit(batch)?;
            self.0.decoded.committed(batch, written, &revisions);
        }
        Ok(())
    }

    fn list(&self, credential_type: Option<&CredentialType>) -> Result<Vec<Record>> {
        match self.0.store.list(credential_type, None)? {
            Load::Snapshot(snapshot) => Ok(snapshot.records),
            Load::Unchanged => Err(unchanged_unasked()),
        }
    }

    pub(crate) fn partition(&self, partition: &Partition) -> Result<Arc<Decoded>> {
        let Inner { store, decoded, .. } = &*self.0;
        let known = decoded.partition(partition);
        let snapshot = match store.load(partition, known.as_ref().map(|known| known.revision))? {
            Load::Unchanged => return known.ok_or_else(unchanged_unasked),
            Load::Snapshot(snapshot) => snapshot,
        };
        let read = Arc::new(Decoded::of(snapshot, known.as_deref()));
        if read.entries.iter().any(|entry| entry.partition() != partition) {
            // Better no token than somebody else's.
            return Err(Error::Corrupt {
                place: "the store".into(),
                reason: "it returned a record of another partition than the one asked for".into(),
                position: None,
            });
        }
        decoded.put_partition(partition, read.clone());
        Ok(read)
    }

    pub(crate) fn section(&self, credential_type: &CredentialType) -> Result<Arc<Decoded>> {
        let Inner { store, decoded, .. } = &*self.0;
        let known = decoded.section(credential_type);
        let revision = known.as_ref().map(|known| known.revision);
        let snapshot = match store.list(Some(credential_type), revision)? {
            Load::Unchanged => return known.ok_or_else(unchanged_unasked),
            Load::Snapshot(snapshot) => snapshot,
        };
        let read = Arc::new(Decoded::of(snapshot, known.as_deref()));
        decoded.put_section(credential_type, read.clone());
        Ok(read)
    }
}

/// What a search finds: mostly so little that it needs no memory of its own.
type Found = SmallVec<[Entry; 4]>;

/// What stands, as far as it can be read. A cache that is broken must not keep anyone from
/// signing in: the commit decides whether it can be mended.
fn readable<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(Error::Corrupt { .. }) => Ok(None),
        read => read.map(Some),
    }
}

fn unchanged_unasked() -> Error {
    Error::backend("cache", "it reported `Unchanged` without having been given a revision")
}

impl<S> Clone for TokenCache<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: fmt::Debug> fmt::Debug for TokenCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("store", &self.0.store).finish_non_exhaustive()
    }
}
