//! Which proxy a request takes: from the builder, or from the environment as MSAL Python reads it
//! (`requests`): `HTTPS_PROXY`, then `ALL_PROXY`, in lower or upper case, and `NO_PROXY`.

use core::net::IpAddr;
use std::env::{self, VarError};
use std::fmt;

use http::Uri;
use http::uri::Scheme;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::address;
use crate::model::{TransportError, TransportErrorKind};

/// An HTTP proxy that tunnels TLS connections (`CONNECT`). `Debug` prints no password.
#[derive(Clone)]
pub(super) struct Proxy {
    /// Whether the connection to the proxy itself uses TLS.
    pub(super) is_tls: bool,
    /// The host, without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// The user name and the password, decoded.
    pub(super) credentials: Option<(String, Zeroizing<String>)>,
    /// The address without the credentials.
    pub(super) printable: String,
}

impl Proxy {
    /// Parses an address such as `http://user:password@proxy.example:8080`. Without a scheme, it is
    /// that of an HTTP proxy. The error doesn't quote it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let (is_tls, text) = match scheme.as_deref() {
            None => (false, format!("http://{text}")),
            Some("http") => (false, text.to_owned()),
            Some("https") => (true, text.to_owned()),
            Some(scheme) if scheme.starts_with("socks") => {
                return Err("SOCKS proxies are not supported; use an HTTP proxy");
            }
            Some(_) => return Err("its scheme is neither http nor https"),
        };
        let text = Zeroizing::new(text);
        let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
        let authority = uri.authority().ok_or("it has no host")?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err("it has a path or a query");
        }
        let host = address::bare_host(&uri);
        if host.is_empty() {
            return Err("it has no host");
        }
        let (user, rest) = match authority.as_str().rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, authority.as_str()),
        };
        let port = match (authority.port_u16(), rest == authority.host()) {
            (Some(0), _) | (None, false) => return Err("its port is not valid"),
            (Some(port), _) => port,
            (None, true) if is_tls => 443,
            (None, true) => 80,
        };
        let credentials = user.map(decode_credentials).transpose()?;
        let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
        let printable = format!("{scheme}://{}:{port}", authority.host());
        Ok(Self { is_tls, host: host.to_owned(), port, credentials, printable })
    }
}

fn decode_credentials(user: &str) -> Result<(String, Zeroizing<String>), &'static str> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let decode = |text| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map(String::from).map_err(|_| "its user name or password is not UTF-8")
    };
    Ok((decode(name)?, Zeroizing::new(decode(password)?)))
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.printable)
    }
}

/// The proxy of an endpoint, and the hosts that are reached without it.
#[derive(Clone, Debug, Default)]
pub(super) struct ProxyRules {
    proxy: Option<Result<Proxy, InvalidProxy>>,
    direct: NoProxy,
}

/// An environment variable that is no address of a proxy. The variable is not quoted, since it may
/// contain a password.
#[derive(Clone, Copy, Debug)]
struct InvalidProxy {
    variable: &'static str,
    reason: &'static str,
}

impl ProxyRules {
    /// Uses this proxy for all requests that leave the machine, whatever the environment says.
    pub(super) fn always(proxy: Proxy) -> Self {
        Self { proxy: Some(Ok(proxy)), direct: NoProxy::default() }
    }

    pub(super) fn from_env() -> Self {
        Self::from_variables(|name| env::var(name))
    }

    fn from_variables(read: impl Fn(&str) -> Result<String, VarError>) -> Self {
        // Lower case first, as curl and Python read them. An empty variable unsets the other one.
        let first = |names: [&'static str; 2]| {
            let found = names.into_iter().find_map(|name| match read(name) {
                Ok(value) => Some((name, Ok(value))),
                Err(VarError::NotUnicode(_)) => Some((name, Err("it is not valid Unicode"))),
                Err(VarError::NotPresent) => None,
            });
            found.filter(|(_, value)| value.as_ref().map_or(true, |it| !it.trim().is_empty()))
        };
        let proxy = [["https_proxy", "HTTPS_PROXY"], ["all_proxy", "ALL_PROXY"]];
        let proxy = proxy.into_iter().find_map(first).map(|(variable, value)| {
            let proxy = value.and_then(|value| Proxy::parse(value.trim()));
            proxy.map_err(|reason| InvalidProxy { variable, reason })
        });
        let direct = first(["no_proxy", "NO_PROXY"]).and_then(|(_, value)| value.ok());
        Self { proxy, direct: NoProxy(direct.unwrap_or_default()) }
    }

    /// The proxy for requests to this address, if there is one. Requests to this machine take none:
    /// they may be unencrypted.
    ///
    /// # Errors
    ///
    /// The environment names a proxy that can't be used.
    pub(super) fn proxy_to(&self, to: &Uri) -> Result<Option<&Proxy>, TransportError> {
        let host = address::bare_host(to);
        match &self.proxy {
            Some(_) if address::is_loopback(host) || self.direct.has(host, address::port(to)) => {
                Ok(None)
            }
            None => Ok(None),
            Some(Ok(proxy)) => Ok(Some(proxy)),
            Some(Err(InvalidProxy { variable, reason })) => {
                let message = format!(
                    "the environment variable {variable} is not the address of a proxy: {reason}"
                );
                Err(TransportError::new(TransportErrorKind::Other, message)
                    .with_address(address::printable(to)))
            }
        }
    }

    /// The proxy, for an HTTP client that is configured with it.
    #[cfg(feature = "http")]
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()?.as_ref().ok()
    }
}

/// A list of hosts, separated by commas: names with their subdomains, with or without a dot in
/// front, IP addresses, blocks of them (`10.0.0.0/8`), each with or without a port; `*` for all.
#[derive(Clone, Debug, Default)]
struct NoProxy(String);

impl NoProxy {
    fn has(&self, host: &str, port: u16) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        let items = self.0.split(|it: char| it == ',' || it.is_whitespace());
        items.filter(|item| !item.is_empty()).any(|item| {
            if item == "*" {
                return true;
            }
            // Not the colons of an IPv6 address.
            let (item, only) = match item.rsplit_once(':') {
                Some((name, only)) if !name.contains(':') || name.ends_with(']') => {
                    (name, only.parse().ok())
                }
                _ => (item, Some(port)),
            };
            only == Some(port)
                && match address {
                    Some(address) => is_in_block(address, item),
                    None => is_in_domain(host, item),
                }
        })
    }
}

fn is_in_domain(host: &str, item: &str) -> bool {
    let domain = item.strip_prefix('*').unwrap_or(item);
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    let Some(start) = host.len().checked_sub(domain.len()) else { return false };
    !domain.is_empty()
        && host.is_char_boundary(start)
        && host[start..].eq_ignore_ascii_case(domain)
        && (start == 0 || host[..start].ends_with('.'))
}

fn is_in_block(address: IpAddr, item: &str) -> bool {
    let (base, length) = match item.split_once('/') {
        Some((base, length)) => (base, length.parse::<u32>().ok()),
        None => (item, Some(128)),
    };
    let base = base.trim_start_matches('[').trim_end_matches(']').parse();
    let (Ok(base), Some(length)) = (base, length) else { return false };
    let (one, other, bits) = match (address, base) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (one.to_bits().into(), other.to_bits().into(), u32::BITS)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), u128::BITS),
        _ => return false,
    };
    (one ^ other).checked_shr(bits - length.min(bits)).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::env::VarError;

    use super::{NoProxy, Proxy, ProxyRules};

    fn rules(variables: &[(&str, &str)]) -> ProxyRules {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let read = |name: &str| variables.get(name).map(|it| (*it).to_owned());
        ProxyRules::from_variables(|name| read(name).ok_or(VarError::NotPresent))
    }

    /// The proxy for this address, or why it is invalid.
    fn proxy_to(rules: &ProxyRules, address: &str) -> Result<String, String> {
        let proxy = rules.proxy_to(&address.parse().unwrap());
        match proxy {
            Ok(proxy) => Ok(proxy.map_or("none".to_owned(), |it| it.printable.clone())),
            Err(error) => Err(std::error::Error::source(&error).unwrap().to_string()),
        }
    }

    #[test]
    fn proxies_are_parsed() {
        for (text, printable) in [
            ("http://proxy.example:8080", "http://proxy.example:8080"),
            ("proxy.example:8080", "http://proxy.example:8080"),
            ("proxy.example", "http://proxy.example:80"),
            ("HTTPS://proxy.example/", "https://proxy.example:443"),
            ("http://user:s3cret@[::1]:3128", "http://[::1]:3128"),
        ] {
            assert_eq!(Proxy::parse(text).unwrap().printable, printable, "{text}");
        }
        let proxy = Proxy::parse("http://a%40b:s3%3Acret:x@proxy").unwrap();
        let (user, password) = proxy.credentials.clone().unwrap();
        assert_eq!((&*user, &**password), ("a@b", "s3:cret:x"));
        assert!(!format!("{proxy:?}").contains("s3"), "{proxy:?}");
        for (text, why) in [
            ("socks5://proxy.example:1080", "SOCKS"),
            ("socks4a://proxy.example", "SOCKS"),
            ("ftp://proxy.example", "scheme"),
            ("not a proxy", "not a URL"),
            ("http://", "not a URL"),
            ("http://proxy.example:99999", "port"),
            ("http://proxy.example:0", "port"),
            ("http://proxy.example/path", "path"),
            ("http://%ff:x@proxy.example", "UTF-8"),
        ] {
            let reason = Proxy::parse(text).unwrap_err();
            assert!(reason.contains(why), "{text}: {reason}");
        }
    }

    #[test]
    fn the_environment_names_the_proxy_as_for_msal_python() {
        const TO: &str = "https://login.example/token";
        for (variables, expected) in [
            (&[][..], "none"),
            (&[("HTTP_PROXY", "a")], "none"),
            (&[("HTTPS_PROXY", "a")], "http://a:80"),
            (&[("HTTPS_PROXY", "a"), ("https_proxy", "b")], "http://b:80"),
            (&[("HTTPS_PROXY", "a"), ("https_proxy", "")], "none"),
            (&[("ALL_PROXY", "a"), ("HTTPS_PROXY", " ")], "http://a:80"),
            (&[("ALL_PROXY", "a"), ("HTTPS_PROXY", "b")], "http://b:80"),
            (&[("ALL_PROXY", "a"), ("NO_PROXY", "other.example, login.example")], "none"),
            (&[("ALL_PROXY", "socks5://a"), ("NO_PROXY", "*")], "none"),
        ] {
            assert_eq!(proxy_to(&rules(variables), TO).unwrap(), expected, "{variables:?}");
        }
        for (value, why) in [("socks5://a:1080", "SOCKS"), ("user:s3cret@ garbage", "not a URL")] {
            let rules = rules(&[("ALL_PROXY", value)]);
            let error = proxy_to(&rules, TO).unwrap_err();
            assert!(error.contains("ALL_PROXY") && error.contains(why), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
            assert_eq!(proxy_to(&rules, "http://localhost:1/token").unwrap(), "none");
            assert_eq!(proxy_to(&rules, "https://[::1]/token").unwrap(), "none");
        }
    }

    #[test]
    fn some_hosts_are_reached_without_a_proxy() {
        for (list, host, port, expected) in [
            ("", "login.example", 443, false),
            ("login.example", "login.example", 443, true),
            ("LOGIN.example", "login.EXAMPLE", 443, true),
            ("example", "login.example", 443, true),
            (".example", "login.example", 443, true),
            ("*.example", "a.login.example", 443, true),
            ("gin.example", "login.example", 443, false),
            ("a.login.example", "login.example", 443, false),
            ("x,login.example:443", "login.example", 443, true),
            ("login.example:8443", "login.example", 443, false),
            ("login.example:x", "login.example", 443, false),
            ("*.", "login.example", 443, false),
            ("10.0.0.0/8", "10.1.2.3", 443, true),
            ("10.0.0.0/8", "11.1.2.3", 443, false),
            ("0.0.0.0/0", "11.1.2.3", 443, true),
            ("10.1.2.3", "10.1.2.3", 443, true),
            ("10.1.2.3", "10.1.2.4", 443, false),
            ("10.1.2.3:443", "10.1.2.3", 443, true),
            ("fd00::/8", "fd12::1", 443, true),
            ("[fd12::1]:443", "fd12::1", 443, true),
            ("fd12::1", "fd12::2", 443, false),
            ("10.0.0.0/x", "10.0.0.0", 443, false),
            ("é", "xé", 443, false),
        ] {
            assert_eq!(NoProxy(list.into()).has(host, port), expected, "{list} {host}");
        }
    }
}
