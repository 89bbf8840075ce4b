use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::internal::{CredentialSource, LocalRevisions};
use msal_cache_core::{Credentials, Result};

#[cfg(doc)]
use crate::error::RedisFailure;
use crate::keys::Keys;
use crate::nodes::{Nodes, Sentinel};
use crate::server::Server;
use crate::state::Replication;
use crate::store::RedisStore;
use crate::tracking::Tracking;

/// The options of a [`RedisStore`].
#[derive(Clone)]
#[must_use = "call `connect`"]
pub struct RedisStoreBuilder {
    url: String,
    name: String,
    timeout: Duration,
    source: Option<CredentialSource>,
    replicas: u32,
    max_staleness: Duration,
    sentinel: Option<Sentinel>,
    idle: Option<Duration>,
}

impl RedisStoreBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            name: "default".into(),
            timeout: Duration::from_secs(5),
            source: None,
            replicas: 0,
            max_staleness: Duration::from_millis(500),
            sentinel: None,
            idle: None,
        }
    }

    /// The name of the cache, `default` unless set. One server may hold several caches, for example
    /// one for each app or tenant. A name has ASCII letters, digits and `. _ : - /`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How long a connection, and each call, may take; 5 seconds unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many replicas must have a commit before it returns (`WAIT`), 0 unless set. If fewer have
    /// it within half of the timeout, the error is [`RedisFailure::NotReplicated`].
    ///
    /// A failover to one of these replicas then loses no acknowledged commit. Commits get a
    /// connection of their own, on which they wait for each other.
    pub fn replicas(mut self, count: u32) -> Self {
        self.replicas = count;
        self
    }

    /// How old the answer to a look-up may be that is made without a round trip; 500 milliseconds
    /// unless set. With zero, each look-up asks the server.
    ///
    /// The server reports each change as it happens, so such an answer is usually up to date within
    /// less than a millisecond. Only where the reports stop without notice, as on a connection that
    /// was cut off silently, does the whole time pass before look-ups ask again.
    pub fn max_staleness(mut self, limit: Duration) -> Self {
        self.max_staleness = limit;
        self
    }

    /// How long a user is kept that no process uses; for ever unless set. All processes should set the
    /// same limit.
    ///
    /// Each read and each commit of any record of the user is a use. A user is deleted with all records, at
    /// the earliest when the limit has passed since the last use, and at the latest an eighth of it
    /// later. A refresh token doesn't say when it expires: for Microsoft Entra ID, 90 days without a use is
    /// the usual lifetime. The server must not evict keys then ([`RedisFailure::Evicts`]).
    pub fn idle_limit(mut self, limit: Duration) -> Self {
        self.idle = Some(limit);
        self
    }

    /// The hosts of the address are sentinels, which know where the primary of this name is. So does the
    /// parameter `sentinel` of the address. The user and the password of the address are those of the
    /// primary; `credentials` are those of the sentinels, if they have any.
    pub fn sentinel(
        mut self,
        service: impl Into<String>,
        credentials: Option<Credentials>,
    ) -> Self {
        self.sentinel = Some(Sentinel { service: service.into(), credentials });
        self
    }

    /// Asks `source` for the user and password of each new connection, in place of those in the
    /// address: for passwords that rotate, and for tokens that expire.
    pub fn credentials<F>(mut self, source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credentials>> + Send + 'static,
    {
        self.source = Some(CredentialSource::new(source));
        self
    }

    /// Connects, and checks that the server and the stored data can be used.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](msal_cache_core::Error::Invalid) for a name with other characters,
    /// [`Error::Runtime`](msal_cache_core::Error::Runtime) outside of a tokio runtime,
    /// [`Error::Corrupt`](msal_cache_core::Error::Corrupt) for data of another program or of a newer
    /// version, and [`RedisFailure`] as the source of an
    /// [`Error::Unavailable`](msal_cache_core::Error::Unavailable), if the server can't be reached, or of
    /// an [`Error::Backend`](msal_cache_core::Error::Backend).
    pub async fn connect(self) -> Result<RedisStore> {
        let keys = Keys::of(&self.name)?;
        if self.nodes()?.has_tls() {
            // Needs a provider for the process, and panics if there are two to choose from.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let local = (!self.max_staleness.is_zero())
            .then(|| Arc::new(LocalRevisions::new(self.max_staleness)));
        let tracking = local.clone().map(|local| {
            Arc::new(Tracking::new(local, keys.clone(), self.max_staleness, self.idle))
        });
        let connect = |tracking| -> Result<Server> {
            let (nodes, source) = (self.nodes()?, self.source.clone());
            Ok(Server::new(
                nodes,
                source,
                self.timeout,
                keys.meta.clone(),
                tracking,
                self.idle.is_some(),
            ))
        };
        let mut replication = None;
        if self.replicas > 0 {
            let (server, wait) = (connect(None)?, self.timeout / 2);
            replication = Some(Replication { server, replicas: self.replicas, wait });
        }
        let store = RedisStore::new(connect(tracking)?, replication, keys, local, self.idle);
        store.check().await?;
        Ok(store)
    }

    fn nodes(&self) -> Result<Nodes> {
        Nodes::of(&self.url, self.sentinel.clone())
    }
}

impl RedisStore {
    /// Connects to the cache `default` on a server, such as `rediss://user:password@host:6380/0`.
    ///
    /// # Errors
    ///
    /// Those of [`RedisStoreBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).connect().await
    }

    /// A store with options.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url.into())
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may contain a password.
        f.debug_struct("RedisStoreBuilder")
            .field("name", &self.name)
            .field("timeout", &self.timeout)
            .field("replicas", &self.replicas)
            .field("max_staleness", &self.max_staleness)
            .field("sentinel", &self.sentinel)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}
