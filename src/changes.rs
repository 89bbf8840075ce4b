//! Changes of a cache, by this process or another, as they happen.
//!
//! [`TokenCache::changes`] returns an iterator that waits for the next change of an account, and
//! `AsyncTokenCache::changes` the async form, whose `next` is awaited. `entry_changes` has the changes
//! of all entries, for administration.
//!
//! | store | how a change is noticed |
//! |---|---|
//! | any | by this process, through this cache or a clone: at once |
//! | [`Memory`] | at once |
//! | `FileStore` | with the feature `watch`: by the notifications of the system, and a look every 2 seconds; else by a look every 200 ms |
//! | `SqliteStore` | by a look every 200 ms |
//! | `SecretServiceStore` | by its signal file, as a file |
//! | a store of your own | by a look each second, unless it implements [`CacheStore::watch`] |
//!
//! A look is one conditional read, which reads nothing more where nothing has changed; where something
//! has, its cost grows with the number of accounts, or of all entries. `poll_every` sets the interval.
//!
//! **What is reported** is the difference between two readings: changes that follow each other
//! quickly coalesce, and an account that was added and removed in between isn't reported. The last
//! state always is. The first reading is the call of `changes`.
//!
//! A cache that can't be read is an error, once, until the error is another one or has ended. The
//! changes go on afterwards, and none is lost.
//!
//! [`CacheStore::watch`]: crate::store::CacheStore::watch

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::internal::now;
use msal_cache_core::{CacheStore, Memory, Ready, Result};

use crate::TokenCache;
#[cfg(feature = "tokio")]
pub use crate::aio::AsyncChanges;
use crate::engine::{Threads, Watcher};
use crate::model::{AccountInfo, Entry};
use crate::plan::changes::accounts;
pub use crate::plan::changes::{AccountChange, ChangeKind, EntryChange, WatchedChange};

/// The changes of a cache: an iterator that waits for the next one and never ends. See the
/// [module](self).
///
/// Dropping it ends the watch.
pub struct Changes<S = Memory, C = AccountChange> {
    watcher: Watcher<Ready<Arc<S>>, Threads>,
    pending: VecDeque<C>,
}

impl<S: CacheStore> TokenCache<S> {
    /// The changes of accounts from now on, by this process or another. See the
    /// [module](crate::changes).
    ///
    /// ```
    /// use std::time::Duration;
    /// use msal_cache::TokenCache;
    /// use msal_cache::changes::ChangeKind;
    ///
    /// let cache = TokenCache::in_memory();
    /// let mut changes = cache.changes()?;
    /// cache.deserialize(r#"{"Account": {"k": {
    ///     "home_account_id": "uid.utid", "environment": "login.microsoftonline.com"
    /// }}}"#)?;
    /// let change = changes.next_within(Duration::from_secs(60)).expect("a change")?;
    /// assert_eq!(change.kind(), ChangeKind::Added);
    /// assert_eq!(change.account().home_account_id(), "uid.utid");
    /// assert!(changes.next_within(Duration::ZERO).is_none());
    /// # Ok::<(), msal_cache::Error>(())
    /// ```
    pub fn changes(&self) -> Result<Changes<S>> {
        Changes::of(self)
    }

    /// The changes of all entries from now on. It keeps all entries in memory, tokens included.
    pub fn entry_changes(&self) -> Result<Changes<S, EntryChange>> {
        Changes::of(self)
    }
}

impl<S: CacheStore, C: WatchedChange> Changes<S, C> {
    fn of(cache: &TokenCache<S>) -> Result<Self> {
        let watcher = now(Watcher::of::<C>(cache.0.clone()))?;
        Ok(Self { watcher, pending: VecDeque::new() })
    }

    /// Sets how often the store is asked, instead of the interval of the store. Changes that are
    /// notified are noticed at once, whatever the interval.
    pub fn poll_every(mut self, interval: Duration) -> Self {
        self.watcher.poll_every(interval);
        self
    }

    /// The next change, if there is one within this time. Zero doesn't wait.
    pub fn next_within(&mut self, limit: Duration) -> Option<Result<C>> {
        self.advance(Some(limit))
    }

    fn advance(&mut self, limit: Option<Duration>) -> Option<Result<C>> {
        if self.pending.is_empty() {
            match now(self.watcher.next(limit)) {
                Ok(changes) => self.pending.extend(changes),
                Err(error) => return Some(Err(error)),
            }
        }
        self.pending.pop_front().map(Ok)
    }
}

impl<S: CacheStore> Changes<S> {
    /// The accounts of all clouds, as they were last read; changes that were not returned yet are
    /// included.
    pub fn accounts(&self) -> Vec<AccountInfo> {
        let all = accounts(self.watcher.seen(), self.watcher.clouds());
        all.into_iter().map(|(_, account)| account).collect()
    }
}

impl<S: CacheStore> Changes<S, EntryChange> {
    /// The entries, as they were last read; changes that were not returned yet are included.
    pub fn entries(&self) -> &[Entry] {
        self.watcher.seen()
    }
}

impl<S: CacheStore, C: WatchedChange> Iterator for Changes<S, C> {
    type Item = Result<C>;

    /// Waits for the next change.
    fn next(&mut self) -> Option<Self::Item> {
        self.advance(None)
    }

    /// The number of changes that were read already, and can be returned without a wait.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.pending.len(), None)
    }
}

impl<S, C> fmt::Debug for Changes<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}
