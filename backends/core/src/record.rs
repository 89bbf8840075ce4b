use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::placement::Placement;
use crate::{CredentialType, Json, Partition};

/// One record of the cache: the section and the key under which it is stored, and its JSON.
///
/// Section and key are the record's identity: a store holds one record under them, in whichever
/// partition. Libraries build keys differently, so a record is replaced and deleted by the key
/// under which it is stored, and never by a key that is computed again.
///
/// Cloning shares the record. Its partition and its expiry are read from the JSON once.
#[derive(Clone)]
pub struct Record(Arc<Inner>);

struct Inner {
    credential_type: CredentialType,
    key: Arc<str>,
    value: Json,
    placement: Lazy,
}

/// A placement that is known, or found when it is needed.
///
/// They are two variants, since a [`OnceLock`] that is set at once costs as much as the rest of the
/// record.
enum Lazy {
    Known(Placement),
    Unknown(OnceLock<Placement>),
}

impl Record {
    /// A record under `key` in a section.
    pub fn new(credential_type: CredentialType, key: impl Into<Arc<str>>, value: Json) -> Self {
        Self::with(credential_type, key.into(), value, Lazy::Unknown(OnceLock::new()))
    }

    /// A record whose placement was found when the JSON was scanned.
    pub(crate) fn with_placement(
        credential_type: CredentialType,
        key: impl Into<Arc<str>>,
        value: Json,
        placement: Placement,
    ) -> Self {
        Self::with(credential_type, key.into(), value, Lazy::Known(placement))
    }

    fn with(credential_type: CredentialType, key: Arc<str>, value: Json, placement: Lazy) -> Self {
        let credential_type = match credential_type {
            CredentialType::Other(name) => CredentialType::from(&*name),
            known => known,
        };
        Self(Arc::new(Inner { credential_type, key, value, placement }))
    }

    /// The section.
    #[inline]
    pub fn credential_type(&self) -> &CredentialType {
        &self.0.credential_type
    }

    /// The stored key.
    #[inline]
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The stored key, to keep.
    #[inline]
    pub fn shared_key(&self) -> &Arc<str> {
        &self.0.key
    }

    /// The JSON value, whole. It is an object, unless another program wrote something else.
    #[inline]
    pub fn value(&self) -> &Json {
        &self.0.value
    }

    /// The partition to which the record belongs.
    #[inline]
    pub fn partition(&self) -> &Partition {
        &self.placement().partition
    }

    /// When the record expires, in seconds since the epoch; `None` unless it is an access token with
    /// a readable `expires_on`. For stores that purge by a column.
    pub fn expires_on(&self) -> Option<i64> {
        self.placement().expires_on
    }

    /// The record under the same key with another value.
    #[must_use]
    pub fn with_value(&self, value: Json) -> Self {
        Self::new(self.0.credential_type.clone(), self.0.key.clone(), value)
    }

    /// Whether there are other clones of this record, so that keeping this one takes no more memory.
    #[doc(hidden)]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Whether both are stored under one key of one section: in a store, one replaces the other.
    #[inline]
    pub fn has_key_of(&self, other: &Self) -> bool {
        self.0.key == other.0.key && self.0.credential_type == other.0.credential_type
    }

    /// Sets the partition and the expiry that the caller has found in the JSON, so that they aren't
    /// read again.
    #[doc(hidden)]
    #[must_use]
    pub fn placed(self, partition: impl FnOnce() -> Partition, expires_on: Option<i64>) -> Self {
        if let Lazy::Unknown(placement) = &self.0.placement {
            placement.get_or_init(|| Placement { partition: partition(), expires_on });
        }
        self
    }

    fn placement(&self) -> &Placement {
        let Inner { credential_type, value, placement, .. } = &*self.0;
        match placement {
            Lazy::Known(placement) => placement,
            Lazy::Unknown(placement) => {
                placement.get_or_init(|| Placement::of(credential_type, value.expose()))
            }
        }
    }
}

impl Partition {
    /// The partition of a record; the same as [`Record::partition`].
    pub fn of(record: &Record) -> Self {
        record.partition().clone()
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.has_key_of(other) && self.0.value == other.0.value)
    }
}

impl Eq for Record {}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("credential_type", &self.0.credential_type)
            .field("key", &self.0.key)
            .field("value", &self.0.value)
            .finish()
    }
}
