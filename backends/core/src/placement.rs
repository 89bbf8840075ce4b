//! Where a record belongs, and when it expires, according to its members.

use crate::ext_cache_key::ext_cache_key;
use crate::json::{Scalar, Scanner, for_each_member, seconds};
use crate::{CredentialType, Partition};

/// Where a record belongs, and when it expires.
#[derive(Clone)]
pub(crate) struct Placement {
    pub(crate) partition: Partition,
    /// In seconds since the epoch; only access tokens expire.
    pub(crate) expires_on: Option<i64>,
}

impl Placement {
    /// The placement of a record in `section`.
    pub(crate) fn of(section: &CredentialType, value: &str) -> Self {
        let mut clues = Clues::default();
        match for_each_member(value, |name, json| clues.take(section, &name, json)) {
            Ok(()) => clues.placement(section),
            // The members that came before the error don't count.
            Err(_) => Self::unknown(),
        }
    }

    /// Scans the value of a record in `section`, and finds its placement.
    pub(crate) fn scan<'a>(
        section: &CredentialType,
        scanner: &mut Scanner<'a>,
    ) -> Option<(&'a str, Self)> {
        let mut clues = Clues::default();
        let value = scanner.value_and(|name, json| clues.take(section, name, json))?;
        let is_object = value.starts_with('{');
        Some((value, if is_object { clues.placement(section) } else { Self::unknown() }))
    }

    /// The placement of a value that isn't an object.
    fn unknown() -> Self {
        Self { partition: Partition::unowned(), expires_on: None }
    }
}

/// The members of a record that decide its placement.
#[derive(Default)]
struct Clues<'a> {
    home: Option<Scalar<'a>>,
    client: Option<Scalar<'a>>,
    realm: Option<Scalar<'a>>,
    ext_cache_key: Option<String>,
    expires_on: Option<i64>,
}

impl<'a> Clues<'a> {
    /// Notes a member of a record in `section`.
    fn take(&mut self, section: &CredentialType, name: &str, json: &'a str) {
        match name {
            "home_account_id" => self.home = Some(Scalar::of(json)),
            "client_id" => self.client = Some(Scalar::of(json)),
            "realm" => self.realm = Some(Scalar::of(json)),
            _ if *section != CredentialType::AccessToken => {}
            "expires_on" => self.expires_on = Scalar::of(json).as_str().and_then(seconds),
            name => {
                if let Some(key) = ext_cache_key_in(name, json) {
                    self.ext_cache_key = Some(key);
                }
            }
        }
    }

    /// The placement that follows.
    fn placement(self, section: &CredentialType) -> Placement {
        let partition = Partition::of_fields(
            section,
            self.home.as_ref().and_then(Scalar::as_str),
            self.client.as_ref().and_then(Scalar::as_str),
            self.realm.as_ref().and_then(Scalar::as_str),
            self.ext_cache_key.as_deref(),
        );
        Placement { partition, expires_on: self.expires_on }
    }
}

/// The extended cache key in a member of an access token. The name depends on the library: MSAL
/// Python and Go write the hash as `ext_cache_key`, Java as `ext_cache_key_hash`; Node and .NET
/// write the parameters, as `additionalCacheKeyComponents` and `ext`.
pub fn ext_cache_key_in(name: &str, json: &str) -> Option<String> {
    match name {
        "ext_cache_key" | "ext_cache_key_hash" => {
            Scalar::of(json).as_str().filter(|key| !key.is_empty()).map(str::to_owned)
        }
        "ext" | "additionalCacheKeyComponents" => {
            let mut parameters = Vec::new();
            for_each_member(json, |name, json| {
                let value = Scalar::of(json).as_str().map(str::to_owned);
                parameters.extend(value.map(|value| (name, value)));
            })
            .ok()?;
            ext_cache_key(parameters)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(credential_type: &str, value: &str) -> (String, Option<i64>) {
        let place = Placement::of(&credential_type.into(), value);
        (place.partition.as_str().to_owned(), place.expires_on)
    }

    #[test]
    fn a_record_belongs_to_its_user_or_else_to_its_client() {
        for (credential_type, value, expected) in [
            ("AccessToken", r#"{"home_account_id":"u.t","client_id":"c"}"#, "user/u.t"),
            ("Invented", r#"{"home_account_id":"u.t"}"#, "user/u.t"),
            ("AccessToken", r#"{"home_account_id":null,"client_id":"c","realm":"r"}"#, "app/c/r"),
            ("AccessToken", r#"{"home_account_id":"","client_id":"c","realm":"r"}"#, "app/c/r"),
            ("AccessToken", r#"{"client_id":"c","realm":"r"}"#, "app/c/r"),
            ("AccessToken", r#"{"client_id":"c","realm":"r","ext_cache_key":"k"}"#, "app/c/r/k"),
            ("RefreshToken", r#"{"client_id":"c"}"#, "app/c/"),
            ("AppMetadata", r#"{"client_id":"c"}"#, "metadata"),
            ("AccessToken", "null", "unowned"),
            ("AccessToken", "7", "unowned"),
            ("AccessToken", "{", "unowned"),
            ("AccessToken", "{}", "unowned"),
            ("", r#"{"home_account_id":"u.t"}"#, "unowned"),
        ] {
            assert_eq!(place(credential_type, value).0, expected, "{credential_type} {value}");
        }
    }

    #[test]
    fn the_extended_key_of_every_library_leads_to_the_same_partition() {
        let key = "cojvfy5tzae3njpkvcebguvvx5vvmnj8hphqrbogjoi";
        for mark in [
            format!(r#""ext_cache_key":"{key}""#),
            format!(r#""ext_cache_key_hash":"{key}""#),
            r#""ext":{"fmi_path":"SomeFmiPath/FmiCredentialPath"}"#.into(),
            r#""additionalCacheKeyComponents":{"fmi_path":"SomeFmiPath/FmiCredentialPath"}"#.into(),
        ] {
            let value = format!(r#"{{"client_id":"c","realm":"r",{mark}}}"#);
            assert_eq!(place("AccessToken", &value).0, format!("app/c/r/{key}"));
        }
    }

    #[test]
    fn only_access_tokens_expire() {
        let value = r#"{"client_id":"c","expires_on":"17"}"#;
        assert_eq!(place("AccessToken", value).1, Some(17));
        assert_eq!(place("RefreshToken", value).1, None);
        assert_eq!(place("AccessToken", r#"{"expires_on":null}"#).1, None);
    }
}
