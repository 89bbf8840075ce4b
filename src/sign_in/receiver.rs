//! Listens on the redirect URI until the browser brings the answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use event_listener::{Event, EventListener};

use super::answer::Answer;
use super::connection::{Expected, serve};
use super::error::SignInError;

/// How many connections are served at once. The oldest one is closed for a newer one, so that idle
/// connections keep no browser out.
const MOST_CONNECTIONS: usize = 32;
/// How many ports are tried until one is free on both loopback addresses.
const ATTEMPTS: usize = 20;
/// The pause after a failed `accept`, such as without free file descriptors.
const PAUSE: Duration = Duration::from_millis(20);

/// The listeners of a redirect URI.
pub(super) struct Bound {
    listeners: Vec<TcpListener>,
    pub(super) port: u16,
}

impl Bound {
    /// Listens on both loopback addresses, since `localhost` may be either. On this machine without
    /// IPv6, or without IPv4, it is the other one alone. A port of which another program has one
    /// address is not used: that program would get the code.
    pub(super) fn new(wanted: u16) -> Result<Self, SignInError> {
        let failed = |source| SignInError::Listen { port: wanted, source };
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..ATTEMPTS {
            let first = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted));
            let (first, other): (_, IpAddr) = match first {
                Ok(listener) => (listener, Ipv6Addr::LOCALHOST.into()),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(failed(error));
                }
                Err(_) => {
                    let listener =
                        TcpListener::bind((Ipv6Addr::LOCALHOST, wanted)).map_err(failed)?;
                    let port = listener.local_addr().map_err(failed)?.port();
                    return Ok(Self { listeners: vec![listener], port });
                }
            };
            let port = first.local_addr().map_err(failed)?.port();
            match TcpListener::bind(SocketAddr::from((other, port))) {
                Ok(second) => return Ok(Self { listeners: vec![first, second], port }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                // This machine has no IPv6.
                Err(_) => return Ok(Self { listeners: vec![first], port }),
            }
            if wanted != 0 {
                break;
            }
        }
        Err(failed(last))
    }
}

/// The listening threads, which end when it is dropped: nothing listens afterwards.
pub(super) struct Receiver {
    shared: Arc<ReceiverState>,
    acceptors: Vec<(SocketAddr, JoinHandle<()>)>,
}

/// What has come in.
#[derive(Debug)]
pub(super) enum ReceiverOutcome {
    Answer(Answer),
    /// The browser could not be opened.
    NotOpened(io::Error),
}

pub(super) struct ReceiverState {
    expected: Expected,
    has_ended: AtomicBool,
    outcome: Mutex<Option<ReceiverOutcome>>,
    /// The connections, the oldest first, by number.
    connections: Mutex<(u64, Vec<(u64, TcpStream)>)>,
    changed: Event,
}

impl Receiver {
    pub(super) fn start(bound: Bound, expected: Expected) -> Result<Self, SignInError> {
        let port = bound.port;
        let failed = |source| SignInError::Listen { port, source };
        let shared = Arc::new(ReceiverState {
            expected,
            has_ended: AtomicBool::new(false),
            outcome: Mutex::default(),
            connections: Mutex::default(),
            changed: Event::new(),
        });
        let mut receiver = Self { shared: shared.clone(), acceptors: Vec::new() };
        for listener in bound.listeners {
            let (address, shared) = (listener.local_addr().map_err(failed)?, shared.clone());
            let accept = move || accept(&listener, &shared);
            let thread = thread::Builder::new().name("msal-cache sign-in".into()).spawn(accept);
            receiver.acceptors.push((address, thread.map_err(failed)?));
        }
        Ok(receiver)
    }

    pub(super) fn shared(&self) -> Arc<ReceiverState> {
        self.shared.clone()
    }

    /// A listener for the next outcome, to be taken before [`take`](Self::take).
    pub(super) fn listen(&self) -> EventListener {
        self.shared.changed.listen()
    }

    pub(super) fn take(&self) -> Option<ReceiverOutcome> {
        lock(&self.shared.outcome).take()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Release);
        for (_, connection) in lock(&self.shared.connections).1.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        for (address, thread) in self.acceptors.drain(..) {
            // Wakes the thread, which is blocked in `accept`.
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                let _ = thread.join();
            }
        }
    }
}

impl ReceiverState {
    /// Keeps the outcome that ends the sign-in: a code or the server's error before anything else, and
    /// the first of them.
    pub(super) fn tell(&self, outcome: ReceiverOutcome) {
        let is_final = |it: &ReceiverOutcome| {
            matches!(it, ReceiverOutcome::Answer(Answer::Code(_) | Answer::Error(_)))
        };
        let mut known = lock(&self.outcome);
        if known.as_ref().is_none_or(|known| !is_final(known) && is_final(&outcome)) {
            *known = Some(outcome);
        }
        drop(known);
        self.changed.notify(usize::MAX);
    }

    /// Keeps a handle by which the connection can be closed, and returns its number.
    fn enter(&self, stream: &TcpStream) -> io::Result<u64> {
        let handle = stream.try_clone()?;
        let (last, open) = &mut *lock(&self.connections);
        if open.len() >= MOST_CONNECTIONS {
            let (_, oldest) = open.remove(0);
            let _ = oldest.shutdown(Shutdown::Both);
        }
        *last += 1;
        open.push((*last, handle));
        Ok(*last)
    }

    fn leave(&self, number: u64) {
        lock(&self.connections).1.retain(|(it, _)| *it != number);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<ReceiverState>) {
    loop {
        let accepted = listener.accept();
        if shared.has_ended.load(Ordering::Acquire) {
            return;
        }
        let Ok((stream, _)) = accepted else {
            thread::sleep(PAUSE);
            continue;
        };
        let Ok(number) = shared.enter(&stream) else { continue };
        let own = shared.clone();
        // A connection has a thread: one that is idle, as browsers open them in advance, delays none.
        let spawned = thread::Builder::new().spawn(move || {
            let answer = serve(&stream, &own.expected);
            own.leave(number);
            match answer {
                Ok(Answer::Foreign) | Err(_) => {}
                Ok(answer) => own.tell(ReceiverOutcome::Answer(answer)),
            }
        });
        if spawned.is_err() {
            shared.leave(number);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
