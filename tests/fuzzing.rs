//! The bodies of the fuzz targets, on files that are damaged in a reproducible way. `tests/fuzz`
//! runs them in a fuzzer.

use std::collections::HashSet;
use std::fs;

use fastrand::Rng;
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::common::fixtures;
use crate::fuzz;

/// Fragments that are significant in a document.
const PIECES: [&str; 26] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "é",
    "\u{feff}",
    " ",
    "null",
    "true",
    "-1",
    "1e400",
    "1700000000",
    "\"expires_on\":",
    "\"home_account_id\":",
    "\"ext\":{\"a\":1},",
    "\"AccessToken\":{",
    "\"AppMetadata\":",
    "\"secret\":\"s\",",
    "/",
    "login.windows.net",
];

/// A copy of a text with a few random changes.
fn damaged(random: &mut Rng, seeds: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..random.usize(1..4) {
        let from = random.usize(0..=text.len());
        let to = (from + random.usize(0..40)).min(text.len());
        match random.u8(0..6) {
            0 if from < text.len() => text[from] ^= 1 << random.u8(0..8),
            1 => text.truncate(from),
            2 => drop(text.drain(from..to)),
            3 => {
                let copy = text[from..to].to_vec();
                text.splice(from..from, copy);
            }
            4 => {
                let other = &seeds[random.usize(0..seeds.len())];
                let cut = random.usize(0..=other.len());
                text.truncate(from);
                text.extend_from_slice(&other[cut..]);
            }
            _ => {
                let piece = PIECES[random.usize(0..PIECES.len())];
                text.splice(from..from, piece.bytes());
            }
        }
    }
    text
}

fn seeds(folders: &[&str]) -> Vec<Vec<u8>> {
    let files = folders.iter().flat_map(|folder| fixtures(folder));
    files.map(|(_, path)| fs::read(path).unwrap()).filter(|it| it.len() < 8000).collect()
}

const DAMAGED: usize = 40;

#[test]
fn p6_p8_randomly_damaged_files_cause_no_panic_and_no_loss() {
    let mut random = Rng::with_seed(4);
    let seeds = seeds(&["", "mutations"]);
    assert!(seeds.len() > 80, "{}", seeds.len());
    let mut runs = 0;
    for seed in &seeds {
        let damaged = (0..DAMAGED).map(|_| damaged(&mut random, &seeds, seed));
        for text in damaged.chain([seed.clone()]) {
            fuzz::document(&text);
            fuzz::merge(&text);
            fuzz::search(&text);
            fuzz::salvage(&text);
            fuzz::check(&text);
            runs += 1;
        }
    }
    println!("{runs} damaged files: no panic, no record lost");
}

/// Half of a surrogate pair is JSON, but not Unicode text. It is put into each string of each file: a
/// name of a member, a section, a key or a value.
#[test]
fn half_a_surrogate_pair_in_any_string_causes_no_loss_and_no_endless_repair() {
    let mut runs = 0;
    let mut known = HashSet::new();
    for seed in seeds(&["", "mutations"]) {
        let Ok(text) = str::from_utf8(&seed) else { continue };
        let at = |at: usize| (at..text.len()).find(|at| text.is_char_boundary(*at));
        for (start, end) in strings(text) {
            // The files have many strings in common.
            let from = at(start.saturating_sub(30)).unwrap_or(start);
            let to = at(end + 15).unwrap_or(text.len());
            if !known.insert(text[from..to].to_owned()) {
                continue;
            }
            let half = ["\\ud800", "\\uDFFF"][start % 2];
            let (before, inner, after) = (&text[..start], &text[start..end], &text[end..]);
            for inner in [half.to_owned(), format!("{inner}{half}")] {
                let text = format!("{before}{inner}{after}");
                fuzz::check(text.as_bytes());
                // The others take longer.
                if runs % 15 == 0 {
                    fuzz::document(text.as_bytes());
                    fuzz::merge(text.as_bytes());
                    fuzz::search(text.as_bytes());
                    fuzz::salvage(text.as_bytes());
                }
                runs += 1;
            }
        }
    }
    println!("{runs} files with half a surrogate pair");
    assert!(runs > 2000, "{runs}");
}

/// Where the insides of the strings of a JSON text begin and end.
fn strings(text: &str) -> Vec<(usize, usize)> {
    let mut strings = Vec::new();
    let mut start = None;
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match (byte, start) {
            _ if is_escaped => is_escaped = false,
            (b'\\', Some(_)) => is_escaped = true,
            (b'"', None) => start = Some(at + 1),
            (b'"', Some(from)) => {
                strings.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    strings
}

#[test]
fn randomly_damaged_events_are_stored_or_rejected() {
    let mut random = Rng::with_seed(8);
    let seeds = [include_bytes!("fuzz/seeds/event.json").to_vec()];
    fuzz::event(&seeds[0]);
    for _ in 0..4000 {
        fuzz::event(&damaged(&mut random, &seeds, &seeds[0]));
    }
}

/// Names that occur in documents, and some that do not.
fn name() -> impl Strategy<Value = String> {
    const NAMES: [&str; 24] = [
        "home_account_id",
        "environment",
        "client_id",
        "realm",
        "target",
        "secret",
        "token_type",
        "cached_at",
        "expires_on",
        "refresh_on",
        "key_id",
        "family_id",
        "username",
        "ext",
        "last_modification_time",
        "local_account_id",
        "authority_type",
        "ext_cache_key",
        "additionalCacheKeyComponents",
        "credential_type",
        "user_assertion_hash",
        "",
        "é",
        "\u{0}",
    ];
    prop::sample::select(NAMES.as_slice()).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    const TEXTS: [&str; 12] = [
        "",
        "u.t",
        "login.microsoftonline.com",
        "login.windows.net",
        "c",
        "t",
        "User.Read",
        "user.read openid",
        "1700000000",
        "1800000000",
        "1",
        "\\\"é\u{0}🦀",
    ];
    let leaf = prop_oneof![
        6 => prop::sample::select(TEXTS.as_slice()).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..3)
                .prop_map(|it| Value::Object(it.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_document() -> impl Strategy<Value = Value> {
    const SECTIONS: [&str; 7] =
        ["AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata", "Invented", ""];
    let record = prop_oneof![
        8 => prop::collection::btree_map(name(), value(), 0..10)
            .prop_map(|it| Value::Object(it.into_iter().collect())),
        1 => value(),
    ];
    let section = prop_oneof![
        8 => prop::collection::btree_map("[a-cA-C\\-é]{0,3}", record, 0..6)
            .prop_map(|it| Value::Object(it.into_iter().collect())),
        1 => value(),
    ];
    let name = prop::sample::select(SECTIONS.as_slice()).prop_map(str::to_owned);
    prop::collection::btree_map(name, section, 0..6)
        .prop_map(|it| Value::Object(it.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p8_documents_of_any_shape_are_read_merged_and_searched(document in any_document()) {
        let text = document.to_string();
        fuzz::document(text.as_bytes());
        fuzz::merge(text.as_bytes());
        fuzz::search(text.as_bytes());
    }
}
