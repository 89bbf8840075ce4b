use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::wipe::wipe;
use crate::{Partition, Result, Revision};

/// One string somewhere that can be read and swapped: a file, an object in a bucket, a secret of
/// an orchestrator. The small door into the crate: [`Document`](crate::Document) turns any of
/// these into a [`CacheStore`](crate::CacheStore).
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
    /// Reads the string; or says that it is still the one of `known`.
    ///
    /// A `known` that this store never returned is a string that it doesn't know: it returns
    /// what is there.
    fn read(&self, known: Option<Revision>) -> Result<Blob>;

    /// Replaces the string of `expected` by `bytes`, wholly and durably, or not at all.
    ///
    /// `Revision::ABSENT` expects that nothing is there.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`](crate::Error::Conflict) where something else stands there by now, or
    /// where the store can't rule that out. Nothing was written; the caller reads again.
    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision>;

    /// Holds other writers off until the guard is dropped, where there is a lock for that.
    ///
    /// This is courtesy and speed, never safety: `swap` checks `expected` with or without it.
    /// It spares a writer from losing the race again and again where many write at once, and so
    /// the body that is given here, which holds nobody off, is right for every store.
    /// While a thread holds the guard, its own `read` and `swap` go through.
    fn hold(&self) -> Result<Hold<'_>> {
        Ok(Hold::nobody())
    }

    /// Moves a string that can't be read out of the way, so that the next `swap` starts anew
    /// from [`Revision::ABSENT`]; `false` where that isn't wanted or can't be done.
    ///
    /// [`Document`](crate::Document) asks for it before it writes, never when it reads, and with
    /// the string in `hold`. The string must be kept. The body that is given here declines.
    fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        let _ = unreadable;
        Ok(false)
    }

    /// The guard of a partition of the document; see
    /// [`CacheStore::guard`](crate::CacheStore::guard). The body that is given here holds nobody
    /// off.
    fn guard(&self, partition: &Partition, wait: Duration) -> Result<Hold<'_>> {
        let _ = (partition, wait);
        Ok(Hold::nobody())
    }

    /// What to call this string in an error, such as its path.
    fn place(&self) -> String {
        "the stored document".into()
    }
}

/// What a [`BlobStore`] has read.
#[derive(Clone, Debug)]
pub enum Blob {
    /// Still what it was at the revision that the caller knows.
    Unchanged,
    /// Nothing is there. Its revision is [`Revision::ABSENT`].
    Absent,
    /// The string, and the revision that stands for it.
    Present(Revision, Bytes),
}

/// Shared bytes that may hold secrets: `Debug` prints their number alone, and dropping the last
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
    /// The bytes, secrets and all.
    pub fn expose(&self) -> &[u8] {
        &self.0.0
    }

    /// The bytes as a vector: the same one, unless somebody else holds a clone.
    pub(crate) fn into_vec(self) -> Vec<u8> {
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

/// Other writers are held off while this lives; see [`BlobStore::hold`].
pub struct Hold<'a>(Option<Box<dyn Drops + 'a>>);

trait Drops {}
impl<T> Drops for T {}

impl<'a> Hold<'a> {
    /// Holds nobody off.
    #[must_use]
    pub fn nobody() -> Self {
        Self(None)
    }

    /// Holds others off until `guard` is dropped.
    pub fn new(guard: impl Sized + 'a) -> Self {
        Self(Some(Box::new(guard)))
    }
}

impl fmt::Debug for Hold<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Hold(others)" } else { "Hold(nobody)" })
    }
}
