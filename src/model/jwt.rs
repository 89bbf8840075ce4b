//! Reads the claims of a token. No signature is verified: a token that comes directly from the
//! token endpoint over TLS needs none (`OpenID` Connect Core, section 3.1.3.7).

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use msal_cache_core::internal::for_each_member;
use msal_cache_core::{Error, Result};
use serde_json::{Map, Value};
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
    let decoded = decode(field, encoded)?;
    let not_json = |_| Error::invalid(field, "what it encodes is not JSON");
    let value: Value = match serde_json::from_slice(&decoded) {
        Ok(value) => value,
        // A value that `Value` can't hold, such as half of a surrogate pair: the others count.
        Err(error) => {
            let mut members = Map::new();
            std::str::from_utf8(&decoded)
                .ok()
                .and_then(|json| {
                    let each = |name: Cow<'_, str>, value: &str| {
                        let value = serde_json::from_str(value).unwrap_or_default();
                        members.insert(name.into_owned(), value);
                    };
                    for_each_member(json, each).ok()
                })
                .ok_or_else(|| not_json(error))?;
            Value::Object(members)
        }
    };
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
    fn a_claim_that_a_string_cannot_hold_hides_no_other() {
        let encoded = LENIENT.encode(r#"{"a":"\ud800","b":"x","c":1e400,"d":{"e":"\udc00"}}"#);
        let fields = object("f", &encoded).unwrap();
        assert_eq!(fields.get("b"), Some(&Value::from("x")));
        assert_eq!(["a", "c", "d"].map(|name| fields.get(name)), [None; 3]);
        for bad in [r#"{"a":"\ud800""#, r#"["\ud800"]"#, r#""\ud800""#] {
            assert!(object("f", &LENIENT.encode(bad)).is_err(), "{bad}");
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
