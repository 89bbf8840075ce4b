use std::sync::Arc;

use crate::partition::Place;
use crate::{CredentialType, Json, Partition};

/// One record of the cache: the key under which it stands in its section, and its JSON.
///
/// The stored key is the record's identity. Libraries build keys differently, so a record is
/// replaced and deleted by the key under which it stands and never by one computed afresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The section.
    pub credential_type: CredentialType,
    /// The stored key.
    pub key: Arc<str>,
    /// The JSON value, whole. An object, unless somebody else wrote something odd.
    pub value: Json,
}

impl Record {
    /// A record under `key` in a section.
    pub fn new(credential_type: CredentialType, key: impl Into<Arc<str>>, value: Json) -> Self {
        let credential_type = match credential_type {
            CredentialType::Other(name) => CredentialType::from(&*name),
            known => known,
        };
        Self { credential_type, key: key.into(), value }
    }

    /// The partition to which the record belongs.
    pub fn partition(&self) -> Partition {
        Partition::of(self)
    }

    /// When the record expires, in seconds since the epoch: for access tokens with a readable
    /// `expires_on`. For stores that sweep by a column.
    pub fn expires_on(&self) -> Option<i64> {
        if self.credential_type != CredentialType::AccessToken {
            return None;
        }
        Place::of(&self.credential_type, self.value.expose()).expires_on
    }
}
