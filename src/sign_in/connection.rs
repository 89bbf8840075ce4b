//! One connection to the redirect URI: a bounded HTTP/1.1 request and its response.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::answer::Answer;
use super::page::{FOREIGN, Pages};

/// How long a connection has to send a whole request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request in bytes.
const MAX_HEAD: usize = 32 << 10;
/// The largest body of a request in bytes. A code has about 2,000.
const MAX_BODY: usize = 32 << 10;

/// What belongs to one sign-in.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) state: Zeroizing<String>,
    pub(super) issuer: Option<String>,
    pub(super) path: String,
    pub(super) port: u16,
    pub(super) pages: Pages,
}

/// Reads a request, responds, and returns what it says.
pub(super) fn serve(stream: &TcpStream, expected: &Expected) -> io::Result<Answer> {
    let deadline = Instant::now() + TIMEOUT;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    respond_to(BufReader::new(Bounded { stream, deadline }), stream, expected)
}

/// Reads a request, responds, and returns what it says, on any connection.
pub(super) fn respond_to(
    mut reader: impl BufRead,
    mut writer: impl Write,
    expected: &Expected,
) -> io::Result<Answer> {
    let request = read(&mut reader, expected)?;
    let answer = match &request {
        ReceivedRequest::Parameters(parameters) => {
            Answer::parse(parameters, &expected.state, expected.issuer.as_deref())
        }
        ReceivedRequest::Other(_) => Answer::Foreign,
    };
    let (status, page) = match (&answer, &request) {
        (Answer::Code(_), _) => ("200 OK", &*expected.pages.success),
        (Answer::Error(_) | Answer::Stateless(_), _) => ("200 OK", &*expected.pages.failure),
        (Answer::Foreign, ReceivedRequest::Other(status)) => (*status, FOREIGN),
        (Answer::Foreign, ReceivedRequest::Parameters(_)) => ("400 Bad Request", FOREIGN),
    };
    respond(&mut writer, status, page)?;
    Ok(answer)
}

enum ReceivedRequest {
    /// The parameters of a request to the redirect URI.
    Parameters(Zeroizing<String>),
    /// Another request, and the status of the response.
    Other(&'static str),
}

fn read(reader: &mut impl BufRead, expected: &Expected) -> io::Result<ReceivedRequest> {
    let mut head = MAX_HEAD;
    let first = line(reader, &mut head)?;
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Ok(ReceivedRequest::Other("400 Bad Request"));
    };
    if !version.starts_with("HTTP/1.") {
        return Ok(ReceivedRequest::Other("400 Bad Request"));
    }
    let mut length = None;
    let mut host = None;
    let mut is_document = true;
    loop {
        let header = line(reader, &mut head)?;
        if header.is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':') else {
            return Ok(ReceivedRequest::Other("400 Bad Request"));
        };
        let value = value.trim();
        let is_repeated = match &*name.to_ascii_lowercase() {
            // The length is known from one header alone.
            "transfer-encoding" => true,
            "content-length" => length.replace(value.parse::<usize>()).is_some(),
            "host" => host.replace(value.to_ascii_lowercase()).is_some(),
            "sec-fetch-dest" => {
                is_document = value == "document";
                false
            }
            _ => false,
        };
        if is_repeated {
            return Ok(ReceivedRequest::Other("400 Bad Request"));
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // A page of another site can make the browser send requests here: under a name that it controls
    // (DNS rebinding), or for an image or a script.
    let names = ["localhost", "127.0.0.1", "[::1]"];
    let is_own_host = host.as_deref().is_some_and(|host| {
        names.iter().filter_map(|name| host.strip_prefix(name)).any(|port| {
            // Browsers leave the port of the scheme out.
            let own = expected.port.to_string();
            port.strip_prefix(':') == Some(&*own) || port.is_empty() && expected.port == 80
        })
    });
    if !is_own_host || !is_document {
        return Ok(ReceivedRequest::Other("403 Forbidden"));
    }
    if path != expected.path {
        return Ok(ReceivedRequest::Other("404 Not Found"));
    }
    match (method, length) {
        ("GET", None | Some(Ok(0))) => {
            Ok(ReceivedRequest::Parameters(Zeroizing::new(query.to_owned())))
        }
        ("POST", Some(Ok(length))) if length <= MAX_BODY => {
            let mut body = Zeroizing::new(vec![0; length]);
            reader.read_exact(&mut body)?;
            Ok(match std::str::from_utf8(&body) {
                Ok(body) => ReceivedRequest::Parameters(Zeroizing::new(body.to_owned())),
                Err(_) => ReceivedRequest::Other("400 Bad Request"),
            })
        }
        ("GET" | "POST", _) => Ok(ReceivedRequest::Other("400 Bad Request")),
        _ => Ok(ReceivedRequest::Other("405 Method Not Allowed")),
    }
}

/// A line without its end. `left` is what the head may still have.
fn line(reader: &mut impl BufRead, left: &mut usize) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::new());
    reader.by_ref().take(*left as u64).read_until(b'\n', &mut bytes)?;
    *left -= bytes.len();
    let Some(text) = bytes.strip_suffix(b"\n") else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    match std::str::from_utf8(text) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn respond(writer: &mut impl Write, status: &str, page: &str) -> io::Result<()> {
    let length = page.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {length}\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nContent-Security-Policy: \
         default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'\r\n\
         Connection: close\r\n\r\n{page}"
    );
    writer.write_all(response.as_bytes())
}

/// Reads until a deadline, however slowly the bytes come.
struct Bounded<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut stream = self.stream;
        stream.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "gQ7sRk";
    const PORT: u16 = 8400;

    fn expected() -> Expected {
        Expected {
            state: Zeroizing::new(STATE.into()),
            issuer: None,
            path: "/".into(),
            port: PORT,
            pages: Pages { success: "success".into(), failure: "failure".into() },
        }
    }

    fn answer(request: &[u8]) -> (String, String) {
        let mut response = Vec::new();
        let answer = respond_to(request, &mut response, &expected());
        let answer = answer.map_or_else(|_| "error".into(), |it| format!("{it:?}"));
        (answer, String::from_utf8(response).unwrap())
    }

    #[test]
    fn the_port_of_the_scheme_may_be_left_out() {
        let answer_on = |port, host: &str| {
            let expected = Expected { port, ..expected() };
            let request = format!("GET /?code=c&state={STATE} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let answer = respond_to(request.as_bytes(), Vec::new(), &expected).unwrap();
            matches!(answer, Answer::Code(_))
        };
        for host in ["localhost", "127.0.0.1", "[::1]", "LocalHost:80"] {
            assert!(answer_on(80, host) && !answer_on(PORT, host), "{host}");
        }
        for host in ["localhost.evil.example", "localhost:", "localhost:81", "evil.example:80", ""]
        {
            assert!(!answer_on(80, host), "{host}");
        }
    }

    #[test]
    fn no_change_of_a_request_makes_a_code_of_another_state() {
        let body = format!("code=c&state={STATE}");
        let good = format!(
            "POST / HTTP/1.1\r\nHost: localhost:{PORT}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(answer(good.as_bytes()).0, "Code");
        let pieces = ["\r\n", "&", "=", "state=", "code=", "%", "?", " ", "HTTP/1.1", "\0", "é"];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..50_000 {
            let mut request = good.clone().into_bytes();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(0..=request.len());
                match random.u8(0..3) {
                    0 => request.truncate(at),
                    1 if at < request.len() => request[at] ^= 1 << random.u8(0..8),
                    _ => {
                        let piece = pieces[random.usize(0..pieces.len())];
                        request.splice(at..at, piece.bytes());
                    }
                }
            }
            let (found, response) = answer(&request);
            let has_state = String::from_utf8_lossy(&request).contains(STATE);
            let is_good = matches!(&*found, "Code" | "Error");
            assert!(!is_good || has_state, "{}", String::from_utf8_lossy(&request));
            assert_eq!(response.ends_with("success"), found == "Code");
        }
    }
}
