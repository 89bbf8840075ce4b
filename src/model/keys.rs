//! The keys under which MSAL Python 1.39 stores records (`TokenCache.key_makers`).
//!
//! Fields are joined by `-`, absent ones as empty texts, and the key is in lower case; only the key
//! of app metadata keeps its case.

use std::sync::Arc;

use msal_cache_core::CredentialType;

/// The fields that keys are made of.
#[derive(Clone, Copy, Default)]
pub(crate) struct KeyFields<'a> {
    pub(crate) home_account_id: Option<&'a str>,
    pub(crate) environment: Option<&'a str>,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) realm: Option<&'a str>,
    pub(crate) target: Option<&'a str>,
    pub(crate) ext_cache_key: Option<&'a str>,
}

impl KeyFields<'_> {
    /// The key of a record with these fields; `None` for a section that the schema has no rule for.
    pub(crate) fn key(self, credential_type: &CredentialType) -> Option<Arc<str>> {
        let [home, environment, client, realm, target] =
            [self.home_account_id, self.environment, self.client_id, self.realm, self.target]
                .map(Option::unwrap_or_default);
        let mut key = match credential_type {
            CredentialType::AccessToken => match self.ext_cache_key.filter(|key| !key.is_empty()) {
                None => [home, environment, "accesstoken", client, realm, target].join("-"),
                Some(ext) => [home, environment, "atext", client, realm, target, ext].join("-"),
            },
            // A refresh token is valid in all tenants, so the realm is empty.
            CredentialType::RefreshToken => {
                [home, environment, "refreshtoken", client, "", target].join("-")
            }
            // The target is empty.
            CredentialType::IdToken => [home, environment, "idtoken", client, realm, ""].join("-"),
            CredentialType::Account => [home, environment, realm].join("-"),
            CredentialType::AppMetadata => {
                return Some(format!("appmetadata-{environment}-{client}").into());
            }
            _ => return None,
        };
        if key.is_ascii() {
            key.make_ascii_lowercase();
        } else {
            key = key.to_lowercase();
        }
        Some(key.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: KeyFields<'_> = KeyFields {
        home_account_id: Some("UID.UTID"),
        environment: Some("login.example"),
        client_id: Some("Client"),
        realm: Some("Tenant"),
        target: Some("User.Read openid"),
        ext_cache_key: None,
    };

    fn key(fields: KeyFields<'_>, credential_type: &str) -> String {
        fields.key(&credential_type.into()).unwrap().to_string()
    }

    #[test]
    fn keys_are_those_of_msal_python() {
        for (credential_type, expected) in [
            ("AccessToken", "uid.utid-login.example-accesstoken-client-tenant-user.read openid"),
            ("RefreshToken", "uid.utid-login.example-refreshtoken-client--user.read openid"),
            ("IdToken", "uid.utid-login.example-idtoken-client-tenant-"),
            ("Account", "uid.utid-login.example-tenant"),
            ("AppMetadata", "appmetadata-login.example-Client"),
        ] {
            assert_eq!(key(FIELDS, credential_type), expected);
        }
        assert_eq!(FIELDS.key(&"Invented".into()), None);
    }

    #[test]
    fn absent_fields_are_empty() {
        assert_eq!(key(KeyFields::default(), "AccessToken"), "--accesstoken---");
        assert_eq!(key(KeyFields::default(), "Account"), "--");
        assert_eq!(key(KeyFields::default(), "AppMetadata"), "appmetadata--");
    }

    #[test]
    fn an_extended_cache_key_makes_another_kind_of_key() {
        let extended = KeyFields { ext_cache_key: Some("HASH"), ..FIELDS };
        assert_eq!(
            key(extended, "AccessToken"),
            "uid.utid-login.example-atext-client-tenant-user.read openid-hash"
        );
        let empty = KeyFields { ext_cache_key: Some(""), ..FIELDS };
        assert_eq!(key(empty, "AccessToken"), key(FIELDS, "AccessToken"));
    }
}
