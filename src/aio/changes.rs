use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{AsyncCacheStore, Memory, Offload, Result};

use crate::AsyncTokenCache;
use crate::changes::{AccountChange, EntryChange, WatchedChange};
use crate::engine::{Tokio, Watcher};
use crate::model::{AccountInfo, Entry};
use crate::plan::changes::accounts;

/// The async form of [`Changes`](crate::changes::Changes): a stream of changes that never ends.
/// [`next`](Self::next) is awaited, as `recv` of a channel.
///
/// Dropping it ends the watch.
pub struct AsyncChanges<S = Offload<Memory>, C = AccountChange> {
    watcher: Watcher<Arc<S>, Tokio>,
    pending: VecDeque<C>,
}

impl<S: AsyncCacheStore> AsyncTokenCache<S> {
    /// See [`TokenCache::changes`](crate::TokenCache::changes).
    ///
    /// ```
    /// use msal_cache::AsyncTokenCache;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), msal_cache::Error> {
    /// let cache = AsyncTokenCache::in_memory();
    /// let mut changes = cache.changes().await?;
    /// cache.deserialize(r#"{"Account": {"k": {
    ///     "home_account_id": "uid.utid", "environment": "login.microsoftonline.com"
    /// }}}"#).await?;
    /// let change = changes.next().await?;
    /// println!("{} was {}", change.account().home_account_id(), change.kind().as_str());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn changes(&self) -> Result<AsyncChanges<S>> {
        AsyncChanges::of(self).await
    }

    /// See [`TokenCache::entry_changes`](crate::TokenCache::entry_changes).
    pub async fn entry_changes(&self) -> Result<AsyncChanges<S, EntryChange>> {
        AsyncChanges::of(self).await
    }
}

impl<S: AsyncCacheStore, C: WatchedChange> AsyncChanges<S, C> {
    async fn of(cache: &AsyncTokenCache<S>) -> Result<Self> {
        let watcher = Watcher::of::<C>(cache.0.clone()).await?;
        Ok(Self { watcher, pending: VecDeque::new() })
    }

    /// See [`Changes::poll_every`](crate::changes::Changes::poll_every).
    pub fn poll_every(mut self, interval: Duration) -> Self {
        self.watcher.poll_every(interval);
        self
    }

    /// Waits for the next change. The future can be dropped, for example in `select!`: no change is
    /// lost.
    ///
    /// # Errors
    ///
    /// Where the cache can't be read; the next call goes on.
    pub async fn next(&mut self) -> Result<C> {
        loop {
            if let Some(change) = self.pending.pop_front() {
                return Ok(change);
            }
            let changes = self.watcher.next(None).await?;
            self.pending.extend(changes);
        }
    }
}

impl<S: AsyncCacheStore> AsyncChanges<S> {
    /// See [`Changes::accounts`](crate::changes::Changes::accounts).
    pub fn accounts(&self) -> Vec<AccountInfo> {
        let all = accounts(self.watcher.seen(), self.watcher.clouds());
        all.into_iter().map(|(_, account)| account).collect()
    }
}

impl<S: AsyncCacheStore> AsyncChanges<S, EntryChange> {
    /// See [`Changes::entries`](crate::changes::Changes).
    pub fn entries(&self) -> &[Entry] {
        self.watcher.seen()
    }
}

impl<S, C> fmt::Debug for AsyncChanges<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncChanges").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}
