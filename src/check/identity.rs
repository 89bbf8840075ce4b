//! Which records stand for the same thing, whatever their keys are.

use msal_cache_core::CredentialType;

use crate::Entry;

/// What tells two records of a section apart for every library. Texts are in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity(Vec<String>);

/// The identity of a record that can be read; none in sections that nobody knows.
pub(super) fn identity(entry: &Entry) -> Option<Identity> {
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
            // MSAL Python keeps one for each set of scopes that was asked for.
            parts.push(scopes(entry).join(" "));
            parts.push(assertion(entry));
            // One of a family may stand under its client and under its family. The libraries
            // that look for one of them don't look for the other.
            parts.push(is_under_its_family(entry).to_string());
        }
        CredentialType::IdToken => {
            parts.extend(["home_account_id", "client_id", "realm"].map(text));
            parts.push(assertion(entry));
        }
        CredentialType::Account => parts.extend(["home_account_id", "realm"].map(text)),
        CredentialType::AppMetadata => parts.push(text("client_id")),
        CredentialType::Other(_) | _ => return None,
    }
    Some(Identity(parts))
}

/// The scopes in lower case, sorted, each once.
pub(super) fn scopes(entry: &Entry) -> Vec<String> {
    let mut scopes: Vec<_> = entry.scopes().map(str::to_lowercase).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// The type of an access token, in lower case; `bearer` where it doesn't say.
pub(super) fn token_type(entry: &Entry) -> String {
    entry.text("token_type").map_or_else(|| "bearer".into(), |it| it.to_lowercase())
}

/// The key that a token is bound to, under whichever name its library wrote it.
fn key_id(entry: &Entry) -> String {
    let names = ["key_id", "keyid", "kid"];
    names.iter().find_map(|name| entry.text(name)).unwrap_or_default().into_owned()
}

/// The assertion that a token was got on behalf of, under whichever name.
fn assertion(entry: &Entry) -> String {
    let names = ["user_assertion_hash", "userAssertionHash"];
    names.iter().find_map(|name| entry.text(name)).unwrap_or_default().into_owned()
}

/// Whether a refresh token stands where the family has the place of the client.
fn is_under_its_family(entry: &Entry) -> bool {
    let Some(family) = entry.text("family_id").filter(|family| !family.is_empty()) else {
        return false;
    };
    let place = format!("-refreshtoken-{}", family.to_lowercase());
    let key = entry.key().to_lowercase();
    key.split_once(&place).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('-'))
}
