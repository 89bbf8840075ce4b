//! The client view: accounts, and tokens without user interaction.

mod accounts;
mod authorities;
mod client_credentials;
mod errors;
mod evidence;
mod extremes;
mod families;
#[cfg(any(feature = "file", feature = "sqlite"))]
mod guards;
mod plans;
mod profiles;
mod races;
mod random;
mod round_trips;
pub(crate) mod server;
mod sign_out;
mod signed_in;
mod silent;
mod threads;
mod undated;
pub(crate) mod waiting;

use msal_cache::store::CacheStore;
use msal_cache::{AccountInfo, Client, TokenCache};
use serde_json::{Value, json};

use crate::common::{CLIENT, ENVIRONMENT, NOW, REALM};

pub(crate) const HOME: &str = "uid.tenant";

/// The client of the tests.
pub(crate) fn client<S: CacheStore>(cache: &TokenCache<S>) -> Client<S> {
    cache.client(CLIENT, format!("https://{ENVIRONMENT}/{REALM}"))
}

pub(crate) fn user() -> AccountInfo {
    AccountInfo::of(HOME)
}

/// An access token of the user with these scopes that expires in this number of seconds.
pub(crate) fn access_token(scopes: &str, secret: &str, expires_in: i64) -> Value {
    json!({
        "credential_type": "AccessToken",
        "secret": secret,
        "home_account_id": HOME,
        "environment": ENVIRONMENT,
        "client_id": CLIENT,
        "realm": REALM,
        "target": scopes,
        "token_type": "Bearer",
        "cached_at": (NOW - 10).to_string(),
        "expires_on": (NOW + expires_in).to_string(),
        "extended_expires_on": (NOW + expires_in).to_string(),
    })
}

/// A refresh token of the user, stored this number of seconds ago.
pub(crate) fn refresh_token(secret: &str, age: i64) -> Value {
    json!({
        "credential_type": "RefreshToken",
        "secret": secret,
        "home_account_id": HOME,
        "environment": ENVIRONMENT,
        "client_id": CLIENT,
        "target": "openid",
        "last_modification_time": (NOW - age).to_string(),
    })
}

pub(crate) fn account() -> Value {
    json!({
        "home_account_id": HOME,
        "environment": ENVIRONMENT,
        "realm": REALM,
        "local_account_id": "uid",
        "username": "User@Example",
        "authority_type": "MSSTS",
    })
}

pub(crate) fn app_metadata(client_id: &str, family: Option<&str>) -> Value {
    json!({ "client_id": client_id, "environment": ENVIRONMENT, "family_id": family })
}

/// The record with some fields changed.
#[expect(clippy::needless_pass_by_value, reason = "it is called with a json!")]
pub(crate) fn with(mut record: Value, changes: Value) -> Value {
    let fields = record.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        fields.insert(name.clone(), value.clone());
    }
    record
}

/// Adds records to a cache, under keys that no library uses.
pub(crate) fn fill<S: CacheStore>(cache: &TokenCache<S>, sections: &[(&str, Vec<Value>)]) {
    let mut document = serde_json::Map::new();
    for (section, records) in sections {
        let keyed = records.iter().enumerate();
        let keyed: serde_json::Map<_, _> =
            keyed.map(|(at, it)| (format!("{section} {at:02}"), it.clone())).collect();
        document.insert((*section).to_owned(), keyed.into());
    }
    cache.deserialize(&Value::Object(document).to_string()).unwrap();
}

/// The records of a section, in the order of their keys.
pub(crate) fn section<S: CacheStore>(cache: &TokenCache<S>, name: &str) -> Vec<Value> {
    let document = crate::common::document(cache);
    document[name].as_object().map_or_else(Vec::new, |it| it.values().cloned().collect())
}
