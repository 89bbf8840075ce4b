//! Connections, each with its prepared statements.

use std::time::Duration;

use msal_cache_core::internal::CredentialSource;
use msal_cache_core::{Credentials, Error, Result, Revision};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, RowStream, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::calls::Call;
use crate::error::{PostgresFailure, translate};
use crate::id::Id;
use crate::names::{Names, quoted};

/// A connection.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Names the connection in the database. No other one has the same.
    pub(crate) id: Id,
    statements: Vec<Statement>,
}

impl Session {
    /// Makes a call in one round trip.
    pub(crate) async fn query(
        &self,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.client.query(&self.statements[call as usize], parameters).await
    }

    /// Makes a call whose rows come one after the other.
    pub(crate) async fn rows(
        &self,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<RowStream, tokio_postgres::Error> {
        let parameters = parameters.iter().copied();
        self.client.query_raw(&self.statements[call as usize], parameters).await
    }
}

/// How to connect.
pub(crate) struct Connector {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
    pub(crate) source: Option<CredentialSource>,
    pub(crate) timeout: Duration,
    pub(crate) names: Names,
    /// The address, for errors.
    pub(crate) server: String,
}

impl Connector {
    /// Opens a connection, which a task of the current runtime drives until the client is dropped.
    pub(crate) async fn connect(&self) -> Result<Client> {
        let connecting = async {
            let mut config = self.config.clone();
            if let Some(source) = &self.source {
                let Credentials { username, password } = source.get().await?;
                if let Some(username) = username {
                    config.user(username);
                }
                config.password(password);
            }
            let (client, connection) =
                config.connect(self.tls.clone()).await.map_err(|error| self.error(&error))?;
            tokio::spawn(connection);
            Ok(client)
        };
        self.in_time(connecting).await.unwrap_or_else(|slow| Err(slow.into()))
    }

    /// Opens a connection and prepares its statements.
    pub(crate) async fn session(&self) -> Result<Session> {
        let client = self.connect().await?;
        // The requests are sent without waiting for the answers.
        let sql = Call::ALL.map(|call| self.names.sql(&call.sql()));
        let prepared = futures_util::future::try_join_all(sql.iter().map(|it| client.prepare(it)));
        let statements = self.in_time(prepared).await?.map_err(|error| self.error(&error))?;
        Ok(Session { client, id: Revision::unique().into(), statements })
    }

    /// Waits for the server no longer than the time-out.
    pub(crate) async fn in_time<T>(
        &self,
        answer: impl Future<Output = T>,
    ) -> Result<T, PostgresFailure> {
        tokio::time::timeout(self.timeout, answer).await.map_err(|_| PostgresFailure::Unreachable {
            server: self.server.clone(),
            reason: format!("it didn't answer within {:.1} s", self.timeout.as_secs_f32()),
        })
    }

    pub(crate) fn error(&self, error: &tokio_postgres::Error) -> Error {
        translate(&self.server, error, |state| match state {
            &SqlState::INSUFFICIENT_PRIVILEGE => {
                self.names.grants(&quoted(self.config.get_user().unwrap_or("the_role")))
            }
            _ => self.names.schema.clone(),
        })
    }
}
