//! Signing out.

use msal_cache_core::{Batch, CacheStore, CredentialType, Expect, Partition, Result, retry};

use crate::client::hosts::Hosts;
use crate::client::plan::{self, ClientFamily};
use crate::decoded::Decoded;
use crate::{AccountInfo, Client, Entry, TokenCache, trace};

impl<S: CacheStore> Client<S> {
    /// Signs a user out: removes the accounts, all access and ID tokens, and the refresh tokens of
    /// this client and of its family, in one commit, under whatever keys they stand. Records of
    /// the user that this version doesn't know go too. Returns the number of removed records.
    ///
    /// The refresh tokens of other clients stay, as in MSAL Python: they are those clients' to
    /// remove. Where no other client shares the cache, nothing of the user is left in it;
    /// [`TokenCache::remove_user`] leaves nothing in any case.
    ///
    /// A refresh that is under way doesn't bring the user back.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) where the authority can't be understood.
    pub fn remove_account(&self, account: &AccountInfo) -> Result<usize> {
        let site = self.site()?;
        let metadata = self.cache.partition(&Partition::app_metadata())?;
        let family = plan::family(&self.id, &site.hosts, &metadata.entries);
        let goes = |it: &Entry| self.goes(it, &site.hosts, &family);
        let partition = Partition::user(account.home_account_id());
        let removed = self.cache.remove_where(&partition, goes)?;
        trace::signed_out(&partition, &self.id, removed);
        Ok(removed)
    }

    /// Whether a sign-out removes an entry of the user.
    fn goes(&self, entry: &Entry, hosts: &Hosts, family: &ClientFamily) -> bool {
        // What doesn't tell its cloud can't be another one's.
        let environment = entry.known("environment").filter(|it| !it.is_empty());
        if environment.is_some() && hosts.rank(environment).is_none() {
            return false;
        }
        if *entry.credential_type() != CredentialType::RefreshToken {
            return true;
        }
        let of_family = match family {
            ClientFamily::Member(id) => entry.known("family_id") == Some(id),
            ClientFamily::Unknown | ClientFamily::None => false,
        };
        of_family
            || match entry.known("client_id") {
                Some(client) => client == self.id,
                // Nobody's, so of no use to anybody.
                None => true,
            }
    }

    /// Removes all tokens that this app has for itself, in every tenant and under every extended
    /// cache key, in one commit. Returns their number.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) where the authority can't be understood.
    pub fn remove_tokens_for_client(&self) -> Result<usize> {
        let site = self.site()?;
        let tokens = self.cache.section(&CredentialType::AccessToken)?;
        let mut batch = Batch::new();
        let own = tokens.entries.iter().filter(|it| {
            it.known("client_id") == Some(&self.id)
                && it.known("home_account_id").is_none_or(str::is_empty)
                && site.hosts.rank(it.known("environment")).is_some()
        });
        let mut removed = 0;
        for token in own {
            let change = batch.change(token.partition().clone(), Expect::Any);
            change.delete(token.credential_type().clone(), token.record().key.clone());
            removed += 1;
        }
        self.cache.commit_change(&batch)?;
        Ok(removed)
    }
}

impl<S: CacheStore> TokenCache<S> {
    /// Removes everything of a user, of all clients and clouds, in one commit: no byte of the
    /// user's id is left in the store. Returns the number of removed records.
    ///
    /// ```
    /// use msal_cache::TokenCache;
    ///
    /// let cache = TokenCache::in_memory();
    /// cache.deserialize(r#"{"Account": {"k": {"home_account_id": "uid.utid"}}}"#)?;
    /// assert_eq!(cache.remove_user("uid.utid")?, 1);
    /// assert!(!cache.serialize()?.contains("uid"));
    /// # Ok::<(), msal_cache::Error>(())
    /// ```
    pub fn remove_user(&self, home_account_id: &str) -> Result<usize> {
        self.remove_where(&Partition::user(home_account_id), |_| true)
    }

    fn remove_where(&self, of: &Partition, goes: impl Fn(&Entry) -> bool) -> Result<usize> {
        retry(|| {
            let stands = self.partition(of)?;
            let (batch, removed) = removal(of, &stands, &goes);
            self.commit_change(&batch)?;
            Ok(removed)
        })
    }
}

fn removal(of: &Partition, stands: &Decoded, goes: impl Fn(&Entry) -> bool) -> (Batch, usize) {
    let mut batch = Batch::new();
    let change = batch.change(of.clone(), Expect::Revision(stands.revision));
    for entry in stands.entries.iter().filter(|it| goes(it)) {
        change.delete(entry.credential_type().clone(), entry.record().key.clone());
    }
    let removed = change.ops().len();
    (batch, removed)
}
