//! Stores on servers: their addresses, which are printed without passwords, and their connections.

#[cfg(feature = "redis")]
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use msal_cache::Error;
use msal_cache::store::CacheStore;

use crate::failure::Failure;

/// Which server an address is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerKind {
    Redis,
}

/// The schemes of addresses.
const SCHEMES: [(&str, ServerKind); 4] = [
    ("redis://", ServerKind::Redis),
    ("rediss://", ServerKind::Redis),
    ("valkey://", ServerKind::Redis),
    ("valkeys://", ServerKind::Redis),
];

/// The variables of the clients of Redis and Valkey.
#[cfg(feature = "redis")]
const PASSWORDS: [&str; 2] = ["REDISCLI_AUTH", "VALKEYCLI_AUTH"];

#[cfg(feature = "redis")]
const ADDRESS: &str = "an address is redis://USER@HOST:PORT/DATABASE#NAME, or rediss:// with TLS";

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

    /// The address without its password and its options.
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

    pub(crate) fn open(&self) -> Result<Box<dyn CacheStore>, Failure> {
        match self.kind {
            ServerKind::Redis => redis(self),
        }
    }

    /// The password in the environment, which other users can't read, unlike the arguments of a
    /// process. One in the address comes before it.
    #[cfg(feature = "redis")]
    fn password(&self) -> Option<String> {
        let is_given = self.url.rsplit_once('@').is_some_and(|(user, _)| {
            user.split_once("://").is_some_and(|(_, user)| user.contains(':'))
        });
        let set = |name: &&str| env::var(name).ok().filter(|it| !is_given && !it.is_empty());
        PASSWORDS.iter().find_map(set)
    }
}

#[cfg(feature = "redis")]
fn redis(address: &Address) -> Result<Box<dyn CacheStore>, Failure> {
    use msal_cache::redis::{Credentials, RedisStore};
    use msal_cache::store::Blocking;

    let mut builder = RedisStore::builder(address.url.as_str()).name(address.name.as_str());
    if let Some(password) = address.password() {
        builder = builder.credentials(move || {
            // Without a user name, that of the address counts.
            let credentials = Credentials { username: None, password: password.clone() };
            async { Ok(credentials) }
        });
    }
    Ok(Box::new(Blocking::connect(builder.connect())?))
}

#[cfg(not(feature = "redis"))]
fn redis(address: &Address) -> Result<Box<dyn CacheStore>, Failure> {
    let (url, name) = (&address.url, &address.name);
    debug_assert!(!url.is_empty() && !name.is_empty());
    let reason = "this build of msal-cache can't connect to Redis or Valkey";
    let hint = "install it with the feature: cargo install msal-cache --features cli,redis";
    Err(Failure::usage(reason).with_hint(hint))
}

/// Advice about a server that fails.
#[cfg(feature = "redis")]
pub(crate) fn advice(error: &Error) -> Option<&'static str> {
    use msal_cache::redis::RedisFailure;
    use std::error::Error as _;

    Some(match error.source()?.downcast_ref()? {
        RedisFailure::OutcomeUnknown { .. } => "look at the store before you repeat the command",
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
        RedisFailure::Address(_) => ADDRESS,
        _ => return None,
    })
}

#[cfg(not(feature = "redis"))]
pub(crate) fn advice(_: &Error) -> Option<&'static str> {
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
    let host = host.split(['?', '#']).next().unwrap_or_default();
    let (name, path) = host.split_once('/').map_or((host, ""), |(name, path)| (name, path));
    let slash = if path.is_empty() { "" } else { "/" };
    // A password without the @ that ends it.
    let is_port = |it: &str| it.chars().all(|it| it.is_ascii_digit());
    let is_host = name.starts_with('[') || name.split_once(':').is_none_or(|it| is_port(it.1));
    if !is_host || !path.chars().all(|it| it.is_ascii_alphanumeric() || "._-".contains(it)) {
        return format!("{scheme}://...");
    }
    format!("{scheme}://{user}{at}{name}{slash}{path}")
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
}
