//! What `check::readers` says of the bytes of a file is what MSAL Python and MSAL Node do with them.

use std::fs;
use std::path::Path;

use msal_cache::check::{TextFault, readers};
use msal_cache_peers::{Peer, cache_files, fixtures};
use serde_json::json;

const AUTHORITY: &str = "https://login.example/t";

/// Whether MSAL Python opens the file in both of its ways, and lists accounts and access tokens.
fn python_reads(peer: &mut Peer, path: &Path) -> bool {
    ["read_file", "open_file"].into_iter().all(|how| {
        let mut done = |command: &str, parameters| peer.call(command, parameters).is_ok();
        let search = json!({
            "cache": how, "credential_type": "AccessToken", "target": ["s"],
            "query": {"home_account_id": "u.t"}, "now": 1_700_000_000,
        });
        done(how, json!({ "cache": how, "path": path }))
            && done("accounts", json!({ "cache": how, "client_id": "c", "authority": AUTHORITY }))
            && done("count", search)
    })
}

/// Whether MSAL Node opens the file and lists accounts.
fn node_reads(peer: &mut Peer, path: &Path) -> bool {
    let parameters = json!({ "path": path, "client_id": "c", "authority": AUTHORITY });
    peer.call("accounts", parameters).is_ok()
}

const ACCOUNT: &str = r#""Account": {"u.t-login.example-t": {"home_account_id": "u.t",
    "environment": "login.example", "realm": "t", "local_account_id": "u", "username": "alice",
    "authority_type": "MSSTS"}}"#;

/// A document whose access token has this secret and these other fields.
fn with(secret: &str, fields: &str) -> String {
    format!(
        r#"{{{ACCOUNT}, "AccessToken": {{"k": {{"credential_type": "AccessToken",
        "secret": "x{secret}", "home_account_id": "u.t", "environment": "login.example",
        "client_id": "c", "target": "s", "realm": "t", "cached_at": "1700000000",
        "expires_on": "2000000000"{fields}}}}}}}"#
    )
}

fn section(name: &str, value: &str) -> String {
    format!(r#"{{{}, "{name}": {value}}}"#, &with("", "")[1..with("", "").len() - 1])
}

fn utf16(text: &str, mark: bool, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mark = mark.then_some(0xfeff);
    mark.into_iter().chain(text.encode_utf16()).flat_map(to_bytes).collect()
}

/// Replaces the secret by bytes.
fn bytes(secret: &[u8]) -> Vec<u8> {
    let text = with("HERE", "");
    let (before, after) = text.split_once("HERE").unwrap();
    [before.as_bytes(), secret, after.as_bytes()].concat()
}

fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let whole = with("", "");
    let nested = |levels: usize| {
        with("", &format!(r#", "x": {}{}"#, "[".repeat(levels), "]".repeat(levels)))
    };
    let digits = |number: usize| with("", &format!(r#", "x": -{}"#, "9".repeat(number)));
    let texts = [
        ("a whole document", whole.clone()),
        ("nothing", String::new()),
        ("blanks", " \n".into()),
        ("a byte order mark", "\u{feff}".into()),
        ("a document after a byte order mark", format!("\u{feff}{whole}")),
        ("null", "null".into()),
        ("null between blanks", " null\n".into()),
        ("a list", "[]".into()),
        ("a list of a document", format!("[{whole}]")),
        ("a string", "\"x\"".into()),
        ("a number", "7".into()),
        ("true", "true".into()),
        ("an empty object", "{}".into()),
        ("zeros", "\0".repeat(64)),
        ("zeros at the end", format!("{whole}\0\0")),
        ("a line break at the end", format!("{whole}\r\n")),
        ("a letter at the end", format!("{whole}x")),
        ("two documents", format!("{whole}{whole}")),
        ("a truncated document", whole[..whole.len() - 5].into()),
        ("a comma at the end", whole[..whole.len() - 1].to_owned() + ",}"),
        ("a comment", format!("// x\n{whole}")),
        ("single quotes", "{'a': 1}".into()),
        ("characters beyond ASCII", with("é語😀\u{2028}", "")),
        ("half a surrogate pair", with("\\ud800", "")),
        ("escapes", with("\\u0041\\/\\n", "")),
        ("an unknown escape", with("\\x", "")),
        ("a tab in a string", with("\t", "")),
        ("a line break in a string", with("\r", "")),
        ("a delete character in a string", with("\u{7f}", "")),
        ("a vertical tab between values", format!("\u{b}{whole}")),
        ("a no-break space between values", format!("\u{a0}{whole}")),
        ("NaN", with("", r#", "x": NaN"#)),
        ("Infinity", with("", r#", "x": [Infinity, 1]"#)),
        ("negative Infinity", with("", r#", "x": -Infinity"#)),
        ("positive Infinity", with("", r#", "x": +Infinity"#)),
        ("negative NaN", with("", r#", "x": -NaN"#)),
        ("NaN in lower case", with("", r#", "x": nan"#)),
        ("NaN in a string", with("NaN", "")),
        ("a large exponent", with("", r#", "x": 1e400"#)),
        ("a leading zero", with("", r#", "x": 007"#)),
        ("a plus sign", with("", r#", "x": +1"#)),
        ("a bare fraction", with("", r#", "x": .5"#)),
        ("4,300 digits", digits(4300)),
        ("4,301 digits", digits(4301)),
        ("5,000 digits of a fraction", with("", &format!(r#", "x": 0.{}"#, "9".repeat(5000)))),
        ("500 levels", nested(500)),
        ("100,000 levels", nested(100_000)),
        ("two sections of one name", section("AccessToken", "{}")),
        ("accounts twice, first a list", format!(r#"{{"Account": [], {}"#, &whole[1..])),
        ("accounts twice, then a list", section("Account", "[]")),
        ("no accounts", r#"{"AccessToken": {}}"#.into()),
        ("null for accounts", r#"{"Account": null}"#.into()),
        ("null for access tokens", format!(r#"{{"AccessToken": null, {ACCOUNT}}}"#)),
        ("a list for access tokens", format!(r#"{{"AccessToken": [], {ACCOUNT}}}"#)),
        ("a string for access tokens", format!(r#"{{"AccessToken": "x", {ACCOUNT}}}"#)),
        ("null for refresh tokens", section("RefreshToken", "null")),
        ("null for metadata", section("AppMetadata", "null")),
        ("an unknown section", section("version", "3")),
        ("nothing but an unknown section", r#"{"x": []}"#.into()),
    ];
    let mut cases: Vec<_> =
        texts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    cases.extend([
        ("UTF-16 with a mark", utf16(&whole, true, u16::to_le_bytes)),
        ("UTF-16 without a mark", utf16(&whole, false, u16::to_be_bytes)),
        ("Latin-1", bytes(b"caf\xe9")),
        ("an encoded surrogate", bytes(b"\xed\xa0\x80")),
        ("an overlong character", bytes(b"\xc0\xaf")),
        ("half a character", bytes(b"\xe2\x82")),
        ("bytes that are no text", vec![0x80, 0xff, 0x00, 0x7b]),
    ]);
    cases
}

#[test]
fn readers_are_those_that_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let (mut python, mut node) = (Peer::start(), Peer::node());
    let mut differing = Vec::new();
    let (mut refused, mut number) = (0, 0);
    for (name, bytes) in cases() {
        fs::write(&path, &bytes).unwrap();
        let said = readers(&bytes);
        let done = (python_reads(&mut python, &path), node_reads(&mut node, &path));
        if done != (said.python, said.node) {
            differing.push(format!("{name}: {said:?}, but they read: {done:?}"));
        }
        // A file that both read has no fault, unless both begin with an empty cache.
        let empty = bytes.is_empty().then_some(TextFault::Empty);
        assert_eq!(said.fault.is_some(), done != (true, true) || empty.is_some(), "{name}");
        refused += usize::from(done != (true, true));
        number += 1;
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    println!("{number} files, of which {refused} are refused by one library or both");
    assert!(refused > 30, "{refused}");
}

#[test]
fn files_of_the_libraries_are_read_by_both_or_said_not_to_be() {
    let (mut python, mut node) = (Peer::start(), Peer::node());
    for folder in ["", "mutations"] {
        for (name, text) in cache_files(folder) {
            let path = fixtures().join(folder).join(&name);
            let said = readers(text.as_bytes());
            // Records that a library can't use are findings of `check`, not of the text.
            if !said.python {
                assert!(!python_reads(&mut python, &path), "{name}: {said:?}");
            }
            if !said.node {
                assert!(!node_reads(&mut node, &path), "{name}: {said:?}");
            }
        }
    }
}
