//! Connections, and how their statements are sent.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join3, try_join, try_join_all};
use msal_cache_core::internal::CredentialSource;
use msal_cache_core::{Credentials, Error, Result, Revision, event};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Notification, Row, RowStream, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::calls::Call;
use crate::error::{PostgresFailure, refuses_settings, translate};
use crate::id::Id;
use crate::names::{Names, quoted};

/// A connection.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Names the connection in the database. No other one has the same.
    pub(crate) id: Id,
    /// The server, where that matters.
    pub(crate) server: Option<ServerStart>,
    statements: Statements,
}

enum Statements {
    /// Prepared by the session.
    Prepared(Vec<Statement>),
    /// Each transaction may have another session, so each call has its statement, and each write its
    /// settings.
    Sent { sql: Vec<String>, begin: String },
}

impl Session {
    /// Makes a call in one round trip.
    pub(crate) async fn query(
        &self,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        match &self.statements {
            Statements::Prepared(all) => self.client.query(&all[call as usize], parameters).await,
            // Larger than that of a prepared statement, which so needs less memory.
            Statements::Sent { sql, begin } => {
                Box::pin(self.send(call, &sql[call as usize], begin, parameters)).await
            }
        }
    }

    async fn send(
        &self,
        call: Call,
        sql: &str,
        begin: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let typed: Vec<_> = typed(call, parameters).collect();
        let query = self.client.query_typed(sql, &typed);
        if !call.writes() {
            return query.await;
        }
        // Sent together in this order, without waiting for the answers.
        let run = |sql| self.client.batch_execute(sql);
        let (started, rows, committed) = join3(run(begin), query, run("COMMIT")).await;
        started?;
        let rows = rows?;
        committed?;
        Ok(rows)
    }

    /// Makes a call whose rows come one after the other.
    pub(crate) async fn rows(
        &self,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<RowStream, tokio_postgres::Error> {
        match &self.statements {
            Statements::Prepared(all) => {
                let parameters = parameters.iter().copied();
                self.client.query_raw(&all[call as usize], parameters).await
            }
            Statements::Sent { sql, .. } => {
                self.client.query_typed_raw(&sql[call as usize], typed(call, parameters)).await
            }
        }
    }
}

fn typed<'a>(
    call: Call,
    parameters: &[&'a (dyn ToSql + Sync)],
) -> impl ExactSizeIterator<Item = (&'a (dyn ToSql + Sync), Type)> {
    parameters.iter().copied().zip(call.types().iter().cloned())
}

/// Names a server until it ends: when it was started, in microseconds.
pub(crate) type ServerStart = i64;

/// The expression of a [`ServerStart`].
pub(crate) const SERVER_START: &str =
    "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8";

/// What is called with each notification of a connection, in the order of the answers, and with `None`
/// when the connection has ended.
pub(crate) type Hears = Box<dyn Fn(Option<&Notification>) + Send + Sync>;

/// How to connect.
pub(crate) struct Connector {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
    pub(crate) source: Option<CredentialSource>,
    pub(crate) timeout: Duration,
    pub(crate) names: Names,
    /// The address, for errors.
    pub(crate) server: String,
    pub(crate) pooling: Pooling,
    /// Whether each connection finds out which server it is connected to.
    pub(crate) identifies: bool,
}

/// Whether a pooler gives each transaction any session of the server.
pub(crate) struct Pooling {
    is_pooled: AtomicBool,
    /// Whether it is found out.
    detects: bool,
}

impl Pooling {
    pub(crate) fn new(set: Option<bool>) -> Self {
        Self { is_pooled: set.unwrap_or_default().into(), detects: set.is_none() }
    }
}

/// The setting that a session has if it is that of the connection.
const MARK: &str = "msal_cache.connection";

impl Connector {
    /// Whether a transaction may have another session than the one before, as far as is known.
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooling.is_pooled.load(Ordering::Relaxed)
    }

    fn found_pooler(&self) {
        self.pooling.is_pooled.store(true, Ordering::Relaxed);
        let server = self.server.as_str();
        event!(
            debug,
            target: "msal_cache::postgres",
            server,
            "a pooler shares the sessions of the server; guards are leases"
        );
    }

    /// Opens a connection, which a task of the current runtime drives until the client is dropped.
    pub(crate) async fn connect(&self) -> Result<Client> {
        self.in_time(self.find(None)).await.unwrap_or_else(|slow| Err(slow.into()))
    }

    /// The same, for a connection that has a session of its own and hears its notifications.
    pub(crate) async fn connect_hearing(&self, hears: Hears) -> Result<Client> {
        let client =
            self.in_time(self.find(Some(hears))).await.unwrap_or_else(|slow| Err(slow.into()))?;
        if self.is_pooled() {
            let server = self.server.clone();
            return Err(PostgresFailure::PoolerCannotListen { server }.into());
        }
        Ok(client)
    }

    /// Connects, and finds out whether the connection has a session of its own.
    async fn find(&self, hears: Option<Hears>) -> Result<Client> {
        let mut config = self.config.clone();
        if let Some(source) = &self.source {
            let Credentials { username, password } = source.get().await?;
            if let Some(username) = username {
                config.user(username);
            }
            config.password(password);
        }
        if self.is_pooled() {
            return self.open(&config, hears).await.map_err(|error| self.error(&error));
        }
        // A pooler refuses these settings, or ignores them.
        let mark = format!("{:032x}", Id::from(Revision::unique()).0);
        let mut with_settings = config.clone();
        with_settings.options(format!(
            "{} -c default_transaction_isolation=read\\ committed -c statement_timeout={} -c {MARK}={mark}",
            config.get_options().unwrap_or_default(),
            self.statement_timeout(),
        ).trim_start());
        match self.open(&with_settings, hears).await {
            Ok(client) if self.pooling.detects => {
                let sql = "SELECT current_setting($1, true)";
                let row = client.query_typed_one(sql, &[(&MARK, Type::TEXT)]).await;
                let found: Option<String> = row.map_err(|error| self.error(&error))?.get(0);
                if found != Some(mark) {
                    self.found_pooler();
                }
                Ok(client)
            }
            Ok(client) => Ok(client),
            Err(error) if self.pooling.detects && refuses_settings(&error) => {
                let client = self.open(&config, None).await.map_err(|error| self.error(&error))?;
                self.found_pooler();
                Ok(client)
            }
            Err(error) => Err(self.error(&error)),
        }
    }

    async fn open(
        &self,
        config: &Config,
        hears: Option<Hears>,
    ) -> Result<Client, tokio_postgres::Error> {
        let (client, mut connection) = config.connect(self.tls.clone()).await?;
        let Some(hears) = hears else {
            tokio::spawn(connection);
            return Ok(client);
        };
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if let AsyncMessage::Notification(notification) = message {
                    hears(Some(&notification));
                }
            }
            hears(None);
        });
        Ok(client)
    }

    /// The server of a connection, if it matters.
    async fn server_of(
        &self,
        client: &Client,
    ) -> Result<Option<ServerStart>, tokio_postgres::Error> {
        if !self.identifies {
            return Ok(None);
        }
        let row = client.query_typed_one(&format!("SELECT {SERVER_START}"), &[]).await?;
        row.try_get(0)
    }

    /// In milliseconds.
    fn statement_timeout(&self) -> u128 {
        (self.timeout * 9 / 10).as_millis().max(1)
    }

    /// Opens a connection and prepares its statements.
    pub(crate) async fn session(&self) -> Result<Session> {
        let client = self.connect().await?;
        let sql = Call::ALL.map(|call| self.names.sql(&call.sql()));
        let (statements, server) = if self.is_pooled() {
            let begin = format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {}",
                self.statement_timeout()
            );
            (Statements::Sent { sql: sql.into(), begin }, None)
        } else {
            // The requests are sent without waiting for the answers.
            let prepared = try_join_all(sql.iter().map(|it| client.prepare(it)));
            let both = try_join(prepared, self.server_of(&client));
            let (prepared, server) =
                self.in_time(both).await?.map_err(|error| self.error(&error))?;
            (Statements::Prepared(prepared), server)
        };
        Ok(Session { client, id: Revision::unique().into(), server, statements })
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
