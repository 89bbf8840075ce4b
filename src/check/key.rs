//! Whether a record is stored under a key that an MSAL library builds from its fields.

use msal_cache_core::CredentialType;

use super::identity::scopes;
use crate::model::Entry;

/// Whether an MSAL library would store this entry under its key. The libraries' keys have a common
/// prefix and different suffixes.
pub(super) fn key_fits(entry: &Entry) -> bool {
    let text = |name| entry.text(name).unwrap_or_default().to_lowercase();
    let (home, environment) = (text("home_account_id"), text("environment"));
    let (client, realm) = (text("client_id"), text("realm"));
    let key = entry.key().to_lowercase();
    match entry.credential_type() {
        CredentialType::AccessToken => {
            ["accesstoken", "atext", "accesstoken_with_authscheme"].iter().any(|kind| {
                let start = format!("{home}-{environment}-{kind}-{client}-{realm}-");
                key.strip_prefix(&start).is_some_and(|rest| has_scopes_prefix(entry, rest))
            })
        }
        CredentialType::RefreshToken => {
            let family = text("family_id");
            [client, family]
                .iter()
                .filter(|owner| !owner.is_empty())
                .map(|owner| format!("{home}-{environment}-refreshtoken-{owner}"))
                .any(|start| has_prefix(&key, &start))
        }
        CredentialType::IdToken => {
            has_prefix(&key, &format!("{home}-{environment}-idtoken-{client}-{realm}"))
        }
        CredentialType::Account => {
            let utid = home.rsplit_once('.').map_or("", |(_, utid)| utid);
            [&*realm, utid].iter().any(|tenant| key == format!("{home}-{environment}-{tenant}"))
        }
        // MSAL Node recognizes app metadata by this prefix, in lower case only.
        CredentialType::AppMetadata => {
            entry.key().starts_with("appmetadata-")
                && key == format!("appmetadata-{environment}-{client}")
        }
        CredentialType::Other(_) | _ => true,
    }
}

/// Whether the key is `start`, or `start` followed by a separator.
fn has_prefix(key: &str, start: &str) -> bool {
    key.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Whether the rest of an access token's key begins with the scopes of the entry, in any order.
fn has_scopes_prefix(entry: &Entry, rest: &str) -> bool {
    let target = entry.text("target").unwrap_or_default().to_lowercase();
    if has_prefix(rest, &target) {
        return true;
    }
    let wanted = scopes(entry);
    // A suffix may follow the scopes. A scope may contain the separator, so try each one.
    let ends = rest.char_indices().filter(|(_, char)| *char == '-').map(|(at, _)| at);
    ends.chain([rest.len()]).any(|end| {
        let mut found: Vec<_> = rest[..end].split_ascii_whitespace().collect();
        found.sort_unstable();
        found.dedup();
        found == wanted
    })
}
