//! The signature of an ID token, by the keys that the provider publishes (RFC 7515, RFC 7517, RFC 7518).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msal_cache_core::{Error, Result};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;

use crate::model::{Authority, Fields, TENANT_PLACEHOLDER, TokenResponse, jwt};

const FIELD: &str = "response.id_token";

/// How a token is signed. Algorithms with a shared secret, and none at all, are no such way.
#[derive(Clone, Copy)]
enum Algorithm {
    Rsa(&'static RsaParameters),
    /// With the curve P-256.
    Ec,
}

impl Algorithm {
    fn of(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rsa(&RSA_PKCS1_2048_8192_SHA256)),
            "PS256" => Some(Self::Rsa(&RSA_PSS_2048_8192_SHA256)),
            "ES256" => Some(Self::Ec),
            _ => None,
        }
    }

    fn verify(self, key: &Value, message: &[u8], signature: &[u8]) -> bool {
        let number = |name| {
            let text = key.get(name).and_then(Value::as_str)?;
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
        };
        match self {
            Self::Rsa(parameters) => {
                let (Some(n), Some(e)) = (number("n"), number("e")) else { return false };
                let key = RsaPublicKeyComponents { n: without_zeros(&n), e: without_zeros(&e) };
                key.verify(parameters, message, signature).is_ok()
            }
            Self::Ec => {
                let (Some(x), Some(y)) = (number("x"), number("y")) else { return false };
                // An uncompressed point (SEC 1, section 2.3.3).
                let point = [&[4], &*x, &*y].concat();
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                x.len() == 32 && y.len() == 32 && key.verify(message, signature).is_ok()
            }
        }
    }
}

/// Where the keys of the provider are.
pub(super) fn jwks_uri(authority: &Authority) -> Result<String> {
    let address = authority.metadata().and_then(|it| it.jwks_uri());
    address.map(str::to_owned).ok_or_else(|| {
        let reason = "the authority has none, and the signature is to be checked; use the authority that \
                      `discover` or `discover_issuer` of the endpoint returns";
        Error::invalid("jwks_uri", reason)
    })
}

/// Checks the signature of the ID token of a response. `false` where no key has its id, so that the keys
/// may have been replaced.
pub(super) fn check(response: &TokenResponse, keys: &Fields) -> Result<bool> {
    let token = response.body().get("id_token").and_then(Value::as_str);
    let token =
        token.ok_or_else(|| Error::invalid(FIELD, "it is missing, so it has no signature"))?;
    let wrong = |name: &str, reason: &str| Error::invalid(format!("{FIELD}.{name}"), reason);
    let parts: Vec<_> = token.split('.').collect();
    let [encoded, payload, signature] = parts[..] else {
        return Err(Error::invalid(FIELD, "it has not three parts, as a signed token has"));
    };
    let message = &token[..encoded.len() + 1 + payload.len()];
    let header = jwt::object(&format!("{FIELD}.header"), encoded)?;
    let text = |name| header.get(name).and_then(Value::as_str);
    // RFC 7515, section 4.1.11.
    if header.contains("crit") {
        return Err(wrong("crit", "it names an extension, and none is supported"));
    }
    let name = text("alg").unwrap_or_default();
    let unsupported = || wrong("alg", "it is not RS256, PS256 or ES256");
    let algorithm = Algorithm::of(name).ok_or_else(unsupported)?;
    let invalid = || wrong("signature", "it is not in base64url");
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| invalid())?;
    let claims = jwt::claims(FIELD, token)?;
    let keys = keys.get("keys").and_then(Value::as_array);
    let keys =
        keys.ok_or_else(|| Error::invalid("keys", "the provider publishes no list of keys"))?;
    let id = text("kid");
    let candidates: Vec<_> = keys
        .iter()
        .filter(|key| fits(key, algorithm, name) && is_named(key, id) && is_of_issuer(key, &claims))
        .collect();
    if id.is_none() && candidates.len() > 1 {
        // OpenID Connect Core, section 10.1.
        return Err(wrong("kid", "it is missing, and the provider has several keys"));
    }
    if candidates.is_empty() {
        return Ok(false);
    }
    if candidates.iter().any(|key| algorithm.verify(key, message.as_bytes(), &signature)) {
        return Ok(true);
    }
    Err(wrong("signature", "it is not that of the provider's key"))
}

/// Whether a key is for this algorithm (RFC 7517, section 4).
fn fits(key: &Value, algorithm: Algorithm, name: &str) -> bool {
    let text = |name| key.get(name).and_then(Value::as_str);
    let is_kind = match algorithm {
        Algorithm::Rsa(_) => text("kty") == Some("RSA"),
        Algorithm::Ec => text("kty") == Some("EC") && text("crv") == Some("P-256"),
    };
    let verifies = |operations: &Vec<Value>| operations.iter().any(|it| it == "verify");
    is_kind
        && text("use").is_none_or(|it| it == "sig")
        && text("alg").is_none_or(|it| it == name)
        && key.get("key_ops").and_then(Value::as_array).is_none_or(verifies)
}

fn is_named(key: &Value, id: Option<&str>) -> bool {
    id.is_none() || key.get("kid").and_then(Value::as_str) == id
}

/// Whether a key signs for the issuer of the token. The keys of Entra ID say for whom, since those of
/// personal accounts are in the same list as those of organizations.
fn is_of_issuer(key: &Value, claims: &Fields) -> bool {
    let claim = |name| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let issuer = key.get("issuer").and_then(Value::as_str);
    issuer.is_none_or(|it| it.replacen(TENANT_PLACEHOLDER, claim("tid"), 1) == claim("iss"))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|it| *it != 0).unwrap_or(number.len());
    &number[start..]
}
