//! A browser without a window.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// Follows redirects until a page comes.
pub(crate) fn visit(address: &str) -> io::Result<()> {
    let wrong = || io::Error::other("not an http address");
    let mut address = address.to_owned();
    loop {
        let rest = address.strip_prefix("http://").ok_or_else(wrong)?;
        let start = rest.find(['/', '?']).ok_or_else(wrong)?;
        let (host, target) = rest.split_at(start);
        let slash = if target.starts_with('/') { "" } else { "/" };
        let mut stream = TcpStream::connect(host)?;
        write!(stream, "GET {slash}{target} HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        match response.lines().find_map(|line| line.strip_prefix("Location: ")) {
            Some(location) => address = location.to_owned(),
            None => return Ok(()),
        }
    }
}
