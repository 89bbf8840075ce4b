use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::wipe::wipe;
use crate::{ChangeSignal, Partition, RefreshGuard, Result, Revision, Watch};

/// One string that can be read and swapped: a file, an object in a bucket, a secret of an
/// orchestrator. The smallest store to implement: [`Document`](crate::Document) makes a
/// [`CacheStore`](crate::CacheStore) of it.
///
/// ```
/// use std::sync::Mutex;
/// use msal_cache_core::{Blob, BlobStore, Document, Error, Result, Revision};
///
/// #[derive(Debug)]
/// struct Variable(Mutex<(Revision, Vec<u8>)>);
///
/// impl BlobStore for Variable {
///     fn read(&self, known: Option<Revision>) -> Result<Blob> {
///         let (revision, bytes) = &*self.0.lock().unwrap();
///         Ok(match *revision {
///             Revision::ABSENT => Blob::Absent,
///             revision if known == Some(revision) => Blob::Unchanged,
///             revision => Blob::Present(revision, bytes.clone().into()),
///         })
///     }
///
///     fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
///         let mut held = self.0.lock().unwrap();
///         if held.0 != expected {
///             return Err(Error::Conflict);
///         }
///         *held = (Revision::unique(), bytes.to_vec());
///         Ok(held.0)
///     }
/// }
///
/// let store = Document::new(Variable(Mutex::new((Revision::ABSENT, Vec::new()))));
/// # use msal_cache_core::CacheStore;
/// # assert!(store.list(None, None).is_ok());
/// ```
pub trait BlobStore: fmt::Debug + Send + Sync {
    /// Reads the string; or reports that it is still the one of `known`.
    ///
    /// Where the store never returned `known`, it returns the string.
    fn read(&self, known: Option<Revision>) -> Result<Blob>;

    /// Replaces the string at `expected` by `bytes`, as a whole and durably, or not at all.
    ///
    /// `Revision::ABSENT` expects that nothing is there.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`](crate::Error::Conflict) where the string is at another revision, or where
    /// the store can't rule that out. Nothing was written; the caller reads again.
    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision>;

    /// Excludes other writers until the hold is dropped, where there is a lock for that.
    ///
    /// It makes many writers faster, but nothing relies on it: `swap` checks `expected` in any case.
    /// So the provided body, which excludes nothing, is correct for every store. While a thread has
    /// the hold, its own `read` and `swap` work.
    fn hold(&self) -> Result<Hold<'_>> {
        Ok(Hold::none())
    }

    /// Sets a string aside that can't be read, so that the next `swap` starts from
    /// [`Revision::ABSENT`]; `false` where that isn't wanted or possible.
    ///
    /// [`Document`](crate::Document) calls it before it writes, never when it reads, and within
    /// `hold`. The string must be kept, for example under another name. The provided body returns
    /// `false`.
    fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        let _ = unreadable;
        Ok(false)
    }

    /// The guard of a partition of the document; see
    /// [`CacheStore::guard`](crate::CacheStore::guard). The provided body excludes nothing.
    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        let _ = (partition, wait);
        Ok(RefreshGuard::none())
    }

    /// Starts to report changes of the string; see
    /// [`CacheStore::watch`](crate::CacheStore::watch). The provided body reports nothing, so the
    /// string is read each second, where it has changed.
    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        let _ = signal;
        Ok(Watch::polling_every(Watch::DEFAULT_INTERVAL))
    }

    /// The name of this string in an error, such as its path.
    fn place(&self) -> String {
        "the stored document".into()
    }
}

/// What a [`BlobStore`] has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blob {
    /// The string is still at the revision that the caller knows.
    Unchanged,
    /// There is no string. Its revision is [`Revision::ABSENT`].
    Absent,
    /// The string and its revision.
    Present(Revision, Bytes),
}

/// Shared bytes that may hold secrets: `Debug` prints only their number, and dropping the last
/// clone overwrites them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes(Arc<Buffer>);

#[derive(PartialEq, Eq, Default)]
struct Buffer(Vec<u8>);

impl Drop for Buffer {
    fn drop(&mut self) {
        wipe(mem::take(&mut self.0));
    }
}

impl Bytes {
    /// The bytes, secrets included.
    pub fn expose(&self) -> &[u8] {
        &self.0.0
    }

    /// The bytes as a vector, which isn't overwritten: without a copy, unless there is another clone.
    #[doc(hidden)]
    pub fn into_vec(self) -> Vec<u8> {
        match Arc::try_unwrap(self.0) {
            Ok(mut bytes) => mem::take(&mut bytes.0),
            Err(shared) => shared.0.clone(),
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Buffer(bytes)))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes([{} bytes])", self.0.0.len())
    }
}

/// Excludes other writers until it is dropped; see [`BlobStore::hold`]. It belongs to the thread
/// that took it.
#[must_use = "the hold ends when it is dropped"]
pub struct Hold<'a>(Option<Box<dyn Drops + 'a>>);

trait Drops {}
impl<T> Drops for T {}

impl<'a> Hold<'a> {
    /// Excludes nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Excludes others until `held` is dropped.
    pub fn new(held: impl Sized + 'a) -> Self {
        Self(Some(Box::new(held)))
    }
}

impl fmt::Debug for Hold<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Hold(held)" } else { "Hold(none)" })
    }
}
