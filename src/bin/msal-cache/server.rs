//! Stores on servers: their addresses, which are printed without passwords, and their connections.

#[cfg(feature = "redis")]
use std::env;
use std::error::Error as _;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use msal_cache::Error;
use msal_cache::store::CacheStore;

#[cfg(feature = "redis")]
use msal_cache::redis::Credentials;

use crate::failure::Failure;

/// Which server an address is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerKind {
    Postgres,
    Redis,
}

impl ServerKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

/// The schemes of addresses.
const SCHEMES: [(&str, ServerKind); 6] = [
    ("postgres://", ServerKind::Postgres),
    ("postgresql://", ServerKind::Postgres),
    ("redis://", ServerKind::Redis),
    ("rediss://", ServerKind::Redis),
    ("valkey://", ServerKind::Redis),
    ("valkeys://", ServerKind::Redis),
];

/// The variables of the clients of Redis and Valkey that have a password.
#[cfg(feature = "redis")]
const PASSWORDS: [&str; 2] = ["REDISCLI_AUTH", "VALKEYCLI_AUTH"];

/// The options of an address that say which cache it is of, and have no secret.
const PLACE: [&str; 6] = ["host", "hostaddr", "port", "dbname", "schema", "prefix"];

/// The name of a cache whose address has none.
const DEFAULT_NAME: &str = "default";

/// The address of a cache on a server. `Debug` prints no password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) kind: ServerKind,
    /// As the client of the server reads it, with the password.
    url: String,
    /// The name of the cache, after `#`.
    name: String,
    shown: String,
    local_path: PathBuf,
}

impl Address {
    /// Parses an address, unless it is something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (scheme, kind) = SCHEMES.iter().find(|(scheme, _)| lower.starts_with(scheme))?;
        // A password may have a `#`, and a host doesn't.
        let after_user = text.rfind('@').unwrap_or_default();
        let (url, name) = match text[after_user..].split_once('#') {
            Some((_, name)) => (&text[..text.len() - name.len() - 1], name),
            None => (text, DEFAULT_NAME),
        };
        let url = format!("{scheme}{}", &url[scheme.len()..]);
        let (name, shown) = (name.to_owned(), format!("{}#{name}", without_password(&url)));
        let local_path = local_path(&shown);
        Some(Self { kind: *kind, url, name, shown, local_path })
    }

    /// The address without its password, and without options that don't name the place.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// The name of the cache.
    pub(crate) fn cache_name(&self) -> &str {
        &self.name
    }

    /// What a backup is beside: a path in the current folder that names the server.
    pub(crate) fn local_path(&self) -> &Path {
        &self.local_path
    }

    pub(crate) fn kind(&self) -> ServerKind {
        self.kind
    }

    /// Connects. A database without the tables of a cache is left as it is unless `creates`.
    pub(crate) fn open(&self, creates: bool) -> Result<Box<dyn CacheStore>, Failure> {
        match self.kind {
            ServerKind::Postgres => postgres(self, creates),
            ServerKind::Redis => redis(self),
        }
    }

    /// The user's password in the environment, which other users can't read, unlike the arguments of a
    /// process. One in the address comes before it.
    #[cfg(feature = "redis")]
    fn credentials(&self) -> Option<Credentials> {
        let is_given = self.url.rsplit_once('@').is_some_and(|(user, _)| {
            user.split_once("://").is_some_and(|(_, user)| user.contains(':'))
        });
        let set = |name: &&str| env::var(name).ok().filter(|it| !is_given && !it.is_empty());
        let password = PASSWORDS.iter().find_map(set)?;
        // Without a user name, that of the address counts.
        Some(Credentials { username: None, password })
    }

    /// The URL without options that are not the server's, and the values of these.
    #[cfg(feature = "postgres")]
    fn without_options<const N: usize>(&self, names: [&str; N]) -> (String, [Option<String>; N]) {
        let at = self.url.rfind('@').unwrap_or_default();
        let Some((_, query)) = self.url[at..].split_once('?') else {
            return (self.url.clone(), [const { None }; N]);
        };
        let is = |option: &str, name| option.split_once('=').is_some_and(|it| it.0 == name);
        let values = names.map(|name| {
            let option = query.split('&').find(|option| is(option, name))?;
            Some(option[name.len() + 1..].to_owned())
        });
        let is_other = |option: &&str| !names.iter().any(|name| is(option, name));
        let others: Vec<_> = query.split('&').filter(is_other).collect();
        let mark = if others.is_empty() { "" } else { "?" };
        let url = &self.url[..self.url.len() - query.len() - 1];
        (format!("{url}{mark}{}", others.join("&")), values)
    }
}

#[cfg(feature = "postgres")]
fn postgres(address: &Address, creates: bool) -> Result<Box<dyn CacheStore>, Failure> {
    use msal_cache::postgres::PostgresStore;
    use msal_cache::store::Blocking;

    let (url, [schema, prefix]) = address.without_options(["schema", "prefix"]);
    let mut builder = PostgresStore::builder(url).name(address.name.as_str()).environment();
    builder = builder.create_tables(creates).pool_size(2);
    if let Some(schema) = schema {
        builder = builder.schema(schema);
    }
    if let Some(prefix) = prefix {
        builder = builder.prefix(prefix);
    }
    Ok(Box::new(Blocking::connect(builder.connect())?))
}

#[cfg(not(feature = "postgres"))]
fn postgres(address: &Address, _: bool) -> Result<Box<dyn CacheStore>, Failure> {
    Err(lacks(address, "PostgreSQL"))
}

#[cfg(feature = "redis")]
fn redis(address: &Address) -> Result<Box<dyn CacheStore>, Failure> {
    use msal_cache::redis::RedisStore;
    use msal_cache::store::Blocking;

    let mut builder = RedisStore::builder(address.url.as_str()).name(address.name.as_str());
    if let Some(credentials) = address.credentials() {
        builder = builder.credentials(move || std::future::ready(Ok(credentials.clone())));
    }
    Ok(Box::new(Blocking::connect(builder.connect())?))
}

#[cfg(not(feature = "redis"))]
fn redis(address: &Address) -> Result<Box<dyn CacheStore>, Failure> {
    Err(lacks(address, "Redis or Valkey"))
}

#[cfg(not(all(feature = "postgres", feature = "redis")))]
fn lacks(address: &Address, server: &str) -> Failure {
    let (url, name, feature) = (&address.url, &address.name, address.kind.name());
    debug_assert!(!url.is_empty() && !name.is_empty());
    let reason = format!("this build of msal-cache can't connect to {server}");
    let hint =
        format!("install it with the feature: cargo install msal-cache --features cli,{feature}");
    Failure::usage(reason).with_hint(hint)
}

/// Advice about a server that fails.
pub(crate) fn advice(error: &Error) -> Option<&'static str> {
    let cause = error.source()?;
    postgres_advice(cause).or_else(|| redis_advice(cause))
}

/// Advice about a commit that may have been applied.
#[cfg(any(feature = "postgres", feature = "redis"))]
const LOOK: &str = "look at the store before you repeat the command";

#[cfg(feature = "postgres")]
fn postgres_advice(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    use msal_cache::postgres::PostgresFailure;

    Some(match cause.downcast_ref()? {
        PostgresFailure::OutcomeUnknown { .. } => LOOK,
        PostgresFailure::Unreachable { .. } => {
            "check host and port, whether the server runs, and whether it wants TLS (?sslmode=require)"
        }
        PostgresFailure::Authentication { .. } => {
            "name the user in the address, and set PGPASSWORD to the password"
        }
        PostgresFailure::Permission { .. } => {
            "`msal-cache ddl --role ROLE` prints the statements that grant the rights"
        }
        PostgresFailure::MissingTables { .. } => {
            "name the schema with ?schema=NAME, or create the tables: `msal-cache ddl` prints the statements"
        }
        PostgresFailure::ForeignTable { .. } => {
            "name the schema and prefix: ?schema=NAME&prefix=NAME_"
        }
        PostgresFailure::NewerTables { .. } => {
            "install the version of msal-cache that the app uses"
        }
        PostgresFailure::ReadOnly { .. } => "connect to the primary",
        PostgresFailure::Address(_) => {
            "an address is postgres://USER@HOST:PORT/DATABASE?OPTIONS#NAME"
        }
        _ => return None,
    })
}

#[cfg(not(feature = "postgres"))]
fn postgres_advice(_: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    None
}

#[cfg(feature = "redis")]
fn redis_advice(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    use msal_cache::redis::RedisFailure;

    Some(match cause.downcast_ref()? {
        RedisFailure::OutcomeUnknown { .. } => LOOK,
        RedisFailure::Unreachable { .. } => {
            "check host and port, whether the server runs, and whether it wants TLS (rediss://)"
        }
        RedisFailure::Authentication { .. } => {
            "name the user in the address, and set REDISCLI_AUTH to the password"
        }
        RedisFailure::Permission { .. } => {
            "the guide docs::redis of the library has the command that gives the user the permissions"
        }
        RedisFailure::OutOfMemory { .. } => {
            "`msal-cache purge STORE` deletes expired tokens; then raise maxmemory"
        }
        RedisFailure::ReadOnly { .. } => "connect to the primary",
        RedisFailure::Address(_) => {
            "an address is redis://USER@HOST:PORT/DATABASE#NAME, or rediss:// with TLS"
        }
        _ => return None,
    })
}

#[cfg(not(feature = "redis"))]
fn redis_advice(_: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    None
}

/// The text of an error without the passwords of the command line.
pub(crate) fn without_passwords(text: &str, words: &[OsString]) -> String {
    let mut text = text.to_owned();
    for word in words.iter().filter_map(|it| it.to_str()) {
        if let Some(address) = Address::parse(word) {
            text = text.replace(word, address.shown());
        }
    }
    text
}

fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // A password may contain each of these characters, and what follows it doesn't contain an @.
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => (user.split(':').next().unwrap_or_default(), host),
        None => ("", rest),
    };
    let at = if user.is_empty() { "" } else { "@" };
    let (host, query) = host.split_once('?').unwrap_or((host, ""));
    let host = host.split('#').next().unwrap_or_default();
    let (names, path) = host.split_once('/').map_or((host, ""), |(names, path)| (names, path));
    let slash = if path.is_empty() { "" } else { "/" };
    // A password without the @ that ends it.
    let is_port = |it: &str| it.chars().all(|it| it.is_ascii_digit());
    let is_host =
        |it: &str| it.starts_with('[') || it.split_once(':').is_none_or(|it| is_port(it.1));
    let is_path = path.chars().all(|it| it.is_ascii_alphanumeric() || "._-%".contains(it));
    if !names.split(',').all(is_host) || !is_path {
        return format!("{scheme}://...");
    }
    let says_where = |it: &&str| it.split_once('=').is_some_and(|(name, _)| PLACE.contains(&name));
    let place: Vec<_> = query.split('&').filter(says_where).collect();
    let mark = if place.is_empty() { "" } else { "?" };
    format!("{scheme}://{user}{at}{names}{slash}{path}{mark}{}", place.join("&"))
}

fn local_path(shown: &str) -> PathBuf {
    let host = shown.split_once("://").map_or(shown, |(_, rest)| rest);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    PathBuf::from(host.chars().map(|it| if is_plain(it) { it } else { '-' }).collect::<String>())
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (address, shown) in [
            ("redis://host", "redis://host#default"),
            ("REDIS://host:6379/2#web", "redis://host:6379/2#web"),
            ("rediss://app:s3cret@host:6380/0#a:b/c", "rediss://app@host:6380/0#a:b/c"),
            ("valkey://:s3cret@host", "valkey://host#default"),
            ("redis://app:s3c#r@t/x?y:z@host#web", "redis://app@host#web"),
            ("redis://host/0?password=s3cret", "redis://host/0#default"),
            ("redis://[::1]:6379#web", "redis://[::1]:6379#web"),
            (
                "postgres://app:s3cret@one:1,two/tokens?password=s3cret&schema=web#x",
                "postgres://app@one:1,two/tokens?schema=web#x",
            ),
            ("postgresql:///tokens?host=/run&user=u", "postgresql:///tokens?host=/run#default"),
            ("postgres://app:s3cret,x:y/z", "postgres://...#default"),
            ("redis://:s3cret", "redis://...#default"),
            ("redis://app:s3cret/x", "redis://...#default"),
        ] {
            let address = Address::parse(address).unwrap();
            assert_eq!(address.shown(), shown);
            assert_eq!(format!("{address:?}"), shown);
        }
        for other in ["cache.json", "http://host", "redis:host", "sqlite:redis://x", ""] {
            assert_eq!(Address::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_backup_is_named_after_the_server() {
        let address = Address::parse("redis://app:s3cret@host:6379/0#a/../b").unwrap();
        assert_eq!(address.local_path(), Path::new("host-6379-0-a-..-b"));
    }

    #[test]
    fn no_password_of_the_command_line_is_left_in_an_error() {
        let words = ["redis://:s3cret@host", "x"].map(OsString::from);
        let text = without_passwords("unexpected 'redis://:s3cret@host' found", &words);
        assert_eq!(text, "unexpected 'redis://host#default' found");
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn schema_and_prefix_are_no_options_of_the_server() {
        let of = |url: &str| Address::parse(url).unwrap().without_options(["schema", "prefix"]);
        let (url, options) = of("postgres://a:p?w@h/d?schema=s&sslmode=disable&prefix=p_#name");
        assert_eq!(url, "postgres://a:p?w@h/d?sslmode=disable");
        assert_eq!(options, [Some("s".into()), Some("p_".into())]);
        assert_eq!(of("postgres://h/d?schema=s").0, "postgres://h/d");
        assert_eq!(of("postgres://h/d"), ("postgres://h/d".into(), [None, None]));
    }
}
