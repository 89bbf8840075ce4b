//! A connection that fails without notice: what passes through it can be held back.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Passes connections on to a port, as its mode says.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    mode: Arc<AtomicU8>,
}

/// What becomes of what the server sends.
#[derive(Clone, Copy, PartialEq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// It arrives.
    Pass,
    /// Nothing arrives, in either direction, and no connection ends.
    Swallow,
    /// Replies arrive, and what the server reports without a request doesn't.
    LosePushes,
}

impl Proxy {
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicU8::new(Mode::Pass as u8));
        let shared = mode.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, mode) = (client.unwrap(), shared.clone());
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let upwards = mode.clone();
                std::thread::spawn(move || pump(up, server, &upwards, false));
                std::thread::spawn(move || pump(down, client, &mode, true));
            }
        });
        Self { port, mode }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, mode: &AtomicU8, replies: bool) {
    let (mut waiting, mut buffer) = (Vec::new(), vec![0; 65536]);
    to.set_nodelay(true).unwrap();
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        waiting.extend_from_slice(&buffer[..count]);
        // Whole messages, so that no half of one is lost.
        while let Some(length) = if replies { message(&waiting) } else { Some(waiting.len()) } {
            if length == 0 {
                break;
            }
            let is_push = waiting[0] == b'>';
            let mode = mode.load(Ordering::SeqCst);
            let lost =
                mode == Mode::Swallow as u8 || replies && is_push && mode == Mode::LosePushes as u8;
            if !lost && to.write_all(&waiting[..length]).is_err() {
                return;
            }
            waiting.drain(..length);
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// The length of the first RESP message, if it is complete.
fn message(bytes: &[u8]) -> Option<usize> {
    if bytes.is_empty() {
        return Some(0);
    }
    let line = bytes.windows(2).position(|it| it == b"\r\n")?;
    let number = || str::from_utf8(&bytes[1..line]).unwrap().parse::<i64>().unwrap();
    let mut length = line + 2;
    let items = match bytes[0] {
        b'$' | b'=' | b'!' => {
            let size = number();
            if size >= 0 {
                length += usize::try_from(size).unwrap() + 2;
            }
            0
        }
        b'*' | b'>' | b'~' => number().max(0),
        b'%' => number() * 2,
        _ => 0,
    };
    for _ in 0..items {
        length += message(bytes.get(length..)?).filter(|it| *it > 0)?;
    }
    (length <= bytes.len()).then_some(length)
}
