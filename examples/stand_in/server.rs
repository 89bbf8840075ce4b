//! A minimal HTTP server on the loopback interface, which responds to requests with a closure.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// A server that listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

/// A received request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Headers by lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    /// The parameters of the body.
    pub(crate) form: BTreeMap<String, String>,
}

impl Server {
    /// Starts a server on a free port. Each connection has a thread, carries one request and is
    /// closed when `respond` returns.
    pub(crate) fn start(
        respond: impl Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (respond, known) = (Arc::new(respond), shared.clone());
        let thread = thread::spawn(move || {
            for connection in listener.incoming() {
                if known.stopped.load(Ordering::Acquire) {
                    return;
                }
                let Ok(mut connection) = connection else { continue };
                let (respond, known) = (respond.clone(), known.clone());
                thread::spawn(move || {
                    let Ok(request) = Request::read(&connection) else { return };
                    known.lock().push(request.clone());
                    // The client may have closed the connection.
                    let _ = respond(&request, &mut connection);
                });
            }
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.lock().clone()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the thread that is blocked in `accept`.
        let woken = TcpStream::connect(self.address).is_ok();
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl Request {
    fn read(connection: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(connection);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let form = parameters(&String::from_utf8_lossy(&body));
        Ok(Self { path, headers, form })
    }

    /// A parameter of the body; empty if it is missing.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }
}

/// Writes a response with a JSON body.
pub(crate) fn json(out: &mut impl Write, status: &str, body: &str) -> io::Result<()> {
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len(),
    )
}

/// Writes a redirect.
pub(crate) fn redirect(out: &mut impl Write, to: &str) -> io::Result<()> {
    let head = "HTTP/1.1 303 See Other\r\nContent-Length: 0\r\nConnection: close";
    write!(out, "{head}\r\nLocation: {to}\r\n\r\n")
}

/// The parameters of a query or a form.
pub(crate) fn parameters(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// Decodes a form-encoded text.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(if first == b'+' { b' ' } else { first }));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
