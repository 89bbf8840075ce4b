//! Reading what a token says about its user. Nothing is verified: a token that comes straight
//! from the token endpoint over TLS needs no more (`OpenID` Connect Core, section 3.1.3.7).

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use msal_cache_core::{Error, Result};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::Fields;

/// As MSAL Python's decoder: padding or none, and stray bits at the end are let pass.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The claims of an ID token. `field` says in an error where the token stood.
pub(crate) fn claims(field: &str, token: &str) -> Result<Fields> {
    let payload = token
        .split('.')
        .nth(1)
        .ok_or_else(|| Error::invalid(field, "it is not a JSON Web Token: it has no payload"))?;
    object(field, payload)
}

/// A JSON object in base64url: the payload of a token, or `client_info`.
pub(crate) fn object(field: &str, encoded: &str) -> Result<Fields> {
    // The standard alphabet is accepted too, as Python does.
    let encoded = Zeroizing::new(encoded.replace('+', "-").replace('/', "_"));
    let decoded =
        LENIENT.decode(&*encoded).map_err(|_| Error::invalid(field, "it is not in base64url"))?;
    let value: Value = serde_json::from_slice(&Zeroizing::new(decoded))
        .map_err(|_| Error::invalid(field, "what it encodes is not JSON"))?;
    Fields::from_value(field, value)
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
