//! What points to a store is a store.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    Batch, Blob, BlobStore, CacheStore, CredentialType, Hold, Load, Partition, Result, Revision,
};

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<S: CacheStore + ?Sized> CacheStore for $pointer {
            fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
                (**self).load(partition, known)
            }

            fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
                (**self).commit(batch)
            }

            fn list(
                &self,
                credential_type: Option<&CredentialType>,
                known: Option<Revision>,
            ) -> Result<Load> {
                (**self).list(credential_type, known)
            }

            fn purge(&self, now: i64) -> Result<u64> {
                (**self).purge(now)
            }

            fn guard(&self, partition: &Partition, wait: Duration) -> Result<Hold<'_>> {
                (**self).guard(partition, wait)
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl<S: BlobStore + ?Sized> BlobStore for $pointer {
            fn read(&self, known: Option<Revision>) -> Result<Blob> {
                (**self).read(known)
            }

            fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
                (**self).swap(expected, bytes)
            }

            fn hold(&self) -> Result<Hold<'_>> {
                (**self).hold()
            }

            fn quarantine(&self, unreadable: Revision) -> Result<bool> {
                (**self).quarantine(unreadable)
            }

            fn guard(&self, partition: &Partition, wait: Duration) -> Result<Hold<'_>> {
                (**self).guard(partition, wait)
            }

            fn place(&self) -> String {
                (**self).place()
            }
        }
    )*};
}

forward!(&S, Arc<S>, Box<S>);
