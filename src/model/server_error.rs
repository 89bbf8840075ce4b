use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::model::{Fields, ForeignText, TokenResponse, TransportError, TransportErrorKind};

/// The user has to sign in before a token can be acquired.
///
/// An app responds with an interactive sign-in, with the [`claims`](ServerError::claims) of the
/// server if it has some.
#[derive(Clone, Debug)]
pub struct InteractionRequired {
    error: Option<ServerError>,
    signed_out: bool,
}

impl InteractionRequired {
    /// No refresh token of the account is in the cache.
    pub(crate) fn no_refresh_token() -> Self {
        Self { error: None, signed_out: false }
    }

    /// The account was signed out while its token was being refreshed.
    pub(crate) fn signed_out() -> Self {
        Self { error: None, signed_out: true }
    }

    /// The server accepts none of the refresh tokens.
    pub(crate) fn refused(error: ServerError) -> Self {
        Self { error: Some(error), signed_out: false }
    }

    /// The error of the server for the last refresh token that was tried; `None` where there was
    /// none to try.
    pub fn server_error(&self) -> Option<&ServerError> {
        self.error.as_ref()
    }

    /// Whether the account was signed out while its token was being refreshed. The refreshed
    /// token was dropped.
    pub fn was_signed_out(&self) -> bool {
        self.signed_out
    }
}

impl fmt::Display for InteractionRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the user has to sign in: ")?;
        match &self.error {
            Some(error) => error.fmt(f),
            None if self.signed_out => f.write_str("the account was signed out during the refresh"),
            None => f.write_str("the cache has no refresh token that the client can use"),
        }
    }
}

impl std::error::Error for InteractionRequired {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The message contains it.
        None
    }
}

/// The refusal of a token endpoint (RFC 6749, section 5.2), with the members that Microsoft's
/// servers add.
///
/// A member that should be a text and isn't one is kept as its JSON; [`body`](Self::body) has all
/// members as they came.
///
/// `Display` and `Debug` print what may be logged: not the description, which may name the user, and
/// not the claims; no control characters, and no more than 200 characters of a member.
#[derive(Clone, PartialEq)]
pub struct ServerError(Arc<Refusal>);

#[derive(PartialEq)]
struct Refusal {
    status: u16,
    error: String,
    error_description: Option<String>,
    error_uri: Option<String>,
    error_codes: Vec<i64>,
    suberror: Option<String>,
    claims: Option<String>,
    correlation_id: Option<String>,
    trace_id: Option<String>,
    retry_after: Option<Duration>,
    body: Fields,
}

/// Who can change that a server refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MendedBy {
    /// The user, by a sign-in.
    User,
    /// The owner of the app or of the tenant: the app, its registration or its request is wrong.
    Owner,
    /// Time: the server can't respond now.
    Time,
}

/// What is wrong with the app or its request: RFC 6749, section 5.2; RFC 8707, section 2; and what
/// Microsoft's servers add.
const OF_THE_OWNER: [&str; 8] = [
    "invalid_client",
    "invalid_request",
    "invalid_resource",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
];

/// An outage, whatever the status is (RFC 6749, section 4.1.2.1).
const OF_TIME: [&str; 2] = ["server_error", "temporarily_unavailable"];

impl ServerError {
    /// Reads a refusal; `None` where the response isn't one.
    pub fn of(response: &TokenResponse) -> Option<Self> {
        let body = response.body();
        let text = |name| body.get(name).and_then(text_of);
        Some(Self(Arc::new(Refusal {
            status: response.status(),
            error: code_of(body.get("error")?)?,
            error_description: text("error_description").or_else(|| {
                let details = body.get("error").and_then(Value::as_object);
                details.and_then(|it| it.get("message")).and_then(text_of)
            }),
            error_uri: text("error_uri"),
            error_codes: numbers(body.get("error_codes")),
            suberror: text("suberror").filter(|it| !it.is_empty()),
            claims: text("claims").filter(|it| !it.is_empty()),
            correlation_id: text("correlation_id"),
            trace_id: text("trace_id"),
            retry_after: response.retry_after(),
            body: body.clone(),
        })))
    }

    /// Whether Microsoft's servers have sent it: they number their errors.
    fn is_numbered(&self) -> bool {
        let has_number = |text: &str| ["AADSTS", "AADB2C"].iter().any(|it| text.starts_with(it));
        !self.0.error_codes.is_empty() || self.error_description().is_some_and(has_number)
    }

    /// Who can change it. A claims challenge is for the user, whatever the error is; and so is a scope
    /// that exceeds what the user has granted (RFC 6749, section 5.2), for which Microsoft's servers
    /// have another error.
    pub(crate) fn mended_by(&self) -> MendedBy {
        if self.claims().is_some() || (self.error() == "invalid_scope" && !self.is_numbered()) {
            MendedBy::User
        } else if OF_THE_OWNER.contains(&self.error()) {
            MendedBy::Owner
        } else if OF_TIME.contains(&self.error()) {
            MendedBy::Time
        } else {
            MendedBy::User
        }
    }

    /// All members of the response, as the server sent them.
    pub fn body(&self) -> &Fields {
        &self.0.body
    }

    /// The error code, such as `invalid_grant`; of an object, its `code`.
    pub fn error(&self) -> &str {
        &self.0.error
    }

    /// The description for developers, such as `AADSTS50076: ...`. It may name the user.
    pub fn error_description(&self) -> Option<&str> {
        self.0.error_description.as_deref()
    }

    /// The address of a page about the error.
    pub fn error_uri(&self) -> Option<&str> {
        self.0.error_uri.as_deref()
    }

    /// The numbers of the error, such as 50076 for `AADSTS50076`, also where the server writes them
    /// as texts.
    pub fn error_codes(&self) -> &[i64] {
        &self.0.error_codes
    }

    /// The kind of `invalid_grant`, such as `basic_action` or `bad_token`.
    pub fn suberror(&self) -> Option<&str> {
        self.0.suberror.as_deref()
    }

    /// The [`suberror`](Self::suberror), where it helps an app to decide what to show to its user;
    /// `None` for those that MSAL doesn't expose: `bad_token`, `token_expired`,
    /// `protection_policy_required`, `client_mismatch` and `device_authentication_failed`.
    pub fn classification(&self) -> Option<&str> {
        self.suberror().filter(|suberror| {
            !matches!(
                *suberror,
                "bad_token"
                    | "token_expired"
                    | "protection_policy_required"
                    | "client_mismatch"
                    | "device_authentication_failed"
            )
        })
    }

    /// The claims that the sign-in has to request, as JSON: a challenge of Conditional Access.
    pub fn claims(&self) -> Option<&str> {
        self.0.claims.as_deref()
    }

    /// The id by which the server's operator finds the request.
    pub fn correlation_id(&self) -> Option<&str> {
        self.0.correlation_id.as_deref()
    }

    /// Another id of the same kind.
    pub fn trace_id(&self) -> Option<&str> {
        self.0.trace_id.as_deref()
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// How long the server requires to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the refresh token belongs to a family that the client isn't in.
    pub fn is_client_mismatch(&self) -> bool {
        self.suberror() == Some("client_mismatch")
            || self
                .0
                .body
                .get("error_additional_info")
                .is_some_and(|info| info.to_string().contains("client_mismatch"))
    }

    /// Whether the refresh token is invalid for good, in all tenants and for all scopes.
    pub(crate) fn is_bad_token(&self) -> bool {
        self.0.error == "invalid_grant" && self.suberror() == Some("bad_token")
    }
}

/// A member as a text: itself, or its JSON.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The code of an error, which some servers and gateways send as an object.
fn code_of(error: &Value) -> Option<String> {
    match error {
        Value::Bool(false) => None,
        Value::Object(details) => {
            let code = ["code", "error", "type", "status"].iter().find_map(|it| details.get(*it));
            code.and_then(text_of).or_else(|| text_of(error))
        }
        other => text_of(other),
    }
}

/// The numbers of a list, or a single one, as numbers or texts.
fn numbers(value: Option<&Value>) -> Vec<i64> {
    let number = |it: &Value| it.as_i64().or_else(|| it.as_str()?.trim().parse().ok());
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(number).collect(),
        Some(one) => number(one).into_iter().collect(),
        None => Vec::new(),
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server returned {}", ForeignText(&self.0.error))?;
        if let Some(suberror) = &self.0.suberror {
            write!(f, " ({})", ForeignText(suberror))?;
        }
        if let Some(code) = self.0.error_codes.first() {
            write!(f, ", code {code}")?;
        }
        if let Some(id) = &self.0.correlation_id {
            write!(f, ", correlation id {}", ForeignText(id))?;
        }
        Ok(())
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerError")
            .field("status", &self.0.status)
            .field("error", &ForeignText(&self.0.error))
            .field("suberror", &self.0.suberror.as_deref().map(ForeignText))
            .field("error_codes", &self.0.error_codes.get(..8).unwrap_or(&self.0.error_codes))
            .field("correlation_id", &self.0.correlation_id.as_deref().map(ForeignText))
            .field("retry_after", &self.0.retry_after)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for ServerError {}

impl TransportError {
    /// The error of a response whose status says that the server can't respond now. The server's
    /// error, if it has one, is the source.
    pub(crate) fn unavailable(response: &TokenResponse) -> Self {
        let unavailable = match ServerError::of(response) {
            Some(error) => Self::new(TransportErrorKind::Unavailable, error),
            None => Self::without_source(TransportErrorKind::Unavailable),
        };
        response.error(unavailable)
    }
}
