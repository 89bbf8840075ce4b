//! 128 bits as the type `uuid`.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use msal_cache_core::{Partition, Revision};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// A revision, or a hash that identifies a partition or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) u128);

impl Id {
    pub(crate) fn of_partition(partition: &Partition) -> Self {
        Self::hash(&[partition.as_str()])
    }

    pub(crate) fn of_record(section: &str, key: &str) -> Self {
        Self::hash(&[section, key])
    }

    fn hash(parts: &[&str]) -> Self {
        Revision::of_contents(parts.iter().map(|part| part.as_bytes())).into()
    }

    /// The upper half, as the key of an advisory lock.
    pub(crate) fn lock_key(self) -> i64 {
        i64::from_be_bytes(((self.0 >> 64) as u64).to_be_bytes())
    }
}

impl From<Revision> for Id {
    fn from(revision: Revision) -> Self {
        Self(revision.as_u128())
    }
}

impl From<Id> for Revision {
    fn from(id: Id) -> Self {
        Self::from_u128(id.0)
    }
}

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u128(self.0);
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Id {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(u128::from_be_bytes(raw.try_into()?)))
    }

    accepts!(UUID);
}
