//! Inspects entries for problems.

use std::collections::{HashMap, HashSet};
use std::ptr;

use arrayvec::ArrayVec;
use msal_cache_core::internal::{Scalar, for_each_member, seconds};
use msal_cache_core::{CredentialType, Partition};

use super::finding::{Finding, Kind};
use super::identity::{RecordIdentity, identity, scopes, token_type};
use super::key::key_fits;
use crate::model::{Clouds, Entry, schema};
use crate::plan::evidence;

/// Fields that are strings in the schema.
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

/// Optional times. They may be missing, but not empty.
pub(super) const TIMES: [&str; 3] = ["cached_at", "extended_expires_on", "refresh_on"];

/// Checks the entries of a whole cache, or all entries of some of its users. `now` is in seconds
/// since the Unix epoch. The findings are in the order of the entries.
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
    let context = CheckContext::of(entries, now);
    let superseded = superseded(entries, now, &context.clouds);
    let mut findings = Vec::new();
    for entry in entries {
        let mut found = |kind| findings.push(Finding::new(kind, entry));
        if !CredentialType::KNOWN.contains(entry.credential_type()) {
            found(unknown_section(entry));
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
        } else if superseded.contains(entry.key())
            && *entry.credential_type() == CredentialType::AccessToken
        {
            found(Kind::Superseded);
            continue;
        } else if let Some((other, is_newer)) = newer(entry, &newest) {
            if is_newer {
                found(Kind::Duplicate(other.key().to_owned()));
                continue;
            }
            found(Kind::Undated(other.key().to_owned()));
        } else if let Some(key) = better_key(entry) {
            found(Kind::MisplacedKey(key));
        }
        fields(entry, &mut found);
        context.inspect(entry, &mut found);
    }
    findings
}

/// The keys of the access tokens that a later one superseded which has expired, in its partition.
fn superseded(entries: &[Entry], now: i64, clouds: &Clouds) -> HashSet<String> {
    let expired = entries.iter().filter(|it| it.has_expired(now));
    let mut partitions: HashMap<&Partition, Vec<Entry>> =
        expired.map(|it| (it.partition(), Vec::new())).collect();
    for entry in entries {
        if let Some(entries) = partitions.get_mut(entry.partition()) {
            entries.push(entry.clone());
        }
    }
    let has_expired = |it: &Entry| it.has_expired(now);
    let deleted = partitions
        .values()
        .flat_map(|entries| evidence::with_superseded(entries, has_expired, clouds));
    deleted.filter(|it| !it.has_expired(now)).map(|it| it.key().to_owned()).collect()
}

/// The finding for an entry outside the known sections.
fn unknown_section(entry: &Entry) -> Kind {
    let is_member = entry.credential_type().as_str().is_empty();
    let is_empty_section = entry.json().expose() == "null"
        && CredentialType::KNOWN.iter().any(|known| known.as_str() == entry.key());
    match (is_member, is_empty_section) {
        (true, true) => Kind::NullSection,
        (true, false) => Kind::UnknownMember,
        (false, _) => Kind::UnknownSection,
    }
}

/// The key that MSAL Python builds, if the entry is stored under a key of no library.
pub(super) fn better_key(entry: &Entry) -> Option<String> {
    let key = (!key_fits(entry)).then(|| entry.computed_key()).flatten()?;
    (*key != *entry.key()).then(|| key.to_string())
}

/// The newest record of each identity.
fn newest(entries: &[Entry], now: i64) -> HashMap<RecordIdentity, &Entry> {
    let mut newest = HashMap::<_, &Entry>::new();
    for entry in entries.iter().filter(|it| it.problem().is_none() && !it.has_expired(now)) {
        let Some(identity) = identity(entry) else { continue };
        newest
            .entry(identity)
            .and_modify(|known| {
                // At equal times, prefer the key that every library finds.
                let rank = |it: &Entry| (time(it), key_fits(it));
                if rank(entry) > rank(known) {
                    *known = entry;
                }
            })
            .or_insert(entry);
    }
    newest
}

/// Another record with the same identity, and whether this one can be deleted for it: the other one
/// is newer, or has the same token. Without times, there is no telling, and each may be the only one
/// that the server accepts. Accounts and metadata hold no token.
fn newer<'a>(
    entry: &Entry,
    newest: &HashMap<RecordIdentity, &'a Entry>,
) -> Option<(&'a Entry, bool)> {
    let other = *newest.get(&identity(entry)?)?;
    if other.key() == entry.key() {
        return None;
    }
    let holds_token = matches!(
        entry.credential_type(),
        CredentialType::AccessToken | CredentialType::RefreshToken | CredentialType::IdToken
    );
    let is_newer = || matches!((time(entry), time(other)), (Some(one), Some(other)) if one < other);
    Some((other, !holds_token || entry.has_secret_of(other) || is_newer()))
}

/// When a record was stored, or an ID token issued, in seconds since the epoch, if it says that.
fn time(entry: &Entry) -> Option<i64> {
    match entry.credential_type() {
        CredentialType::IdToken => entry.id_token()?.issued_at(),
        _ => Some(entry.stored_at()).filter(|at| *at > 0),
    }
}

/// Finds problems of single fields.
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
                None if has("credential_type") => found(Kind::OddCredentialType),
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

/// Whether a time is `null` or blank.
pub(super) fn is_empty(time: &Scalar<'_>) -> bool {
    matches!(time, Scalar::Null) || time.as_str().is_some_and(|text| text.trim().is_empty())
}

fn is_type_of(said: &str, section: &CredentialType) -> bool {
    said == section.as_str()
        || (said == "AccessToken_With_AuthScheme" && *section == CredentialType::AccessToken)
}

/// The other entries of the cache, indexed for the checks that involve more than one entry.
struct CheckContext<'a> {
    users_with_accounts: HashSet<&'a str>,
    users_with_tokens: HashSet<&'a str>,
    clouds: Clouds,
    /// App metadata by client id and cloud: the first of each host.
    clients: HashMap<(String, String), Vec<&'a Entry>>,
    /// Numbers of access tokens that differ in their scopes only.
    groups: HashMap<Vec<String>, usize>,
    /// Access tokens by the number of their group and by each scope: the first two.
    by_scope: HashMap<(usize, String), ArrayVec<&'a Entry, 2>>,
}

impl<'a> CheckContext<'a> {
    fn of(entries: &'a [Entry], now: i64) -> Self {
        let mut context = Self {
            users_with_accounts: HashSet::new(),
            users_with_tokens: HashSet::new(),
            clouds: Clouds::default(),
            clients: HashMap::new(),
            groups: HashMap::new(),
            by_scope: HashMap::new(),
        };
        for entry in entries.iter().filter(|it| it.problem().is_none() && !it.has_expired(now)) {
            let home = entry.known("home_account_id").filter(|home| !home.is_empty());
            match entry.credential_type() {
                CredentialType::Account => context.users_with_accounts.extend(home),
                CredentialType::RefreshToken => context.users_with_tokens.extend(home),
                CredentialType::AppMetadata => context.add_client(entry),
                CredentialType::AccessToken => {
                    context.users_with_tokens.extend(home);
                    context.add_scopes(entry);
                }
                _ => {}
            }
        }
        context
    }

    fn add_client(&mut self, entry: &'a Entry) {
        let Some(client) = self.client_in_cloud(entry) else { return };
        let known = self.clients.entry(client).or_default();
        if !known.iter().any(|it| has_host_of(it, entry)) {
            known.push(entry);
        }
    }

    fn add_scopes(&mut self, entry: &'a Entry) {
        let next = self.groups.len();
        let group = *self.groups.entry(but_for_scopes(entry)).or_insert(next);
        for scope in api_scopes(entry) {
            let known = self.by_scope.entry((group, scope)).or_default();
            let _ = known.try_push(entry);
        }
    }

    fn inspect(&self, entry: &Entry, found: &mut impl FnMut(Kind)) {
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

    /// The client id and the cloud; `None` for a host that is a cloud of its own.
    fn client_in_cloud(&self, entry: &Entry) -> Option<(String, String)> {
        let client = entry.text("client_id")?.to_lowercase();
        let cloud = self.clouds.of(entry.known("environment")?)?;
        Some((client, cloud.preferred_cache().to_owned()))
    }

    /// Other metadata of the same client, under another host name of the same cloud.
    fn alias(&self, entry: &Entry) -> Option<&'a Entry> {
        let same = self.clients.get(&self.client_in_cloud(entry)?)?;
        same.iter().copied().find(|it| !has_host_of(it, entry))
    }

    /// Another access token that has a scope in common with this one.
    fn overlapping(&self, entry: &Entry) -> Option<&'a Entry> {
        if *entry.credential_type() != CredentialType::AccessToken || entry.problem().is_some() {
            return None;
        }
        let group = *self.groups.get(&but_for_scopes(entry))?;
        api_scopes(entry).find_map(|scope| {
            let tokens = self.by_scope.get(&(group, scope))?;
            // Comparing keys would take long, since a key has all scopes.
            tokens.iter().copied().find(|it| !ptr::eq(*it, entry))
        })
    }
}

fn has_host_of(one: &Entry, other: &Entry) -> bool {
    let host = |it: &Entry| it.known("environment").unwrap_or_default().to_ascii_lowercase();
    host(one) == host(other)
}

/// The scopes without those of `OpenID` Connect, which every token has.
fn api_scopes(entry: &Entry) -> impl Iterator<Item = String> {
    scopes(entry).into_iter().filter(move |scope| !schema::is_openid_scope(scope))
}

/// The values other than scopes that distinguish two access tokens.
fn but_for_scopes(entry: &Entry) -> Vec<String> {
    let text = |name| entry.text(name).unwrap_or_default().to_lowercase();
    let mut parts = ["environment", "home_account_id", "client_id", "realm", "user_assertion_hash"]
        .map(text)
        .to_vec();
    parts.push(token_type(entry));
    parts.push(entry.ext_cache_key().unwrap_or_default().to_owned());
    parts
}

/// The partitions that have findings with a remedy.
pub(crate) fn repairable_partitions(findings: &[Finding]) -> Vec<Partition> {
    let mut partitions: Vec<_> = findings
        .iter()
        .filter(|it| it.remedy().is_some())
        .map(|it| it.entry().partition().clone())
        .collect();
    partitions.sort_unstable();
    partitions.dedup();
    partitions
}

/// The text of a number as the libraries write it. A time loses its fraction of a second.
pub(super) fn as_text(name: &str, number: &str) -> String {
    let time = TIMES.contains(&name) || matches!(name, "expires_on" | "last_modification_time");
    match seconds(number).filter(|_| time) {
        Some(seconds) => seconds.to_string(),
        None => number.to_owned(),
    }
}
