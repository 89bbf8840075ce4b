//! From the facts of a token response to the records that MSAL Python 1.39 writes
//! (`TokenCache.__add`): which ones, under which keys, with which fields.
//! [`Profile::Family`] adapts them to all libraries.

use std::sync::Arc;

use msal_cache_core::{CredentialType, Result};

use crate::model::{
    AuthorityKind, AuthorityType, Clouds, Entry, FieldValue, KeyFields, Profile, is_truthy, schema,
};
use crate::plan::facts::{Claim, Facts, not_null};
use crate::plan::family::{self, Environments};
use crate::plan::read_set::ReadSet;

/// The grants by which a user signs in. The account records which one it was.
const ESTABLISH_AN_ACCOUNT: [&str; 5] = [
    "broker",
    "authorization_code",
    "password",
    "urn:ietf:params:oauth:grant-type:device_code",
    "user_fic",
];

/// The field of an access token on behalf of a user with the refresh token for the same assertion. They
/// are one record, so that they are found and deleted together.
pub(crate) const INNER_REFRESH_TOKEN: &str = "refresh_token";

/// The records of a response, adapted by the profile to what is stored, in the order in which MSAL
/// Python adds them.
pub(crate) fn records(
    facts: &Facts<'_>,
    stored: &ReadSet,
    profile: Profile,
    clouds: &Clouds,
) -> Result<Vec<Entry>> {
    match profile {
        Profile::Python => Ok(write(facts, profile, &Environments::default())),
        Profile::Family => {
            let environments = family::environments(stored, facts, clouds);
            let mut records = write(facts, profile, &environments);
            family::adapt(&mut records, stored)?;
            Ok(records)
        }
    }
}

/// The record of the access token, adapted to nothing that is stored; for a token that can't be
/// stored.
pub(crate) fn access_token(facts: &Facts<'_>, profile: Profile) -> Option<Entry> {
    RecordWriter { facts, profile, environments: &Environments::default() }.access_token()
}

fn write(facts: &Facts<'_>, profile: Profile, environments: &Environments) -> Vec<Entry> {
    let writer = RecordWriter { facts, profile, environments };
    let mut records = Vec::with_capacity(5);
    records.extend(writer.access_token());
    records.extend(writer.account());
    records.extend(writer.id_token());
    records.extend(writer.refresh_token());
    records.extend(writer.app_metadata());
    records
}

struct RecordWriter<'a> {
    facts: &'a Facts<'a>,
    profile: Profile,
    environments: &'a Environments,
}

impl<'a> RecordWriter<'a> {
    fn access_token(&self) -> Option<Entry> {
        let (facts, response) = (self.facts, &self.facts.event.response);
        let token = facts.access_token.as_ref()?;
        let token_type = response.get("token_type").map_or(schema::BEARER.into(), FieldValue::from);
        let mut fields: Vec<(&str, FieldValue<'_>)> = vec![
            ("credential_type", "AccessToken".into()),
            ("secret", token.secret.into()),
            ("home_account_id", (&facts.home_account_id).into()),
            ("environment", self.environment().into()),
            ("client_id", (&facts.event.client_id).into()),
            ("target", (&facts.target).into()),
            ("realm", (&facts.realm).into()),
            ("token_type", token_type),
            ("cached_at", (&token.cached_at).into()),
            ("expires_on", (&token.expires_on).into()),
            ("extended_expires_on", (&token.extended_expires_on).into()),
        ];
        if facts.event.data.contains("key_id") {
            let key_id = facts.event.data.get("key_id");
            fields.push(("key_id", key_id.map_or(FieldValue::Null, FieldValue::from)));
        }
        if let Some(key) = &token.ext_cache_key {
            fields.push(("ext_cache_key", key.into()));
            if self.profile == Profile::Family {
                fields.extend(family::extended_key_fields(key, &token.parameters));
            }
        }
        if let Some(refresh_on) = &token.refresh_on {
            fields.push(("refresh_on", refresh_on.into()));
        }
        if let Some(refresh_token) = &facts.event.inner_refresh_token {
            fields.push((INNER_REFRESH_TOKEN, refresh_token.as_str().into()));
        }
        let key = KeyFields { ext_cache_key: token.ext_cache_key.as_deref(), ..self.key() };
        Some(self.record(CredentialType::AccessToken, key, fields))
    }

    fn account(&self) -> Option<Entry> {
        let (facts, event) = (self.facts, self.facts.event);
        if !facts.has_account() {
            return None;
        }
        let claims = &facts.claims;
        let requested = event.data.get("username").filter(|name| is_truthy(name));
        let given = || event.username.as_deref().unwrap_or_default();
        let username = match (claims.username(), requested) {
            (Some(claimed), _) => claimed.into(),
            (None, Some(requested)) => requested.into(),
            (None, None) => given().into(),
        };
        // A number is written as a text, as in the home account id.
        let claimed = not_null(claims.oid.as_ref()).or_else(|| not_null(claims.sub.as_ref()));
        let claimed_text = claimed.and_then(Claim::scalar);
        let local_account_id = match (&event.account_id, &claimed_text, claimed) {
            (Some(id), ..) | (None, Some(id), _) => id.into(),
            (None, None, Some(odd)) => odd.into(),
            (None, None, None) => FieldValue::Null,
        };
        let is_adfs = match &event.authority {
            Some(authority) => authority.kind() == AuthorityKind::Adfs,
            None => facts.realm.as_deref() == Some("adfs"),
        };
        let by_realm = if is_adfs { AuthorityType::Adfs } else { AuthorityType::Mssts };
        let authority_type = event.authority_type.as_ref().unwrap_or(&by_realm);
        let mut fields = vec![
            ("home_account_id", (&facts.home_account_id).into()),
            ("environment", self.environment().into()),
            ("realm", (&facts.realm).into()),
            ("local_account_id", local_account_id),
            ("username", username),
            ("authority_type", authority_type.as_str().into()),
        ];
        let grant = event.grant_type.as_deref();
        if let Some(grant) = grant.filter(|grant| ESTABLISH_AN_ACCOUNT.contains(grant)) {
            fields.push(("account_source", grant.into()));
        }
        Some(self.record(CredentialType::Account, self.key(), fields))
    }

    fn id_token(&self) -> Option<Entry> {
        let facts = self.facts;
        let fields = vec![
            ("credential_type", "IdToken".into()),
            ("secret", facts.id_token?.into()),
            ("home_account_id", (&facts.home_account_id).into()),
            ("environment", self.environment().into()),
            ("realm", (&facts.realm).into()),
            ("client_id", (&facts.event.client_id).into()),
        ];
        Some(self.record(CredentialType::IdToken, self.key(), fields))
    }

    fn refresh_token(&self) -> Option<Entry> {
        let (facts, now) = (self.facts, self.facts.now.to_string());
        let mut fields = vec![
            ("credential_type", "RefreshToken".into()),
            ("secret", facts.refresh_token?.into()),
            ("home_account_id", (&facts.home_account_id).into()),
            ("environment", self.environment().into()),
            ("client_id", (&facts.event.client_id).into()),
            ("target", (&facts.target).into()),
            ("last_modification_time", (&now).into()),
        ];
        if let Some(family) = facts.event.response.get("foci") {
            fields.push(("family_id", family.into()));
        }
        Some(self.record(CredentialType::RefreshToken, self.key(), fields))
    }

    fn app_metadata(&self) -> Option<Entry> {
        let facts = self.facts;
        // Nothing is known of no client. MSAL Python writes that, too.
        if self.profile == Profile::Family && facts.event.client_id.is_none() {
            return None;
        }
        let environment = self.environments.metadata.as_ref().or(facts.environment.as_ref());
        let environment = environment.map(String::as_str);
        let mut fields = vec![
            ("client_id", (&facts.event.client_id).into()),
            ("environment", environment.into()),
        ];
        if let Some(family) = facts.event.response.get("foci") {
            fields.push(("family_id", family.into()));
        }
        let key = KeyFields { environment, ..self.key() };
        Some(self.record(CredentialType::AppMetadata, key, fields))
    }

    fn environment(&self) -> Option<&'a str> {
        let environment = self.environments.user.as_ref().or(self.facts.environment.as_ref());
        environment.map(String::as_str)
    }

    fn key(&self) -> KeyFields<'a> {
        let facts = self.facts;
        KeyFields {
            home_account_id: facts.home_account_id.as_deref(),
            environment: self.environment(),
            client_id: facts.event.client_id.as_deref(),
            realm: facts.realm.as_deref(),
            target: Some(&facts.target),
            ext_cache_key: None,
        }
    }

    fn record(
        &self,
        section: CredentialType,
        key: KeyFields<'_>,
        fields: Vec<(&'static str, FieldValue<'_>)>,
    ) -> Entry {
        let (key, fields) = match self.profile {
            Profile::Python => (key, fields),
            Profile::Family => family::record(&section, key, fields),
        };
        // The schema has a rule for the keys of its five sections.
        let key: Arc<str> = key.key(&section).unwrap_or_default();
        let partition = self.facts.partition(&section);
        Entry::written(section, key, &fields, Some(&partition))
    }
}
