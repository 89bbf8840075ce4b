//! Reads the claims of a token. No signature is verified: a token that comes directly from the
//! token endpoint over TLS needs none (`OpenID` Connect Core, section 3.1.3.7).

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use msal_cache_core::internal::for_each_member;
use msal_cache_core::{Error, Result};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::model::{Fields, is_truthy};

/// As MSAL Python's decoder: accepts padding or none, and stray bits at the end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The claims of an ID token. `field` names the place of the token in an error.
pub(crate) fn claims(field: &str, token: &str) -> Result<Fields> {
    object(field, payload(field, token)?)
}

/// Calls `each` with the name and the JSON of every claim of an ID token.
pub(crate) fn for_each_claim(field: &str, token: &str, each: impl FnMut(&str, &str)) -> Result<()> {
    for_each_member_of(field, payload(field, token)?, each)
}

/// Calls `each` with the name and the JSON of every member of an object in base64url, without
/// parsing the values that `each` ignores.
pub(crate) fn for_each_member_of(
    field: &str,
    encoded: &str,
    mut each: impl FnMut(&str, &str),
) -> Result<()> {
    let decoded = decode(field, encoded)?;
    let read = std::str::from_utf8(&decoded)
        .map(|json| for_each_member(json, |name, value| each(&name, value)));
    match read {
        Ok(Ok(())) => Ok(()),
        // Says what is wrong with it.
        _ => object(field, encoded).map(|_| ()),
    }
}

/// A JSON object in base64url: the payload of a token, or `client_info`.
pub(crate) fn object(field: &str, encoded: &str) -> Result<Fields> {
    let value: Value = serde_json::from_slice(&decode(field, encoded)?)
        .map_err(|_| Error::invalid(field, "what it encodes is not JSON"))?;
    Fields::from_value(field, value)
}

/// Whether the payload of a token is JSON that Python takes for false.
pub(crate) fn has_empty_payload(token: &str) -> bool {
    let decoded = payload("id token", token).and_then(|it| decode("id token", it));
    let value = decoded.ok().and_then(|it| serde_json::from_slice(&it).ok());
    value.is_some_and(|it: Value| !is_truthy(&it))
}

fn payload<'t>(field: &str, token: &'t str) -> Result<&'t str> {
    token
        .split('.')
        .nth(1)
        .ok_or_else(|| Error::invalid(field, "it is not a JSON Web Token: it has no payload"))
}

fn decode(field: &str, encoded: &str) -> Result<Zeroizing<Vec<u8>>> {
    // The standard alphabet is accepted too, as Python does.
    let standard = encoded.bytes().fold(false, |any, byte| any | matches!(byte, b'+' | b'/'));
    let translated = standard.then(|| Zeroizing::new(encoded.replace('+', "-").replace('/', "_")));
    let encoded = translated.as_ref().map_or(encoded, |it| it.as_str());
    let decoded = LENIENT.decode(encoded);
    decoded.map(Zeroizing::new).map_err(|_| Error::invalid(field, "it is not in base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_and_alphabet_do_not_matter() {
        // {"a":"ÿÿ>"} and variants of its encoding.
        for encoded in ["eyJhIjoiw7_Dvz4ifQ", "eyJhIjoiw7_Dvz4ifQ==", "eyJhIjoiw7/Dvz4ifQ"] {
            let fields = object("f", encoded).unwrap();
            assert_eq!(fields.get("a"), Some(&Value::from("ÿÿ>")), "{encoded}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_quoted() {
        for token in ["", "CANARY", "a.CANARY!.b", "a.Q0FOQVJZ.b", "a.WyJDQU5BUlkiXQ.b"] {
            let error = claims("event.response.id_token", token).unwrap_err();
            let printed = format!("{error} {error:?}");
            assert!(printed.contains("event.response.id_token"), "{printed}");
            assert!(!printed.contains("CANARY"), "{printed}");
        }
    }
}
