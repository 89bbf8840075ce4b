//! Signatures of ID tokens, and the keys by which they are checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msal_cache::clock::{Clock, SystemClock};
use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::sign_in::SignInError;
use msal_cache::{AcquiredToken, AsyncTokenCache, Fields, TokenCache};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

use super::*;

pub(super) const DOCUMENT: &str = "/.well-known/openid-configuration";
const RSA_KEY: &[u8] = include_bytes!("../fixtures/tls/signing-key.pem");

/// Makes the signature of a message.
pub(super) type Sign = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn rsa(padding: &'static dyn RsaEncoding) -> (Value, Sign) {
    let key = PrivatePkcs8KeyDer::from_pem_slice(RSA_KEY).unwrap();
    let pair = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let public: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
    let key = json!({ "kty": "RSA", "kid": "rsa", "n": encode(public.n), "e": encode(public.e) });
    let sign = move |message: &[u8]| {
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    };
    (key, Arc::new(sign))
}

fn ec() -> (Value, Sign) {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let key = json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "x": encode(x), "y": encode(y) });
    let sign = move |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec();
    (key, Arc::new(sign))
}

impl Provider {
    /// A provider that publishes these keys.
    pub(super) fn with_keys(keys: &[&Value]) -> Self {
        let provider = Self::start();
        provider.publish(DOCUMENT, &provider.good(""));
        provider.publish("/keys", &json!({ "keys": keys }));
        provider
    }

    /// Issues ID tokens with this header, these further claims and this signature, without a nonce.
    pub(super) fn issue(&self, header: &Value, more: &[(&str, Value)], sign: &Sign) {
        let now = SystemClock.now();
        let mut claims = json!({
            "iss": self.issuer(""), "aud": "client-id", "sub": "alice", "exp": now + 3600,
        });
        for (name, value) in more {
            claims[*name] = value.clone();
        }
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let id_token = format!("{message}.{}", encode(sign(message.as_bytes())));
        let tokens = json!({
            "access_token": "at", "expires_in": 3600, "token_type": "Bearer",
            "id_token": id_token, "client_info": encode(r#"{"uid":"alice","utid":"t"}"#),
        });
        let code = json!({
            "device_code": "d", "user_code": "u", "verification_uri": "https://v", "interval": 1,
        });
        let (tokens, code) = (tokens.to_string(), code.to_string());
        self.state.lock().unwrap().respond = Some(Box::new(move |form| {
            let is_code = !form.contains("grant_type");
            (200, if is_code { code.clone() } else { tokens.clone() })
        }));
    }

    /// Signs in by device code with both endpoints, and checks the signature.
    fn sign_in(&self, endpoints: &(HttpEndpoint, AsyncHttpEndpoint)) -> [Signed; 2] {
        let (blocking, nonblocking) = endpoints;
        let authority = blocking.discover_issuer(&self.issuer("")).unwrap();
        let cache = TokenCache::in_memory();
        let client = cache.client("client-id", &authority);
        let first = client.device_code(["User.Read"]).verify_signature().run(blocking, |_| {});
        assert_eq!(client.accounts().unwrap().len(), usize::from(first.is_ok()));
        let client = AsyncTokenCache::in_memory().client("client-id", &authority);
        let second = self.runtime.block_on(
            client.device_code(["User.Read"]).verify_signature().run(nonblocking, |_| {}),
        );
        [first, second]
    }

    pub(super) fn fetched_keys(&self) -> usize {
        self.requests().iter().filter(|it| *it == "GET /keys").count()
    }
}

type Signed = Result<AcquiredToken, SignInError>;

#[test]
fn signatures_of_each_algorithm_are_accepted() {
    for (alg, (key, sign)) in
        [("RS256", rsa(&RSA_PKCS1_SHA256)), ("PS256", rsa(&RSA_PSS_SHA256)), ("ES256", ec())]
    {
        let provider = Provider::with_keys(&[&json!({ "kty": "oct", "kid": key["kid"] }), &key]);
        let endpoints = Provider::endpoints(&Provider::builder());
        for header in [json!({ "alg": alg, "kid": key["kid"] }), json!({ "alg": alg })] {
            provider.issue(&header, &[], &sign);
            for signed in provider.sign_in(&endpoints) {
                assert_eq!(signed.unwrap().secret().expose(), "at", "{header}");
            }
        }
        // Once by each endpoint.
        assert_eq!(provider.fetched_keys(), 2);
    }
}

#[test]
fn a_token_that_is_not_signed_by_the_provider_is_refused_and_not_stored() {
    let (key, sign) = rsa(&RSA_PKCS1_SHA256);
    let (ec_key, ec_sign) = ec();
    let (_, other) = ec();
    let secret = key["n"].as_str().unwrap().to_owned();
    let hmac: Sign = Arc::new(move |message| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        ring::hmac::sign(&key, message).as_ref().to_vec()
    });
    let empty: Sign = Arc::new(|_| Vec::new());
    let flipped: Sign = {
        let sign = sign.clone();
        Arc::new(move |message| {
            let mut signature = sign(message);
            signature[0] ^= 1;
            signature
        })
    };
    let provider = Provider::with_keys(&[&key, &ec_key]);
    let endpoints = Provider::endpoints(&Provider::builder());
    for (header, sign, reason) in [
        (json!({ "alg": "none" }), &empty, "alg"),
        (json!({ "alg": "None", "kid": "rsa" }), &empty, "alg"),
        (json!({ "kid": "rsa" }), &sign, "alg"),
        (json!({ "alg": "HS256", "kid": "rsa" }), &hmac, "alg"),
        (json!({ "alg": "RS256", "kid": "rsa" }), &empty, "signature"),
        (json!({ "alg": "RS256", "kid": "rsa" }), &flipped, "signature"),
        (json!({ "alg": "PS256", "kid": "rsa" }), &sign, "signature"),
        (json!({ "alg": "ES256", "kid": "ec" }), &other, "signature"),
        (json!({ "alg": "ES256", "kid": "ec" }), &empty, "signature"),
        // The key of another algorithm.
        (json!({ "alg": "ES256", "kid": "rsa" }), &ec_sign, "kid"),
        (json!({ "alg": "RS256", "kid": "other" }), &sign, "kid"),
        (json!({ "alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": false }), &sign, "crit"),
    ] {
        provider.issue(&header, &[], sign);
        for signed in provider.sign_in(&endpoints) {
            let error = signed.expect_err(&header.to_string());
            assert!(matches!(error, SignInError::InvalidResponse(_)), "{header}: {error:?}");
            let text = printed(&error);
            assert!(text.contains(&format!("response.id_token.{reason}")), "{header}: {text}");
        }
    }
}

#[test]
fn a_key_is_used_for_what_it_is_published_for() {
    let (key, sign) = rsa(&RSA_PKCS1_SHA256);
    let header = json!({ "alg": "RS256", "kid": "rsa" });
    for (member, value, is_accepted) in [
        ("use", json!("sig"), true),
        ("use", json!("enc"), false),
        ("alg", json!("RS256"), true),
        ("alg", json!("PS256"), false),
        ("key_ops", json!(["verify"]), true),
        ("key_ops", json!(["encrypt"]), false),
        ("issuer", json!("https://other.example/{tenantid}/v2.0"), false),
        ("issuer", json!("https://localhost:PORT{tenantid}"), true),
        ("n", json!("AQAB"), false),
        ("n", json!("!"), false),
        ("kty", json!("EC"), false),
    ] {
        let provider = Provider::start();
        let value = match &value {
            Value::String(text) => text.replace("PORT", &provider.port.to_string()).into(),
            other => other.clone(),
        };
        let mut key = key.clone();
        key[member] = value.clone();
        provider.publish(DOCUMENT, &provider.good(""));
        provider.publish("/keys", &json!({ "keys": [key] }));
        provider.issue(&header, &[], &sign);
        for signed in provider.sign_in(&Provider::endpoints(&Provider::builder())) {
            assert_eq!(signed.is_ok(), is_accepted, "{member} {value}: {signed:?}");
        }
    }
}

#[test]
fn keys_without_an_id_are_used_where_there_is_one() {
    let (key, sign) = rsa(&RSA_PKCS1_SHA256);
    let mut other = key.clone();
    other["kid"] = "other".into();
    let provider = Provider::with_keys(&[&key, &other]);
    provider.issue(&json!({ "alg": "RS256" }), &[], &sign);
    for signed in provider.sign_in(&Provider::endpoints(&Provider::builder())) {
        let text = printed(&signed.unwrap_err());
        assert!(text.contains("several keys"), "{text}");
    }
}

#[test]
fn keys_that_are_replaced_are_requested_again_and_not_more_often_than_that() {
    let (key, sign) = rsa(&RSA_PKCS1_SHA256);
    let mut new = key.clone();
    new["kid"] = "new".into();
    let provider = Provider::with_keys(&[&key]);
    let endpoints = Provider::endpoints(&Provider::builder());
    provider.issue(&json!({ "alg": "RS256", "kid": "rsa" }), &[], &sign);
    for signed in provider.sign_in(&endpoints) {
        signed.unwrap();
    }
    assert_eq!(provider.fetched_keys(), 2);
    // A token with an unknown key, sooner than the keys may be requested again.
    provider.publish("/keys", &json!({ "keys": [new] }));
    provider.issue(&json!({ "alg": "RS256", "kid": "new" }), &[], &sign);
    for _ in 0..3 {
        for signed in provider.sign_in(&endpoints) {
            let text = printed(&signed.unwrap_err());
            assert!(text.contains("response.id_token.kid"), "{text}");
        }
    }
    assert_eq!(provider.fetched_keys(), 2);
}

#[test]
fn a_code_is_not_redeemed_while_the_keys_can_not_be_fetched() {
    let (key, sign) = rsa(&RSA_PKCS1_SHA256);
    let provider = Provider::with_keys(&[&key]);
    provider.publish_as("/keys", 503, "{}");
    let (endpoint, _) = Provider::endpoints(&Provider::builder());
    let authority = endpoint.discover_issuer(&provider.issuer("")).unwrap();
    let client = TokenCache::in_memory().client("client-id", authority);
    let begin = || {
        let sign_in = client.sign_in(["User.Read"]).verify_signature();
        let begun = sign_in.begin_sign_in("https://app.example/").unwrap();
        let query = begun.address.split_once('?').unwrap().1;
        let query = crate::stand_in::server::parameters(query);
        let kept = serde_json::to_string(&begun.state).unwrap();
        let answer = format!("code=c&state={}", query["state"]);
        (serde_json::from_str(&kept).unwrap(), answer, json!(query["nonce"]))
    };
    let (state, answer, _) = begin();
    let failed = client.finish_sign_in(state, &answer, &endpoint).unwrap_err();
    let text = printed(&failed);
    assert!(matches!(failed, SignInError::Transport(_)) && text.contains("/keys"), "{text}");
    assert!(!provider.requests().iter().any(|it| it.starts_with("POST")));

    provider.publish("/keys", &json!({ "keys": [key] }));
    let header = json!({ "alg": "RS256", "kid": "rsa" });
    let (state, answer, nonce) = begin();
    provider.issue(&header, &[("nonce", nonce)], &sign);
    client.finish_sign_in(state, &answer, &endpoint).unwrap();

    let flipped: Sign = Arc::new(|_| vec![0; 256]);
    let (state, answer, nonce) = begin();
    provider.issue(&header, &[("nonce", nonce)], &flipped);
    let failed = client.finish_sign_in(state, &answer, &endpoint).unwrap_err();
    assert!(printed(&failed).contains("response.id_token.signature"), "{failed:?}");
}

#[test]
fn a_signature_needs_an_authority_with_keys() {
    let provider = Provider::start();
    let mut document = provider.good("");
    document["jwks_uri"] = Value::Null;
    provider.publish(DOCUMENT, &document);
    let (endpoint, nonblocking) = Provider::endpoints(&Provider::builder());
    let cache = TokenCache::in_memory();
    for authority in [
        endpoint.discover_issuer(&provider.issuer("")).unwrap(),
        Authority::parse("https://login.microsoftonline.com/common").unwrap(),
    ] {
        let client = cache.client("client-id", &authority);
        let begun = client.sign_in(["s"]).verify_signature().begin_sign_in("https://app.example/");
        assert!(printed(&begun.unwrap_err()).contains("jwks_uri"));
        let failed = client.device_code(["s"]).verify_signature().run(&endpoint, |_| {});
        assert!(printed(&failed.unwrap_err()).contains("jwks_uri"));
        let client = AsyncTokenCache::in_memory().client("client-id", &authority);
        let run = client.device_code(["s"]).verify_signature().run(&nonblocking, |_| {});
        assert!(printed(&provider.runtime.block_on(run).unwrap_err()).contains("jwks_uri"));
    }
    assert_eq!(provider.requests(), [format!("GET {DOCUMENT}")]);
}

/// An endpoint of the app, over the responses of a provider.
struct OwnEndpoint {
    token: String,
    /// The keys that it returns in turn.
    keys: Mutex<Vec<Value>>,
    /// Address and longest age in seconds of each request for keys.
    asked: Mutex<Vec<(String, u64)>>,
}

impl TokenEndpoint for OwnEndpoint {
    fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
        TokenResponse::from_json(200, &self.token)
    }

    fn document(&self, address: &str, longest: Duration) -> Result<Fields, TransportError> {
        self.asked.lock().unwrap().push((address.to_owned(), longest.as_secs()));
        let keys = self.keys.lock().unwrap().remove(0);
        Ok(Fields::new().set("keys", json!([keys])))
    }
}

/// One that fetches no documents.
struct OnlyTokens;

impl TokenEndpoint for OnlyTokens {
    fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
        panic!("the code is redeemed")
    }
}

#[test]
fn an_endpoint_of_the_app_is_asked_for_newer_keys_where_one_is_unknown() {
    let (old, _) = ec();
    let (key, sign) = rsa(&RSA_PKCS1_SHA256);
    let provider = Provider::with_keys(&[]);
    let (endpoint, _) = Provider::endpoints(&Provider::builder());
    let authority = endpoint.discover_issuer(&provider.issuer("")).unwrap();
    let client = TokenCache::in_memory().client("client-id", authority);
    let begin = || {
        let sign_in = client.sign_in(["User.Read"]).verify_signature();
        let begun = sign_in.begin_sign_in("https://app.example/").unwrap();
        let query = begun.address.split_once('?').unwrap().1;
        let query = crate::stand_in::server::parameters(query);
        (begun.state, format!("code=c&state={}", query["state"]), json!(query["nonce"]))
    };
    let (state, answer, _) = begin();
    let failed = client.finish_sign_in(state, &answer, &OnlyTokens).unwrap_err();
    assert!(printed(&failed).contains("`document`"), "{failed:?}");

    for (second, is_accepted) in [(&key, true), (&old, false)] {
        let (state, answer, nonce) = begin();
        provider.issue(&json!({ "alg": "RS256", "kid": "rsa" }), &[("nonce", nonce)], &sign);
        let token = provider.state.lock().unwrap().respond.as_ref().unwrap()("grant_type").1;
        let keys = Mutex::new(vec![old.clone(), second.clone()]);
        let own = OwnEndpoint { token, keys, asked: Mutex::default() };
        let signed = client.finish_sign_in(state, &answer, &own);
        assert_eq!(signed.is_ok(), is_accepted, "{signed:?}");
        let address = provider.issuer("/keys");
        assert_eq!(*own.asked.lock().unwrap(), [(address.clone(), 86_400), (address, 300)]);
    }
}
