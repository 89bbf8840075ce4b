//! Addresses to which a secret may be sent: over TLS, or on this machine.

use core::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

use crate::model::{TransportError, TransportErrorKind};

/// Parses an address and checks that a secret may be sent there. The error is the reason; it
/// doesn't quote the address, which may contain a password.
pub(crate) fn parse(address: &str) -> Result<Uri, &'static str> {
    if address.contains('\\') || address.contains(|it: char| it.is_whitespace() || it.is_control())
    {
        return Err("it contains a backslash, a blank or a control character");
    }
    // Programs differ in where a host ends whose bracket is followed by more.
    let after = address.split_once("://").and_then(|(_, rest)| rest.split_once(']'));
    if after.is_some_and(|(_, rest)| !rest.is_empty() && !rest.starts_with([':', '/', '?', '#'])) {
        return Err("its host continues after a bracket");
    }
    let uri: Uri = address.parse().map_err(|_| "it is not a URL")?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or("it has no host")?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("it contains a user name or password");
    }
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP && is_loopback(host) => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP => {
            Err("http is allowed on this machine only; use https")
        }
        _ => Err("its scheme is not https"),
    }
}

/// Parses the address of a request. The error names the address without its secrets.
pub(super) fn parse_for_request(address: &str) -> Result<Uri, TransportError> {
    parse(address).map_err(|reason| {
        let message = format!("invalid endpoint address: {reason}");
        let error = TransportError::new(TransportErrorKind::Other, message);
        match address.parse() {
            Ok(uri) => error.with_address(printable(&uri)),
            Err(_) => error,
        }
    })
}

/// The scheme, host, port and path of an address: what may be printed.
pub(super) fn printable(uri: &Uri) -> String {
    let scheme = uri.scheme_str().map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = if uri.authority().is_some() { uri.path() } else { "" };
    [&*scheme, host, &*port, path].concat()
}

/// The host without the brackets of an IPv6 address.
pub(crate) fn bare_host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

/// The port, or that of the scheme.
pub(super) fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 })
}

/// Whether the host is this machine, so that requests to it never leave the machine.
///
/// `localhost` counts, since resolvers must not look it up on the network (RFC 6761, section 6.3).
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{parse, printable};

    #[test]
    fn https_is_required_except_on_this_machine() {
        for good in [
            "https://login.microsoftonline.com/common/oauth2/v2.0/token",
            "HTTPS://login.example/token",
            "http://127.0.0.1:3000/token",
            "http://127.1.2.3/token",
            "http://[::1]:3000/token",
            "http://localhost:3000/token",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://login.microsoftonline.com/common/oauth2/v2.0/token",
            "http://127.0.0.1.example/token",
            "http://localhost.example/token",
            "http://10.0.0.1/token",
            "http://0.0.0.0/token",
            "http://user:s3cret@127.0.0.1/token",
            "https://127.0.0.1@login.example/token",
            "ftp://127.0.0.1/token",
            "/token",
            "http://[::1].evil/token",
            "https://[::1].evil/token",
            r"https://evil.example\@login.microsoftonline.com/common",
            r"https://login.example\token",
            "https://login.example/\ttoken",
            "login.example",
            "",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_printed_address_has_no_password_and_no_query() {
        for (address, printed) in [
            ("https://login.example/t/token?code=s3cret", "https://login.example/t/token"),
            ("http://user:s3cret@[::1]:80/token", "http://[::1]:80/token"),
            ("/s3cret", ""),
            ("login.example:443", "login.example:443"),
        ] {
            assert_eq!(printable(&address.parse().unwrap()), printed);
        }
    }
}
