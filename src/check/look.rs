//! Looking at entries for what is wrong with them.

use std::collections::{HashMap, HashSet};

use msal_cache_core::{CredentialType, Partition, Scalar, for_each_member, seconds};

use super::finding::{Finding, Kind};
use super::identity::{Identity, identity, scopes, token_type};
use super::place::key_fits;
use crate::{Clouds, Entry};

/// Fields that every library writes as strings.
pub(super) const STRINGS: [&str; 20] = [
    "home_account_id",
    "environment",
    "client_id",
    "secret",
    "credential_type",
    "realm",
    "target",
    "token_type",
    "cached_at",
    "expires_on",
    "extended_expires_on",
    "refresh_on",
    "key_id",
    "keyid",
    "kid",
    "family_id",
    "last_modification_time",
    "local_account_id",
    "username",
    "authority_type",
];

/// Times that may be missing, but must not be empty.
pub(super) const TIMES: [&str; 3] = ["cached_at", "extended_expires_on", "refresh_on"];

/// Looks at entries, all of a cache or all of some of its users, at a time in seconds since the
/// epoch. The findings are in the order of the entries, those of one entry together.
///
/// ```
/// use msal_cache::{CredentialType, Entry, Fields, check};
///
/// let fields = Fields::new()
///     .set("credential_type", "AccessToken")
///     .set("secret", "s3cret")
///     .set("client_id", "c")
///     .set("cached_at", "1700000000")
///     .set("expires_on", "1700003600");
/// let entry = Entry::new(CredentialType::AccessToken, &fields)?;
/// let found = check::check(&[entry], 1_700_007_200);
/// assert_eq!(found[0].to_string(), "has expired");
/// assert_eq!(found[0].remedy(), Some("deletes it"));
/// # Ok::<(), msal_cache::Error>(())
/// ```
pub fn check(entries: &[Entry], now: i64) -> Vec<Finding> {
    let newest = newest(entries, now);
    let crowd = Crowd::of(entries, now);
    let mut findings = Vec::new();
    for entry in entries {
        let mut found = |kind| findings.push(Finding::new(kind, entry));
        if !CredentialType::KNOWN.contains(entry.credential_type()) {
            if let Some(kind) = of_no_section(entry) {
                found(kind);
            }
            continue;
        }
        if entry.json().expose() == "null" {
            found(Kind::Null);
            continue;
        }
        if let Some(problem) = entry.problem() {
            found(Kind::Unreadable(problem));
        } else if entry.has_expired(now) {
            found(Kind::Expired);
            continue;
        } else if let Some(other) = newer(entry, &newest) {
            found(Kind::Duplicate(other.key().to_owned()));
            continue;
        } else if let Some(key) = better_key(entry) {
            found(Kind::MisplacedKey(key));
        }
        fields(entry, &mut found);
        crowd.look(entry, &mut found);
    }
    findings
}

/// What stands in no section of the schema. A section that is `null` is an empty one.
fn of_no_section(entry: &Entry) -> Option<Kind> {
    let is_member = entry.credential_type().as_str().is_empty();
    let is_empty_section = entry.json().expose() == "null"
        && CredentialType::KNOWN.iter().any(|known| known.as_str() == entry.key());
    match (is_member, is_empty_section) {
        (true, true) => None,
        (true, false) => Some(Kind::UnknownMember),
        (false, _) => Some(Kind::UnknownSection),
    }
}

/// The key of MSAL Python, where the entry has one that no library gives it.
pub(super) fn better_key(entry: &Entry) -> Option<String> {
    let key = (!key_fits(entry)).then(|| entry.computed_key()).flatten()?;
    (*key != *entry.key()).then(|| key.to_string())
}

/// Of each identity, the record that is kept.
pub(super) fn newest(entries: &[Entry], now: i64) -> HashMap<Identity, &Entry> {
    let mut newest = HashMap::<_, &Entry>::new();
    for entry in entries.iter().filter(|it| it.problem().is_none() && !it.has_expired(now)) {
        let Some(identity) = identity(entry) else { continue };
        newest
            .entry(identity)
            .and_modify(|known| {
                // Of two that were stored at the same time, the one that every library finds.
                let rank = |it: &Entry| (it.stored_at(), key_fits(it));
                if rank(entry) > rank(known) {
                    *known = entry;
                }
            })
            .or_insert(entry);
    }
    newest
}

/// The record that is kept instead of this one.
pub(super) fn newer<'a>(entry: &Entry, newest: &HashMap<Identity, &'a Entry>) -> Option<&'a Entry> {
    newest.get(&identity(entry)?).copied().filter(|it| it.key() != entry.key())
}

/// What single fields show.
fn fields(entry: &Entry, found: &mut impl FnMut(Kind)) {
    let mut seen = HashSet::new();
    let read = for_each_member(entry.json().expose(), |name, json| {
        let scalar = Scalar::of(json);
        match &scalar {
            Scalar::Number(_) if STRINGS.contains(&&*name) => {
                found(Kind::Number(name.clone().into_owned()));
            }
            _ if TIMES.contains(&&*name) && is_empty(&scalar) => {
                found(Kind::EmptyTime(name.clone().into_owned()));
            }
            _ => {}
        }
        if scalar != Scalar::Null {
            seen.insert(name.into_owned());
        }
    });
    if read.is_err() {
        return;
    }
    let has = |name: &str| seen.contains(name);
    let section = entry.credential_type();
    match section {
        CredentialType::Account => {
            if !has("authority_type") {
                found(Kind::NoAuthorityType);
            }
            if !has("local_account_id") {
                found(Kind::NoLocalAccountId);
            }
        }
        CredentialType::AccessToken | CredentialType::RefreshToken | CredentialType::IdToken => {
            match entry.text("credential_type") {
                None => found(Kind::NoCredentialType),
                Some(said) if is_type_of(&said, section) => {}
                Some(said) => found(Kind::OtherCredentialType(said.into_owned())),
            }
            if *section == CredentialType::AccessToken {
                if !has("cached_at") {
                    found(Kind::NoCachedAt);
                }
                let home = entry.is_null_or_missing("home_account_id");
                if home && entry.json().expose().contains("\"home_account_id\"") {
                    found(Kind::NullHomeAccount);
                }
            }
        }
        _ => {}
    }
}

/// Whether a time says nothing.
pub(super) fn is_empty(time: &Scalar<'_>) -> bool {
    matches!(time, Scalar::Null) || time.as_str().is_some_and(|text| text.trim().is_empty())
}

fn is_type_of(said: &str, section: &CredentialType) -> bool {
    said == section.as_str()
        || (said == "AccessToken_With_AuthScheme" && *section == CredentialType::AccessToken)
}

/// What the other entries show.
struct Crowd<'a> {
    users_with_accounts: HashSet<&'a str>,
    users_with_tokens: HashSet<&'a str>,
    /// What describes a client, by the client's id.
    clients: HashMap<String, Vec<&'a Entry>>,
    /// Access tokens that differ in nothing but their scopes, by each of these.
    alike: HashMap<(Vec<String>, String), Vec<&'a Entry>>,
}

impl<'a> Crowd<'a> {
    fn of(entries: &'a [Entry], now: i64) -> Self {
        let mut crowd = Self {
            users_with_accounts: HashSet::new(),
            users_with_tokens: HashSet::new(),
            clients: HashMap::new(),
            alike: HashMap::new(),
        };
        for entry in entries.iter().filter(|it| it.problem().is_none() && !it.has_expired(now)) {
            let home = entry.known("home_account_id").filter(|home| !home.is_empty());
            match entry.credential_type() {
                CredentialType::Account => crowd.users_with_accounts.extend(home),
                CredentialType::RefreshToken => crowd.users_with_tokens.extend(home),
                CredentialType::AppMetadata => {
                    let client = entry.text("client_id").unwrap_or_default().to_lowercase();
                    crowd.clients.entry(client).or_default().push(entry);
                }
                CredentialType::AccessToken => {
                    crowd.users_with_tokens.extend(home);
                    let but_for_scopes = but_for_scopes(entry);
                    for scope in granted(entry) {
                        let key = (but_for_scopes.clone(), scope);
                        crowd.alike.entry(key).or_default().push(entry);
                    }
                }
                _ => {}
            }
        }
        crowd
    }

    fn look(&self, entry: &Entry, found: &mut impl FnMut(Kind)) {
        let home = entry.known("home_account_id").filter(|home| !home.is_empty());
        match entry.credential_type() {
            CredentialType::Account
                if home.is_some_and(|home| !self.users_with_tokens.contains(home)) =>
            {
                found(Kind::NoTokens);
            }
            CredentialType::AppMetadata => {
                if let Some(other) = self.alias(entry) {
                    found(Kind::Alias(other.key().to_owned()));
                }
            }
            CredentialType::AccessToken
            | CredentialType::RefreshToken
            | CredentialType::IdToken => {
                if home.is_some_and(|home| !self.users_with_accounts.contains(home)) {
                    found(Kind::NoAccount);
                }
                if let Some(other) = self.overlapping(entry) {
                    found(Kind::Overlap(other.key().to_owned()));
                }
            }
            _ => {}
        }
    }

    /// Another description of the same client, under another host of the same cloud.
    fn alias(&self, entry: &Entry) -> Option<&'a Entry> {
        let client = entry.text("client_id")?.to_lowercase();
        let same = self.clients.get(&client).filter(|same| same.len() > 1)?;
        let host = entry.known("environment")?;
        let clouds = Clouds::default();
        same.iter().copied().find(|it| {
            let other = it.known("environment").unwrap_or_default();
            !host.eq_ignore_ascii_case(other) && clouds.are_one(host, other)
        })
    }

    /// Another access token with some of the same scopes.
    fn overlapping(&self, entry: &Entry) -> Option<&'a Entry> {
        if *entry.credential_type() != CredentialType::AccessToken || entry.problem().is_some() {
            return None;
        }
        let but_for_scopes = but_for_scopes(entry);
        granted(entry).find_map(|scope| {
            let alike = self.alike.get(&(but_for_scopes.clone(), scope))?;
            alike.iter().copied().find(|it| it.key() != entry.key())
        })
    }
}

/// The scopes that count: every token has those of `OpenID` Connect.
fn granted(entry: &Entry) -> impl Iterator<Item = String> {
    let of_openid = ["openid", "profile", "email", "offline_access"];
    scopes(entry).into_iter().filter(move |scope| !of_openid.contains(&scope.as_str()))
}

/// What has to be equal for the scopes of two access tokens to matter.
fn but_for_scopes(entry: &Entry) -> Vec<String> {
    let text = |name| entry.text(name).unwrap_or_default().to_lowercase();
    let mut parts = ["environment", "home_account_id", "client_id", "realm", "user_assertion_hash"]
        .map(text)
        .to_vec();
    parts.push(token_type(entry));
    parts.push(entry.ext_cache_key().unwrap_or_default().to_owned());
    parts
}

/// The partitions in which something can be mended.
pub(crate) fn mendable(findings: &[Finding]) -> Vec<Partition> {
    let mut partitions: Vec<_> = findings
        .iter()
        .filter(|it| it.remedy().is_some())
        .map(|it| it.entry().partition().clone())
        .collect();
    partitions.sort_unstable();
    partitions.dedup();
    partitions
}

/// The text of a number as the libraries write it: a time without the fraction of a second.
pub(super) fn as_text(name: &str, number: &str) -> String {
    let time = TIMES.contains(&name) || matches!(name, "expires_on" | "last_modification_time");
    match seconds(number).filter(|_| time) {
        Some(seconds) => seconds.to_string(),
        None => number.to_owned(),
    }
}
