//! From the stored accounts to the users who are signed in.

use std::collections::HashMap;

use serde_json::Value;

use crate::model::{
    AccountInfo, AcquiredToken, Added, AuthorityType, Clouds, Decoded, Entry, Fields, Hosts, Nulls,
    TenantProfile, merge, same_tenant, tenant_key,
};
use crate::plan::facts::{Claim, Facts};

/// The pseudo-account of a managed cloud shell, where no user has signed in.
const CLOUD_SHELL: &str = "CLOUDSHELL";

/// The users with this name, whatever the case. No user has a blank name.
pub(crate) fn named(mut accounts: Vec<AccountInfo>, username: &str) -> Vec<AccountInfo> {
    let wanted = username.to_lowercase();
    if wanted.trim().is_empty() {
        return Vec::new();
    }
    let is_named = |name: Option<&str>| name.is_some_and(|it| it.to_lowercase() == wanted);
    accounts.retain(|it| {
        is_named(it.username())
            || it.tenant_profiles().iter().any(|profile| is_named(profile.username()))
    });
    accounts
}

impl AcquiredToken {
    /// The user whose token it is, with what the cache knew of them in this cloud when the token was
    /// returned; `None` for a token that an app has for itself.
    pub fn account(&self) -> Option<AccountInfo> {
        let home = self.entry().known("home_account_id").filter(|home| !home.is_empty())?;
        let known = self.owner().and_then(|it| one(&it.accounts, &it.authority.hosts, home));
        Some(known.unwrap_or_else(|| {
            let environment = self.entry().known("environment").map(str::to_owned);
            AccountInfo { environment, ..AccountInfo::of(home) }
        }))
    }
}

impl Added {
    /// What was stored of a response, where these accounts are stored now. The account is put
    /// together when it is asked for: most callers don't.
    pub(crate) fn new(
        facts: &Facts<'_>,
        stored: &[Entry],
        entries: Vec<Entry>,
        clouds: &Clouds,
    ) -> Self {
        let home = facts.home_account_id.as_deref().filter(|home| !home.is_empty());
        let host = facts.environment.as_deref();
        let is_of_user = |it: &&Entry| {
            it.account().is_some_and(|it| {
                home.is_some()
                    && it.home_account_id() == home
                    && host.zip(it.environment()).is_some_and(|(one, it)| clouds.are_one(one, it))
            })
        };
        let accounts: Vec<_> = stored.iter().filter(is_of_user).cloned().collect();
        let username = accounts.is_empty().then(|| facts.claims.username().and_then(Claim::scalar));
        let user = home.map(|home| AccountInfo {
            environment: host.map(str::to_owned),
            username: username.flatten(),
            ..AccountInfo::of(home)
        });
        Self { user, accounts, entries }
    }

    /// The user who signed in: the one whom the response names, with all that the cache knows of
    /// them in this cloud. `None` where it names none, as for a token that an app has for itself.
    ///
    /// Other accounts of the cache may belong to users who signed in before; the first of
    /// [`Client::accounts`](crate::Client::accounts) is any of them.
    pub fn account(&self) -> Option<AccountInfo> {
        let user = self.user.as_ref()?;
        if self.accounts.is_empty() {
            return Some(user.clone());
        }
        let is_other = |it: &Entry| {
            let host = it.known("environment").unwrap_or_default();
            !user.environment().is_some_and(|own| own.eq_ignore_ascii_case(host))
        };
        let ranked = self.accounts.iter().map(|it| (usize::from(is_other(it)), it));
        Some(account(&ranked.collect::<Vec<_>>()))
    }
}

/// The accounts of a user whose name the response to a refresh changes, with the new name: those of
/// the tenant, or with the user's id in it. A refresh stores no account, since that would sign in a
/// user who has just signed out; MSAL Node changes the name too, and MSAL Python does not.
pub(crate) fn renamed(stored: &Decoded, facts: &Facts<'_>, hosts: &Hosts) -> Vec<Entry> {
    let Some(name) = facts.claims.username().and_then(Claim::as_str) else { return Vec::new() };
    let id = facts.claims.local_account_id();
    let of_user = stored.entries.iter().filter(|it| {
        it.account().is_some_and(|it| {
            let realms = it.realm().zip(facts.realm.as_deref());
            it.home_account_id() == facts.home_account_id.as_deref()
                && hosts.rank(it.environment()).is_some()
                && it.username() != Some(name)
                && (realms.is_some_and(|(one, other)| same_tenant(one, other))
                    || id.is_some() && it.local_account_id() == id.as_deref())
        })
    });
    let name = Fields::new().set("username", name);
    let renamed = |it: &Entry| {
        let json = merge(it.json(), &name, Nulls::Written).ok()?;
        Some(Entry::read(it.record().with_value(json)))
    };
    of_user.filter_map(renamed).collect()
}

/// One user, of these accounts.
pub(crate) fn one(entries: &[Entry], hosts: &Hosts, home_account_id: &str) -> Option<AccountInfo> {
    grouped(entries, hosts).into_iter().find(|it| it.home_account_id() == home_account_id)
}

/// The users of one cloud.
pub(crate) fn grouped(entries: &[Entry], hosts: &Hosts) -> Vec<AccountInfo> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut users: Vec<Vec<(usize, &Entry)>> = Vec::new();
    for entry in entries {
        let Some(account) = entry.account() else { continue };
        let Some(rank) = hosts.rank(account.environment()) else { continue };
        let Some(home) = account.home_account_id().filter(|home| !home.is_empty()) else {
            continue;
        };
        if account.authority_type() == Some(AuthorityType::from(CLOUD_SHELL)) {
            continue;
        }
        let at = *places.entry(home).or_insert_with(|| {
            users.push(Vec::new());
            users.len() - 1
        });
        users[at].push((rank, entry));
    }
    users.iter().map(|entries| account(entries)).collect()
}

/// One user, from all their accounts. Of two accounts, the later one counts, as in MSAL Python; the
/// account of the home tenant counts more than that of a guest.
fn account(entries: &[(usize, &Entry)]) -> AccountInfo {
    let views: Vec<_> = entries.iter().filter_map(|(_, entry)| entry.account()).collect();
    let home = entries.iter().find_map(|(_, it)| it.known("home_account_id")).unwrap_or_default();
    let home_tenant = home.rsplit_once('.').map(|(_, tenant)| tenant);
    let mut account = AccountInfo::of(home);
    let mut places = HashMap::new();
    for (entry, view) in entries.iter().map(|(_, entry)| entry).zip(&views) {
        account.authority_type = view.authority_type().or(account.authority_type);
        account.account_source =
            view.account_source().map(str::to_owned).or(account.account_source);
        let profile = TenantProfile {
            realm: view.realm().unwrap_or_default().to_owned(),
            local_account_id: view.local_account_id().map(str::to_owned),
            username: view.username().map(str::to_owned),
            is_home_tenant: false,
        };
        // The account has the current name, and its profiles may have an earlier one.
        for profile in profiles_of_node(entry).into_iter().chain([profile]) {
            add_profile(&mut account.tenant_profiles, &mut places, profile);
        }
    }
    for profile in &mut account.tenant_profiles {
        profile.is_home_tenant =
            home_tenant.is_some_and(|tenant| same_tenant(&profile.realm, tenant));
    }
    let last_name = || {
        let names = entries.iter().rev().filter_map(|(_, it)| it.known("username"));
        names.filter(|it| !it.is_empty()).map(str::to_owned).next()
    };
    account.tenant_profiles.sort_by_key(|it| !it.is_home_tenant);
    let at_home = account.tenant_profiles.first().filter(|it| it.is_home_tenant);
    account.username = at_home
        .and_then(|it| it.username.clone().filter(|name| !name.is_empty()))
        .or_else(last_name);
    let nearest = entries.iter().min_by_key(|(rank, _)| *rank);
    account.environment = nearest.and_then(|(_, it)| it.known("environment")).map(str::to_owned);
    account
}

/// Adds a profile, or what it says of a tenant that is known. `places` has the place of each tenant.
fn add_profile(
    profiles: &mut Vec<TenantProfile>,
    places: &mut HashMap<String, usize>,
    new: TenantProfile,
) {
    let place = *places.entry(tenant_key(&new.realm)).or_insert(profiles.len());
    match profiles.get_mut(place) {
        None => profiles.push(new),
        Some(known) => {
            known.local_account_id = new.local_account_id.or(known.local_account_id.take());
            known.username = new.username.or(known.username.take());
        }
    }
}

/// MSAL Node stores one account for each user, with its tenant profiles as texts of JSON.
fn profiles_of_node(entry: &Entry) -> Vec<TenantProfile> {
    if !entry.json().expose().contains("\"tenantProfiles\"") {
        return Vec::new();
    }
    let Ok(fields) = entry.fields() else { return Vec::new() };
    let texts = fields.get("tenantProfiles").and_then(Value::as_array);
    let profile = |text: &Value| {
        let profile: Value = serde_json::from_str(text.as_str()?).ok()?;
        let text = |name: &str| profile.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(TenantProfile {
            realm: text("tenantId")?,
            local_account_id: text("localAccountId"),
            username: text("username"),
            is_home_tenant: false,
        })
    };
    texts.into_iter().flatten().filter_map(profile).collect()
}
