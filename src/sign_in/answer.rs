use std::fmt;

use zeroize::Zeroizing;

use crate::model::{Fields, ServerError, TokenResponse};

/// The names of an authorization response (RFC 6749, section 4.1.2) that are read, and of its error.
const ERROR_FIELDS: [&str; 5] =
    ["error", "error_description", "error_uri", "error_subcode", "claims"];

/// What a browser brought to the redirect URI. `Debug` prints no value.
pub(super) enum Answer {
    /// The authorization code, with the state of this sign-in.
    Code(Zeroizing<String>),
    /// The server's error, with the state of this sign-in.
    Error(ServerError),
    /// The server's error without a state: some errors of Entra ID have none.
    Stateless(ServerError),
    /// A request that isn't part of this sign-in.
    Foreign,
}

impl Answer {
    /// Reads form-encoded parameters. A parameter that occurs twice makes them foreign: RFC 6749,
    /// section 3.1, forbids it. So does another `iss` than the `issuer`, if it is known (RFC 9207).
    pub(super) fn parse(parameters: &str, state: &str, issuer: Option<&str>) -> Self {
        let mut code = None;
        let mut from = None;
        let mut found = None;
        let mut fields = Fields::new();
        for (name, value) in form_urlencoded::parse(parameters.as_bytes()) {
            let name = &*name;
            let is_new = match name {
                "code" => code.replace(Zeroizing::new(value.into_owned())).is_none(),
                "iss" => from.replace(value.into_owned()).is_none(),
                "state" => found.replace(value.into_owned()).is_none(),
                _ if ERROR_FIELDS.contains(&name) => {
                    let is_new = fields.get(name).is_none();
                    fields = fields.set(name, value.into_owned());
                    is_new
                }
                _ => true,
            };
            if !is_new {
                return Self::Foreign;
            }
        }
        if issuer.zip(from.as_deref()).is_some_and(|(expected, from)| from != expected) {
            return Self::Foreign;
        }
        let error = ServerError::of(&TokenResponse::new(400, fields));
        match (found, code, error) {
            (Some(found), ..) if !same(&found, state) => Self::Foreign,
            (Some(_), _, Some(error)) => Self::Error(error),
            (Some(_), Some(code), None) if !code.is_empty() => Self::Code(code),
            (None, None, Some(error)) => Self::Stateless(error),
            _ => Self::Foreign,
        }
    }
}

/// Whether two texts are equal, in a time that doesn't depend on where they differ.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one.bytes().zip(other.bytes()).fold(0, |all, (one, other)| all | (one ^ other)) == 0
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code(_) => "Code",
            Self::Error(_) => "Error",
            Self::Stateless(_) => "Stateless",
            Self::Foreign => "Foreign",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_as_a_whole() {
        assert!(same("", "") && same("abc", "abc"));
        assert!(!same("abc", "abd") && !same("abc", "ab") && !same("", "a"));
    }

    #[test]
    fn only_parameters_of_this_sign_in_are_read() {
        for (parameters, expected) in [
            ("code=c&state=S", "Code"),
            ("state=S&code=c%2Bd&session_state=x", "Code"),
            ("code=c&state=S&iss=I", "Code"),
            ("code=c&state=S&iss=J", "Foreign"),
            ("error=access_denied&iss=J", "Foreign"),
            ("code=c&state=S&iss=I&iss=I", "Foreign"),
            ("code=c&state=T", "Foreign"),
            ("code=c&state=S&state=S", "Foreign"),
            ("code=c&code=d&state=S", "Foreign"),
            ("code=c", "Foreign"),
            ("code=&state=S", "Foreign"),
            ("state=S", "Foreign"),
            ("error=access_denied&state=S", "Error"),
            ("error=access_denied&code=c&state=S", "Error"),
            ("error=access_denied&state=T", "Foreign"),
            ("error=access_denied", "Stateless"),
            ("error=access_denied&code=c", "Foreign"),
            ("", "Foreign"),
            ("%ff=%&&=&=", "Foreign"),
        ] {
            assert_eq!(
                format!("{:?}", Answer::parse(parameters, "S", Some("I"))),
                expected,
                "{parameters}"
            );
        }
    }
}
