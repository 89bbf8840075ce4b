//! A pointer to a store is a store.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    AsyncBlobStore, AsyncCacheStore, Batch, Blob, BlobStore, CacheStore, CredentialType, Hold,
    Load, Partition, RefreshGuard, Result, Revision,
};

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<S: CacheStore + ?Sized> CacheStore for $pointer {
            crate::delegate_store!(self => **self);
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

            fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
                (**self).guard(partition, wait)
            }

            fn place(&self) -> String {
                (**self).place()
            }
        }
    )*};
}

forward!(&S, Arc<S>, Box<S>);

macro_rules! forward_async {
    ($($pointer:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<S: AsyncCacheStore> AsyncCacheStore for $pointer {
            async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
                (**self).load(partition, known).await
            }

            async fn load_many(
                &self,
                wanted: &[(&Partition, Option<Revision>)],
            ) -> Result<Vec<Load>> {
                (**self).load_many(wanted).await
            }

            async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
                (**self).commit(batch).await
            }

            async fn list(
                &self,
                credential_type: Option<&CredentialType>,
                known: Option<Revision>,
            ) -> Result<Load> {
                (**self).list(credential_type, known).await
            }

            async fn purge(&self, now: i64) -> Result<u64> {
                (**self).purge(now).await
            }

            async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
                (**self).guard(partition, wait).await
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl<S: AsyncBlobStore> AsyncBlobStore for $pointer {
            async fn read(&self, known: Option<Revision>) -> Result<Blob> {
                (**self).read(known).await
            }

            async fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
                (**self).swap(expected, bytes).await
            }

            async fn quarantine(&self, unreadable: Revision) -> Result<bool> {
                (**self).quarantine(unreadable).await
            }

            async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
                (**self).guard(partition, wait).await
            }

            fn place(&self) -> String {
                (**self).place()
            }
        }
    )*};
}

forward_async!(&S, Arc<S>);
