//! Random caches and random requests: a returned token matches every requested field and is the last
//! one for its API, and such a token is returned if there is one.

use msal_cache::store::ext_cache_key;
use msal_cache::{AccountInfo, Fields, SilentRequest};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::fill;
use super::server::Server;
use crate::common::{NOW, cache};

/// The possible values of each field. They are few, so that most tokens almost match.
const FIELDS: [(&str, &[Option<&str>]); 8] = [
    ("home_account_id", &[Some("alice.t"), Some("bob.t"), Some("ALICE.t"), Some(""), None]),
    ("client_id", &[Some("c"), Some("d"), Some("C"), None]),
    (
        "environment",
        &[
            Some("login.microsoftonline.com"),
            Some("login.windows.net"),
            Some("LOGIN.windows.net"),
            Some("login.microsoftonline.us"),
            None,
        ],
    ),
    ("realm", &[Some("t"), Some("u"), Some("T"), None]),
    ("target", &[Some("a b"), Some("b A"), Some("a"), Some("ab"), Some(""), None]),
    ("token_type", &[Some("Bearer"), Some("bearer"), Some("pop"), None]),
    ("key_id", &[None, None, Some("k"), Some("l")]),
    ("path", &[None, None, None, Some("p"), Some("q")]),
];

/// The index of the value of each field, the lifetime in seconds, and the age in seconds.
type Token = ([usize; 8], i64, i64);

fn token() -> impl Strategy<Value = Token> {
    // Mostly the first value, since uniformly random fields would never match.
    let index = |(_, values): (&str, &[Option<&str>])| prop_oneof![3 => Just(0_usize), 2 => 0..values.len()];
    let left = prop::sample::select(vec![-1_i64, 0, 299, 300, 3600]);
    (FIELDS.map(index), prop_oneof![2 => Just(3600_i64), 1 => left], 0..4_i64)
}

fn value(token: &Token, name: &str) -> Option<&'static str> {
    let at = FIELDS.iter().position(|(known, _)| *known == name).unwrap();
    FIELDS[at].1[token.0[at]]
}

fn record(token: &Token, serial: usize) -> Value {
    let mut record = Map::new();
    for (name, _) in FIELDS {
        if let Some(value) = value(token, name) {
            match name {
                "path" => {
                    record.insert("ext_cache_key".into(), json!(key_of(value)));
                }
                _ => drop(record.insert(name.into(), value.into())),
            }
        }
    }
    record.insert("secret".into(), format!("secret {serial}").into());
    record.insert("cached_at".into(), (NOW - token.2).to_string().into());
    record.insert("expires_on".into(), (NOW + token.1).to_string().into());
    record.into()
}

fn key_of(path: &str) -> String {
    ext_cache_key([("fmi_path", path)]).unwrap()
}

/// The requested value of each field.
#[derive(Debug)]
struct Wanted {
    home: Option<&'static str>,
    client: &'static str,
    host: &'static str,
    realm: &'static str,
    scopes: Vec<&'static str>,
    token_type: Option<&'static str>,
    key: Option<&'static str>,
    path: Option<&'static str>,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let one = prop::sample::select::<Option<&'static str>>;
    (
        prop::sample::select(vec![Some("alice.t"), Some("alice.t"), Some("bob.t"), None]),
        prop::sample::select(vec!["c", "c", "d"]),
        prop::sample::select(vec!["login.microsoftonline.com", "login.windows.net"]),
        prop::sample::select(vec!["t", "t", "u"]),
        prop::sample::select(vec![vec!["a"], vec!["b", "a"], vec!["A"], vec!["x"]]),
        one(vec![None, None, Some("Bearer"), Some("pop")]),
        one(vec![None, None, Some("k")]),
        one(vec![None, None, Some("p")]),
    )
        .prop_map(|(home, client, host, realm, scopes, token_type, key, path)| Wanted {
            home,
            client,
            host,
            realm,
            scopes,
            token_type,
            key,
            path,
        })
}

impl Wanted {
    fn request(&self) -> SilentRequest {
        let request = match self.home {
            Some(home) => SilentRequest::new(&self.scopes, &AccountInfo::of(home)),
            None => SilentRequest::for_client(&self.scopes),
        };
        let mut data = Fields::new();
        for (name, value) in
            [("token_type", self.token_type), ("key_id", self.key), ("fmi_path", self.path)]
        {
            if let Some(value) = value {
                data = data.set(name, value);
            }
        }
        request.data(data)
    }

    /// Checks every condition but scopes and times explicitly.
    fn is_for(&self, token: &Token) -> bool {
        let it = |name| value(token, name);
        let host = it("environment").map(str::to_lowercase);
        let type_of_token = it("token_type").unwrap_or("Bearer").to_lowercase();
        let type_fits = match (self.token_type, self.key) {
            (Some(wanted), _) => type_of_token == wanted.to_lowercase(),
            (None, Some(_)) => true,
            (None, None) => type_of_token == "bearer",
        };
        it("home_account_id").filter(|home| !home.is_empty()) == self.home
            && it("client_id") == Some(self.client)
            && matches!(host.as_deref(), Some("login.microsoftonline.com" | "login.windows.net"))
            && it("realm").is_some_and(|realm| realm.eq_ignore_ascii_case(self.realm))
            && type_fits
            && it("key_id") == self.key
            && it("path") == self.path
    }

    fn is_satisfied_by(&self, token: &Token) -> bool {
        let granted = scopes_of(token);
        self.is_for(token)
            && self.scopes.iter().all(|scope| granted.contains(&scope.to_lowercase()))
            && token.1 >= 300
    }
}

fn scopes_of(token: &Token) -> Vec<String> {
    value(token, "target").unwrap_or("").split_whitespace().map(str::to_lowercase).collect()
}

/// The only token that may be returned: it satisfies the request, and none that was stored later
/// has a scope in common with it.
fn expected(wanted: &Wanted, tokens: &[Token]) -> Vec<usize> {
    let is_later = |one: usize, other: usize| (-tokens[one].2, one) > (-tokens[other].2, other);
    let supersedes = |new: usize, old: usize| {
        wanted.is_for(&tokens[new])
            && is_later(new, old)
            && scopes_of(&tokens[new]).iter().any(|it| scopes_of(&tokens[old]).contains(it))
    };
    (0..tokens.len())
        .filter(|at| wanted.is_satisfied_by(&tokens[*at]))
        .filter(|at| !(0..tokens.len()).any(|new| supersedes(new, *at)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn the_last_token_that_matches_every_requested_field_is_returned(
        tokens in prop::collection::vec(token(), 0..12),
        wanted in wanted(),
    ) {
        let (cache, _) = cache();
        let records = tokens.iter().enumerate().map(|(serial, it)| record(it, serial));
        fill(&cache, &[("AccessToken", records.collect())]);
        let client = cache.client(wanted.client, format!("https://{}/{}", wanted.host, wanted.realm));
        let plan = client.plan(&wanted.request()).unwrap();
        let secret = |at: &usize| format!("secret {at}");
        let expected: Vec<_> = expected(&wanted, &tokens).iter().map(secret).collect();
        let cached = plan.cached().and_then(msal_cache::Entry::access_token);
        let cached: Vec<_> = cached.iter().map(|it| it.secret().expose().to_owned()).collect();
        prop_assert_eq!(&cached, &expected, "{}", plan);
        if !expected.is_empty() {
            let token = client.acquire(&wanted.request(), &Server::new([])).unwrap();
            prop_assert_eq!(token.secret().expose(), &expected[0]);
        }
    }
}
