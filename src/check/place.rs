//! Whether a key is one that some MSAL library gives to these fields.

use msal_cache_core::CredentialType;

use super::identity::scopes;
use crate::Entry;

/// Whether a library would store this entry under the key that it has. The libraries differ in
/// what they append; what they begin with is the same.
pub(super) fn key_fits(entry: &Entry) -> bool {
    let text = |name| entry.text(name).unwrap_or_default().to_lowercase();
    let (home, environment) = (text("home_account_id"), text("environment"));
    let (client, realm) = (text("client_id"), text("realm"));
    let key = entry.key().to_lowercase();
    match entry.credential_type() {
        CredentialType::AccessToken => {
            ["accesstoken", "atext", "accesstoken_with_authscheme"].iter().any(|kind| {
                let start = format!("{home}-{environment}-{kind}-{client}-{realm}-");
                key.strip_prefix(&start).is_some_and(|rest| begins_with_scopes(entry, rest))
            })
        }
        CredentialType::RefreshToken => {
            let family = text("family_id");
            [client, family]
                .iter()
                .filter(|slot| !slot.is_empty())
                .any(|slot| begins_with(&key, &format!("{home}-{environment}-refreshtoken-{slot}")))
        }
        CredentialType::IdToken => {
            begins_with(&key, &format!("{home}-{environment}-idtoken-{client}-{realm}"))
        }
        CredentialType::Account => {
            let utid = home.rsplit_once('.').map_or("", |(_, utid)| utid);
            [&*realm, utid].iter().any(|tenant| key == format!("{home}-{environment}-{tenant}"))
        }
        // MSAL Node tells these by their first word, in lower case.
        CredentialType::AppMetadata => {
            entry.key().starts_with("appmetadata-")
                && key == format!("appmetadata-{environment}-{client}")
        }
        CredentialType::Other(_) | _ => true,
    }
}

/// Whether the key is `start`, or goes on behind it with a separator.
fn begins_with(key: &str, start: &str) -> bool {
    key.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Whether the last part of a key has the scopes of the entry, in any order.
fn begins_with_scopes(entry: &Entry, rest: &str) -> bool {
    let target = entry.text("target").unwrap_or_default().to_lowercase();
    if begins_with(rest, &target) {
        return true;
    }
    let wanted = scopes(entry);
    // Behind the scopes comes what sets the token apart. A scope may have a separator in it.
    let ends = rest.char_indices().filter(|(_, char)| *char == '-').map(|(at, _)| at);
    ends.chain([rest.len()]).any(|end| {
        let mut found: Vec<_> = rest[..end].split_ascii_whitespace().collect();
        found.sort_unstable();
        found.dedup();
        found == wanted
    })
}
