//! Whether a record is stored under a key that an MSAL library builds from its fields.

use std::collections::HashSet;

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

/// Whether the rest of an access token's key is the scopes of the entry, in any order. A suffix may
/// follow the last one.
fn has_scopes_prefix(entry: &Entry, rest: &str) -> bool {
    let target = entry.text("target").unwrap_or_default().to_lowercase();
    if has_prefix(rest, &target) {
        return true;
    }
    let scopes = scopes(entry);
    let wanted: HashSet<&str> = scopes.iter().map(String::as_str).collect();
    let mut missing = wanted.clone();
    let mut last = None;
    for word in rest.split_ascii_whitespace() {
        if missing.len() == 1 && last.is_none() {
            last = missing.iter().next().copied();
        }
        // A scope may contain the separator, so only the last one is compared with a part.
        let ends = match last {
            Some(scope) => word.strip_prefix(scope).is_some_and(|rest| rest.starts_with('-')),
            None => missing.is_empty() && word.starts_with('-'),
        };
        if ends {
            return true;
        }
        if !wanted.contains(word) {
            return false;
        }
        missing.remove(word);
    }
    missing.is_empty()
}

#[cfg(test)]
mod tests {
    use msal_cache_core::CredentialType;

    use super::*;
    use crate::Fields;

    fn fits(target: &str, rest: &str) -> bool {
        let fields = Fields::new().set("target", target).set("secret", "s");
        has_scopes_prefix(&Entry::new(CredentialType::AccessToken, &fields).unwrap(), rest)
    }

    #[test]
    fn scopes_fit_in_any_order_and_before_a_suffix() {
        for rest in ["b a-c", "a-c b", "a-c b-", "b a-c-pop", "a-c b-pop-x y", "b b a-c"] {
            assert!(fits("a-C b", rest), "{rest}");
        }
        for rest in
            ["", "A-C B", "a-c", "b", "b a", "b a-cd", "a-c bc", "a-c b d", "d b a-c", "b-pop a-c"]
        {
            assert!(!fits("a-C b", rest), "{rest}");
        }
        for (rest, wanted) in [("", true), ("-pop", true), ("a", false)] {
            assert_eq!(fits("", rest), wanted, "{rest}");
        }
    }
}
