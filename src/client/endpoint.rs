use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Fields, Form, ServerError};

/// What trades a refresh token, or a client's own credential, for tokens: the token endpoint of
/// an authorization server (RFC 6749, section 3.2), over whatever HTTP client the app has.
///
/// It sends the form and gives back what the server says; it decides nothing. It authenticates
/// the client where the client is confidential: a secret or an assertion is its own, and it adds
/// it to the request. Time-outs are its own too: other threads and processes that need the same
/// token wait for as long as a call takes. It doesn't repeat a request that may have arrived:
/// a refresh token may be good for one use.
///
/// The cache calls it without holding a lock of the store.
///
/// ```
/// use msal_cache::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
///
/// /// A server that knows one answer.
/// struct Canned(u16, &'static str);
///
/// impl TokenEndpoint for Canned {
///     fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
///         TokenResponse::from_json(self.0, self.1)
///     }
/// }
/// # let _: &dyn TokenEndpoint = &Canned(200, "{}");
/// ```
pub trait TokenEndpoint: Send + Sync {
    /// Sends a request by `POST` and returns the answer, a success or a refusal alike.
    ///
    /// # Errors
    ///
    /// [`TransportError`] where there is no answer, or none that is a JSON object. What the server
    /// answers is no error here, whatever its status.
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError>;
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<E: TokenEndpoint + ?Sized> TokenEndpoint for $pointer {
            fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
                (**self).send(request)
            }
        }
    )*};
}

forward!(&E, Arc<E>, Box<E>);

/// A request to a token endpoint. `Debug` prints no value of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    token_endpoint: String,
    client_id: String,
    form: Form,
    anchor_mailbox: Option<String>,
}

impl TokenRequest {
    /// A request of this client to this address.
    pub fn new(
        token_endpoint: impl Into<String>,
        client_id: impl Into<String>,
        form: Form,
    ) -> Self {
        let (token_endpoint, client_id) = (token_endpoint.into(), client_id.into());
        Self { token_endpoint, client_id, form, anchor_mailbox: None }
    }

    /// Says whose tokens are asked for; see [`anchor_mailbox`](Self::anchor_mailbox).
    pub fn with_home_account_id(mut self, home_account_id: &str) -> Self {
        self.anchor_mailbox = Some(format!("Oid:{}", home_account_id.replace('.', "@")));
        self
    }

    /// Where to send it, such as
    /// `https://login.microsoftonline.com/<tenant>/oauth2/v2.0/token`.
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// The client that asks. It is in the form too.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What to send: everything but the authentication of the client.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// The value of the header `X-AnchorMailbox`, by which Microsoft's servers route a request
    /// to where the user is at home. A hint; other servers pass it over.
    pub fn anchor_mailbox(&self) -> Option<&str> {
        self.anchor_mailbox.as_deref()
    }
}

/// What a token endpoint has answered: tokens (RFC 6749, section 5.1) or a refusal
/// (section 5.2). `Debug` prints no value of the body.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenResponse {
    status: u16,
    body: Fields,
    retry_after: Option<Duration>,
}

impl TokenResponse {
    /// An answer with this HTTP status and this body.
    pub fn new(status: u16, body: Fields) -> Self {
        Self { status, body, retry_after: None }
    }

    /// Reads an answer from its text.
    ///
    /// # Errors
    ///
    /// [`TransportError`] where it is not a JSON object, as the pages of gateways and proxies
    /// are; of the kind [`Unavailable`](TransportErrorKind::Unavailable) where the status is one
    /// of an outage, else [`Malformed`](TransportErrorKind::Malformed). The text is not quoted.
    pub fn from_json(status: u16, body: &str) -> Result<Self, TransportError> {
        match object(body) {
            Ok(body) => Ok(Self::new(status, body)),
            Err(error) => {
                let kind = if is_outage(status) {
                    TransportErrorKind::Unavailable
                } else {
                    TransportErrorKind::Malformed
                };
                Err(TransportError::new(kind, error).with_status(status))
            }
        }
    }

    /// Adds what the header `Retry-After` says.
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The members of the JSON object, secrets and all.
    pub fn body(&self) -> &Fields {
        &self.body
    }

    /// How long the server asks to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the server can't answer now, and may be able to later.
    pub(crate) fn is_outage(&self) -> bool {
        is_outage(self.status)
    }
}

/// The members of an object, or why it is none, without a word of it.
fn object(body: &str) -> Result<Fields, Box<dyn StdError + Send + Sync>> {
    let not_json = |error: serde_json::Error| {
        format!("the body is not JSON (line {}, column {})", error.line(), error.column())
    };
    Ok(Fields::from_value("the body", serde_json::from_str(body).map_err(not_json)?)?)
}

fn is_outage(status: u16) -> bool {
    status == 429 || status >= 500
}

/// No answer came from a token endpoint, or none that says anything about the request.
///
/// It can be cloned, since all threads that wait for one call get its error.
#[derive(Clone)]
pub struct TransportError {
    kind: TransportErrorKind,
    status: Option<u16>,
    retry_after: Option<Duration>,
    correlation_id: Option<Arc<str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What went wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The server could not be reached: no network, no such name, no trust in its certificate.
    Unreachable,
    /// The server was reached and didn't answer in time. The request may have been granted.
    TimedOut,
    /// The connection broke before the answer had arrived. The request may have been granted.
    Interrupted,
    /// The server answered that it can't answer now: status 429, or 500 and above.
    Unavailable,
    /// The answer is not what a token endpoint says.
    Malformed,
    /// Something else, such as a client assertion that couldn't be made.
    Other,
}

impl TransportError {
    /// An error of this kind, with its cause.
    pub fn new(
        kind: TransportErrorKind,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let source = Some(Arc::from(source.into()));
        Self { kind, status: None, retry_after: None, correlation_id: None, source }
    }

    /// An answer that is none because of its status; what else it says is the source.
    pub(crate) fn unavailable(response: &TokenResponse) -> Self {
        let told = ServerError::of(response);
        Self {
            kind: TransportErrorKind::Unavailable,
            status: Some(response.status),
            retry_after: response.retry_after,
            correlation_id: None,
            source: told.map(|error| Arc::new(error) as _),
        }
    }

    /// Adds the HTTP status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds what the header `Retry-After` says.
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Adds the id under which the request was sent.
    #[must_use]
    pub fn with_correlation_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// How long the server asks to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The id by which the server's operator finds the request, where it had one.
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Unreachable => "the token endpoint could not be reached",
            TransportErrorKind::TimedOut => "the token endpoint did not answer in time",
            TransportErrorKind::Interrupted => "the connection to the token endpoint broke",
            TransportErrorKind::Unavailable => "the token endpoint can't answer now",
            TransportErrorKind::Malformed => {
                "the answer of the token endpoint is not one of a token endpoint"
            }
            TransportErrorKind::Other => "the request to the token endpoint failed",
        })?;
        if let Some(status) = self.status {
            write!(f, " (HTTP status {status})")?;
        }
        if let Some(wait) = self.retry_after {
            write!(f, "; it asks to wait {} s", wait.as_secs())?;
        }
        if let Some(id) = &self.correlation_id {
            write!(f, "; correlation id {id}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportError")
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("correlation_id", &self.correlation_id)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
