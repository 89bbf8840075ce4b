//! The measured caches, which are the same in every run.
//!
//! Every user has one account, one refresh token (1 KB), one ID token (1 KB) and four access
//! tokens (1.5 KB) for different scopes. No token expires during a measurement.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msal_cache::{Event, Fields, Query};
use serde_json::json;

pub(crate) const ENVIRONMENT: &str = "login.microsoftonline.com";
pub(crate) const CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
/// The expiry of all tokens, in 2036.
pub(crate) const EXPIRES_ON: i64 = 2_100_000_000;
/// Access tokens of one user.
pub(crate) const TOKENS: usize = 4;

const RESOURCES: [(&str, [&str; 3]); TOKENS] = [
    ("https://graph.microsoft.com", ["Calendars.Read", "Mail.Read", "User.Read"]),
    ("https://management.azure.com", ["Cost.Read", "Resource.Write", "user_impersonation"]),
    ("https://storage.azure.com", ["Blob.Read", "Queue.Read", "user_impersonation"]),
    ("https://vault.azure.net", ["Keys.Use", "Secrets.Read", "user_impersonation"]),
];

/// A sign-in, independent of the library.
#[derive(Clone)]
pub(crate) struct SignIn {
    pub(crate) realm: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) id_token: String,
    pub(crate) client_info: String,
}

/// A token to look up. Probes are spread over the cache.
pub(crate) struct Probe {
    pub(crate) home_account_id: String,
    pub(crate) realm: String,
    pub(crate) username: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) secret_len: usize,
    /// The same sign-in with new tokens.
    pub(crate) again: SignIn,
    /// All sign-ins of the user.
    pub(crate) restore: Vec<SignIn>,
}

pub(crate) struct User {
    number: usize,
    salt: &'static str,
    uid: String,
    tid: String,
    username: String,
    id_token: String,
    client_info: String,
}

/// Pseudo-random base64url characters, seeded with the tag (`SplitMix64`).
fn random(tag: &str, length: usize) -> String {
    let mut state = tag.bytes().fold(0x9E37_79B9_7F4A_7C15_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bytes.extend((mixed ^ mixed >> 31).to_le_bytes());
    }
    let mut text = URL_SAFE_NO_PAD.encode(&bytes);
    text.truncate(length);
    text
}

fn guid(tag: &str) -> String {
    let hex: String = random(tag, 32)
        .bytes()
        .map(|it| char::from(b"0123456789abcdef"[usize::from(it % 16)]))
        .collect();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// A JSON Web Token with this payload and an invalid signature.
fn token(payload: &str, signature: &str) -> String {
    let header = URL_SAFE_NO_PAD
        .encode(r#"{"typ":"JWT","alg":"RS256","kid":"nOo3ZDrODXEK1jKWhXslHR_KXEg"}"#);
    format!("{header}.{payload}.{}", random(signature, 342))
}

impl User {
    /// The user of this number. Users with a salt are in no prepared cache.
    pub(crate) fn new(number: usize, salt: &'static str) -> Self {
        let tag = |what: &str| format!("{what}{salt}{number}");
        let (uid, tid) = (guid(&tag("uid")), guid(&tag("tid")));
        let username = format!("user{salt}{number:06}@contoso{number}.onmicrosoft.com");
        let claims = json!({
            "aud": CLIENT, "iss": format!("https://{ENVIRONMENT}/{tid}/v2.0"),
            "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 1_700_003_900,
            "name": format!("Test User {salt}{number}"), "oid": uid,
            "preferred_username": username, "rh": random(&tag("rh"), 48),
            "sub": random(&tag("sub"), 43), "tid": tid, "uti": random(&tag("uti"), 22), "ver": "2.0",
        });
        let id_token = token(&URL_SAFE_NO_PAD.encode(claims.to_string()), &tag("signature"));
        let client_info = URL_SAFE_NO_PAD.encode(json!({"uid": uid, "utid": tid}).to_string());
        Self { number, salt, uid, tid, username, id_token, client_info }
    }

    /// The sign-in for one of the resources. The first one, and all of a later `generation`, have a
    /// refresh token.
    pub(crate) fn sign_in(&self, resource: usize, generation: usize) -> SignIn {
        let Self { number, salt, .. } = self;
        let (host, scopes) = RESOURCES[resource];
        let tag = format!("{salt}{number}.{resource}.{generation}");
        let payload = format!("eyJ{}", random(&format!("at{tag}"), 1067));
        let refresh_token = (resource == 0 || generation > 0)
            .then(|| format!("1.AXoA{}", random(&format!("rt{salt}{number}.{generation}"), 1018)));
        SignIn {
            realm: self.tid.clone(),
            scopes: scopes.map(|scope| format!("{host}/{scope}")).to_vec(),
            access_token: token(&payload, &format!("as{tag}")),
            refresh_token,
            id_token: self.id_token.clone(),
            client_info: self.client_info.clone(),
        }
    }

    fn probe(&self, resource: usize, tokens: usize) -> Probe {
        let sign_in = self.sign_in(resource, 0);
        Probe {
            home_account_id: format!("{}.{}", self.uid, self.tid),
            realm: self.tid.clone(),
            username: self.username.clone(),
            secret_len: sign_in.access_token.len(),
            scopes: sign_in.scopes,
            again: self.sign_in(resource, 1),
            restore: (0..tokens).map(|resource| self.sign_in(resource, 0)).collect(),
        }
    }
}

impl SignIn {
    pub(crate) fn event(&self) -> Event {
        let mut response = Fields::new()
            .set("token_type", "Bearer")
            .set("expires_in", EXPIRES_ON - 1_700_000_000)
            .set("access_token", &*self.access_token)
            .set("id_token", &*self.id_token)
            .set("client_info", &*self.client_info);
        if let Some(refresh_token) = &self.refresh_token {
            response = response.set("refresh_token", &**refresh_token);
        }
        Event::new(CLIENT)
            .token_endpoint(format!("https://{ENVIRONMENT}/{}/oauth2/v2.0/token", self.realm))
            .scope(&self.scopes)
            .grant_type("authorization_code")
            .response(response)
    }

    /// As JSON, for a peer.
    pub(crate) fn json(&self) -> serde_json::Value {
        json!({
            "realm": self.realm, "scopes": self.scopes, "access_token": self.access_token,
            "refresh_token": self.refresh_token, "id_token": self.id_token,
            "client_info": self.client_info, "expires_in": EXPIRES_ON - 1_700_000_000,
            "environment": ENVIRONMENT, "client_id": CLIENT,
        })
    }
}

impl Probe {
    /// The query that identifies the token.
    pub(crate) fn query(&self, scopes: &[String]) -> Query {
        self.without_realm().realm(&self.realm).target(scopes)
    }

    pub(crate) fn without_realm(&self) -> Query {
        Query::new()
            .home_account_id(&self.home_account_id)
            .environment(ENVIRONMENT)
            .client_id(CLIENT)
    }

    /// As JSON, for a peer.
    pub(crate) fn json(&self) -> serde_json::Value {
        json!({
            "home_account_id": self.home_account_id, "environment": ENVIRONMENT,
            "client_id": CLIENT, "realm": self.realm, "scopes": self.scopes,
            "subset": [self.scopes[1]], "username": self.username,
            "again": self.again.json(),
            "restore": self.restore.iter().map(SignIn::json).collect::<Vec<_>>(),
        })
    }
}

/// The users of a cache with this number of access tokens, and the number of tokens of each.
pub(crate) fn users(tokens: usize) -> impl Iterator<Item = (User, usize)> {
    (0..tokens.div_ceil(TOKENS))
        .map(move |number| (User::new(number, ""), TOKENS.min(tokens - number * TOKENS)))
}

pub(crate) fn sign_ins(tokens: usize) -> impl Iterator<Item = SignIn> {
    users(tokens).flat_map(|(user, tokens)| {
        (0..tokens).map(move |resource| user.sign_in(resource, 0)).collect::<Vec<_>>()
    })
}

/// Up to 64 tokens, spread over the cache.
pub(crate) fn probes(tokens: usize) -> Vec<Probe> {
    let count = tokens.min(64);
    let mut probes: Vec<_> = (0..count).map(|nth| nth * tokens / count).collect();
    // Not in the order in which they were stored.
    probes.sort_by_key(|at| random(&at.to_string(), 8));
    let probe = |at: usize| {
        let user = at / TOKENS;
        User::new(user, "").probe(at % TOKENS, TOKENS.min(tokens - user * TOKENS))
    };
    probes.into_iter().map(probe).collect()
}
