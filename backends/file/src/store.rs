use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{
    Batch, CacheStore, ChangeSignal, CredentialType, Document, Load, Partition, RefreshGuard,
    Result, Revision, Watch,
};

use crate::blob::FileBlob;
use crate::lock::LockHolder;

/// A token cache in one JSON file, with the format and the lock of the other MSAL libraries, so
/// that they can share it.
///
/// Several handles, threads and processes can have the same file open.
///
/// ```
/// use msal_cache_core::{Batch, CacheStore, CredentialType, Expect, Json, Record};
/// use msal_cache_file::FileStore;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app/cache.json");
/// let store = FileStore::open(&path)?;
/// assert!(!path.exists(), "the first write creates it");
///
/// let value = Json::new(r#"{"home_account_id": "uid.utid", "environment": "example.org"}"#)?;
/// let account = Record::new(CredentialType::Account, "uid.utid-example.org-", value);
/// let mut batch = Batch::new();
/// batch.change(account.partition(), Expect::Any).put(account);
/// store.commit(&batch)?;
/// assert!(path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileStore(Document<FileBlob>);

impl FileStore {
    /// The path of the file: absolute, with symbolic links unresolved.
    pub fn path(&self) -> &Path {
        self.0.blob().path()
    }

    /// The current holder of the lock of the cache at `path`. This reads the lock file and neither
    /// takes nor breaks the lock.
    ///
    /// ```
    /// use msal_cache_file::FileStore;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("cache.json");
    /// assert!(FileStore::lock_holder(&path)?.is_none());
    /// std::fs::write(folder.path().join("cache.json.lockfile"), "1 init")?;
    /// let holder = FileStore::lock_holder(&path)?.expect("there is a lock file");
    /// assert_eq!((holder.process(), holder.program()), (Some(1), Some("init")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`](msal_cache_core::Error::Io) where the lock file can't be read.
    pub fn lock_holder(path: impl AsRef<Path>) -> Result<Option<LockHolder>> {
        LockHolder::of(path.as_ref())
    }

    pub(crate) fn over(document: Document<FileBlob>) -> Self {
        Self(document)
    }
}

#[deny(clippy::missing_trait_methods)]
impl CacheStore for FileStore {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.0.load(partition, known)
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.0.load_many(wanted)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.0.commit(batch)
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.0.list(credential_type, known)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.0.purge(now)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.0.guard(partition, wait)
    }

    /// With the feature `watch`, by the notifications of the system; see the crate's documentation.
    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.0.watch(signal)
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        self.0.is_unchanged(partition, known)
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    fn is_immediate(&self) -> bool {
        self.0.is_immediate()
    }

    fn detached(self: Arc<Self>) -> Option<Arc<dyn CacheStore>> {
        Some(self)
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileStore").field(&self.path()).finish()
    }
}
