//! The pool of connections.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, PoolError, RecycleError, RecycleResult, TimeoutType,
};
use msal_cache_core::{Error, Result};

use crate::connection::{Connector, Session};
use crate::error::PostgresFailure;

/// Connections that are opened when they are needed, up to a number.
pub(crate) struct Pool {
    sessions: deadpool::managed::Pool<PoolManager>,
    connector: Arc<Connector>,
}

struct PoolManager(Arc<Connector>);

impl Manager for PoolManager {
    type Type = Session;
    type Error = Error;

    async fn create(&self) -> Result<Session> {
        // A future of 16 KB, which a call that finds an idle connection doesn't need.
        Box::pin(self.0.session()).await
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Error> {
        if session.client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        Ok(())
    }
}

impl Pool {
    pub(crate) fn new(connector: Arc<Connector>, size: usize) -> Result<Self> {
        let sessions = deadpool::managed::Pool::builder(PoolManager(connector.clone()))
            .max_size(size)
            .wait_timeout(Some(connector.timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::invalid("pool_size", error.to_string()))?;
        Ok(Self { sessions, connector })
    }

    /// An idle connection, or a new one.
    pub(crate) async fn get(&self) -> Result<Lent> {
        let started = Instant::now();
        let server = || self.connector.server.clone();
        match self.sessions.get().await {
            Ok(session) => Ok(Lent(Some(session))),
            Err(PoolError::Backend(error)) => Err(error),
            Err(PoolError::NoRuntimeSpecified) => Err(Error::no_runtime()),
            Err(PoolError::Timeout(TimeoutType::Wait)) => {
                let connections = self.sessions.status().max_size;
                let (server, waited) = (server(), started.elapsed());
                Err(PostgresFailure::PoolExhausted { server, connections, waited }.into())
            }
            Err(error) => {
                let (server, reason) = (server(), error.to_string());
                Err(PostgresFailure::Unreachable { server, reason }.into())
            }
        }
    }
}

/// A connection in use. It only returns to the pool by [`give_back`](Self::give_back): one that still
/// waits for an answer, such as that of a future that was dropped, would delay the next call.
pub(crate) struct Lent(Option<Object<PoolManager>>);

impl Lent {
    pub(crate) fn give_back(mut self) {
        self.0 = None;
    }
}

impl Deref for Lent {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.0.as_ref().expect("it is there until it is given back")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            drop(Object::take(session));
        }
    }
}
