//! The identity of a record: which records are about the same thing, whatever their keys.

use msal_cache_core::CredentialType;

use crate::model::{Entry, schema};

/// The values by which every library distinguishes two records of a section, in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct RecordIdentity(Vec<String>);

/// The identity of a readable record; `None` in an unknown section.
pub(super) fn identity(entry: &Entry) -> Option<RecordIdentity> {
    let text = |name| entry.text(name).unwrap_or_default().to_lowercase();
    let mut parts = vec![text("environment")];
    match entry.credential_type() {
        CredentialType::AccessToken => {
            parts.extend(["home_account_id", "client_id", "realm"].map(text));
            parts.push(scopes(entry).join(" "));
            parts.push(token_type(entry));
            parts.push(key_id(entry));
            parts.push(entry.ext_cache_key().unwrap_or_default().to_owned());
            parts.push(assertion(entry));
        }
        CredentialType::RefreshToken => {
            parts.extend(["home_account_id", "client_id"].map(text));
            // MSAL Python keeps one for each requested set of scopes.
            parts.push(scopes(entry).join(" "));
            parts.push(assertion(entry));
            // A family refresh token may be stored under its client and under its family. A
            // library that looks for one of them doesn't look for the other.
            parts.push(has_family_key(entry).to_string());
        }
        CredentialType::IdToken => {
            parts.extend(["home_account_id", "client_id", "realm"].map(text));
            parts.push(assertion(entry));
        }
        CredentialType::Account => parts.extend(["home_account_id", "realm"].map(text)),
        CredentialType::AppMetadata => parts.push(text("client_id")),
        CredentialType::Other(_) | _ => return None,
    }
    Some(RecordIdentity(parts))
}

/// The scopes in lower case, sorted, without duplicates.
pub(super) fn scopes(entry: &Entry) -> Vec<String> {
    let mut scopes: Vec<_> = entry.scopes().map(str::to_lowercase).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// The type of an access token in lower case; `bearer` by default.
pub(super) fn token_type(entry: &Entry) -> String {
    entry.text("token_type").map_or_else(|| schema::BEARER.to_lowercase(), |it| it.to_lowercase())
}

/// The key that a token is bound to, from any of the names in use.
fn key_id(entry: &Entry) -> String {
    schema::KEY_ID.iter().find_map(|name| entry.text(name)).unwrap_or_default().into_owned()
}

/// The hash of the user assertion in the on-behalf-of flow, from any of the names in use.
fn assertion(entry: &Entry) -> String {
    schema::ASSERTION.iter().find_map(|name| entry.text(name)).unwrap_or_default().into_owned()
}

/// Whether the key of a refresh token has the family id in place of the client id.
fn has_family_key(entry: &Entry) -> bool {
    let Some(family) = entry.text("family_id").filter(|family| !family.is_empty()) else {
        return false;
    };
    let label = format!("-refreshtoken-{}", family.to_lowercase());
    let key = entry.key().to_lowercase();
    key.split_once(&label).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('-'))
}
