//! Connections that are cut at a message of the protocol.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes connections on to a server, and cuts them on request.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cut: Mutex<Option<Cut>>,
    refuses: Mutex<bool>,
    connections: Mutex<Vec<TcpStream>>,
}

/// Where the next connection is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Whether the messages of the client count, or those of the server.
    pub(crate) from_client: bool,
    /// How many messages pass before.
    pub(crate) after: usize,
    /// Whether half of the next message passes, too.
    pub(crate) half: bool,
    /// Whether no connection is accepted afterwards.
    pub(crate) refuse: bool,
}

impl Proxy {
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if *shared.refuses.lock().unwrap() {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                shared.connections.lock().unwrap().push(server.try_clone().unwrap());
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (upwards, downwards) = (shared.clone(), shared.clone());
                std::thread::spawn(move || pump(up, server, &upwards, true));
                std::thread::spawn(move || pump(down, client, &downwards, false));
            }
        });
        Self { port, state }
    }

    pub(crate) fn cut(&self, cut: Cut) {
        *self.state.cut.lock().unwrap() = Some(cut);
    }

    /// Disarms the proxy. Returns whether a connection was cut.
    pub(crate) fn was_cut(&self) -> bool {
        self.state.cut.lock().unwrap().take().is_none()
    }

    /// Whether connections are refused.
    pub(crate) fn refuse(&self, refuse: bool) {
        *self.state.refuses.lock().unwrap() = refuse;
    }

    /// Cuts the connections that are open.
    pub(crate) fn cut_all(&self) {
        for connection in self.state.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, state: &State, is_client: bool) {
    to.set_nodelay(true).unwrap();
    // The first message of a client has no type.
    let mut first = is_client;
    let (mut waiting, mut buffer) = (Vec::new(), vec![0; 65536]);
    'open: while let Ok(count @ 1..) = from.read(&mut buffer) {
        waiting.extend_from_slice(&buffer[..count]);
        while let Some(length) = message(&waiting, first) {
            first = false;
            let passes = {
                let mut cut = state.cut.lock().unwrap();
                match &mut *cut {
                    Some(it) if it.from_client == is_client => {
                        if it.after > 0 {
                            it.after -= 1;
                            length
                        } else {
                            let half = if it.half { length / 2 } else { 0 };
                            *state.refuses.lock().unwrap() |= it.refuse;
                            *cut = None;
                            half
                        }
                    }
                    _ => length,
                }
            };
            if to.write_all(&waiting[..passes]).is_err() || passes < length {
                break 'open;
            }
            waiting.drain(..length);
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// The length of the first message, if it is complete.
fn message(bytes: &[u8], is_first: bool) -> Option<usize> {
    let kind = usize::from(!is_first);
    let length = u32::from_be_bytes(bytes.get(kind..kind + 4)?.try_into().unwrap());
    let whole = kind + usize::try_from(length).unwrap();
    (whole <= bytes.len()).then_some(whole)
}
