//! Selects entries by id, by user and by filter, and sorts them.

use std::collections::{BTreeMap, HashMap, HashSet};

use msal_cache::{CredentialType, Entry};

use crate::failure::Failure;
use crate::flags::{EntryFilter, OwnerFilter, Sort, Type};
use crate::redact;

/// Home account ids, with the user names of their accounts.
#[derive(Debug, Default)]
pub(crate) struct Users(BTreeMap<String, Vec<String>>);

impl Users {
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut users = BTreeMap::<String, Vec<String>>::new();
        let mut seen = HashSet::new();
        for entry in entries {
            let Some(home) = redact::text(entry, "home_account_id") else { continue };
            let home = home.into_owned();
            let name = entry.account().and_then(|account| account.username().map(str::to_owned));
            let name = name.filter(|name| !name.is_empty());
            let name = name.filter(|name| seen.insert((home.clone(), name.clone())));
            users.entry(home).or_default().extend(name);
        }
        Self(users)
    }

    /// The number of users.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The name of a user, or the home account id if no name is known.
    pub(crate) fn name<'a>(&'a self, home: &'a str) -> &'a str {
        self.0.get(home).and_then(|names| names.first()).map_or(home, String::as_str)
    }

    /// The home account ids of the users with this name, id, or prefix of one.
    pub(crate) fn matching(&self, wanted: &str) -> Vec<&str> {
        let wanted = wanted.to_lowercase();
        let is = |home: &str, names: &[String], fits: fn(&str, &str) -> bool| {
            fits(&home.to_lowercase(), &wanted)
                || names.iter().any(|name| fits(&name.to_lowercase(), &wanted))
        };
        let all = |fits: fn(&str, &str) -> bool| {
            let users = self.0.iter().filter(move |(home, names)| is(home, names, fits));
            users.map(|(home, _)| home.as_str()).collect::<Vec<_>>()
        };
        // A full match wins over other names with the same prefix.
        let exact = all(|it, wanted| it == wanted);
        if exact.is_empty() { all(|it, wanted| it.starts_with(wanted)) } else { exact }
    }

    /// The one user with this name, id, or prefix of one.
    pub(crate) fn one(&self, wanted: &str) -> Result<&str, Failure> {
        match self.matching(wanted)[..] {
            [] => {
                let reason = format!("no user in the cache matches {wanted:?}");
                Err(Failure::nothing(reason).with_hint("`msal-cache accounts STORE` lists users"))
            }
            [one] => Ok(one),
            ref several => {
                let names: Vec<_> =
                    several.iter().take(SHOWN).map(|home| self.label(home)).collect();
                let reason = format!("{wanted:?} is ambiguous: it matches {}", names.join(", "));
                Err(Failure::usage(reason).with_hint("use a longer prefix, or the home account id"))
            }
        }
    }

    fn label(&self, home: &str) -> String {
        match self.name(home) {
            name if name == home => home.to_owned(),
            name => format!("{name} ({home})"),
        }
    }
}

/// A filter, resolved against the users of the cache.
pub(crate) struct Selection<'a> {
    filter: &'a EntryFilter,
    homes: Option<HashSet<String>>,
    scopes: Vec<String>,
    now: i64,
}

impl<'a> Selection<'a> {
    pub(crate) fn new(filter: &'a EntryFilter, users: &Users, now: i64) -> Self {
        let homes = filter.owner.account.as_ref().map(|account| match account.as_str() {
            "" => HashSet::new(),
            account => users.matching(account).into_iter().map(str::to_owned).collect(),
        });
        let scopes = filter.scope.iter().flat_map(|scopes| scopes.split_ascii_whitespace());
        let scopes = scopes.map(str::to_lowercase).collect();
        Self { filter, homes, scopes, now }
    }

    pub(crate) fn contains(&self, entry: &Entry) -> bool {
        let EntryFilter { types, owner, expired, valid, .. } = self.filter;
        let of_type = types.is_empty() || types.contains(&type_of(entry));
        let of_user =
            self.homes.as_ref().is_none_or(|homes| match redact::text(entry, "home_account_id") {
                Some(home) => homes.contains(&*home),
                None => owner.account.as_deref() == Some(""),
            });
        let state = match expires_on(entry) {
            Some(at) => (!expired || at < self.now) && (!valid || at >= self.now),
            None => !expired && !valid,
        };
        let target = redact::text(entry, "target").unwrap_or_default().to_lowercase();
        let granted: Vec<_> = target.split_ascii_whitespace().collect();
        of_type
            && of_user
            && state
            && begins(entry, "client_id", owner.client.as_deref())
            && begins(entry, "realm", owner.tenant.as_deref())
            && begins(entry, "environment", owner.environment.as_deref())
            && self.scopes.iter().all(|scope| granted.contains(&scope.as_str()))
    }
}

impl EntryFilter {
    /// Whether no filter is set.
    pub(crate) fn is_empty(&self) -> bool {
        let OwnerFilter { account, client, tenant, environment } = &self.owner;
        self.types.is_empty()
            && [account, client, tenant, environment].iter().all(|it| it.is_none())
            && self.scope.is_empty()
            && !self.expired
            && !self.valid
    }
}

fn begins(entry: &Entry, field: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| {
        let text = redact::text(entry, field).unwrap_or_default().to_lowercase();
        text.starts_with(&wanted.to_lowercase())
    })
}

/// When an access token expires.
pub(crate) fn expires_on(entry: &Entry) -> Option<i64> {
    entry.access_token().map(|token| token.expires_on())
}

/// When an entry was stored, if known.
pub(crate) fn stored_at(entry: &Entry) -> Option<i64> {
    match entry.access_token() {
        Some(token) => token.cached_at(),
        None => entry.refresh_token().and_then(|token| token.last_modification_time()),
    }
}

pub(crate) fn type_of(entry: &Entry) -> Type {
    match entry.credential_type() {
        CredentialType::AccessToken => Type::Access,
        CredentialType::RefreshToken => Type::Refresh,
        CredentialType::IdToken => Type::Id,
        CredentialType::Account => Type::Account,
        CredentialType::AppMetadata => Type::App,
        _ => Type::Other,
    }
}

impl Type {
    /// The value of `--type`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::Id => "id",
            Self::Account => "account",
            Self::App => "app",
            Self::Other => "other",
        }
    }

    /// The noun for entries of this type.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Access => "access token",
            Self::Refresh => "refresh token",
            Self::Id => "ID token",
            Self::Account => "account",
            Self::App => "app metadata record",
            Self::Other => "unknown record",
        }
    }
}

/// How many matches of an ambiguous text are shown.
const SHOWN: usize = 5;

/// Entries by id and by key.
pub(crate) struct Ids<'a> {
    ids: BTreeMap<String, Vec<&'a Entry>>,
    keys: HashMap<&'a str, Vec<&'a Entry>>,
}

impl<'a> Ids<'a> {
    pub(crate) fn of(entries: &'a [Entry]) -> Self {
        let (mut ids, mut keys) = (BTreeMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for entry in entries {
            ids.entry(redact::id(entry)).or_default().push(entry);
            keys.entry(entry.key()).or_default().push(entry);
        }
        Self { ids, keys }
    }

    /// The one entry with this id, prefix of an id, or key.
    pub(crate) fn one(&self, wanted: &str) -> Result<&'a Entry, Failure> {
        let lower = wanted.to_lowercase();
        let mut found = self.keys.get(wanted).cloned().unwrap_or_default();
        if lower.len() >= 3 {
            let ids = self.ids.range(lower.clone()..).take_while(|(id, _)| id.starts_with(&lower));
            for entry in ids.flat_map(|(_, entries)| entries) {
                if found.len() <= SHOWN && !found.contains(entry) {
                    found.push(entry);
                }
            }
        }
        match found[..] {
            [] => {
                let reason = format!("no entry matches the id {wanted:?}");
                Err(Failure::nothing(reason).with_hint("`msal-cache tokens STORE` prints the ids"))
            }
            [one] => Ok(one),
            ref several => {
                let ids: Vec<_> = several.iter().take(SHOWN).map(|it| redact::id(it)).collect();
                let ids = ids.join(", ");
                Err(Failure::usage(format!("{wanted:?} is ambiguous: it matches {ids}")))
            }
        }
    }
}

/// The one entry with this id, prefix of an id, or key.
pub(crate) fn by_id<'a>(entries: &'a [Entry], wanted: &str) -> Result<&'a Entry, Failure> {
    Ids::of(entries).one(wanted)
}

/// The entries of one user, or all.
pub(crate) fn of_account(entries: &[Entry], account: Option<&str>) -> Result<Vec<Entry>, Failure> {
    let Some(account) = account else { return Ok(entries.to_vec()) };
    let users = Users::of(entries);
    let home = users.one(account)?;
    let of_user = |it: &&Entry| it.get("home_account_id").is_some_and(|it| it == home);
    Ok(entries.iter().filter(of_user).cloned().collect())
}

/// Sorts entries. Entries without the sort key come last.
pub(crate) fn sort(entries: &mut [&Entry], by: Sort, users: &Users) {
    let text = |entry: &Entry, name| redact::text(entry, name).unwrap_or_default().into_owned();
    let user = |entry: &Entry| {
        let home = text(entry, "home_account_id");
        (home.is_empty(), users.name(&home).to_lowercase(), home)
    };
    let kind = |entry: &Entry| type_of(entry) as u8;
    entries.sort_by_cached_key(|it| (user(it), kind(it), text(it, "target"), text(it, "realm")));
    match by {
        Sort::Account => {}
        Sort::Expires => entries.sort_by_key(|it| expires_on(it).unwrap_or(i64::MAX)),
        Sort::Stored => entries.sort_by_key(|it| stored_at(it).unwrap_or(i64::MAX)),
        Sort::Type => entries.sort_by_key(|it| kind(it)),
        Sort::Client => entries.sort_by_cached_key(|it| text(it, "client_id")),
        Sort::Size => entries.sort_by_key(|it| std::cmp::Reverse(redact::size(it))),
    }
}

/// The number of entries of each type: `2 access tokens, 1 account`.
pub(crate) fn tally<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let mut counts = HashMap::<_, usize>::new();
    for entry in entries {
        *counts.entry(type_of(entry).as_str()).or_default() += 1;
    }
    let types = [Type::Access, Type::Refresh, Type::Id, Type::Account, Type::App, Type::Other];
    let counts_by_type: Vec<_> = types
        .iter()
        .filter_map(|it| Some(crate::out::count(*counts.get(it.as_str())?, it.noun())))
        .collect();
    if counts_by_type.is_empty() { "no entries".into() } else { counts_by_type.join(", ") }
}
