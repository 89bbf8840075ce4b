//! A connection that fails without notice.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

/// Passes connections on to a port, unless it swallows what they send.
pub(super) struct Proxy {
    pub(super) port: u16,
    state: Arc<State>,
}

struct State {
    target: AtomicU16,
    swallows: AtomicBool,
}

impl Proxy {
    pub(super) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state =
            Arc::new(State { target: AtomicU16::new(target), swallows: AtomicBool::new(false) });
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, state) = (client.unwrap(), shared.clone());
                let target = state.target.load(Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let upwards = state.clone();
                std::thread::spawn(move || pump(up, server, &upwards));
                std::thread::spawn(move || pump(down, client, &state));
            }
        });
        Self { port, state }
    }

    /// Whether nothing arrives, in either direction, and no connection ends.
    pub(super) fn swallow(&self, swallows: bool) {
        self.state.swallows.store(swallows, Ordering::SeqCst);
    }

    /// Where new connections go.
    pub(super) fn redirect(&self, target: u16) {
        self.state.target.store(target, Ordering::SeqCst);
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://msal@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, state: &State) {
    to.set_nodelay(true).unwrap();
    let (mut buffer, mut is_broken) = (vec![0; 65536], false);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        // The rest of a connection is of no use once something of it is lost.
        is_broken |= state.swallows.load(Ordering::SeqCst);
        if !is_broken && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
