//! A pointer to a store is a store.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    AsyncBlobStore, AsyncCacheStore, Batch, Blob, BlobStore, CacheStore, ChangeSignal,
    CredentialType, Hold, Load, Partition, RefreshGuard, Result, Revision, Watch,
};

macro_rules! forward {
    ($($pointer:ty => $detached:expr),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<S: CacheStore + ?Sized> CacheStore for $pointer {
            crate::delegate_store!(self => **self, except detached);

            fn detached(self: Arc<Self>) -> Option<Arc<dyn CacheStore>> {
                let detached: fn(&Self) -> Option<Arc<dyn CacheStore>> = $detached;
                detached(&self)
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

            fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
                (**self).guard(partition, wait)
            }

            fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
                (**self).watch(signal)
            }

            fn place(&self) -> String {
                (**self).place()
            }
        }
    )*};
}

// What a reference or a box points to can't be shared.
forward!(&S => |_| None, Arc<S> => |store| store.clone().detached(), Box<S> => |_| None);

/// The futures are those of the store itself: an `async fn` around each would have to be polled, and
/// copied, as well.
macro_rules! forward_async {
    ($($pointer:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<S: AsyncCacheStore + ?Sized> AsyncCacheStore for $pointer {
            #[inline]
            fn load(
                &self,
                partition: &Partition,
                known: Option<Revision>,
            ) -> impl Future<Output = Result<Load>> + Send {
                (**self).load(partition, known)
            }

            fn load_many(
                &self,
                wanted: &[(&Partition, Option<Revision>)],
            ) -> impl Future<Output = Result<Vec<Load>>> + Send {
                (**self).load_many(wanted)
            }

            fn commit(&self, batch: &Batch) -> impl Future<Output = Result<Vec<Revision>>> + Send {
                (**self).commit(batch)
            }

            fn list(
                &self,
                credential_type: Option<&CredentialType>,
                known: Option<Revision>,
            ) -> impl Future<Output = Result<Load>> + Send {
                (**self).list(credential_type, known)
            }

            fn purge(&self, now: i64) -> impl Future<Output = Result<u64>> + Send {
                (**self).purge(now)
            }

            fn guard(
                &self,
                partition: &Partition,
                wait: Duration,
            ) -> impl Future<Output = Result<RefreshGuard>> + Send {
                (**self).guard(partition, wait)
            }

            fn watch(&self, signal: ChangeSignal) -> impl Future<Output = Result<Watch>> + Send {
                (**self).watch(signal)
            }

            #[inline]
            fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
                (**self).is_unchanged(partition, known)
            }

            fn is_shared(&self) -> bool {
                (**self).is_shared()
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl<S: AsyncBlobStore + ?Sized> AsyncBlobStore for $pointer {
            fn read(&self, known: Option<Revision>) -> impl Future<Output = Result<Blob>> + Send {
                (**self).read(known)
            }

            fn swap(
                &self,
                expected: Revision,
                bytes: &[u8],
            ) -> impl Future<Output = Result<Revision>> + Send {
                (**self).swap(expected, bytes)
            }

            fn quarantine(
                &self,
                unreadable: Revision,
            ) -> impl Future<Output = Result<bool>> + Send {
                (**self).quarantine(unreadable)
            }

            fn guard(
                &self,
                partition: &Partition,
                wait: Duration,
            ) -> impl Future<Output = Result<RefreshGuard>> + Send {
                (**self).guard(partition, wait)
            }

            fn watch(&self, signal: ChangeSignal) -> impl Future<Output = Result<Watch>> + Send {
                (**self).watch(signal)
            }

            fn place(&self) -> String {
                (**self).place()
            }
        }
    )*};
}

forward_async!(&S, Arc<S>, Box<S>);
