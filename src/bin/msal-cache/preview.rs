//! Stores that are read and not changed, for `--dry-run`.

use msal_cache::Result;
use msal_cache::store::{
    Batch, Blob, BlobStore, CacheStore, CredentialType, Load, Op, Partition, Revision,
};

use crate::sealing::Raw;

/// Reads a store, and reports success for what it doesn't write.
#[derive(Debug)]
struct Preview<S>(S);

impl Raw {
    /// The store, which isn't changed any more.
    pub(crate) fn preview(self) -> Self {
        match self {
            Self::Text(text) => Self::Text(blob(text)),
            Self::Rows(rows) => Self::Rows(Box::new(Preview(rows))),
        }
    }
}

/// The text, which isn't changed any more.
pub(crate) fn blob(blob: impl BlobStore + 'static) -> Box<dyn BlobStore> {
    Box::new(Preview(blob))
}

impl<B: BlobStore> BlobStore for Preview<B> {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        self.0.read(known)
    }

    fn swap(&self, _: Revision, _: &[u8]) -> Result<Revision> {
        Ok(Revision::unique())
    }

    fn place(&self) -> String {
        self.0.place()
    }
}

impl<S: CacheStore> CacheStore for Preview<S> {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.0.load(partition, known)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let revision = |put| if put { Revision::unique() } else { Revision::ABSENT };
        let puts =
            batch.changes().iter().map(|it| it.ops().iter().any(|it| matches!(it, Op::Put(_))));
        Ok(puts.map(revision).collect())
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.0.list(credential_type, known)
    }

    fn purge(&self, _: i64) -> Result<u64> {
        Ok(0)
    }

    /// No: nothing is written by which it could be found out.
    fn is_shared(&self) -> bool {
        false
    }
}
