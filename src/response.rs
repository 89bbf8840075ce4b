//! From a token response to the records that MSAL Python 1.39 makes of it
//! (`TokenCache.__add`): which ones, under which keys, with which fields. For
//! [`Profile::Family`] they are then made to what all libraries read.

use std::collections::BTreeMap;
use std::sync::Arc;

use msal_cache_core::{CredentialType, Error, Result, Scalar, ext_cache_key};
use serde_json::Value;

use crate::family::{self, Environments};
use crate::keys::Parts;
use crate::object::Part;
use crate::{AuthorityType, Entry, Event, Fields, Profile, environment_and_realm, jwt};

/// The lifetime of an access token whose response doesn't tell it, in seconds.
const DEFAULT_LIFETIME: i64 = 600;

/// The grants in which a user signs in, so that the account remembers which one it was.
const ESTABLISH_AN_ACCOUNT: [&str; 5] = [
    "broker",
    "authorization_code",
    "password",
    "urn:ietf:params:oauth:grant-type:device_code",
    "user_fic",
];

/// Parameters of a request that don't set its tokens apart: the standard ones, and those that
/// the key of an access token holds anyway (`_EXT_CACHE_KEY_EXCLUDED_FIELDS`).
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

/// The records of a response that arrived at `now`, in the order in which MSAL Python adds them.
/// `environments` take the place of that of the event.
pub(crate) fn records(
    event: &Event,
    now: i64,
    profile: Profile,
    environments: &Environments,
) -> Result<Vec<Entry>> {
    if profile == Profile::Family {
        family::check(event)?;
    }
    let context = Context::of(event, profile, environments)?;
    let mut records = Vec::with_capacity(5);
    records.extend(context.access_token(now)?);
    records.extend(context.account());
    records.extend(context.id_token()?);
    records.extend(context.refresh_token(now)?);
    records.push(context.app_metadata());
    Ok(records)
}

struct Context<'a> {
    event: &'a Event,
    profile: Profile,
    environment: Option<String>,
    environment_of_metadata: Option<String>,
    realm: Option<String>,
    target: String,
    claims: Claims,
    /// Whether the response tells who the user is.
    has_user: bool,
    home_account_id: Option<String>,
}

impl<'a> Context<'a> {
    fn of(event: &'a Event, profile: Profile, environments: &Environments) -> Result<Self> {
        let (mut environment, mut realm) = (None, None);
        if let Some(endpoint) = &event.token_endpoint {
            let (host, tenant) = environment_and_realm(endpoint).ok_or_else(|| {
                let expected = "it should be like https://login.microsoftonline.com/<tenant>/...";
                Error::invalid("event.token_endpoint", expected)
            })?;
            (environment, realm) = (Some(host), Some(tenant));
        }
        if let Some(host) = &event.environment {
            environment = Some(host.to_lowercase());
        }
        let environment_of_metadata = environments.metadata.clone().or_else(|| environment.clone());
        let environment = environments.user.clone().or(environment);
        let claims = Claims::of(event)?;
        let (has_user, home_account_id) = match &event.home_account_id {
            Some(home) => (true, Some(home.clone())),
            None => user(event, &claims)?,
        };
        let mut scope: Vec<_> = event.scope.iter().map(String::as_str).collect();
        scope.sort_unstable();
        let target = scope.join(" ");
        Ok(Self {
            event,
            profile,
            environment,
            environment_of_metadata,
            realm,
            target,
            claims,
            has_user,
            home_account_id,
        })
    }

    fn access_token(&self, now: i64) -> Result<Option<Entry>> {
        let response = &self.event.response;
        let Some(secret) = token(response, "access_token")? else { return Ok(None) };
        let lifetime = match time(response, "expires_in")? {
            Some(lifetime) => lifetime,
            // Managed identities tell the moment instead. An empty one is none.
            None if response.get("expires_on").and_then(Value::as_str) == Some("") => {
                DEFAULT_LIFETIME
            }
            None => match time(response, "expires_on")? {
                Some(at) if at != 0 => at.saturating_sub(now),
                _ => DEFAULT_LIFETIME,
            },
        };
        let extended = time(response, "ext_expires_in")?.unwrap_or(lifetime);
        let (expires_on, extended) =
            (moment("expires_in", now, lifetime)?, moment("ext_expires_in", now, extended)?);
        let refresh_on = match time(response, "refresh_in")? {
            Some(after) => Some(moment("refresh_in", now, after)?),
            None => None,
        };
        let (cached_at, parameters) = (now.to_string(), parameters(&self.event.data)?);
        let ext_cache_key = ext_cache_key(&parameters);
        let mut fields: Vec<(&str, Part<'_>)> = vec![
            ("credential_type", "AccessToken".into()),
            ("secret", secret.into()),
            ("home_account_id", (&self.home_account_id).into()),
            ("environment", (&self.environment).into()),
            ("client_id", (&self.event.client_id).into()),
            ("target", (&self.target).into()),
            ("realm", (&self.realm).into()),
            ("token_type", response.get("token_type").map_or("Bearer".into(), Part::from)),
            ("cached_at", (&cached_at).into()),
            ("expires_on", (&expires_on).into()),
            ("extended_expires_on", (&extended).into()),
        ];
        if self.event.data.contains("key_id") {
            let key_id = self.event.data.get("key_id");
            fields.push(("key_id", key_id.map_or(Part::Null, Part::from)));
        }
        if let Some(key) = &ext_cache_key {
            fields.push(("ext_cache_key", key.into()));
            if self.profile == Profile::Family {
                fields.extend(family::marks(key, &parameters));
            }
        }
        if let Some(refresh_on) = &refresh_on {
            fields.push(("refresh_on", refresh_on.into()));
        }
        let parts = Parts { ext_cache_key: ext_cache_key.as_deref(), ..self.parts() };
        Ok(Some(self.record(CredentialType::AccessToken, parts, fields)))
    }

    fn account(&self) -> Option<Entry> {
        if !self.has_user || self.event.skip_account_creation {
            return None;
        }
        let claims = &self.claims;
        // A name that is there and null is not looked for elsewhere in the claims.
        let username = claims.preferred_username.as_ref().or(claims.upn.as_ref());
        let username = [not_null(username), self.event.data.get("username")]
            .into_iter()
            .flatten()
            .find(|name| name.as_str() != Some(""));
        let given = || self.event.username.as_deref().unwrap_or_default();
        let username = username.map_or_else(|| given().into(), Part::from);
        // A number, if somebody writes one, is a text in the home account id too.
        let claimed = not_null(claims.oid.as_ref()).or_else(|| not_null(claims.sub.as_ref()));
        let claimed_text = claimed.and_then(scalar);
        let local_account_id = match (&self.event.account_id, &claimed_text, claimed) {
            (Some(id), ..) | (None, Some(id), _) => id.into(),
            (None, None, Some(odd)) => odd.into(),
            (None, None, None) => Part::Null,
        };
        let is_adfs = self.realm.as_deref() == Some("adfs");
        let by_realm = if is_adfs { AuthorityType::Adfs } else { AuthorityType::Mssts };
        let authority_type = self.event.authority_type.as_ref().unwrap_or(&by_realm);
        let mut fields = vec![
            ("home_account_id", (&self.home_account_id).into()),
            ("environment", (&self.environment).into()),
            ("realm", (&self.realm).into()),
            ("local_account_id", local_account_id),
            ("username", username),
            ("authority_type", authority_type.as_str().into()),
        ];
        let grant = self.event.grant_type.as_deref();
        if let Some(grant) = grant.filter(|grant| ESTABLISH_AN_ACCOUNT.contains(grant)) {
            fields.push(("account_source", grant.into()));
        }
        Some(self.record(CredentialType::Account, self.parts(), fields))
    }

    fn id_token(&self) -> Result<Option<Entry>> {
        let Some(secret) = token(&self.event.response, "id_token")? else { return Ok(None) };
        let fields = vec![
            ("credential_type", "IdToken".into()),
            ("secret", secret.into()),
            ("home_account_id", (&self.home_account_id).into()),
            ("environment", (&self.environment).into()),
            ("realm", (&self.realm).into()),
            ("client_id", (&self.event.client_id).into()),
        ];
        Ok(Some(self.record(CredentialType::IdToken, self.parts(), fields)))
    }

    fn refresh_token(&self, now: i64) -> Result<Option<Entry>> {
        let response = &self.event.response;
        let Some(secret) = token(response, "refresh_token")? else { return Ok(None) };
        let now = now.to_string();
        let mut fields = vec![
            ("credential_type", "RefreshToken".into()),
            ("secret", secret.into()),
            ("home_account_id", (&self.home_account_id).into()),
            ("environment", (&self.environment).into()),
            ("client_id", (&self.event.client_id).into()),
            ("target", (&self.target).into()),
            ("last_modification_time", (&now).into()),
        ];
        if let Some(family) = response.get("foci") {
            fields.push(("family_id", family.into()));
        }
        Ok(Some(self.record(CredentialType::RefreshToken, self.parts(), fields)))
    }

    fn app_metadata(&self) -> Entry {
        let environment = &self.environment_of_metadata;
        let mut fields = vec![
            ("client_id", (&self.event.client_id).into()),
            ("environment", environment.into()),
        ];
        if let Some(family) = self.event.response.get("foci") {
            fields.push(("family_id", family.into()));
        }
        let parts = Parts { environment: environment.as_deref(), ..self.parts() };
        self.record(CredentialType::AppMetadata, parts, fields)
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            home_account_id: self.home_account_id.as_deref(),
            environment: self.environment.as_deref(),
            client_id: Some(&self.event.client_id),
            realm: self.realm.as_deref(),
            target: Some(&self.target),
            ext_cache_key: None,
        }
    }

    fn record(
        &self,
        credential_type: CredentialType,
        parts: Parts<'_>,
        fields: Vec<(&'static str, Part<'_>)>,
    ) -> Entry {
        let (parts, fields) = match self.profile {
            Profile::Python => (parts, fields),
            Profile::Family => family::record(&credential_type, parts, fields),
        };
        // The five sections of the schema, which alone are built here, all have a rule.
        let key: Arc<str> = parts.key(&credential_type).unwrap_or_default();
        Entry::written(credential_type, key, &fields)
    }
}

/// The parameters of a request that set its tokens apart.
fn parameters(data: &Fields) -> Result<BTreeMap<&str, String>> {
    let counting = data.iter().filter(|(name, _)| !NOT_IN_EXT_CACHE_KEY.contains(name));
    counting.map(|(name, value)| Ok((name, python_str(name, value)?))).collect()
}

/// The extended cache key of a request with these parameters.
pub(crate) fn ext_cache_key_of(data: &Fields) -> Result<Option<String>> {
    Ok(ext_cache_key(&parameters(data)?))
}

/// What the response says about the user, as far as it becomes part of a record.
#[derive(Default)]
struct Claims {
    /// Whether there is any claim.
    any: bool,
    preferred_username: Option<Value>,
    upn: Option<Value>,
    oid: Option<Value>,
    sub: Option<Value>,
}

impl Claims {
    /// Ready-made claims of a broker, else those of the ID token.
    fn of(event: &Event) -> Result<Self> {
        let mut claims = Self::default();
        if let Some(ready) = event.response.get("id_token_claims") {
            let field = "event.response.id_token_claims";
            let Value::Object(ready) = ready else { return Err(not_an_object(field, ready)) };
            for (name, value) in ready {
                claims.set(name, || value.clone());
            }
        }
        if let (false, Some(id_token)) = (claims.any, token(&event.response, "id_token")?) {
            let field = "event.response.id_token";
            jwt::for_each_claim(field, id_token, |name, json| {
                claims.set(name, || serde_json::from_str(json).unwrap_or_default());
            })?;
        }
        Ok(claims)
    }

    fn set(&mut self, name: &str, value: impl FnOnce() -> Value) {
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

fn not_null(claim: Option<&Value>) -> Option<&Value> {
    claim.filter(|value| !value.is_null())
}

/// Whether there is a user, and the id under which all tenants know them.
fn user(event: &Event, claims: &Claims) -> Result<(bool, Option<String>)> {
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
    let subject = not_null(claims.sub.as_ref()).and_then(scalar).ok_or_else(|| {
        Error::invalid("event.response.id_token", "it has no sub, and there is no client_info")
    })?;
    Ok((true, Some(subject)))
}

/// A token of the response; an empty one counts as none.
fn token<'a>(response: &'a Fields, name: &str) -> Result<Option<&'a str>> {
    match response.get(name) {
        None => Ok(None),
        Some(Value::String(token)) => Ok(Some(token.as_str()).filter(|token| !token.is_empty())),
        Some(other) => {
            let reason = format!("it is {} instead of a string", crate::fields::kind(other));
            Err(Error::invalid(format!("event.response.{name}"), reason))
        }
    }
}

/// A number of seconds in the response. AAD v1 endpoints write it as a string.
fn time(response: &Fields, name: &str) -> Result<Option<i64>> {
    let Some(value) = response.get(name) else { return Ok(None) };
    let seconds = match value {
        Value::Number(number) => msal_cache_core::seconds(&number.to_string()),
        Value::String(digits) => digits.trim().parse().ok(),
        _ => None,
    };
    let reason = "it is not a number of seconds in range";
    seconds.map(Some).ok_or_else(|| Error::invalid(format!("event.response.{name}"), reason))
}

/// The moment `lifetime` seconds after `now`, as the schema has it: in a string.
fn moment(name: &str, now: i64, lifetime: i64) -> Result<String> {
    let reason = "it is not a number of seconds in range";
    now.checked_add(lifetime)
        .map(|at| at.to_string())
        .ok_or_else(|| Error::invalid(format!("event.response.{name}"), reason))
}

fn not_an_object(field: &str, found: &Value) -> Error {
    let found = crate::fields::kind(found);
    Error::invalid(field, format!("it is {found} instead of an object"))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What `str()` makes of a request parameter in Python; empty where it counts as false there.
///
/// Of a fraction or a list it makes what Python alone can tell. Nobody sends one.
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
            let reason = "what sets tokens apart must be a string, a whole number or a boolean";
            Err(Error::invalid(format!("event.data.{name}"), reason))
        }
    }
}
