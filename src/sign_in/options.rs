use std::io;
use std::time::Duration;

/// How long a sign-in waits for the user, unless set.
pub(super) const TIMEOUT: Duration = Duration::from_secs(300);
/// The longest timeout that can be set.
pub(super) const LONGEST_TIMEOUT: Duration = Duration::from_secs(86_400);

pub(super) type Open = Box<dyn FnOnce(&str) -> io::Result<()> + Send>;

/// What the caller asks of a sign-in.
pub(super) struct Options {
    pub(super) scopes: Vec<String>,
    pub(super) extra_scopes: Vec<String>,
    pub(super) prompt: Option<Prompt>,
    pub(super) login_hint: Option<String>,
    pub(super) domain_hint: Option<String>,
    pub(super) claims_challenge: Option<String>,
    pub(super) response_mode: Option<ResponseMode>,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) verifies_signature: bool,
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) timeout: Option<Duration>,
    pub(super) open: Option<Open>,
    pub(super) is_cancelled: Option<Box<dyn FnMut() -> bool + Send>>,
    pub(super) success_page: Option<String>,
    pub(super) failure_page: Option<String>,
}

impl Options {
    pub(super) fn new(scopes: Vec<String>) -> Self {
        Self {
            scopes,
            extra_scopes: Vec::new(),
            prompt: None,
            login_hint: None,
            domain_hint: None,
            claims_challenge: None,
            response_mode: None,
            authorization_endpoint: None,
            issuer: None,
            verifies_signature: false,
            port: 0,
            path: "/".into(),
            timeout: None,
            open: None,
            is_cancelled: None,
            success_page: None,
            failure_page: None,
        }
    }
}

/// What the server asks the user for (`prompt`, `OpenID` Connect Core, section 3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Prompt {
    /// To sign in again, although there is a session (`login`).
    Login,
    /// To consent to the scopes (`consent`).
    Consent,
    /// To choose an account (`select_account`).
    SelectAccount,
    /// To create an account (`create`).
    Create,
    /// Nothing: a request that needs the user is an error (`none`).
    None,
}

impl Prompt {
    /// The value of the parameter, such as `select_account`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
            Self::Create => "create",
            Self::None => "none",
        }
    }
}

/// How the browser hands the authorization code to the app (`response_mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseMode {
    /// In the body of a `POST`, so the code is in no address and no history (OAuth 2.0 Form Post
    /// Response Mode).
    #[default]
    FormPost,
    /// In the query of the redirect URI, for servers that don't support the other mode.
    Query,
}

impl ResponseMode {
    /// The value of the parameter: `form_post` or `query`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FormPost => "form_post",
            Self::Query => "query",
        }
    }
}
