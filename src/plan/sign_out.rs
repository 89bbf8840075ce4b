//! Which records a sign-out removes.

use msal_cache_core::{Batch, CredentialType, Error, Expect, Partition, Result};

use crate::model::{Decoded, Entry, Field, Hosts};
use crate::plan::silent::ClientFamily;

/// Refuses a blank id: it names no user.
pub(crate) fn check_user(home_account_id: &str) -> Result<()> {
    if home_account_id.trim().is_empty() {
        return Err(Error::invalid("home_account_id", "it is empty"));
    }
    Ok(())
}

/// Removes the entries of a partition that `is_removed` selects. Also returns their number.
pub(crate) fn removal(
    partition: &Partition,
    stored: &Decoded,
    is_removed: impl Fn(&Entry) -> bool,
) -> (Batch, usize) {
    let mut batch = Batch::new();
    let change = batch.change(partition, Expect::Revision(stored.revision));
    for entry in stored.entries.iter().filter(|it| is_removed(it)) {
        change.delete_record(entry.record());
    }
    let removed = change.ops().len();
    (batch, removed)
}

/// Whether an entry belongs to this user. Ids that differ in case share a partition.
pub(crate) fn belongs_to(entry: &Entry, home_account_id: &str) -> bool {
    entry.field(Field::HomeAccountId).is_none_or(|it| it == home_account_id)
}

/// Whether a sign-out of the user by this client removes an entry of the user.
pub(crate) fn is_removed(
    entry: &Entry,
    client_id: &str,
    hosts: &Hosts,
    family: &ClientFamily,
) -> bool {
    // A record without an environment counts as one of this cloud.
    let environment = entry.field(Field::Environment).filter(|it| !it.is_empty());
    if environment.is_some() && hosts.rank(environment).is_none() {
        return false;
    }
    if *entry.credential_type() != CredentialType::RefreshToken {
        return true;
    }
    let of_family = match family {
        ClientFamily::Member(id) => entry.field(Field::FamilyId) == Some(id),
        ClientFamily::Unknown | ClientFamily::None => false,
    };
    // A token without a client is of no use to any client.
    of_family || entry.field(Field::ClientId).is_none_or(|client| client == client_id)
}

/// Removes the tokens that a client has for itself. Also returns their number.
pub(crate) fn own_tokens(tokens: &[Entry], client_id: &str, hosts: &Hosts) -> (Batch, usize) {
    let mut batch = Batch::new();
    let own = tokens.iter().filter(|it| {
        it.known("client_id") == Some(client_id)
            && it.known("home_account_id").is_none_or(str::is_empty)
            && hosts.rank(it.known("environment")).is_some()
    });
    let mut removed = 0;
    for token in own {
        batch.change(token.partition(), Expect::Any).delete_record(token.record());
        removed += 1;
    }
    (batch, removed)
}
