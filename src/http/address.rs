//! Addresses to which a secret may be sent: over TLS, or on this machine.

use core::net::IpAddr;

use ureq::http::Uri;
use ureq::http::uri::Scheme;

/// Parses an address and checks that a secret may be sent there. The error is the reason; it
/// doesn't quote the address, which may contain a password.
pub(super) fn parse(address: &str) -> Result<Uri, &'static str> {
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
    use super::parse;

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
            "login.example",
            "",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
