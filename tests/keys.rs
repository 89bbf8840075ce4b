//! Keys, compared with a model of one line.

use msal_cache::{CredentialType, Entry, Fields};
use proptest::prelude::*;

fn part() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[a-zA-Z0-9 .:/_ÄßŞ語-]{0,12}")
}

proptest! {
    #[test]
    fn a_key_is_its_parts_joined_in_lower_case(
        home in part(),
        environment in part(),
        client in part(),
        realm in part(),
        target in part(),
        ext in prop::option::of("[a-zA-Z0-9_-]{1,12}"),
    ) {
        let fields: Fields = [
            ("home_account_id", &home),
            ("environment", &environment),
            ("client_id", &client),
            ("realm", &realm),
            ("target", &target),
            ("ext_cache_key", &ext),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect();
        let key = |of| Entry::new(of, &fields).unwrap().key().to_owned();
        let [home, environment, client, realm, target] =
            [home, environment, client, realm, target].map(Option::unwrap_or_default);
        let kind = if ext.is_some() { "atext" } else { "accesstoken" };
        let ext = ext.map(|ext| format!("-{ext}")).unwrap_or_default();
        for (of, model) in [
            (
                CredentialType::AccessToken,
                format!("{home}-{environment}-{kind}-{client}-{realm}-{target}{ext}").to_lowercase(),
            ),
            (
                CredentialType::RefreshToken,
                format!("{home}-{environment}-refreshtoken-{client}--{target}").to_lowercase(),
            ),
            (
                CredentialType::IdToken,
                format!("{home}-{environment}-idtoken-{client}-{realm}-").to_lowercase(),
            ),
            (CredentialType::Account, format!("{home}-{environment}-{realm}").to_lowercase()),
            (CredentialType::AppMetadata, format!("appmetadata-{environment}-{client}")),
        ] {
            prop_assert_eq!(key(of), model);
        }
    }
}
