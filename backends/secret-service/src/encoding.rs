use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msal_cache_core::{Bytes, Error, Result};

/// How a document is written into a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The JSON text, as MSAL Python and Node write it.
    Json,
    /// The JSON text in base64, as MSAL .NET, Go and Java write it.
    Base64,
}

impl Encoding {
    /// The secret that holds a document.
    pub(crate) fn encode(self, document: &[u8]) -> Bytes {
        match self {
            Self::Json => document.to_vec().into(),
            Self::Base64 => STANDARD.encode(document).into_bytes().into(),
        }
    }

    /// The document that a secret holds.
    pub(crate) fn decode(self, secret: Bytes, place: &str) -> Result<Bytes> {
        let starts_as_json =
            secret.expose().iter().find(|it| !it.is_ascii_whitespace()) == Some(&b'{');
        match self {
            Self::Base64 if starts_as_json => Err(corrupt(
                place,
                "it is JSON and not base64, so MSAL Python or Node writes it; use Encoding::Json",
            )),
            Self::Base64 => {
                // Other programs may end the text with a line feed.
                let text = secret.expose().trim_ascii();
                let decoded = STANDARD.decode(text);
                decoded.map(Bytes::from).map_err(|_| corrupt(place, "it is not base64"))
            }
            Self::Json => {
                let is_base64 = !starts_as_json
                    && STANDARD.decode(secret.expose().trim_ascii()).is_ok_and(|decoded| {
                        let first = decoded.iter().find(|it| !it.is_ascii_whitespace()).copied();
                        drop(Bytes::from(decoded));
                        first == Some(b'{')
                    });
                if is_base64 {
                    return Err(corrupt(
                        place,
                        "it is base64 and not JSON, so MSAL .NET, Go or Java writes it; use \
                         Encoding::Base64",
                    ));
                }
                Ok(secret)
            }
        }
    }
}

fn corrupt(place: &str, reason: &str) -> Error {
    Error::Corrupt { place: place.into(), reason: reason.into(), position: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, secret: &str) -> Result<String, String> {
        let bytes = encoding.decode(secret.as_bytes().to_vec().into(), "the entry");
        let bytes = bytes.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(bytes.expose().to_vec()).unwrap())
    }

    #[test]
    fn each_encoding_reads_what_it_writes() {
        for encoding in [Encoding::Json, Encoding::Base64] {
            for document in ["", "{}", r#"{"AccessToken": {}}"#] {
                let secret = encoding.encode(document.as_bytes());
                let secret = String::from_utf8(secret.expose().to_vec()).unwrap();
                assert_eq!(decoded(encoding, &secret).unwrap(), document);
            }
        }
        assert_eq!(Encoding::Base64.encode(b"{}").expose(), b"e30=");
        assert_eq!(decoded(Encoding::Base64, "e30=\n").unwrap(), "{}");
    }

    #[test]
    fn the_other_encoding_is_an_error_that_names_it_and_quotes_nothing() {
        let base64 = Encoding::Base64.encode(br#"{"CANARY": 1}"#);
        let base64 = String::from_utf8(base64.expose().to_vec()).unwrap();
        let error = decoded(Encoding::Json, &base64).unwrap_err();
        assert!(error.contains("use Encoding::Base64"), "{error}");
        assert!(!error.contains(&base64), "{error}");
        let error = decoded(Encoding::Base64, r#" {"CANARY": 1}"#).unwrap_err();
        assert!(error.contains("use Encoding::Json") && !error.contains("CANARY"), "{error}");
        let error = decoded(Encoding::Base64, "?").unwrap_err();
        assert!(error.contains("not base64"), "{error}");
        // What is neither is left to the parser of documents.
        assert_eq!(decoded(Encoding::Json, "neither").unwrap(), "neither");
    }
}
