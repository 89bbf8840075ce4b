//! Where secrets may be sent: over TLS, or within this machine.

use core::net::IpAddr;

use ureq::http::Uri;
use ureq::http::uri::Scheme;

/// Why an address isn't one of those. It is not quoted: somebody may have written a password
/// into it.
pub(super) type Fault = &'static str;

/// Reads an address and checks that a secret may be sent there.
pub(super) fn read(address: &str) -> Result<Uri, Fault> {
    let uri: Uri = address.parse().map_err(|_| "it is not an address")?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or("it has no host")?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("it holds a user name or a password");
    }
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP && is_loopback(host) => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP => {
            Err("it is not https, which all but this machine must be")
        }
        _ => Err("it is neither https nor http"),
    }
}

/// Whether the host is this machine itself, so that what is sent there never leaves it.
///
/// `localhost` counts, since resolvers must not ask anybody about it (RFC 6761, section 6.3).
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn tls_is_required_of_all_but_this_machine() {
        for good in [
            "https://login.microsoftonline.com/common/oauth2/v2.0/token",
            "HTTPS://login.example/token",
            "http://127.0.0.1:3000/token",
            "http://127.1.2.3/token",
            "http://[::1]:3000/token",
            "http://localhost:3000/token",
        ] {
            assert!(read(good).is_ok(), "{good}");
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
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
