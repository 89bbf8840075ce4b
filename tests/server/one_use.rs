//! A token endpoint that accepts each refresh token once, and sees a second use as a theft.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msal_cache::Fields;
use msal_cache::endpoint::{
    TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
};

use crate::common::client_info;

/// The server, for the processes that connect to its address.
pub(crate) struct Authority {
    pub(crate) address: String,
    users: Arc<Mutex<HashMap<String, Issued>>>,
}

/// The refresh tokens of a user.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) current: String,
    pub(crate) count: usize,
    pub(crate) replays: usize,
}

/// The first refresh token of a user.
pub(crate) fn first(user: &str) -> String {
    format!("{user}:RT-0")
}

impl Authority {
    /// Starts it. After a refresh token was replaced and before the response, it calls `meanwhile` with
    /// the number of that refresh.
    pub(crate) fn start(
        users: &[String],
        meanwhile: impl Fn(usize) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let issued = |user: &String| Issued { current: first(user), count: 0, replays: 0 };
        let users: HashMap<_, _> = users.iter().map(|it| (it.clone(), issued(it))).collect();
        let users = Arc::new(Mutex::new(users));
        let (shared, meanwhile) = (users.clone(), Arc::new(meanwhile));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (users, meanwhile) = (shared.clone(), meanwhile.clone());
                // A client that has ended doesn't get its answer.
                std::thread::spawn(move || drop(serve(&stream.unwrap(), &users, &*meanwhile)));
            }
        });
        Self { address, users }
    }

    pub(crate) fn issued(&self) -> HashMap<String, Issued> {
        self.users.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: &TcpStream,
    users: &Mutex<HashMap<String, Issued>>,
    meanwhile: &dyn Fn(usize),
) -> io::Result<()> {
    let mut given = String::new();
    BufReader::new(stream).read_line(&mut given)?;
    let given = given.trim_end();
    let accepted = {
        let mut users = users.lock().unwrap();
        let user = given.split(':').next().unwrap_or_default().to_owned();
        let issued = users.get_mut(&user).expect("a refresh token names its user");
        if given == issued.current {
            issued.count += 1;
            issued.current = format!("{user}:RT-{}", issued.count);
            Some((issued.current.clone(), users.values().map(|it| it.count).sum()))
        } else {
            issued.replays += 1;
            None
        }
    };
    match accepted {
        Some((next, number)) => {
            meanwhile(number);
            writeln!(stream, "{next}")
        }
        None => writeln!(stream, "replay"),
    }
}

/// The connection of a process to it.
pub(crate) struct Wire(pub(crate) String);

impl Wire {
    fn exchange(&self, refresh_token: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(&self.0)?;
        writeln!(stream, "{refresh_token}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }
}

impl TokenEndpoint for Wire {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let form = request.form();
        let answer = self
            .exchange(form.get("refresh_token").unwrap_or_default())
            .map_err(|error| TransportError::new(TransportErrorKind::Unreachable, error))?;
        if answer == "replay" {
            return Ok(TokenResponse::new(400, Fields::new().set("error", "invalid_grant")));
        }
        let user = answer.split(':').next().unwrap_or_default();
        let body = Fields::new()
            .set("access_token", format!("AT-for-{answer}"))
            .set("expires_in", 3600)
            .set("scope", form.get("scope").unwrap_or_default())
            .set("client_info", client_info(user))
            .set("refresh_token", answer);
        Ok(TokenResponse::new(200, body))
    }
}

/// How long a process pauses after an error.
pub(crate) const AFTER_ERROR: Duration = Duration::from_millis(20);
