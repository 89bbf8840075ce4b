//! Keys, extended cache keys, and the host and tenant in an endpoint's address.

use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::store::ext_cache_key;
use msal_cache::{CredentialType, Entry, Error, Event, Fields, Memory, Query, TokenCache};
use msal_cache_peers::{NOW, Peer, Random};
use serde_json::{Map, Value, json};

/// Pieces of texts: letters whose case conversion changes the length, depends on the context or
/// doesn't exist; separators; characters that JSON escapes.
const PIECES: [&str; 30] = [
    "a",
    "Z",
    "client-ID",
    "User.Read",
    " ",
    "-",
    "/",
    "%",
    ":",
    "\"",
    "\\",
    "\n",
    "ß",
    "ẞ",
    "İ",
    "ı",
    "Σ",
    "ς",
    "ΑΣ",
    "é",
    "e\u{301}",
    "\u{301}",
    "ǅ",
    "ﬀ",
    "Ω",
    "K",
    "𐐀",
    "🦀",
    "\u{200d}",
    "中",
];

/// Characters that decide whether a sigma ends a word.
const AROUND_SIGMA: [&str; 14] =
    ["Σ", "Σ", "Σ", "a", "B", "\u{301}", ".", "'", ":", "\u{ad}", " ", "1", "ʰ", "🦀"];

/// Names of parameters within (the first eight) and outside the extended cache key.
const NAMES: [&str; 14] = [
    "fmi_path",
    "client_claims",
    "a",
    "A",
    "é",
    "z🦀",
    "resource",
    "",
    "scope",
    "client_id",
    "key_id",
    "req_cnf",
    "token_type",
    "user_id",
];

fn cache() -> TokenCache<Memory> {
    TokenCache::with_clock(Memory::new(), Arc::new(ManualClock::new(NOW)))
}

/// The access token that is stored for an event.
fn access_token(event: &Value) -> Result<Entry, Error> {
    let cache = cache();
    cache.add(&Event::from_json(&event.to_string())?)?;
    let stored = cache.entries(Some(CredentialType::AccessToken))?;
    Ok(stored.into_iter().next().expect("the response has an access token"))
}

/// The extended cache key of a token that was requested with these parameters.
fn key_of_request(data: &Value) -> String {
    let token = access_token(&json!({
        "client_id": "client", "data": data, "response": { "access_token": "t" },
    }));
    token.unwrap().get("ext_cache_key").map(Into::into).unwrap_or_default()
}

fn differing<T: PartialEq + std::fmt::Debug>(
    inputs: &[Value],
    ours: impl Iterator<Item = T>,
    theirs: impl Iterator<Item = T>,
) -> Vec<String> {
    let pairs = inputs.iter().zip(ours.zip(theirs));
    let different = pairs.filter(|(_, (ours, theirs))| ours != theirs);
    different.map(|(it, (ours, theirs))| format!("{it}\n  {ours:?}\n  {theirs:?}")).collect()
}

fn assert_none(differing: &[String]) {
    let shown = &differing[..differing.len().min(20)];
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), shown.join("\n"));
}

#[test]
fn extended_cache_keys_are_equal() {
    let mut random = Random::new(2);
    let data: Vec<Value> = (0..2500)
        .map(|_| {
            let mut data = Map::new();
            for _ in 0..random.below(6) {
                let value = match random.below(8) {
                    0 => Value::Null,
                    1 => random.one_in(2).into(),
                    2 => (random.below(2000)).into(),
                    3 => (-1 - i64::try_from(random.below(2000)).unwrap()).into(),
                    4 => json!({}),
                    _ => random.text(&PIECES, 5).into(),
                };
                let name = if random.one_in(3) {
                    random.text(&PIECES, 2)
                } else {
                    (*random.of(&NAMES)).to_owned()
                };
                data.insert(name, value);
            }
            Value::Object(data)
        })
        .collect();
    let theirs = Peer::start().list("ext_cache_keys", json!({ "data": data }));
    let theirs = || theirs.iter().map(|it| it.as_str().expect("a text").to_owned());
    assert_none(&differing(&data, data.iter().map(key_of_request), theirs()));

    // `ext_cache_key` itself, for parameters that are all strings and within the key.
    let mut direct = 0;
    for (data, theirs) in data.iter().zip(theirs()) {
        let fields = data.as_object().into_iter().flatten();
        let texts: Option<Vec<_>> =
            fields.map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
        let Some(texts) = texts else { continue };
        if texts.iter().any(|(name, _)| NAMES[8..].contains(name)) {
            continue;
        }
        assert_eq!(ext_cache_key(texts).unwrap_or_default(), theirs, "{data}");
        direct += 1;
    }
    assert!(direct > 200, "{direct}");
    let with_key = theirs().filter(|key| !key.is_empty()).count();
    println!(
        "{} sets of parameters, {with_key} with an extended cache key, {direct} by `ext_cache_key`",
        data.len()
    );
}

/// The key of an entry with these fields.
fn key(credential_type: &str, fields: &Value) -> String {
    let fields = Fields::from_json(&fields.to_string()).unwrap();
    Entry::new(credential_type.into(), &fields).unwrap().key().to_owned()
}

const SECTIONS: [&str; 5] = ["AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata"];

/// Compares the keys of entries of every type with these fields. Returns their number.
fn compare_keys(peer: &mut Peer, fields: &[Value]) -> usize {
    for credential_type in SECTIONS {
        let parameters = json!({ "credential_type": credential_type, "fields": fields });
        let theirs = peer.list("keys", parameters);
        let theirs = theirs.iter().map(|it| it.as_str().expect("a text").to_owned());
        let ours = fields.iter().map(|fields| key(credential_type, fields));
        assert_none(&differing(fields, ours, theirs));
    }
    fields.len() * SECTIONS.len()
}

#[test]
fn keys_are_equal() {
    let mut random = Random::new(4);
    let names = ["home_account_id", "environment", "client_id", "realm", "target", "ext_cache_key"];
    let fields: Vec<_> = (0..1000)
        .map(|_| {
            let mut fields = Map::new();
            for name in names {
                match random.below(8) {
                    0 => {}
                    1 => drop(fields.insert(name.into(), Value::Null)),
                    _ => drop(fields.insert(name.into(), random.text(&PIECES, 4).into())),
                }
            }
            fields.insert("secret".into(), "secret".into());
            fields.insert("unheard_of".into(), json!({ "deep": [1] }));
            Value::Object(fields)
        })
        .collect();
    let number = compare_keys(&mut Peer::start(), &fields);
    println!("{number} keys of generated fields");
}

#[test]
fn keys_have_the_same_lower_case() {
    let mut peer = Peer::start();
    // All characters of Python's Unicode version, which is the older one.
    let mut characters = Vec::new();
    for range in peer.list("assigned", json!({})) {
        let bound = |at: usize| u32::try_from(range[at].as_u64().unwrap()).unwrap();
        characters.extend((bound(0)..=bound(1)).filter_map(char::from_u32));
    }
    let mut fields: Vec<_> = characters
        .chunks(256)
        .map(|chunk| json!({ "home_account_id": chunk.iter().collect::<String>() }))
        .collect();
    let mut random = Random::new(5);
    fields.extend((0..2000).map(|_| json!({ "target": random.text(&AROUND_SIGMA, 9) })));
    let theirs = peer.list("keys", json!({ "credential_type": "AccessToken", "fields": fields }));
    let theirs = theirs.iter().map(|it| it.as_str().expect("a text").to_owned());
    let ours = fields.iter().map(|fields| key("AccessToken", fields));
    assert_none(&differing(&fields, ours, theirs));
    let unicode = peer.get("about", json!({}))["unicode"].clone();
    println!(
        "{} characters of Unicode {unicode} and 2000 words with sigmas in lower case",
        characters.len()
    );
}

/// The environment and realm of a token from this address; `None` if the address is invalid.
fn environment_and_realm(address: &Value) -> Option<(String, String)> {
    let event = json!({
        "client_id": "client", "token_endpoint": address, "response": { "access_token": "t" },
    });
    match access_token(&event) {
        Ok(token) => {
            let text = |name| token.get(name).expect("the field exists").into_owned();
            Some((text("environment"), text("realm")))
        }
        Err(Error::Invalid { field, .. }) if field == "event.token_endpoint" => None,
        Err(error) => panic!("{address}: {error}"),
    }
}

fn host_and_tenant(response: &Value) -> Option<(String, String)> {
    let part = |at: usize| response[at].as_str().expect("a text").to_owned();
    (!response.is_null()).then(|| (part(0), part(1)))
}

#[test]
fn addresses_have_the_same_host_and_tenant() {
    let schemes = [
        "https://",
        "https://",
        "https://",
        "https://",
        "HTTPS://",
        "hTTps://",
        "http://",
        "https:/",
        "https:",
        "//",
        "",
        " https://",
        "\t\nhttps://",
        "ht\ntps://",
        "ftp://",
        "https://https://",
    ];
    let users = ["", "", "", "user@", "user:pass@", "a@b@", "@", "us\ter@", "[@"];
    let hosts = [
        "login.microsoftonline.com",
        "LOGIN.Example",
        "[::1]",
        "[2001:DB8::1]",
        "127.0.0.1",
        "contoso.ciamlogin.com",
        "Contoso.CIAMLOGIN.com",
        ".ciamlogin.com",
        "ciamlogin.com",
        "a.ciamlogin.com.ciamlogin.com",
        "contoso.b2clogin.com",
        "",
        "bücher.example",
        "ΟΔΥΣΣΕΥΣ.example",
        "İ.example",
        "login.example.",
        "a b",
        "x\\y",
    ];
    let ports = ["", "", "", ":443", ":", ":port", ":1:2", ": 80"];
    let paths = [
        "",
        "/",
        "//",
        "///t",
        "/tenant",
        "/Tenant/oauth2/v2.0/token",
        "/tenant//token",
        "/ tenant /token",
        "/tfp/contoso.onmicrosoft.com/B2C_1/token",
        "/adfs/oauth2/token",
        "/tenant@/token",
        "/t:80/token",
        "/é/token",
        "\\tenant/token",
        "/t\nx/token",
        "/a;b/token",
        "/tenant;parameter",
        "/a;b/token;c;d",
        "/;x",
    ];
    let queries = ["", "", "", "?", "?a=/b/c", "#", "#/x/y", "?q#f", "/?x", "#?x", "?@"];
    let mut random = Random::new(6);
    let addresses: Vec<Value> = (0..5000)
        .map(|_| {
            let choices: [&[&str]; 6] = [&schemes, &users, &hosts, &ports, &paths, &queries];
            choices.map(|part| *random.of(part)).concat().into()
        })
        // Older versions of Python accept any bracket in a host.
        .filter(|it: &Value| it.as_str().is_some_and(|it| !it.contains("[@")))
        .collect();
    let responses = Peer::start().list("canonicalized", json!({ "addresses": addresses }));
    let theirs = responses.iter().map(host_and_tenant);
    let valid = theirs.clone().flatten().count();
    assert_none(&differing(&addresses, addresses.iter().map(environment_and_realm), theirs));
    println!("{} addresses, {valid} of them with a host and a tenant", addresses.len());
}

/// An address, and its host and tenant in MSAL Python and in this crate.
type DifferingAddress = (&'static str, Option<[&'static str; 2]>, Option<[&'static str; 2]>);

#[test]
fn differing_addresses_are_as_listed() {
    let table: [DifferingAddress; 4] = [
        // This crate trims spaces at both ends, MSAL Python only at the beginning.
        (
            "https://login.example/tenant ",
            Some(["login.example", "tenant "]),
            Some(["login.example", "tenant"]),
        ),
        // Python keeps the case after a percent sign.
        (
            "https://[fe80::1%Eth0]/tenant",
            Some(["fe80::1%Eth0", "tenant"]),
            Some(["fe80::1%eth0", "tenant"]),
        ),
        (
            "https://login%2Eexample/tenant",
            Some(["login%2Eexample", "tenant"]),
            Some(["login%2eexample", "tenant"]),
        ),
        // Its compatibility form, “a/c”, contains a slash, which Python rejects.
        ("https://login\u{2100}.example/tenant", None, Some(["login\u{2100}.example", "tenant"])),
    ];
    let addresses = table.map(|(address, ..)| address);
    let responses = Peer::start().list("canonicalized", json!({ "addresses": addresses }));
    let owned = |parts: [&str; 2]| (parts[0].to_owned(), parts[1].to_owned());
    for ((address, theirs, ours), response) in table.into_iter().zip(responses) {
        assert_eq!(host_and_tenant(&response), theirs.map(owned), "{address:?}: MSAL Python");
        assert_eq!(environment_and_realm(&address.into()), ours.map(owned), "{address:?}");
    }
    println!("{} addresses with listed differences", table.len());
}

#[test]
fn a_token_is_found_by_the_extended_cache_key_of_its_request() {
    let mut random = Random::new(7);
    let cache = cache();
    for number in 0..200 {
        let path = format!("{}{number}", random.text(&PIECES, 3));
        let secret = format!("secret {number}");
        let data = Fields::new().set("fmi_path", path.as_str());
        let event = Event::new("client")
            .token_endpoint("https://login.example/tenant/token")
            .scope(["scope"])
            .data(data)
            .response(Fields::new().set("access_token", secret.as_str()));
        cache.add(&event).unwrap();
        let key = ext_cache_key([("fmi_path", path.as_str())]).unwrap();
        let query = Query::new().home_account_id(None).ext_cache_key(key);
        let found = cache.find(CredentialType::AccessToken, &query).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].access_token().unwrap().secret().expose(), secret);
    }
    println!("200 tokens found by the extended cache key of their request");
}
