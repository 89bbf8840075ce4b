//! Addresses, and what completes them: the variables and files of PostgreSQL's own programs.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use msal_cache_core::{Error, Result};
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::error::PostgresFailure;
use crate::passfile;

/// Reads a variable of the environment.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// An address as the library has it, and the paths of certificates.
pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) root: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) key: Option<String>,
}

/// The options of an address that the library doesn't know, or not with all values.
const OWN: [&str; 6] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "passfile", "service"];

/// Options of an address, and the variables that complete it.
const VARIABLES: [(&str, &str); 16] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("passfile", "PGPASSFILE"),
    ("service", "PGSERVICE"),
    ("application_name", "PGAPPNAME"),
    ("options", "PGOPTIONS"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];

fn refuse<T>(reason: &'static str) -> Result<T> {
    Err(PostgresFailure::Address(reason).into())
}

impl Address {
    /// Parses an address, and completes it if there are variables. The password is only looked for if
    /// it is needed.
    pub(crate) fn parse(
        url: &str,
        variables: Option<Variables<'_>>,
        needs_password: bool,
    ) -> Result<Self> {
        let url = Url::split(url)?;
        let others = match variables {
            Some(read) => others(&url.options, read)?,
            None if ["service", "passfile"].iter().any(|it| url.options.contains_key(*it)) => {
                return refuse("`service` and `passfile` need PostgresStoreBuilder::environment");
            }
            None => HashMap::new(),
        };
        let other = |option: &str| others.get(option).map(String::as_str);
        let text = url.text(other("port"));
        // The message of the parser could quote the password.
        let Ok(mut config) = Config::from_str(&text) else {
            return refuse("it is not postgres:// or postgresql:// and a host");
        };
        let own = |option| url.options.get(option).map(String::as_str).or_else(|| other(option));
        config.ssl_mode(match own("sslmode") {
            None | Some("prefer" | "allow") => SslMode::Prefer,
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            Some(_) => {
                return refuse(
                    "`sslmode` is not disable, prefer, require, verify-ca or verify-full",
                );
            }
        });
        if let Some(read) = variables {
            complete(&mut config, &url, &other)?;
            if needs_password && config.get_password().is_none() {
                if let Some(password) = other("password") {
                    config.password(password);
                } else if let Some(password) = passfile::password(own("passfile"), &config, read)? {
                    config.password(password);
                }
            }
        }
        let path = |option| own(option).map(str::to_owned);
        Ok(Self {
            root: path("sslrootcert").filter(|it| it != "system"),
            certificate: path("sslcert"),
            key: path("sslkey"),
            config,
        })
    }
}

/// What a service and the variables say, a service first.
fn others(
    options: &HashMap<String, String>,
    read: Variables<'_>,
) -> Result<HashMap<&'static str, String>> {
    let read_set = |name: &str| read(name).filter(|it| !it.is_empty());
    let service = options.get("service").cloned().or_else(|| read_set("PGSERVICE"));
    let mut service = match service {
        Some(name) => passfile::service(&name, read)?,
        None => HashMap::new(),
    };
    let values = VARIABLES.into_iter().filter_map(|(option, variable)| {
        Some((option, service.remove(option).or_else(|| read_set(variable))?))
    });
    Ok(values.collect())
}

/// Sets what the address leaves open.
fn complete<'a>(
    config: &mut Config,
    url: &Url<'_>,
    other: &impl Fn(&str) -> Option<&'a str>,
) -> Result<()> {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        for address in other("hostaddr").into_iter().flat_map(|it| it.split(',')) {
            match address.parse() {
                Ok(address) => config.hostaddr(address),
                Err(_) => return refuse("PGHOSTADDR is not an IP address"),
            };
        }
        let hosts = other("host").or(other("hostaddr")).unwrap_or("localhost");
        hosts.split(',').for_each(|host| {
            config.host(host);
        });
        for port in other("port").into_iter().flat_map(|it| it.split(',')) {
            match port.parse() {
                Ok(port) => config.port(port),
                Err(_) => return refuse("PGPORT is not the number of a port"),
            };
        }
    }
    if let (None, Some(user)) = (config.get_user(), other("user")) {
        config.user(user);
    }
    if let (None, Some(database)) = (config.get_dbname(), other("dbname")) {
        config.dbname(database);
    }
    if let (None, Some(options)) = (config.get_options(), other("options")) {
        config.options(options);
    }
    if let (None, Some(name)) = (config.get_application_name(), other("application_name")) {
        config.application_name(name);
    }
    if let (None, Some(seconds)) = (config.get_connect_timeout(), other("connect_timeout")) {
        match seconds.parse::<i64>().map(u64::try_from) {
            Ok(Ok(seconds @ 1..)) => config.connect_timeout(Duration::from_secs(seconds)),
            // Not limited.
            Ok(_) => config,
            Err(_) => return refuse("PGCONNECT_TIMEOUT is not a number of seconds"),
        };
    }
    if !url.has("target_session_attrs") {
        config.target_session_attrs(match other("target_session_attrs") {
            None | Some("any") => TargetSessionAttrs::Any,
            Some("read-write" | "primary") => TargetSessionAttrs::ReadWrite,
            Some("read-only" | "standby") => TargetSessionAttrs::ReadOnly,
            Some(_) => return refuse("PGTARGETSESSIONATTRS is not any, read-write or read-only"),
        });
    }
    Ok(())
}

/// The parts of a URL.
struct Url<'a> {
    scheme: &'a str,
    credentials: &'a str,
    hosts: &'a str,
    path: &'a str,
    /// As they are in the URL.
    passed_on: Vec<&'a str>,
    /// Those that the library doesn't know.
    options: HashMap<String, String>,
}

impl<'a> Url<'a> {
    fn split(url: &'a str) -> Result<Self> {
        let Some(at) = url.find("://").map(|at| at + 3) else {
            return refuse("it is not postgres:// or postgresql:// and a host");
        };
        let (scheme, rest) = url.split_at(at);
        let (credentials, rest) = rest.split_at(rest.find('@').map_or(0, |at| at + 1));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let mut own = Self {
            scheme,
            credentials,
            hosts,
            path,
            passed_on: Vec::new(),
            options: HashMap::new(),
        };
        for option in query.split('&').filter(|it| !it.is_empty()) {
            match option.split_once('=') {
                Some((name, value)) if OWN.contains(&name) => {
                    let Ok(value) = percent_decode_str(value).decode_utf8() else {
                        return refuse("an option is not UTF-8");
                    };
                    own.options.insert(name.into(), value.into());
                }
                _ => own.passed_on.push(option),
            }
        }
        Ok(own)
    }

    fn has(&self, option: &str) -> bool {
        self.passed_on.iter().any(|it| it.split_once('=').is_some_and(|(name, _)| name == option))
    }

    /// The URL without the options that the library doesn't know, and with a port for hosts without one.
    fn text(&self, port: Option<&str>) -> String {
        let hosts = self.hosts.split(',').map(|host| match port {
            Some(port)
                if !host.is_empty() && !host.rsplit(']').next().unwrap_or(host).contains(':') =>
            {
                format!("{host}:{port}")
            }
            _ => host.to_owned(),
        });
        let hosts = hosts.collect::<Vec<_>>().join(",");
        let Self { scheme, credentials, path, .. } = self;
        format!("{scheme}{credentials}{hosts}{path}?{}", self.passed_on.join("&"))
    }
}

/// The first host, as a file of passwords has it.
pub(crate) fn first_host(config: &Config) -> String {
    match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(folder)) => folder.display().to_string(),
        None => "localhost".into(),
    }
}

/// The contents of a file that the address or a variable names.
pub(crate) fn read_file(option: &str, path: &str) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::invalid(option, format!("{path} can't be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: &str, variables: &[(&str, &str)]) -> Result<Address> {
        let read = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Address::parse(url, Some(&read), true)
    }

    #[test]
    fn variables_complete_an_address_and_never_override_it() {
        let variables = [
            ("PGHOST", "db.example,two.example"),
            ("PGPORT", "6000"),
            ("PGUSER", "app"),
            ("PGPASSWORD", "secret"),
            ("PGDATABASE", "tokens"),
            ("PGAPPNAME", "web"),
            ("PGTARGETSESSIONATTRS", "read-write"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/etc/ca.pem"),
        ];
        let Address { config, root, .. } = with("postgres://", &variables).unwrap();
        assert_eq!(config.get_hosts().len(), 2);
        assert_eq!(config.get_ports(), [6000]);
        assert_eq!(config.get_user(), Some("app"));
        assert_eq!(config.get_password(), Some(&b"secret"[..]));
        assert_eq!(config.get_dbname(), Some("tokens"));
        assert_eq!(config.get_application_name(), Some("web"));
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
        assert_eq!(root.as_deref(), Some("/etc/ca.pem"));

        let url = "postgres://me:mine@[::1],host/own?sslmode=disable&sslrootcert=system\
                   &target_session_attrs=any&application_name=it";
        let Address { config, root, .. } = with(url, &variables).unwrap();
        assert_eq!(config.get_hosts(), [Host::Tcp("::1".into()), Host::Tcp("host".into())]);
        assert_eq!(config.get_ports(), [6000, 6000]);
        assert_eq!(config.get_user(), Some("me"));
        assert_eq!(config.get_password(), Some(&b"mine"[..]));
        assert_eq!(config.get_dbname(), Some("own"));
        assert_eq!(config.get_application_name(), Some("it"));
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::Any);
        assert_eq!(config.get_ssl_mode(), SslMode::Disable);
        assert_eq!(root, None);
    }

    #[test]
    fn each_mode_of_tls_that_verifies_requires_it_and_another_one_is_refused() {
        for (mode, expected) in [
            ("disable", SslMode::Disable),
            ("allow", SslMode::Prefer),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::Require),
            ("verify-full", SslMode::Require),
        ] {
            let url = format!("postgres://a@h/?sslmode={mode}");
            let config = Address::parse(&url, None, true).unwrap().config;
            assert_eq!(config.get_ssl_mode(), expected, "{mode}");
        }
        for mode in ["", "Verify-Full", "verify"] {
            let url = format!("postgres://a:secret@h/?sslmode={mode}");
            assert!(Address::parse(&url, None, true).is_err(), "{mode}");
        }
        assert!(with("postgres://a@h/", &[("PGSSLMODE", "on")]).is_err());
    }

    #[test]
    fn without_a_request_no_variable_is_read() {
        let config = Address::parse("postgres://h/", None, true).unwrap().config;
        assert_eq!((config.get_user(), config.get_password()), (None, None));
        for option in ["service", "passfile"] {
            assert!(Address::parse(&format!("postgres://h/?{option}=s"), None, true).is_err());
        }
    }

    #[test]
    fn a_password_may_have_the_characters_of_a_url() {
        let config = Address::parse("postgres://a:x?y/z&sslmode=q@h/d", None, true).unwrap().config;
        assert_eq!(config.get_password(), Some(&b"x?y/z&sslmode=q"[..]));
        assert_eq!(config.get_dbname(), Some("d"));
    }
}
