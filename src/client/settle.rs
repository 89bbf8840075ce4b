//! Storing what a refresh brought, without undoing what others did meanwhile.

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Error, Expect, Partition, Record, Result, retry,
};

use crate::client::hosts::Hosts;
use crate::client::plan::has_account;
use crate::decoded::Decoded;
use crate::object::Nulls;
use crate::plan::{Rules, Standing};
use crate::{
    AcquiredToken, Client, Entry, Event, Fields, Profile, TokenCache, object, plan, trace,
};

/// Refuses an answer to an app's own request that names a user: the token must not be found as
/// one's.
pub(crate) fn check_own(records: &[Entry]) -> Result<()> {
    let of_user = |it: &Entry| it.known("home_account_id").is_some_and(|home| !home.is_empty());
    if records.iter().any(of_user) {
        let reason = "it names a user, and the app asked for a token of its own";
        return Err(Error::invalid("response.client_info", reason));
    }
    Ok(())
}

/// The access token among the records of an answer.
pub(crate) fn access_token(records: &[Entry]) -> Option<Entry> {
    records.iter().find(|it| it.access_token().is_some()).cloned()
}

/// What is to be stored of an answer, where the user is still signed in; `None` where not.
///
/// - A user is signed out where no account is there any more and one was before; or where there was
///   none and the refresh token that was traded is gone. Then nothing is stored: it would bring the
///   user back.
/// - The refresh token is replaced in its place, where it is still the one that was traded.
///   Another one there has been stored meanwhile and is no older. Where none is there, somebody
///   removed it, and the new one is stored as after a sign-in.
/// - Everything else is stored as [`TokenCache::add`] does.
fn refreshed(
    standing: &Standing,
    used: &Entry,
    records: &[Entry],
    hosts: &Hosts,
    had_account: bool,
    rules: Rules<'_>,
) -> Result<Option<Batch>> {
    let Some(stands) = standing.get(used.partition()) else { return Ok(None) };
    let in_place = stands.at(used);
    let signed_out = in_place.is_none() || had_account;
    if signed_out && !has_account(&stands.entries, hosts) {
        return Ok(None);
    }
    let is_rt = |it: &&Entry| *it.credential_type() == CredentialType::RefreshToken;
    let new = records.iter().find(is_rt);
    let others: Vec<_> = records.iter().filter(|it| !is_rt(it)).cloned().collect();
    let (mut batch, _) = plan::add(standing, &others, rules);
    let change = batch.change(used.partition().clone(), Expect::Revision(stands.revision));
    match (in_place, new) {
        (_, None) => {}
        (Some(old), Some(new)) => {
            if old.same_secret(used) {
                change.put(renewed(old, new.known("secret").unwrap_or_default(), rules.now)?);
            }
        }
        (None, Some(new)) => {
            if stands.at(new).is_none() {
                change.put(new.record().clone());
            }
        }
    }
    Ok(Some(batch))
}

/// The record of a refresh token with another secret, as MSAL Python's `update_rt` changes it.
fn renewed(old: &Entry, secret: &str, now: i64) -> Result<Record> {
    let fields = Fields::new().set("secret", secret).set("last_modification_time", now.to_string());
    let json = object::merge(old.json(), &fields, Nulls::Written)
        .map_err(|_| Error::invalid("the refresh token", "its record is not an object"))?;
    let record = old.record();
    Ok(Record::new(record.credential_type.clone(), record.key.clone(), json))
}

impl Decoded {
    /// What stands now in the place of an entry.
    fn at(&self, entry: &Entry) -> Option<&Entry> {
        self.entries.iter().find(|it| it.is_at_place_of(entry))
    }
}

impl Entry {
    /// Whether two entries hold the same secret.
    pub(crate) fn same_secret(&self, other: &Self) -> bool {
        self.known("secret") == other.known("secret")
    }
}

impl<S: CacheStore> TokenCache<S> {
    /// Stores the answer to a refresh in one commit, and returns the access token as it is stored;
    /// `None` where the user is signed out.
    pub(crate) fn settle(
        &self,
        used: &Entry,
        event: &Event,
        first: &[Entry],
        hosts: &Hosts,
        had_account: bool,
    ) -> Result<Option<Entry>> {
        let now = self.now();
        let stored = retry(|| {
            let standing = self.standing(first.iter().chain([used]))?;
            let records = self.fitting(&standing, event, first, now)?;
            let rules = self.rules(now);
            let batch = refreshed(&standing, used, &records, hosts, had_account, rules)?;
            let Some(batch) = batch else { return Ok(None) };
            self.commit(&batch, &records)?;
            Ok(access_token(&records))
        })?;
        if stored.is_some() {
            self.set_changed();
        }
        Ok(stored)
    }

    /// Stores the answer to an app's own request, and returns the access token as it is stored.
    pub(crate) fn settle_own(&self, event: &Event, first: &[Entry]) -> Result<Option<Entry>> {
        let now = self.now();
        let stored = retry(|| {
            let standing = self.standing(first)?;
            let records = self.fitting(&standing, event, first, now)?;
            self.commit(&plan::add(&standing, &records, self.rules(now)).0, &records)?;
            Ok(access_token(&records))
        })?;
        self.set_changed();
        Ok(stored)
    }

    /// Gives a refresh token its new secret, where it is still the one that was traded.
    pub(crate) fn rotate(&self, used: &Entry, secret: &str) -> Result<()> {
        let now = self.now();
        self.change_if_same(used, |batch, stands, old| {
            let change = batch.change(used.partition().clone(), Expect::Revision(stands.revision));
            change.put(renewed(old, secret, now)?);
            Ok(())
        })?;
        Ok(())
    }

    /// Removes a token, where it is still the one that failed: by now, another process may have
    /// put a good one in its place. Whether it was removed.
    pub(crate) fn evict(&self, failed: &Entry) -> Result<bool> {
        let evicted = self.change_if_same(failed, |batch, stands, old| {
            let change =
                batch.change(failed.partition().clone(), Expect::Revision(stands.revision));
            change.delete(old.credential_type().clone(), old.record().key.clone());
            Ok(())
        })?;
        trace::evicted(failed.partition(), failed.credential_type().as_str(), evicted);
        Ok(evicted)
    }

    fn change_if_same(
        &self,
        known: &Entry,
        plan: impl Fn(&mut Batch, &Decoded, &Entry) -> Result<()>,
    ) -> Result<bool> {
        let changed = retry(|| {
            let stands = self.partition(known.partition())?;
            let Some(old) = stands.at(known).filter(|it| it.same_secret(known)) else {
                return Ok(false);
            };
            let mut batch = Batch::new();
            plan(&mut batch, &stands, old)?;
            self.commit(&batch, &[])?;
            Ok(true)
        })?;
        if changed {
            self.set_changed();
        }
        Ok(changed)
    }

    /// The partitions of these records, as they stand.
    fn standing<'a>(&self, records: impl IntoIterator<Item = &'a Entry>) -> Result<Standing> {
        let mut standing = Standing::new(false);
        if self.profile() == Profile::Family {
            let unowned = Partition::unowned();
            standing.insert(unowned.clone(), self.partition(&unowned)?);
        }
        for record in records {
            let partition: &Partition = record.partition();
            if standing.get(partition).is_none() {
                standing.insert(partition.clone(), self.partition(partition)?);
            }
        }
        Ok(standing)
    }
}

impl<S: CacheStore> Client<S> {
    /// Removes an access token that an API has refused (status 401), so that the next call
    /// acquires a new one. Where another one has taken its place by now, that one stays. Whether
    /// it was removed.
    ///
    /// ```
    /// # use msal_cache::{AccountInfo, Client, SilentRequest, TokenEndpoint};
    /// # fn run(client: &Client, alice: &AccountInfo, endpoint: &dyn TokenEndpoint)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let token = client.acquire_token_silent(["User.Read"], alice, endpoint)?;
    /// # let status = 401;
    /// if status == 401 {
    ///     client.invalidate(&token)?;
    ///     let token = client.acquire_token_silent(["User.Read"], alice, endpoint)?;
    /// #   let _ = token;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn invalidate(&self, token: &AcquiredToken) -> Result<bool> {
        self.cache.evict(token.entry())
    }
}
