use std::time::Duration;

use msal_cache_core::{
    AsyncBlobStore, Blob, BlobStore, Bytes, ChangeSignal, Hold, Partition, RefreshGuard, Result,
    Revision, Watch,
};

use crate::envelope::{self, Context};
use crate::error::SealFailure;
use crate::ring::KeyRing;

/// A string that is encrypted as a whole: any [`BlobStore`] or [`AsyncBlobStore`], such as a file.
///
/// Nothing but its size and the number of its key is legible. A string that can't be opened is an error
/// for readers and writers; it is neither replaced nor set aside.
///
/// ```no_run
/// use msal_cache_core::Document;
/// use msal_cache_file::FileStore;
/// use msal_cache_sealed::{KeyRing, SealedBlob};
///
/// let file = FileStore::builder("tokens.sealed").open_blob()?;
/// let keys = KeyRing::from_file("tokens.key")?;
/// let store = Document::new(SealedBlob::new(file, "my-app", keys));
/// # Ok::<(), msal_cache_core::Error>(())
/// ```
#[derive(Debug)]
pub struct SealedBlob<B> {
    pub(crate) blob: B,
    name: String,
    ring: KeyRing,
}

/// How a sealed document begins.
const MAGIC: &[u8] = b"msal-cache sealed\n";

impl<B> SealedBlob<B> {
    /// Encrypts the string in `blob` as that of the cache with this name. Nothing is read yet.
    pub fn new(blob: B, name: impl Into<String>, keys: KeyRing) -> Self {
        Self { blob, name: name.into(), ring: keys }
    }

    /// The blob whose string is sealed.
    pub fn blob(&self) -> &B {
        &self.blob
    }

    /// The keys.
    pub fn keys(&self) -> &KeyRing {
        &self.ring
    }

    fn context(&self) -> Context {
        Context::of(["msal-cache document", &self.name])
    }

    pub(crate) fn seal(&self, text: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = MAGIC.to_vec();
        envelope::seal(&self.ring, self.context(), [text], &mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn open(&self, sealed: Vec<u8>, place: impl Fn() -> String + Copy) -> Result<Bytes> {
        after_magic(&sealed, place)?;
        envelope::open(&self.ring, self.context(), sealed, MAGIC.len(), place).map(Bytes::from)
    }

    fn opened(&self, blob: Blob, place: impl Fn() -> String + Copy) -> Result<Blob> {
        Ok(match blob {
            Blob::Present(revision, bytes) => {
                Blob::Present(revision, self.open(bytes.into_vec(), place)?)
            }
            other => other,
        })
    }
}

/// Whether a string begins as a sealed document does.
pub fn is_sealed_document(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The number of the key that sealed a document. No key is needed.
///
/// # Errors
///
/// [`SealFailure::NotSealed`] and [`SealFailure::Version`].
pub fn key_of_document(bytes: &[u8], place: &str) -> Result<u32> {
    let place = || place.to_owned();
    envelope::number(after_magic(bytes, place)?, place)
}

fn after_magic(bytes: &[u8], place: impl Fn() -> String) -> Result<&[u8]> {
    bytes.strip_prefix(MAGIC).ok_or_else(|| SealFailure::NotSealed { what: place() }.into())
}

#[deny(clippy::missing_trait_methods)]
impl<B: BlobStore> BlobStore for SealedBlob<B> {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        self.opened(self.blob.read(known)?, || self.blob.place())
    }

    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        self.blob.swap(expected, &self.seal(bytes)?)
    }

    fn hold(&self) -> Result<Hold<'_>> {
        self.blob.hold()
    }

    fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        self.blob.quarantine(unreadable)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.blob.guard(partition, wait)
    }

    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.blob.watch(signal)
    }

    fn place(&self) -> String {
        self.blob.place()
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: AsyncBlobStore> AsyncBlobStore for SealedBlob<B> {
    async fn read(&self, known: Option<Revision>) -> Result<Blob> {
        self.opened(self.blob.read(known).await?, || self.blob.place())
    }

    async fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        let sealed = self.seal(bytes)?;
        self.blob.swap(expected, &sealed).await
    }

    async fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        self.blob.quarantine(unreadable).await
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.blob.guard(partition, wait).await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.blob.watch(signal).await
    }

    fn place(&self) -> String {
        self.blob.place()
    }
}
