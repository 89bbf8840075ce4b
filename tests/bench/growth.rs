//! Parsers and checks on inputs that were made to take long, for counting instructions:
//! `tests/bench/growth` runs this program in callgrind, with inputs of several sizes.
//!
//! ```text
//! growth list              prints the names of the cases
//! growth run CASE N        runs one of them with an input of size N
//! growth write CASE N      prints the document of one of them
//! ```

#![allow(missing_docs, reason = "a program")]

use std::fmt::Write;
use std::hint::black_box;
use std::sync::{Arc, Mutex};

use msal_cache::clock::ManualClock;
use msal_cache::endpoint::TokenResponse;
use msal_cache::store::{Blob, BlobStore, CacheStore, Document, Revision};
use msal_cache::{
    AccountInfo, Authority, CredentialType, Error, Event, Fields, Memory, Query, Result,
    SilentRequest, TokenCache, check,
};

const NOW: i64 = 1_700_000_000;

/// The name of a case, and what makes its input.
type Case = (&'static str, Input);

enum Input {
    /// A document. It is read, searched, written, checked and repaired.
    Document(fn(usize) -> String),
    /// A damaged document, whose records are recovered.
    Damaged(fn(usize) -> String),
    /// An event, which is added.
    Event(fn(usize) -> String),
    /// The body of a response of a token endpoint.
    Response(fn(usize) -> String),
    /// The address of an authority.
    Address(fn(usize) -> String),
}

use Input::{Address, Damaged, Document as Whole, Event as Added, Response};

const CASES: [Case; 39] = [
    ("members", Whole(|n| object(n, |nth| format!("\"m{nth}\": 1")))),
    ("sections", Whole(|n| object(n, |nth| format!("\"s{nth}\": {{}}")))),
    ("sections-with-records", Whole(|n| object(n, |nth| format!("\"s{nth}\": {{\"k\": {{}}}}")))),
    ("one-name", Whole(|n| object(n, |nth| format!("\"s\": {{\"k{nth}\": {{}}}}")))),
    ("one-key", Whole(|n| section("AccessToken", n, |_| "\"k\": {}".into()))),
    ("nested-objects", Whole(|n| account(&nested(n, "{\"a\":", "1", "}")))),
    ("nested-arrays", Whole(|n| account(&nested(n, "[", "", "]")))),
    ("nested-top", Whole(|n| format!("{{\"x\": {}}}", nested(n, "[", "", "]")))),
    ("marks", Whole(|n| format!("{{\"x\": {{\"{}\": {{}}}}}}", "\u{fdd0}fdd0\\n".repeat(n)))),
    ("halves", Whole(|n| format!("{{\"x\": {{\"{}\": {{}}}}}}", "\\ud800".repeat(n)))),
    ("digits", Whole(|n| token("k", &format!("\"expires_on\": {}", "9".repeat(n))))),
    ("fields", Whole(|n| token("k", &list(n, |nth| format!("\"f{nth}\": {nth}"))))),
    ("one-field", Whole(|n| token("k", &list(n, |_| "\"cached_at\": null".into())))),
    ("scopes", Whole(|n| token("k", &format!("\"target\": \"{}\"", words(n))))),
    ("client-and-scopes", Whole(client_and_scopes)),
    ("dashes", Whole(dashes)),
    ("hosts-of-a-client", Whole(|n| section("AppMetadata", n, metadata))),
    ("same-identity", Whole(|n| section("AccessToken", n, |nth| bearer(nth, "", "s")))),
    ("keys-that-are-taken", Whole(|n| section("AccessToken", n, |nth| taken(n, nth)))),
    ("tokens-of-a-user", Whole(|n| section("AccessToken", n, |nth| bearer(nth, "", &scope(nth))))),
    ("users", Whole(|n| section("AccessToken", n, |nth| bearer(nth, &nth.to_string(), "s")))),
    ("names-of-a-user", Whole(|n| section("Account", n, renamed))),
    ("tenants-of-a-user", Whole(|n| section("AccessToken", n, in_tenant))),
    ("types", Whole(|n| section("AccessToken", n, of_type))),
    ("damaged-nested", Damaged(|n| format!("{{\"Account\": {}", nested(n, "{\"a\":", "1", "")))),
    (
        "damaged-nested-whole",
        Damaged(|n| format!("{{\"Account\": {}", nested(n, "{\"a\":", "1", "}"))),
    ),
    ("damaged-escapes", Damaged(|n| format!("{{\"Account\": {{\"{}", "\\\"".repeat(n)))),
    ("damaged-escapes-before-blanks", Damaged(escapes_before_blanks)),
    ("damaged-quotes", Damaged(|n| "{\":{\":\":{\", ".repeat(n))),
    ("damaged-records", Damaged(|n| format!("{}?", section("Account", n, record)))),
    ("event-scopes", Added(|n| event(&words(n), "\"access_token\": \"a\""))),
    ("event-fields", Added(|n| event("s", &list(n, |nth| format!("\"f{nth}\": {nth}"))))),
    ("response-fields", Response(|n| object(n, |nth| format!("\"f{nth}\": {nth}")))),
    ("response-nested", Response(|n| format!("{{\"error\": {}}}", nested(n, "[", "", "]")))),
    (
        "response-text",
        Response(|n| format!("{{\"error\": \"e\", \"error_description\": \"{}\"}}", words(n))),
    ),
    ("address-segments", Address(|n| format!("https://login.example/{}", "a/".repeat(n)))),
    ("address-labels", Address(|n| format!("https://{}example/t", "a.".repeat(n)))),
    ("address-escapes", Address(|n| format!("https://login.example/{}", "%2e".repeat(n)))),
    ("event-nested", Added(|n| event("s", &format!("\"x\": {}", nested(n, "[", "", "]"))))),
];

fn list(n: usize, item: impl Fn(usize) -> String) -> String {
    let mut out = String::new();
    for nth in 0..n {
        let comma = if nth == 0 { "" } else { ",\n" };
        write!(out, "{comma}{}", item(nth)).unwrap();
    }
    out
}

fn object(n: usize, member: impl Fn(usize) -> String) -> String {
    format!("{{{}}}", list(n, member))
}

fn section(name: &str, n: usize, record: impl Fn(usize) -> String) -> String {
    format!("{{\"{name}\": {}}}", object(n, record))
}

fn nested(n: usize, open: &str, inner: &str, close: &str) -> String {
    [&*open.repeat(n), inner, &*close.repeat(n)].concat()
}

fn words(n: usize) -> String {
    (0..n).map(scope).collect::<Vec<_>>().join(" ")
}

fn scope(nth: usize) -> String {
    format!("s{nth}")
}

fn account(value: &str) -> String {
    format!(
        "{{\"Account\": {{\"k\": {{\"environment\": \"e\", \"home_account_id\": \"u.t\", \"x\": {value}}}}}}}"
    )
}

/// A document with one access token.
fn token(key: &str, fields: &str) -> String {
    format!(
        "{{\"AccessToken\": {{\"{key}\": {{\"secret\": \"s\", \"environment\": \"e\",
        \"home_account_id\": \"u.t\", \"expires_on\": \"2000000000\", {fields}}}}}}}"
    )
}

/// One of many access tokens.
fn bearer(nth: usize, user: &str, scopes: &str) -> String {
    format!(
        "\"k{nth}\": {{\"credential_type\": \"AccessToken\", \"secret\": \"s\", \"environment\": \"e\",
        \"home_account_id\": \"u{user}.t\", \"client_id\": \"c\", \"realm\": \"t\",
        \"target\": \"{scopes}\", \"cached_at\": \"{NOW}\", \"expires_on\": \"2000000000\"}}"
    )
}

/// Half of the tokens are under the keys that fit the other half.
fn taken(n: usize, nth: usize) -> String {
    let other = if nth < n / 2 { nth + n / 2 } else { nth - n / 2 };
    let record = bearer(nth, "", &scope(other));
    let record = record.split_once(": ").unwrap().1;
    format!("\"u.t-e-accesstoken-c-t-{}\": {record}", scope(nth))
}

fn renamed(nth: usize) -> String {
    format!(
        "\"u.t-e-t{nth}\": {{\"environment\": \"e\", \"home_account_id\": \"u.t\", \"realm\": \"t{nth}\",
        \"authority_type\": \"MSSTS\", \"local_account_id\": \"u\", \"username\": \"name{nth}\"}}"
    )
}

fn in_tenant(nth: usize) -> String {
    bearer(nth, "", "s").replace("\"realm\": \"t\"", &format!("\"realm\": \"t{nth}\""))
}

fn of_type(nth: usize) -> String {
    bearer(nth, "", "s").replace(": \"AccessToken\"", &format!(": \"type{nth}\""))
}

fn metadata(nth: usize) -> String {
    format!("\"appmetadata-h{nth}-c\": {{\"client_id\": \"c\", \"environment\": \"h{nth}\"}}")
}

fn record(nth: usize) -> String {
    format!("\"k{nth}\": {{\"environment\": \"e\"}}")
}

fn client_and_scopes(n: usize) -> String {
    let fields = format!("\"client_id\": \"{}\", \"target\": \"{}\"", "c".repeat(n), words(n));
    token("k", &fields)
}

/// A key that begins like that of the token, and continues with many separators.
fn dashes(n: usize) -> String {
    let key = format!("u.t-e-accesstoken-c-t-{}", "a -".repeat(n));
    token(&key, "\"client_id\": \"c\", \"realm\": \"t\", \"target\": \"a b\"")
}

fn escapes_before_blanks(n: usize) -> String {
    format!("{{\"Account\": {{\"{}\"{}x", "\\\"".repeat(n), " ".repeat(n))
}

fn event(scope: &str, response: &str) -> String {
    format!(
        "{{\"client_id\": \"c\", \"scope\": [\"{scope}\"], \"grant_type\": \"client_credentials\",
        \"token_endpoint\": \"https://login.example/t/oauth2/v2.0/token\",
        \"response\": {{\"access_token\": \"a\", \"expires_in\": 3600, {response}}}}}"
    )
}

/// A document in memory.
#[derive(Debug)]
struct Text(Mutex<(Revision, Vec<u8>)>);

impl BlobStore for Text {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        let held = self.0.lock().unwrap();
        Ok(match held.0 {
            revision if known == Some(revision) => Blob::Unchanged,
            revision => Blob::Present(revision, held.1.clone().into()),
        })
    }

    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        let mut held = self.0.lock().unwrap();
        if held.0 != expected {
            return Err(Error::Conflict);
        }
        *held = (Revision::unique(), bytes.to_vec());
        Ok(held.0)
    }
}

fn cache<S: CacheStore>(store: S) -> TokenCache<S> {
    TokenCache::with_clock(store, Arc::new(ManualClock::new(NOW)))
}

/// What apps and the command do with a document.
fn use_document(text: &str) {
    let in_memory = cache(Memory::new());
    in_memory.deserialize(text).unwrap();
    black_box(in_memory.serialize().unwrap());
    let revision = Revision::unique();
    let read = cache(Document::new(Text(Mutex::new((revision, text.as_bytes().to_vec())))));
    let query = Query::new().client_id("c").home_account_id("u.t").target(["s"]);
    for of in CredentialType::KNOWN {
        black_box(read.find(of, &query).unwrap());
    }
    black_box(check::check(&read.entries(None).unwrap(), NOW));
    let client = read.client("c", "https://login.example/t");
    let request = SilentRequest::new(["s"], &AccountInfo::of("u.t"));
    black_box(client.plan(&request).unwrap());
    read.add(&Event::from_json(&event("s", "\"x\": 1")).unwrap()).unwrap();
    black_box(read.repair().unwrap());
    black_box(read.purge_expired().unwrap());
}

fn run(input: &Input, n: usize) {
    match input {
        Whole(make) => use_document(&make(n)),
        Damaged(make) => drop(black_box(check::salvage(make(n).as_bytes()).unwrap())),
        Response(make) => {
            let text = make(n);
            let _ = black_box(TokenResponse::from_json(400, &text));
            let _ = black_box(TokenResponse::from_json(200, &text));
        }
        Address(make) => drop(black_box(Authority::parse(&make(n)))),
        Added(make) => {
            let text = make(n);
            let _ = black_box(Fields::from_json(&text));
            let cache = cache(Memory::new());
            // An event that is nested too deeply is refused.
            let _ = Event::from_json(&text).and_then(|event| cache.add(&event));
            black_box(cache.check().unwrap());
        }
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let find = |name: &str| CASES.iter().find(|(it, _)| *it == name).map(|(_, input)| input);
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => CASES.iter().for_each(|(name, _)| println!("{name}")),
        ["run", name, n] => run(find(name).unwrap(), n.parse().unwrap()),
        ["write", name, n] => {
            let (Whole(make) | Damaged(make) | Added(make) | Response(make) | Address(make)) =
                find(name).unwrap();
            println!("{}", make(n.parse().unwrap()));
        }
        // `cargo bench` starts it with other arguments.
        _ => {}
    }
}
