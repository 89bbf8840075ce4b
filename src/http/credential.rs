//! Client authentication (RFC 6749, section 2.3; RFC 7521, section 4.2).

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::model::{Form, TransportError, TransportErrorKind};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The request for which a client assertion is created; see
/// [`client_assertion`](crate::http::HttpEndpointBuilder::client_assertion).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AssertionRequest<'a> {
    /// The client id: `iss` and `sub` of the assertion.
    pub client_id: &'a str,
    /// The address of the token endpoint: `aud` of the assertion.
    pub token_endpoint: &'a str,
    /// The path of the federated managed identity (`fmi_path`), if the token is for one.
    pub fmi_path: Option<&'a str>,
}

pub(super) type MakeAssertion =
    dyn Fn(&AssertionRequest<'_>) -> Result<String, Box<dyn StdError + Send + Sync>> + Send + Sync;

/// The credential of a client. `Debug` prints its kind only.
#[derive(Clone, Default)]
pub(super) enum Credential {
    /// None: a public client.
    #[default]
    None,
    /// A secret in the request body.
    SecretPost(Arc<Zeroizing<String>>),
    /// A secret in the `Authorization` header.
    SecretBasic(Arc<Zeroizing<String>>),
    /// A signed assertion, created for each request.
    Assertion(Arc<MakeAssertion>),
}

/// A request with the client's credential.
pub(super) struct Authenticated {
    pub(super) form: Form,
    /// The value of the `Authorization` header.
    pub(super) authorization: Option<Zeroizing<String>>,
}

impl Credential {
    /// Whether the credential is the same in every request.
    pub(super) fn is_constant(&self) -> bool {
        !matches!(self, Self::Assertion(_))
    }

    pub(super) fn apply(
        &self,
        form: Form,
        request: &AssertionRequest<'_>,
    ) -> Result<Authenticated, TransportError> {
        let mut authorization = None;
        let form = match self {
            Self::None => form,
            Self::SecretPost(secret) => form.with("client_secret", secret.as_str()),
            Self::SecretBasic(secret) => {
                authorization = Some(basic(request.client_id, secret));
                form
            }
            Self::Assertion(make) => {
                let assertion = make(request)
                    .map_err(|error| TransportError::new(TransportErrorKind::Other, error))?;
                form.with("client_assertion_type", JWT_BEARER).with("client_assertion", assertion)
            }
        };
        Ok(Authenticated { form, authorization })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::SecretPost(_) => "client_secret_post",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::Assertion(_) => "client_assertion",
        })
    }
}

/// The header of `client_secret_basic`. Id and secret are form-encoded before they are joined
/// (RFC 6749, section 2.3.1).
fn basic(client_id: &str, secret: &str) -> Zeroizing<String> {
    let mut pair = Zeroizing::new(String::with_capacity(3 * (client_id.len() + secret.len()) + 1));
    pair.extend(form_urlencoded::byte_serialize(client_id.as_bytes()));
    pair.push(':');
    pair.extend(form_urlencoded::byte_serialize(secret.as_bytes()));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    Zeroizing::new(["Basic ", &encoded].concat())
}

#[cfg(test)]
mod tests {
    use super::basic;

    #[test]
    fn client_secret_basic_form_encodes_before_base64() {
        // "app%3Aone:a+%2B+%25" in base64.
        assert_eq!(*basic("app:one", "a + %"), "Basic YXBwJTNBb25lOmErJTJCKyUyNQ==");
    }
}
