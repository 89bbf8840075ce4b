//! From two readings of a cache to what has changed between them.

use std::collections::HashMap;
use std::fmt;

use msal_cache_core::CredentialType;

use crate::model::{AccountInfo, Clouds, Entry, Hosts};
use crate::plan::accounts::grouped;

/// Whether something was added, changed or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It is there now, and was not before.
    Added,
    /// It is not as before.
    Changed,
    /// It is not there any more.
    Removed,
}

impl ChangeKind {
    /// `added`, `changed` or `removed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// A change of an account: a user of one cloud has signed in or out, or their names or tenants have
/// changed. A new token is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChange {
    kind: ChangeKind,
    account: AccountInfo,
}

impl AccountChange {
    /// What has happened to the account.
    pub fn kind(&self) -> ChangeKind {
        self.kind
    }

    /// The account: as it is now, or as it was where it was removed.
    pub fn account(&self) -> &AccountInfo {
        &self.account
    }
}

/// A change of an entry of any type, for administration. `Debug` prints no secret.
#[derive(Clone, PartialEq)]
pub struct EntryChange {
    kind: ChangeKind,
    entry: Entry,
    before: Option<Entry>,
}

impl EntryChange {
    /// What has happened to the entry.
    pub fn kind(&self) -> ChangeKind {
        self.kind
    }

    /// The entry: as it is now, or as it was where it was removed.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The entry before it was changed.
    pub fn before(&self) -> Option<&Entry> {
        self.before.as_ref()
    }
}

impl fmt::Debug for EntryChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryChange")
            .field("kind", &self.kind)
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}

/// What a watch reports: [`AccountChange`] or [`EntryChange`].
pub trait WatchedChange: Sized + Send + Sealed {}

/// The parts of [`WatchedChange`] that are not public.
pub trait Sealed: Sized {
    /// The section that has to be read; `None` is all of them.
    #[doc(hidden)]
    const SECTION: Option<CredentialType>;

    /// What has changed between two readings.
    #[doc(hidden)]
    fn between(before: &[Entry], after: &[Entry], clouds: &Clouds) -> Vec<Self>;
}

impl WatchedChange for AccountChange {}

impl Sealed for AccountChange {
    const SECTION: Option<CredentialType> = Some(CredentialType::Account);

    fn between(before: &[Entry], after: &[Entry], clouds: &Clouds) -> Vec<Self> {
        let (before, after) = (accounts(before, clouds), accounts(after, clouds));
        differences(before, after, |kind, account, _| Self { kind, account })
    }
}

impl WatchedChange for EntryChange {}

impl Sealed for EntryChange {
    const SECTION: Option<CredentialType> = None;

    fn between(before: &[Entry], after: &[Entry], _: &Clouds) -> Vec<Self> {
        let keyed = |entries: &[Entry]| {
            let key = |it: &Entry| (it.credential_type().clone(), it.key().to_owned());
            entries.iter().map(|it| (key(it), it.clone())).collect()
        };
        differences(keyed(before), keyed(after), |kind, entry, before| Self { kind, entry, before })
    }
}

/// The accounts of all clouds, by cloud and user.
pub(crate) fn accounts(entries: &[Entry], clouds: &Clouds) -> Vec<((String, String), AccountInfo)> {
    let mut of_clouds: Vec<Hosts> = Vec::new();
    let mut accounts = Vec::new();
    for entry in entries {
        let Some(environment) = entry.known("environment") else { continue };
        if of_clouds.iter().any(|hosts| hosts.rank(Some(environment)).is_some()) {
            continue;
        }
        // Whichever alias comes first, the cloud is the same.
        let first = Hosts::of(clouds, environment).first().to_owned();
        let hosts = Hosts::of(clouds, &first);
        let in_cloud = grouped(entries, &hosts);
        accounts.extend(
            in_cloud
                .into_iter()
                .map(|account| ((first.clone(), account.home_account_id().to_owned()), account)),
        );
        of_clouds.push(hosts);
    }
    accounts
}

/// What was added and changed, in the order of `after`, and then what was removed.
fn differences<K: Eq + std::hash::Hash, V: Clone + PartialEq, C>(
    before: Vec<(K, V)>,
    after: Vec<(K, V)>,
    change: impl Fn(ChangeKind, V, Option<V>) -> C,
) -> Vec<C> {
    let mut old: HashMap<_, _> =
        before.into_iter().enumerate().map(|(nth, (key, it))| (key, (nth, it))).collect();
    let mut changes = Vec::new();
    for (key, new) in after {
        match old.remove(&key) {
            None => changes.push(change(ChangeKind::Added, new, None)),
            Some((_, old)) if old != new => {
                changes.push(change(ChangeKind::Changed, new, Some(old)));
            }
            Some(_) => {}
        }
    }
    let mut removed: Vec<_> = old.into_values().collect();
    removed.sort_by_key(|(nth, _)| *nth);
    changes.extend(removed.into_iter().map(|(_, it)| change(ChangeKind::Removed, it, None)));
    changes
}
