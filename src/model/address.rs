//! Addresses of servers, parsed so strictly that every URL parser reads them in the same way.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The parts of an `https` address.
///
/// RFC 3986, which most libraries follow, and the WHATWG standard, which browsers follow, read some
/// texts differently: `\` as `/` or not, `127.1` as a name or as an IP address, a tab as part of a
/// name or as nothing. An address that one part of a program checks and another one connects to
/// must not be such a text, so it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    /// In lower case; an IPv6 address without brackets, in its shortest form.
    pub(crate) host: String,
    /// `None` for the port of `https`.
    pub(crate) port: Option<u16>,
    /// From the first slash on; empty where there is none.
    pub(crate) path: &'a str,
    /// Without the question mark.
    pub(crate) query: Option<&'a str>,
}

impl<'a> Address<'a> {
    /// Parses an address. The error is the reason, which doesn't quote the address: it may contain
    /// a password.
    pub(crate) fn parse(address: &'a str) -> Result<Self, String> {
        check_characters(address)?;
        let (scheme, rest) =
            address.split_once("://").ok_or("it is not a URL; it should begin with https://")?;
        if !scheme.eq_ignore_ascii_case("https") {
            return Err(match scheme {
                "http" | "HTTP" => "its scheme is http; tokens need https".into(),
                _ => "it should begin with https://".into(),
            });
        }
        let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("it has a user name or password before the host; remove them".into());
        }
        let (host, port) = host_and_port(authority)?;
        Ok(Self { host, port: port.filter(|it| *it != 443), path, query })
    }

    /// `https://<host>`, with the port where it isn't that of `https`.
    pub(crate) fn origin(&self) -> String {
        let mut origin = if self.host.contains(':') {
            format!("https://[{}]", self.host)
        } else {
            format!("https://{}", self.host)
        };
        if let Some(port) = self.port {
            let _ = write!(origin, ":{port}");
        }
        origin
    }

    /// The segments of the path, without slashes at its end.
    pub(crate) fn segments(&self) -> Result<Vec<&'a str>, String> {
        let path = self.path.trim_start_matches('/');
        if self.path.len() - path.len() > 1 {
            return Err("its path begins with several slashes".into());
        }
        let path = path.trim_end_matches('/');
        if path.is_empty() {
            return Ok(Vec::new());
        }
        path.split('/').map(|it| check_segment(it).map(|()| it)).collect()
    }
}

/// An address that an app has given, for `Debug`: without a password.
pub(crate) fn shown(address: &str) -> &str {
    if address.contains('@') { "[an address with @]" } else { address }
}

fn check_characters(address: &str) -> Result<(), String> {
    if address.is_empty() {
        return Err("it is empty".into());
    }
    for char in address.chars() {
        match char {
            '\\' => return Err(r"it contains a backslash, which some programs read as /".into()),
            '\t' | '\r' | '\n' => {
                return Err("it contains a tab or a line break, which some programs skip".into());
            }
            ' ' => return Err("it contains a blank".into()),
            _ if char.is_control() => return Err("it contains a control character".into()),
            _ if !char.is_ascii() => {
                return Err("it contains a character that is not in ASCII; write the host with \
                            xn-- and encode the path with %"
                    .into());
            }
            _ => {}
        }
    }
    Ok(())
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (literal, rest) =
            rest.split_once(']').ok_or("its host has a bracket that is not closed")?;
        let address: Ipv6Addr = literal.parse().map_err(|_| "its host is not an IPv6 address")?;
        let port = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(':').ok_or("its host continues after a bracket")?),
        };
        (address.to_string(), port)
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        check_host(host)?;
        (host.to_ascii_lowercase(), port)
    };
    let port = match port {
        None => None,
        Some(digits) => {
            let number = digits.parse().ok().filter(|it| *it != 0);
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            Some(number.filter(|_| is_plain).ok_or("its port is not a number from 1 to 65535")?)
        }
    };
    Ok((host, port))
}

/// A host is a name, or an IPv4 address with four decimal numbers.
fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("it has no host".into());
    }
    if host.contains('%') {
        return Err("its host has a percent sign, which some programs decode".into());
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !host.bytes().all(is_plain) {
        return Err("its host has a character that is invalid in a name".into());
    }
    if host.ends_with('.') {
        return Err("its host ends with a dot; remove it".into());
    }
    if host.split('.').any(str::is_empty) {
        return Err("its host has two dots without a name between them".into());
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_hexadecimal = last
        .strip_prefix("0x")
        .or(last.strip_prefix("0X"))
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_number = is_hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err("its host ends with a number but is not an IPv4 address like 127.0.0.1".into());
    }
    Ok(())
}

fn check_segment(segment: &str) -> Result<(), String> {
    if segment.is_empty() {
        return Err("its path has two slashes in a row".into());
    }
    if matches!(segment, "." | "..") {
        return Err("its path has the segment . or .., which some programs resolve".into());
    }
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => check_encoded(bytes.next(), bytes.next())?,
            _ if byte.is_ascii_alphanumeric() => {}
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b'=' => {}
            b'<' | b'>' | b'{' | b'}' => {
                return Err("its path has a bracket: replace the placeholder by a tenant".into());
            }
            _ => {
                return Err(format!("its path has the character {:?}", char::from(byte)));
            }
        }
    }
    Ok(())
}

/// A character that needs no encoding could be written in two ways, and an encoded slash is one for
/// some programs.
fn check_encoded(high: Option<u8>, low: Option<u8>) -> Result<(), String> {
    let digit = |byte: Option<u8>| char::from(byte.unwrap_or_default()).to_digit(16);
    let (Some(high), Some(low)) = (digit(high), digit(low)) else {
        return Err("its path has a percent sign without two hexadecimal digits".into());
    };
    let byte = u8::try_from(16 * high + low).unwrap_or_default();
    let is_unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if is_unreserved || byte.is_ascii_control() || matches!(byte, b'/' | b'\\') {
        return Err("its path encodes a letter, a digit, a slash or a control character".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_is_parsed_into_its_parts() {
        for (address, host, port, path, query) in [
            ("https://login.example", "login.example", None, "", None),
            ("HTTPS://Login.Example:443/T/?a=b#c", "login.example", None, "/T/", Some("a=b")),
            ("https://127.0.0.1:8443/t", "127.0.0.1", Some(8443), "/t", None),
            ("https://[0:0::1]:1/", "::1", Some(1), "/", None),
            ("https://a_b.example?x", "a_b.example", None, "", Some("x")),
        ] {
            let parsed = Address::parse(address).unwrap();
            assert_eq!(
                (&*parsed.host, parsed.port, parsed.path, parsed.query),
                (host, port, path, query),
                "{address}"
            );
        }
        assert_eq!(Address::parse("https://[::1]:9/x").unwrap().origin(), "https://[::1]:9");
    }

    #[test]
    fn what_parsers_read_differently_is_refused_with_the_reason() {
        for (address, reason) in [
            ("", "empty"),
            ("login.example/t", "https://"),
            ("https:/login.example/t", "https://"),
            ("ftp://login.example/t", "https://"),
            ("http://login.example/t", "http"),
            ("https:///t", "no host"),
            ("https://?x", "no host"),
            (r"https://evil.example\@login.example/t", "backslash"),
            (r"https://login.example\t", "backslash"),
            ("https://user:s3cret@login.example/t", "password"),
            ("https://@login.example/t", "password"),
            (" https://login.example/t", "blank"),
            ("https://login.example/t ", "blank"),
            ("https://login.example/\tt", "tab"),
            ("https://login.example/t\n", "line break"),
            ("https://login.example/\u{0}t", "control"),
            ("https://login.example/\u{7f}t", "control"),
            ("https://login\u{2100}.example/t", "ASCII"),
            ("https://login.example/\u{202e}t", "ASCII"),
            ("https://login%2eexample/t", "percent"),
            ("https://[::1].evil/t", "bracket"),
            ("https://[::1/t", "bracket"),
            ("https://[fe80::1%25eth0]/t", "IPv6"),
            ("https://[127.0.0.1]/t", "IPv6"),
            ("https://127.1/t", "number"),
            ("https://0x7f.0.0.1/t", "number"),
            ("https://login.0x/t", "number"),
            ("https://2130706433/t", "number"),
            ("https://login.example./t", "dot"),
            ("https://login..example/t", "dots"),
            ("https://login^example/t", "invalid in a name"),
            ("https://login.example:/t", "port"),
            ("https://login.example:port/t", "port"),
            ("https://login.example:+1/t", "port"),
            ("https://login.example:0/t", "port"),
            ("https://login.example:65536/t", "port"),
            ("https://login.example:1:2/t", "port"),
        ] {
            let error = Address::parse(address).unwrap_err();
            assert!(error.contains(reason), "{address:?}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        for (path, reason) in [
            ("//t", "several slashes"),
            ("/a//b", "two slashes"),
            ("/a/../b", "segment"),
            ("/./b", "segment"),
            ("/%2e%2e/b", "encodes"),
            ("/%2Fb", "encodes"),
            ("/%61", "encodes"),
            ("/%0a", "encodes"),
            ("/%6", "hexadecimal"),
            ("/%+1", "hexadecimal"),
            ("/a;b", "';'"),
            ("/a:b", "':'"),
            ("/<tenant>", "placeholder"),
            ("/{tenant}", "placeholder"),
        ] {
            let address = format!("https://login.example{path}");
            let error = Address::parse(&address).and_then(|it| it.segments()).unwrap_err();
            assert!(error.contains(reason), "{address:?}: {error}");
        }
    }

    #[test]
    fn segments_have_no_slashes_at_the_end() {
        let segments = |address| Address::parse(address).unwrap().segments().unwrap();
        assert_eq!(segments("https://h"), [""; 0]);
        assert_eq!(segments("https://h/"), [""; 0]);
        assert_eq!(segments("https://h/a/b%20c//"), ["a", "b%20c"]);
    }
}
