//! A token response, parsed once into facts: whose tokens they are, when they expire, and where
//! their records belong. [`records`](crate::plan::records) writes them.

use std::collections::BTreeMap;

use msal_cache_core::internal::{Scalar, seconds};
use msal_cache_core::{CredentialType, Error, Partition, Result, ext_cache_key};
use serde_json::Value;
use smallvec::SmallVec;

use crate::model::{
    Event, FieldValue, Fields, Profile, environment_and_realm, is_truthy, jwt, kind,
};
use crate::plan::moments::moment_of;

/// The lifetime of an access token whose response has none, in seconds.
const DEFAULT_LIFETIME: i64 = 600;

/// The parameters of a request that are no part of the extended cache key: the standard ones, and
/// those that the key of an access token has anyway (`_EXT_CACHE_KEY_EXCLUDED_FIELDS` of MSAL
/// Python).
const NOT_IN_EXT_CACHE_KEY: [&str; 22] = [
    "assertion",
    "claims",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_info",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "grant_type",
    "key_id",
    "password",
    "redirect_uri",
    "refresh_token",
    "req_cnf",
    "requested_token_use",
    "scope",
    "token_type",
    "user_federated_identity_credential",
    "user_id",
    "username",
];

/// What an event says, checked, at the time when it arrived.
pub(crate) struct Facts<'a> {
    pub(crate) event: &'a Event,
    /// In seconds since the epoch.
    pub(crate) now: i64,
    pub(crate) environment: Option<String>,
    pub(crate) realm: Option<String>,
    pub(crate) target: String,
    pub(crate) claims: UserClaims,
    /// Whether the response says who the user is.
    pub(crate) has_user: bool,
    pub(crate) home_account_id: Option<String>,
    pub(crate) access_token: Option<AccessTokenFacts<'a>>,
    pub(crate) id_token: Option<&'a str>,
    pub(crate) refresh_token: Option<&'a str>,
    /// The partition of the user, if there is one.
    user: Option<Partition>,
}

/// The access token of a response. Times are texts, as in the schema.
pub(crate) struct AccessTokenFacts<'a> {
    pub(crate) secret: &'a str,
    pub(crate) cached_at: String,
    pub(crate) expires_on: String,
    pub(crate) extended_expires_on: String,
    pub(crate) refresh_on: Option<String>,
    /// The parameters of the request that are part of the token's identity, and their hash.
    pub(crate) parameters: BTreeMap<&'a str, String>,
    pub(crate) ext_cache_key: Option<String>,
}

impl<'a> Facts<'a> {
    /// Parses an event that arrived at `now`, in seconds since the epoch.
    pub(crate) fn of(event: &'a Event, now: i64, profile: Profile) -> Result<Self> {
        profile.check(event)?;
        let (mut environment, mut realm) = (None, None);
        if let (Some(endpoint), None) = (&event.token_endpoint, &event.authority) {
            let (host, tenant) = environment_and_realm(endpoint).ok_or_else(|| {
                let expected = "it should be like https://login.microsoftonline.com/<tenant>/...";
                Error::invalid("event.token_endpoint", expected)
            })?;
            (environment, realm) = (Some(host), Some(tenant));
        }
        let authority = event.authority.as_ref();
        if let Some(authority) = authority {
            environment = Some(authority.environment().to_owned());
        }
        if let Some(host) = &event.environment {
            environment = Some(host.to_lowercase());
        }
        let claims = UserClaims::of(event)?;
        let (has_user, home_account_id) = match &event.home_account_id {
            Some(home) => (true, Some(home.clone())),
            None => user(event, &claims)?,
        };
        let mut scope: Vec<_> = event.scope.iter().map(String::as_str).collect();
        scope.sort_unstable();
        let user = home_account_id.as_deref().filter(|home| !home.is_empty());
        if let Some(authority) = authority {
            realm = Some(authority.realm(user).to_owned());
        }
        Ok(Self {
            now,
            environment,
            realm,
            target: scope.join(" "),
            claims,
            has_user,
            user: user.map(Partition::user),
            home_account_id,
            access_token: AccessTokenFacts::of(event, now)?,
            id_token: token(&event.response, "id_token")?,
            refresh_token: token(&event.response, "refresh_token")?,
            event,
        })
    }

    /// The partition of the record of one section.
    pub(crate) fn partition(&self, section: &CredentialType) -> Partition {
        if *section == CredentialType::AppMetadata {
            return Partition::app_metadata();
        }
        if let Some(user) = &self.user {
            return user.clone();
        }
        let realm = self.realm.as_deref();
        let access_token = || self.access_token.as_ref();
        let (client, realm, ext_cache_key) = match section {
            CredentialType::AccessToken => {
                (true, realm, access_token().and_then(|it| it.ext_cache_key.as_deref()))
            }
            CredentialType::Account => (false, realm, None),
            // Valid in all tenants.
            CredentialType::RefreshToken => (true, None, None),
            _ => (true, realm, None),
        };
        let client = self.event.client_id.as_deref().filter(|_| client);
        Partition::of_fields(section, None, client, realm, ext_cache_key)
    }

    /// The partitions of all records, each once.
    pub(crate) fn partitions(&self) -> SmallVec<[Partition; 3]> {
        if let Some(user) = &self.user {
            return SmallVec::from_iter([user.clone(), Partition::app_metadata()]);
        }
        let sections = [
            (CredentialType::AccessToken, self.access_token.is_some()),
            (CredentialType::Account, self.has_account()),
            (CredentialType::IdToken, self.id_token.is_some()),
            (CredentialType::RefreshToken, self.refresh_token.is_some()),
            (CredentialType::AppMetadata, true),
        ];
        let mut partitions = SmallVec::new();
        for (section, _) in sections.into_iter().filter(|(_, exists)| *exists) {
            let partition = self.partition(&section);
            if !partitions.contains(&partition) {
                partitions.push(partition);
            }
        }
        partitions
    }

    /// Whether an account is stored.
    pub(crate) fn has_account(&self) -> bool {
        self.has_user && !self.event.skip_account_creation
    }

    /// The partition of the user, if the response names one.
    pub(crate) fn user(&self) -> Option<&Partition> {
        self.user.as_ref()
    }

    /// Whether the response names a user.
    pub(crate) fn names_user(&self) -> bool {
        self.user.is_some()
    }
}

impl<'a> AccessTokenFacts<'a> {
    fn of(event: &'a Event, now: i64) -> Result<Option<Self>> {
        let response = &event.response;
        let Some(secret) = token(response, "access_token")? else { return Ok(None) };
        let lifetime = match time(response, "expires_in")? {
            Some(lifetime) => lifetime,
            // Managed identities return the moment instead. An empty one counts as missing.
            None if response.get("expires_on").and_then(Value::as_str) == Some("") => {
                DEFAULT_LIFETIME
            }
            None => match expiry(response)? {
                Some(at) if at != 0 => at.saturating_sub(now),
                _ => DEFAULT_LIFETIME,
            },
        };
        let extended = time(response, "ext_expires_in")?.unwrap_or(lifetime);
        let (expires_on, extended_expires_on) =
            (moment("expires_in", now, lifetime)?, moment("ext_expires_in", now, extended)?);
        let refresh_on = match time(response, "refresh_in")? {
            Some(after) => Some(moment("refresh_in", now, after)?),
            None => None,
        };
        let parameters = parameters(&event.data)?;
        Ok(Some(Self {
            secret,
            cached_at: now.to_string(),
            expires_on,
            extended_expires_on,
            refresh_on,
            ext_cache_key: ext_cache_key(&parameters),
            parameters,
        }))
    }
}

/// The parameters of a request that are part of the extended cache key.
fn parameters(data: &Fields) -> Result<BTreeMap<&str, String>> {
    let counting = data.iter().filter(|(name, _)| !NOT_IN_EXT_CACHE_KEY.contains(name));
    counting.map(|(name, value)| Ok((name, python_str(name, value)?))).collect()
}

/// The extended cache key of a request with these parameters.
pub(crate) fn ext_cache_key_of(data: &Fields) -> Result<Option<String>> {
    Ok(ext_cache_key(&parameters(data)?))
}

/// What the response says about the user, as far as a record has it.
#[derive(Default)]
pub(crate) struct UserClaims {
    /// Whether there is any claim.
    any: bool,
    pub(crate) preferred_username: Option<Claim>,
    pub(crate) upn: Option<Claim>,
    pub(crate) oid: Option<Claim>,
    pub(crate) sub: Option<Claim>,
}

/// The value of a claim.
pub(crate) enum Claim {
    Value(Value),
    /// The JSON of a string with half of a surrogate pair, which isn't Unicode text. It is stored as
    /// it is, as MSAL Python does, and is no id.
    Half(String),
}

impl Claim {
    /// An integer out of range keeps its digits, as a text.
    fn read(json: &str) -> Self {
        let is_integer = json.trim_start_matches('-').bytes().all(|it| it.is_ascii_digit());
        match serde_json::from_str(json) {
            Ok(Value::Number(it)) if is_integer && !it.is_i64() && !it.is_u64() => {
                Self::Value(json.into())
            }
            Ok(value) => Self::Value(value),
            Err(_) if json.starts_with('"') => Self::Half(json.to_owned()),
            Err(_) => Self::Value(Value::Null),
        }
    }

    fn is_truthy(&self) -> bool {
        match self {
            Self::Value(value) => is_truthy(value),
            Self::Half(_) => true,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Value(value) => value.as_str(),
            Self::Half(_) => None,
        }
    }

    /// A string, or a number as a text.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self {
            Self::Value(value) => scalar(value),
            Self::Half(_) => None,
        }
    }
}

impl<'a> From<&'a Claim> for FieldValue<'a> {
    fn from(claim: &'a Claim) -> Self {
        match claim {
            Claim::Value(value) => value.into(),
            Claim::Half(json) => Self::Raw(json),
        }
    }
}

impl UserClaims {
    /// The parsed claims of a broker, else those of the ID token.
    fn of(event: &Event) -> Result<Self> {
        let mut claims = Self::default();
        let ready = event.response.get("id_token_claims").filter(|it| is_truthy(it));
        if let Some(ready) = ready {
            let field = "event.response.id_token_claims";
            let Value::Object(ready) = ready else { return Err(not_an_object(field, ready)) };
            for (name, value) in ready {
                claims.set(name, || Claim::Value(value.clone()));
            }
        }
        if let (false, Some(id_token)) = (claims.any, token(&event.response, "id_token")?) {
            let field = "event.response.id_token";
            let read = jwt::for_each_claim(field, id_token, |name, json| {
                claims.set(name, || Claim::read(json));
            });
            // As in MSAL Python, a payload such as `null` or `[]` has no claims, where none are
            // needed.
            if !(event.response.get("client_info").is_none() && jwt::has_empty_payload(id_token)) {
                read?;
            }
        }
        Ok(claims)
    }

    /// The name of the user.
    pub(crate) fn username(&self) -> Option<&Claim> {
        // A preferred_username of null doesn't make upn the name.
        let name = self.preferred_username.as_ref().or(self.upn.as_ref());
        name.filter(|it| it.is_truthy())
    }

    /// The user's id in the tenant, as a text.
    pub(crate) fn local_account_id(&self) -> Option<String> {
        not_null(self.oid.as_ref()).or_else(|| not_null(self.sub.as_ref())).and_then(Claim::scalar)
    }

    fn set(&mut self, name: &str, value: impl FnOnce() -> Claim) {
        self.any = true;
        let claim = match name {
            "preferred_username" => &mut self.preferred_username,
            "upn" => &mut self.upn,
            "oid" => &mut self.oid,
            "sub" => &mut self.sub,
            _ => return,
        };
        *claim = Some(value());
    }
}

pub(crate) fn not_null(claim: Option<&Claim>) -> Option<&Claim> {
    claim.filter(|it| !matches!(it, Claim::Value(Value::Null)))
}

/// Whether the response names a user, and their `home_account_id`.
fn user(event: &Event, claims: &UserClaims) -> Result<(bool, Option<String>)> {
    if let Some(encoded) = event.response.get("client_info") {
        let field = "event.response.client_info";
        let Value::String(encoded) = encoded else {
            return Err(Error::invalid(field, "it is not a string"));
        };
        let (mut user, mut tenant) = (None, None);
        jwt::for_each_member_of(field, encoded, |name, json| match name {
            "uid" => user = Scalar::of(json).as_str().map(str::to_owned),
            "utid" => tenant = Scalar::of(json).as_str().map(str::to_owned),
            _ => {}
        })?;
        if let (Some(user), Some(tenant)) = (user, tenant) {
            return Ok((true, Some([user, tenant].join("."))));
        }
    }
    if !claims.any {
        return Ok((false, None));
    }
    // AD FS sends no client_info. OpenID Connect guarantees `sub`.
    let subject = not_null(claims.sub.as_ref()).and_then(Claim::scalar).ok_or_else(|| {
        let reason = "it has no sub that is text, and there is no client_info";
        Error::invalid("event.response.id_token", reason)
    })?;
    Ok((true, Some(subject)))
}

/// A token of the response; an empty one counts as none.
fn token<'a>(response: &'a Fields, name: &str) -> Result<Option<&'a str>> {
    match response.get(name) {
        None => Ok(None),
        Some(Value::String(token)) => Ok(Some(token.as_str()).filter(|token| !token.is_empty())),
        Some(other) if !is_truthy(other) => Ok(None),
        Some(other) => {
            let reason = format!("it is {} instead of a string", kind(other));
            Err(Error::invalid(format!("event.response.{name}"), reason))
        }
    }
}

/// A number of seconds in the response. AAD v1 endpoints write it as a string.
fn time(response: &Fields, name: &str) -> Result<Option<i64>> {
    let Some(value) = response.get(name) else { return Ok(None) };
    let seconds = match value {
        Value::Number(number) => seconds(&number.to_string()),
        Value::String(digits) => digits.trim().parse().ok(),
        _ => None,
    };
    let reason = "it is not a number of seconds in range";
    seconds.map(Some).ok_or_else(|| Error::invalid(format!("event.response.{name}"), reason))
}

/// The moment at which the token of a managed identity expires, as a number or a date.
fn expiry(response: &Fields) -> Result<Option<i64>> {
    match response.get("expires_on").and_then(Value::as_str).and_then(moment_of) {
        None => time(response, "expires_on"),
        moment => Ok(moment),
    }
}

/// The time `lifetime` seconds after `now`, as a text.
fn moment(name: &str, now: i64, lifetime: i64) -> Result<String> {
    let reason = "it is not a number of seconds in range";
    now.checked_add(lifetime)
        .map(|at| at.to_string())
        .ok_or_else(|| Error::invalid(format!("event.response.{name}"), reason))
}

fn not_an_object(field: &str, found: &Value) -> Error {
    let found = kind(found);
    Error::invalid(field, format!("it is {found} instead of an object"))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A request parameter as Python's `str()` writes it; empty where Python takes it for false.
///
/// Fractions, lists and objects are refused: their text depends on Python's version, and no
/// parameter has one.
pub(crate) fn python_str(name: &str, value: &Value) -> Result<String> {
    match value {
        Value::Null | Value::Bool(false) => Ok(String::new()),
        Value::Bool(true) => Ok("True".into()),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.as_f64() == Some(0.0) => Ok(String::new()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        Value::Array(items) if items.is_empty() => Ok(String::new()),
        Value::Object(fields) if fields.is_empty() => Ok(String::new()),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            let reason =
                "a parameter of the extended cache key must be a string, an integer or a boolean";
            Err(Error::invalid(format!("event.data.{name}"), reason))
        }
    }
}
