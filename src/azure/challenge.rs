use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding is optional: services differ.
const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The claims that an API requires of a token (a claims challenge), such as after the revocation of
/// a session (continuous access evaluation).
///
/// The Azure SDK has no option for it. A [`Credential`](super::Credential) reads it from the context
/// of a request, and then asks the server for a new token:
///
/// ```
/// use azure_core::http::{ClientMethodOptions, Context};
/// use msal_cache::azure::ClaimsChallenge;
///
/// # let header = r#"Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ==""#;
/// // The header `WWW-Authenticate` of a response with the status 401.
/// if let Some(challenge) = ClaimsChallenge::of_header(header) {
///     let options = ClientMethodOptions { context: Context::new().with_value(challenge) };
///     // Send the request again, with these `method_options`.
/// #   let _ = options;
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimsChallenge(String);

impl ClaimsChallenge {
    /// The challenge with these claims, as JSON.
    pub fn new(claims: impl Into<String>) -> Self {
        Self(claims.into())
    }

    /// The claims in the value of a header `WWW-Authenticate`, if it has some: those of its first
    /// `Bearer` challenge with the parameter `claims`, in Base64.
    pub fn of_header(value: &str) -> Option<Self> {
        let mut is_bearer = false;
        for part in parts(value) {
            let (name, text) = match part.split_once('=') {
                Some((name, text)) => (name.trim_end(), text.trim_start()),
                None => (part, ""),
            };
            // A scheme precedes the first parameter of its challenge.
            let name = match name.split_once(char::is_whitespace) {
                Some((scheme, name)) => {
                    is_bearer = scheme.eq_ignore_ascii_case("Bearer");
                    name.trim_start()
                }
                None if !part.contains('=') => {
                    is_bearer = name.eq_ignore_ascii_case("Bearer");
                    continue;
                }
                None => name,
            };
            if is_bearer && name.eq_ignore_ascii_case("claims") {
                return decode(text.trim_matches('"')).map(Self);
            }
        }
        None
    }

    /// The claims, as JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The parts of a header between commas that are outside of quotes.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    value
        .split(move |it| match it {
            _ if is_escaped => {
                is_escaped = false;
                false
            }
            '\\' if is_quoted => {
                is_escaped = true;
                false
            }
            '"' => {
                is_quoted = !is_quoted;
                false
            }
            ',' => !is_quoted,
            _ => false,
        })
        .map(str::trim)
}

fn decode(text: &str) -> Option<String> {
    let alphabets = [&alphabet::STANDARD, &alphabet::URL_SAFE];
    let decoded = alphabets
        .into_iter()
        .find_map(|it| GeneralPurpose::new(it, CONFIG).decode(text.as_bytes()).ok())?;
    String::from_utf8(decoded).ok().filter(|it| it.trim_start().starts_with('{'))
}

impl fmt::Debug for ClaimsChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimsChallenge")
    }
}
