use std::fmt;

use msal_cache_core::{Error, Result};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::model::address::shown;
use crate::model::{Authority, AuthorityType, Fields, is_truthy, kind, schema};

/// A response of a token endpoint, and the request that it answers: what
/// [`TokenCache::add`](crate::TokenCache::add) stores.
///
/// It has the members of the dictionary that MSAL Python's `TokenCache.add` takes, and can be read
/// from its JSON. Other members are ignored, and `null` counts as missing.
///
/// ```
/// use msal_cache::{Event, Fields};
///
/// let event = Event::new("client-id")
///     .token_endpoint("https://login.microsoftonline.com/common/oauth2/v2.0/token")
///     .scope(["User.Read"])
///     .grant_type("authorization_code")
///     .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600));
///
/// let same = Event::from_json(r#"{
///     "client_id": "client-id",
///     "token_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
///     "scope": ["User.Read"],
///     "grant_type": "authorization_code",
///     "response": {"access_token": "s3cret", "expires_in": 3600}
/// }"#)?;
/// assert_eq!(event, same);
/// # Ok::<(), msal_cache::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Event {
    /// `None` for the system-assigned managed identity, as MSAL Python stores it.
    pub(crate) client_id: Option<String>,
    pub(crate) scope: Vec<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) authority: Option<Authority>,
    pub(crate) response: Fields,
    pub(crate) data: Fields,
    pub(crate) grant_type: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) authority_type: Option<AuthorityType>,
    pub(crate) skip_account_creation: bool,
    pub(crate) account_id: Option<String>,
    /// The user whose refresh token was redeemed; the response may not name them.
    pub(crate) home_account_id: Option<String>,
    /// The refresh token that is stored within the record of the access token.
    pub(crate) inner_refresh_token: Option<Zeroizing<String>>,
}

impl Event {
    /// An event of this client, without a response.
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            client_id: Some(client_id.into()),
            scope: Vec::new(),
            token_endpoint: None,
            environment: None,
            authority: None,
            response: Fields::new(),
            data: Fields::new(),
            grant_type: None,
            username: None,
            authority_type: None,
            skip_account_creation: false,
            account_id: None,
            home_account_id: None,
            inner_refresh_token: None,
        }
    }

    /// An event without a client: what MSAL Python's `ManagedIdentityClient` adds for the
    /// system-assigned managed identity. A query with `client_id(None)` finds its tokens.
    #[must_use]
    pub fn without_client() -> Self {
        Self { client_id: None, ..Self::new("") }
    }

    /// Makes the response one on behalf of a user: its tokens are found by the assertion and not by the
    /// user. `used` is the refresh token that was redeemed, and stays unless there is a new one.
    pub(crate) fn keep_on_behalf(&mut self, used: Option<&str>) {
        for name in ["client_info", "id_token", "id_token_claims"] {
            drop(self.response.take(name));
        }
        let new = match self.response.take("refresh_token") {
            Some(Value::String(new)) if !new.is_empty() => Some(Zeroizing::new(new)),
            _ => None,
        };
        self.inner_refresh_token = new.or_else(|| used.map(|it| Zeroizing::new(it.to_owned())));
    }

    /// Reads the JSON of the dictionary that MSAL Python passes to `TokenCache.add`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] where the text is not JSON; [`Error::Invalid`] where a field is missing
    /// or has the wrong type, with its name.
    pub fn from_json(json: &str) -> Result<Self> {
        let value: Value =
            serde_json::from_str(json).map_err(|error| Error::not_json("event", &error))?;
        Self::from_value(value)
    }

    fn from_value(value: Value) -> Result<Self> {
        let mut fields = Fields::from_value("event", value)?;
        let client_id = text(&mut fields, "client_id")?;
        Ok(Self {
            client_id,
            scope: scopes(&mut fields)?,
            token_endpoint: text(&mut fields, "token_endpoint")?,
            environment: text(&mut fields, "environment")?,
            authority: None,
            response: object(&mut fields, "response")?,
            data: object(&mut fields, "data")?,
            grant_type: text(&mut fields, "grant_type")?,
            username: text(&mut fields, "username")?,
            authority_type: text(&mut fields, "authority_type")?
                .map(|name| AuthorityType::from(&*name)),
            skip_account_creation: flag(&mut fields, "skip_account_creation")?,
            account_id: text(&mut fields, "_account_id")?,
            home_account_id: None,
            inner_refresh_token: None,
        })
    }

    /// The scopes of the token. Each item may hold several, separated by spaces.
    pub fn scope<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scope = schema::scopes_of_all(scopes);
        self
    }

    /// The address of the token endpoint. Its host becomes the environment and the first segment of its
    /// path the realm.
    pub fn token_endpoint(mut self, address: impl Into<String>) -> Self {
        self.token_endpoint = Some(address.into());
        self
    }

    /// The authority whose tokens these are, instead of the [`token_endpoint`](Self::token_endpoint):
    /// a [`Client`](crate::Client) with this authority finds them, whatever the path of the token
    /// endpoint is.
    ///
    /// ```
    /// # use msal_cache::{Authority, Event, Fields};
    /// let authority = Authority::parse("https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_in")?;
    /// let event = Event::new("client-id")
    ///     .authority(&authority)
    ///     .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600));
    /// # let _ = event;
    /// # Ok::<(), msal_cache::Error>(())
    /// ```
    pub fn authority(mut self, authority: &Authority) -> Self {
        self.authority = Some(authority.clone());
        self
    }

    /// The environment, where it is another than the host of the authority or the token endpoint.
    pub fn environment(mut self, host: impl Into<String>) -> Self {
        self.environment = Some(host.into());
        self
    }

    /// The token response (RFC 6749, section 5.1), with the members that Microsoft's servers
    /// add: `client_info`, `ext_expires_in`, `refresh_in`, `foci`; and with `id_token_claims` where a
    /// broker has decoded them.
    pub fn response(mut self, response: Fields) -> Self {
        self.response = response;
        self
    }

    /// The parameters of the request. Those that distinguish tokens, such as `key_id` and
    /// `fmi_path`, become part of the access token's identity; others are not stored.
    pub fn data(mut self, data: Fields) -> Self {
        self.data = data;
        self
    }

    /// The grant type of the request.
    pub fn grant_type(mut self, grant_type: impl Into<String>) -> Self {
        self.grant_type = Some(grant_type.into());
        self
    }

    /// The user name of the sign-in, where the response doesn't have it.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The kind of identity provider, where it doesn't follow from the realm.
    pub fn authority_type(mut self, authority_type: AuthorityType) -> Self {
        self.authority_type = Some(authority_type);
        self
    }

    /// Stores the tokens without an account.
    pub fn skip_account_creation(mut self, skip: bool) -> Self {
        self.skip_account_creation = skip;
        self
    }

    /// The user's id within the tenant, where the claims don't have it.
    pub fn account_id(mut self, local_account_id: impl Into<String>) -> Self {
        self.account_id = Some(local_account_id.into());
        self
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through a `Value`, since the errors of derived code quote unexpected input.
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .field("token_endpoint", &self.token_endpoint.as_deref().map(shown))
            .field("authority", &self.authority)
            .field("environment", &self.environment)
            .field("grant_type", &self.grant_type)
            .field("response", &self.response)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

fn wrong(name: &str, found: &Value, expected: &str) -> Error {
    Error::invalid(format!("event.{name}"), format!("it is {} instead of {expected}", kind(found)))
}

fn text(fields: &mut Fields, name: &str) -> Result<Option<String>> {
    match fields.take(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(name, &other, "a string")),
    }
}

fn flag(fields: &mut Fields, name: &str) -> Result<bool> {
    match fields.take(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(other) => Err(wrong(name, &other, "a boolean")),
    }
}

fn object(fields: &mut Fields, name: &str) -> Result<Fields> {
    let value = fields.take(name);
    value.map_or_else(|| Ok(Fields::new()), |it| Fields::from_value(&format!("event.{name}"), it))
}

fn scopes(fields: &mut Fields) -> Result<Vec<String>> {
    let expected = "a list of strings";
    let items = match fields.take("scope").filter(is_truthy) {
        None => Vec::new(),
        Some(Value::String(scopes)) => vec![Value::String(scopes)],
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong("scope", &other, expected)),
    };
    let mut scopes = Vec::new();
    for item in items {
        match item {
            Value::String(item) => scopes.extend(schema::scopes(&item).map(str::to_owned)),
            other => return Err(wrong("scope", &other, expected)),
        }
    }
    Ok(scopes)
}
