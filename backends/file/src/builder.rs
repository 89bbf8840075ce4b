use std::path::{Path, PathBuf};
use std::time::Duration;

use msal_cache_core::{Document, Result};
use msal_cache_disk::{Permissions, absolute};

use crate::lock::{self, LockTimeouts};
use crate::{FileBlob, FileStore, OnCorrupt};

/// The options of a [`FileStore`].
///
/// ```
/// use std::time::Duration;
///
/// use msal_cache_file::{FileStore, OnCorrupt, Permissions};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
/// let store = FileStore::builder(path)
///     .permissions(Permissions::Repair)
///     .on_corrupt(OnCorrupt::Error)
///     .lock_timeout(Duration::from_secs(5))
///     .max_size(64 << 20)
///     .open()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileStoreBuilder {
    path: PathBuf,
    options: FileOptions,
}

#[derive(Clone, Debug)]
pub(crate) struct FileOptions {
    pub(crate) permissions: Permissions,
    pub(crate) on_corrupt: OnCorrupt,
    pub(crate) lock_timeouts: LockTimeouts,
    pub(crate) java: bool,
    pub(crate) max_size: u64,
}

impl FileStoreBuilder {
    pub(crate) fn new(path: &Path) -> Self {
        let options = FileOptions {
            permissions: Permissions::default(),
            on_corrupt: OnCorrupt::default(),
            lock_timeouts: LockTimeouts { timeout: Duration::from_secs(15), grace: lock::GRACE },
            java: false,
            max_size: 1 << 30,
        };
        Self { path: path.to_owned(), options }
    }

    /// What to do about a file that others can open, or replace. [`Permissions::Refuse`] unless
    /// set.
    pub fn permissions(mut self, permissions: Permissions) -> Self {
        self.options.permissions = permissions;
        self
    }

    /// What to do about a file that can't be read as a cache. [`OnCorrupt::Quarantine`] unless
    /// set.
    pub fn on_corrupt(mut self, on_corrupt: OnCorrupt) -> Self {
        self.options.on_corrupt = on_corrupt;
        self
    }

    /// How long a writer waits for others before [`Error::Locked`]. 15 seconds unless set. A
    /// reader waits only where the file can't be read, to see whether somebody is mending it.
    ///
    /// The wait ends then even where the file system doesn't answer, such as that of a server
    /// that is away. It is the wait alone that ends: reading and writing take as long as the
    /// system takes for them. Another library's lock file that was left behind needs ten seconds
    /// to be found dead, unless its time says that it is older; a shorter wait may have to be
    /// repeated.
    ///
    /// [`Error::Locked`]: msal_cache_core::Error::Locked
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.options.lock_timeouts.timeout = timeout;
        self
    }

    /// Whether to take the lock of MSAL Java's extensions too, `.lockfile` in the folder of the
    /// cache, after the one that all others take. It is one lock for all caches of the folder,
    /// so say this where a Java app shares the file. No unless set.
    pub fn share_with_java(mut self, share: bool) -> Self {
        self.options.java = share;
        self
    }

    /// The largest file that is read or written, in bytes; beyond it is [`Error::TooLarge`].
    /// 1 GiB unless set.
    ///
    /// [`Error::TooLarge`]: msal_cache_core::Error::TooLarge
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.options.max_size = bytes;
        self
    }

    /// How old the lock file of another library must be before it may be found dead. For tests.
    #[doc(hidden)]
    pub fn foreign_grace(mut self, grace: Duration) -> Self {
        self.options.lock_timeouts.grace = grace;
        self
    }

    /// Opens the store, which reads at most the permissions of the file and writes nothing: a
    /// missing file is an empty cache, and missing folders are created (mode 0700) by the first
    /// write.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the path names a folder, or leads through something that isn't one or
    /// through a loop of symbolic links; [`Error::Insecure`] where a pipe, a socket or a device
    /// stands there, or a file or a folder that [`Permissions`] doesn't let pass.
    ///
    /// [`Error::Io`]: msal_cache_core::Error::Io
    /// [`Error::Insecure`]: msal_cache_core::Error::Insecure
    pub fn open(self) -> Result<FileStore> {
        Ok(FileStore::over(Document::new(self.open_blob()?)))
    }

    /// Opens the text of the file alone, for a wrapper around it. Errors as [`open`](Self::open).
    ///
    /// ```
    /// use msal_cache_core::{BlobStore, Document, Revision};
    /// use msal_cache_file::FileStore;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let blob = FileStore::builder(folder.path().join("cache.json")).open_blob()?;
    /// blob.swap(Revision::ABSENT, b"{}")?;
    /// let store = Document::new(blob);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_blob(self) -> Result<FileBlob> {
        FileBlob::open(absolute(&self.path)?, self.options)
    }
}
