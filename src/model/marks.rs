//! What keeps a token apart from those that a plain request may get.

use msal_cache_core::CredentialType;
use msal_cache_core::internal::Scalar;

use crate::model::schema;

/// The marks of a record by which its library recognises the flow that the token belongs to, as far
/// as they are not fields of the schema.
///
/// MSAL Go, .NET, Java and Node write the hash of the assertion for a token on behalf of a user
/// (`user_assertion_hash`, `userAssertionHash`), and find it only with the same assertion. .NET and
/// Node give tokens of another scheme the type `AccessToken_With_AuthScheme`; .NET and Java give
/// those with an extended cache key `ATExt` or `AText`. MSAL Node before 2.0 wrote the hash of the
/// requested claims.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// The value of `credential_type`.
    kind: TypeMark,
    /// Whether it has the hash of an assertion or of requested claims.
    has_hash: bool,
    /// Whether it has the members of an extended cache key.
    has_extension: bool,
    /// Whether a mark can't be read.
    pub(crate) is_unreadable: bool,
}

/// The value of `credential_type` in a record of an access token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TypeMark {
    /// `AccessToken`, or none.
    #[default]
    Plain,
    /// `AccessToken_With_AuthScheme`.
    WithScheme,
    /// `ATExt` or `AText`.
    Extended,
    Other,
}

impl Marks {
    /// Notes a member of a record that is no field of the schema.
    pub(crate) fn take(&mut self, name: &str, json: &str) {
        let is_given = || match Scalar::of(json) {
            Scalar::Null => false,
            Scalar::Text(text) => !text.is_empty(),
            Scalar::Number(_) => true,
            Scalar::Other(json) => !is_empty_object(json),
        };
        match name {
            "credential_type" => {
                let scalar = Scalar::of(json);
                self.kind = match scalar.as_str() {
                    None if scalar == Scalar::Null => TypeMark::Plain,
                    Some(it) if it.eq_ignore_ascii_case("AccessToken") => TypeMark::Plain,
                    Some(it) if it.eq_ignore_ascii_case("AccessToken_With_AuthScheme") => {
                        TypeMark::WithScheme
                    }
                    Some(it) if it.eq_ignore_ascii_case("ATExt") => TypeMark::Extended,
                    _ => TypeMark::Other,
                };
            }
            "requestedClaimsHash" => self.has_hash = is_given(),
            "ext_cache_key" | "ext_cache_key_hash" | "ext" | "additionalCacheKeyComponents" => {
                self.has_extension |= is_given();
            }
            _ if schema::ASSERTION.contains(&name) => self.has_hash |= is_given(),
            _ => {}
        }
    }

    /// Whether no request of a client may get the token, given its type and whether its extended
    /// cache key could be read.
    pub(crate) fn set_apart(
        self,
        section: &CredentialType,
        token_type: Option<&str>,
        has_extended_key: bool,
    ) -> bool {
        if *section != CredentialType::AccessToken {
            return self.has_hash || self.has_extension;
        }
        let is_of_scheme = || token_type.is_some_and(|it| !it.eq_ignore_ascii_case(schema::BEARER));
        self.has_hash
            || self.is_unreadable
            || self.has_extension && !has_extended_key
            || match self.kind {
                TypeMark::Plain => false,
                TypeMark::WithScheme => !is_of_scheme(),
                TypeMark::Extended => !has_extended_key,
                TypeMark::Other => true,
            }
    }
}

fn is_empty_object(json: &str) -> bool {
    json.strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|inner| inner.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_no_text_sets_a_token_apart() {
        let is_apart = |json: &str| {
            let mut marks = Marks::default();
            marks.take("credential_type", json);
            marks.set_apart(&CredentialType::AccessToken, None, false)
        };
        for json in ["null", r#""AccessToken""#, r#""accesstoken""#] {
            assert!(!is_apart(json), "{json}");
        }
        for json in ["true", "{}", "[]", "0", r#""""#, r#""\ud800""#, r#""Other""#] {
            assert!(is_apart(json), "{json}");
        }
    }
}
