use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::internal::CredentialSource;
use msal_cache_core::{Credentials, Error, Result};
use tokio::runtime::Handle;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::address::{Address, Variables};
use crate::connection::{Connector, Pooling};
#[cfg(doc)]
use crate::error::PostgresFailure;
use crate::listener::Listener;
use crate::migration;
use crate::names::{Names, quoted};
use crate::pool::Pool;
use crate::store::PostgresStore;
use crate::tls::Tls;

/// The options of a [`PostgresStore`].
#[derive(Clone)]
#[must_use = "call `connect`"]
pub struct PostgresStoreBuilder {
    url: String,
    name: String,
    schema: String,
    prefix: String,
    pool_size: usize,
    timeout: Duration,
    create_tables: bool,
    source: Option<CredentialSource>,
    tls: Tls,
    pooler: Option<bool>,
    environment: bool,
    max_staleness: Duration,
}

impl PostgresStoreBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            name: "default".into(),
            schema: "public".into(),
            prefix: "msal_".into(),
            pool_size: 16,
            timeout: Duration::from_secs(10),
            create_tables: true,
            source: None,
            tls: Tls::default(),
            pooler: None,
            environment: false,
            max_staleness: Duration::ZERO,
        }
    }

    /// The name of the cache, `default` unless set. One schema may hold several caches, for example one
    /// for each app or tenant. A name has 1 to 200 bytes.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The schema of the tables; `public` unless set. It is created if it is missing.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// What the names of the tables begin with; `msal_` unless set.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How many connections are open at the same time; 16 unless set. Guards use one more, and so
    /// does [`max_staleness`](Self::max_staleness).
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections.max(1);
        self
    }

    /// How long a call waits for a connection, for a new connection, and for the answer, each; 10
    /// seconds unless set. The server ends a statement after nine tenths of it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether missing tables are created; `true` unless set. Otherwise an operator creates them by
    /// the statements of [`ddl`](Self::ddl), and they are only checked.
    pub fn create_tables(mut self, create: bool) -> Self {
        self.create_tables = create;
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

    /// Whether the address is that of a pooler that gives each transaction any session of the server, such
    /// as PgBouncer in transaction mode; found out for each new connection unless set.
    ///
    /// Through a pooler, statements are not prepared, each write has its settings in its transaction, and
    /// guards are leases in a table in place of advisory locks, which belong to a session. `false`
    /// is only right for a pooler that gives a session to one client at a time and passes on the `options` of
    /// the connection.
    pub fn pooler(mut self, is_pooler: bool) -> Self {
        self.pooler = Some(is_pooler);
        self
    }

    /// How old the answer to a look-up may be that is made without a round trip; zero unless set, and then
    /// each look-up asks the server.
    ///
    /// With a limit, such as 500 milliseconds, the server notifies this process of each change by
    /// `LISTEN` and `NOTIFY`, on a connection of its own, as soon as it is committed. So an answer is usually
    /// up to date within some milliseconds. Only where notifications stop without notice, as on a connection
    /// that was cut off silently, does the whole time pass before look-ups ask again. Four heartbeats are
    /// sent in that time.
    ///
    /// **It has a price**: while a process listens, all processes notify with each commit, whether this is
    /// set for them or not, and PostgreSQL makes such commits one after the other, those of other
    /// applications that notify included. Through a pooler that shares sessions, the error is
    /// [`PostgresFailure::PoolerCannotListen`]; processes that only write may use one.
    pub fn max_staleness(mut self, limit: Duration) -> Self {
        self.max_staleness = limit;
        self
    }

    /// Completes the address as PostgreSQL's own programs do: by the variables of the environment `PGHOST`,
    /// `PGHOSTADDR`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE`, `PGSSLROOTCERT`, `PGSSLCERT`,
    /// `PGSSLKEY`, `PGAPPNAME`, `PGOPTIONS`, `PGCONNECT_TIMEOUT` and `PGTARGETSESSIONATTRS`, by the service
    /// `PGSERVICE`, and by the file of passwords `PGPASSFILE`, or `~/.pgpass`. What the address has is not
    /// overridden. The address may be `postgres://`.
    ///
    /// With several hosts, the password is that of the first one. A file of passwords that other users
    /// can read is refused.
    pub fn environment(mut self) -> Self {
        self.environment = true;
        self
    }

    /// The certificates of the authorities that may sign that of the server, in PEM format; those
    /// that the system trusts unless set.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.roots = Some(pem.into());
        self
    }

    /// The certificate, with its chain, and the private key by which the server knows the client,
    /// in PEM format.
    pub fn client_certificate(
        mut self,
        certificates: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.client = Some((certificates.into(), key.into()));
        self
    }

    /// The statements that create the tables, for operators who don't let applications create any.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the schema or the prefix can't be used.
    pub fn ddl(&self) -> Result<String> {
        Ok(Names::new(self.schema.clone(), self.prefix.clone())?.ddl())
    }

    /// The statements that grant a role the rights that an application needs.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the schema or the prefix can't be used.
    pub fn grants(&self, role: &str) -> Result<String> {
        Ok(Names::new(self.schema.clone(), self.prefix.clone())?.grants(&quoted(role)))
    }

    /// The statements by which the server lets each role see only the cache that has the name of the
    /// role. They don't bind superusers and the owner of the tables.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the schema or the prefix can't be used.
    pub fn row_level_security(&self) -> Result<String> {
        Ok(Names::new(self.schema.clone(), self.prefix.clone())?.row_level_security())
    }

    /// Connects, and creates missing tables.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a name, schema, prefix or certificate that can't be used,
    /// [`Error::Runtime`] outside of a tokio runtime, and [`PostgresFailure`] as the source of an
    /// [`Error::Unavailable`], if the server can't be reached, or of an [`Error::Backend`].
    pub async fn connect(self) -> Result<PostgresStore> {
        let names = Names::new(self.schema, self.prefix)?;
        if self.name.is_empty() || self.name.contains('\0') || self.name.len() > 200 {
            return Err(Error::invalid("name", "must have 1 to 200 bytes, and no NUL"));
        }
        Handle::try_current().map_err(|_| Error::no_runtime())?;
        let mut tls = self.tls;
        let read = |name: &str| std::env::var(name).ok();
        let variables = self.environment.then_some(&read as Variables<'_>);
        let address = Address::parse(&self.url, variables, self.source.is_none())?;
        tls.add(&address)?;
        let config = with_defaults(address.config, self.timeout);
        let connector = Arc::new(Connector {
            server: server(&config),
            tls: tls.connector(config.get_ssl_mode() != SslMode::Disable)?,
            config,
            source: self.source,
            timeout: self.timeout,
            names,
            pooling: Pooling::new(self.pooler),
            identifies: !self.max_staleness.is_zero(),
        });
        let client = connector.connect().await?;
        migration::prepare(&connector, &client, self.create_tables).await?;
        drop(client);
        let mut listener = None;
        if !self.max_staleness.is_zero() {
            let listens = Listener::start(connector.clone(), &self.name, self.max_staleness);
            listener = Some(Arc::new(listens.await?));
        }
        let pool = Pool::new(connector.clone(), self.pool_size)?;
        Ok(PostgresStore::new(self.name, pool, connector, listener))
    }
}

impl PostgresStore {
    /// Connects to the cache `default` on a server, such as `postgres://user:password@host:5432/database`.
    ///
    /// # Errors
    ///
    /// Those of [`PostgresStoreBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).connect().await
    }

    /// A store with options.
    pub fn builder(url: impl Into<String>) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(url.into())
    }
}

fn with_defaults(mut config: Config, timeout: Duration) -> Config {
    if config.get_application_name().is_none() {
        config.application_name("msal-cache");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(timeout);
    }
    config
}

/// The hosts, for errors.
fn server(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let port = ports.get(at).or(ports.first()).unwrap_or(&5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string(),
        }
    });
    format!("the server at {}", hosts.collect::<Vec<_>>().join(", "))
}

impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may contain a password.
        f.debug_struct("PostgresStoreBuilder")
            .field("name", &self.name)
            .field("schema", &self.schema)
            .field("prefix", &self.prefix)
            .field("pool_size", &self.pool_size)
            .field("timeout", &self.timeout)
            .field("max_staleness", &self.max_staleness)
            .finish_non_exhaustive()
    }
}
