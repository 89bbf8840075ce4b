use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::internal::LocalRevisions;

use crate::keys::Keys;
use crate::leases::Leases;
use crate::scripts::Scripts;
use crate::server::Server;

/// What the clones of a store share.
pub(crate) struct StoreState {
    pub(crate) server: Server,
    pub(crate) replication: Option<Replication>,
    pub(crate) keys: Keys,
    pub(crate) scripts: Scripts,
    pub(crate) leases: Leases,
    /// How long a user is kept that is not used.
    pub(crate) idle: Option<Duration>,
    /// What is known without asking; `None` where each look-up has to ask.
    pub(crate) local: Option<Arc<LocalRevisions>>,
}

/// How many replicas a commit waits for.
pub(crate) struct Replication {
    /// A connection of its own, since the server answers nothing on it meanwhile.
    pub(crate) server: Server,
    pub(crate) replicas: u32,
    pub(crate) wait: Duration,
}
