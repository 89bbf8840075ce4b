//! MSAL Python and MSAL Node as child processes. Requests to `peer.py` and `peer.mjs` and their
//! responses are lines of JSON.

mod events;
mod oauth;
mod random;

pub use events::{
    DifferingEvent, NamedEvent, Ours, Theirs, client_info, differing_events, equal_events, id_token,
};
pub use oauth::{OAuthServer, SentRequest};
pub use random::Random;

use std::env;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Map, Value, json};

/// The time of all comparisons, in seconds since the Unix epoch.
pub const NOW: i64 = 1_700_000_000;

/// A process that runs an MSAL library.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// An exception in Python, or an error in Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// The type, for example `KeyError`; for MSAL Node the error code.
    pub kind: String,
    /// The message.
    pub message: String,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl Peer {
    /// Starts Python.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts Python with further environment variables.
    pub fn start_with(variables: &[(&str, &str)]) -> Self {
        let python = env::var_os("MSAL_CACHE_PYTHON").expect("run tests/peers/run");
        Self::run(Command::new(python).arg(here("peer.py")).envs(variables.iter().copied()))
    }

    /// Starts Node.
    pub fn node() -> Self {
        env::var_os("MSAL_CACHE_NODE").expect("run tests/peers/run");
        Self::run(Command::new("node").arg(here("peer.mjs")))
    }

    fn run(command: &mut Command) -> Self {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.expect("the peer starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, stdin, stdout }
    }

    /// Calls a command of `peer.py` or `peer.mjs`.
    ///
    /// # Errors
    ///
    /// The exception that it raised.
    pub fn call(&mut self, command: &str, parameters: Value) -> Result<Value, Raised> {
        let Value::Object(mut request) = parameters else { panic!("parameters are an object") };
        request.insert("command".into(), command.into());
        let mut line = Value::Object(request).to_string();
        line.push('\n');
        let stdin = self.stdin.as_mut().expect("it is open until the peer is dropped");
        stdin.write_all(line.as_bytes()).expect("the peer reads");
        let mut response = String::new();
        self.stdout.read_line(&mut response).expect("the peer writes");
        outcome(serde_json::from_str(&response).expect("the response is JSON"))
    }

    /// Calls a command that must not raise.
    pub fn get(&mut self, command: &str, parameters: Value) -> Value {
        self.call(command, parameters).unwrap_or_else(|raised| panic!("{command}: {raised}"))
    }

    /// Calls a command that must not raise, and returns its list.
    pub fn list(&mut self, command: &str, parameters: Value) -> Vec<Value> {
        match self.get(command, parameters) {
            Value::Array(items) => items,
            other => panic!("{command} returned {other}"),
        }
    }

    /// The document of the cache of this name.
    pub fn document(&mut self, cache: &str) -> Value {
        let text = self.get("serialize", json!({ "cache": cache }));
        document(text.as_str().expect("serialize() gives a text"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}

/// The value or the exception in a response.
///
/// # Errors
///
/// The exception.
pub fn outcome(mut response: Value) -> Result<Value, Raised> {
    match response["raised"].as_str() {
        None => Ok(response["ok"].take()),
        Some(kind) => {
            let message = response["message"].as_str().unwrap_or_default().to_owned();
            Err(Raised { kind: kind.to_owned(), message })
        }
    }
}

/// A cache document as a value, without empty sections.
pub fn document(text: &str) -> Value {
    without_empty_sections(serde_json::from_str(text).expect("a cache document is JSON"))
}

/// Removes empty sections. MSAL Python leaves one behind when it removes the last entry.
pub fn without_empty_sections(mut document: Value) -> Value {
    if let Value::Object(sections) = &mut document {
        sections.retain(|_, section| section.as_object().is_none_or(|it| !it.is_empty()));
    }
    document
}

/// Describes the entries in which two documents differ.
pub fn difference(ours: &Value, theirs: &Value) -> String {
    let mut text = String::new();
    let nothing = Map::new();
    let sections = |document: &Value| document.as_object().cloned().unwrap_or_default();
    let (our_sections, their_sections) = (sections(ours), sections(theirs));
    let mut names: Vec<_> = our_sections.keys().chain(their_sections.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let entries = |document: &Map<String, Value>| {
            document.get(name).and_then(Value::as_object).unwrap_or(&nothing).clone()
        };
        let (our_entries, their_entries) = (entries(&our_sections), entries(&their_sections));
        let mut keys: Vec<_> = our_entries.keys().chain(their_entries.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let (our, their) = (our_entries.get(key), their_entries.get(key));
            if our != their {
                let show = |entry: Option<&Value>| entry.map_or("-".into(), Value::to_string);
                let (our, their) = (show(our), show(their));
                writeln!(text, "  {name} {key}\n    ours   {our}\n    theirs {their}").unwrap();
            }
        }
    }
    text
}

/// A file in the directory of this package's manifest.
fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The directory of cache files that the MSAL libraries wrote.
pub fn fixtures() -> PathBuf {
    here("../fixtures")
}

/// The name and the text of every cache file in a directory of [`fixtures`].
pub fn cache_files(folder: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(fixtures().join(folder))
        .expect("the directory of fixtures")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a fixture is UTF-8"))
        })
        .collect();
    files.sort();
    files
}
