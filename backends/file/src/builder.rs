use std::path::{Path, PathBuf};
use std::time::Duration;

use msal_cache_core::{Document, Result};
use msal_cache_disk::{Permissions, absolute};

use crate::lock::{GRACE_PERIOD, LockTimeouts};
use crate::options::FileOptions;
use crate::{FileBlob, FileStore, OnCorrupt};

/// Sets the options of a [`FileStore`].
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

impl FileStore {
    /// Opens the cache at `path` with the default options. See [`FileStoreBuilder::open`] for what
    /// is checked and what is left to the first write.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// The cache at `path`, with options.
    pub fn builder(path: impl AsRef<Path>) -> FileStoreBuilder {
        FileStoreBuilder::new(path.as_ref())
    }
}

impl FileStoreBuilder {
    fn new(path: &Path) -> Self {
        let timeout = Duration::from_secs(15);
        let options = FileOptions {
            permissions: Permissions::default(),
            on_corrupt: OnCorrupt::default(),
            lock_timeouts: LockTimeouts { timeout, grace_period: GRACE_PERIOD },
            java: false,
            max_size: 1 << 30,
        };
        Self { path: path.to_owned(), options }
    }

    /// What to do about a file that other users can access or replace. The default is
    /// [`Permissions::Refuse`].
    pub fn permissions(mut self, permissions: Permissions) -> Self {
        self.options.permissions = permissions;
        self
    }

    /// What a write does about a file that isn't a token cache. The default is
    /// [`OnCorrupt::Quarantine`].
    pub fn on_corrupt(mut self, on_corrupt: OnCorrupt) -> Self {
        self.options.on_corrupt = on_corrupt;
        self
    }

    /// How long a writer waits for the lock before it returns [`Error::Locked`]. The default is
    /// 15 seconds. A reader waits only where the file isn't a token cache, in case a writer is
    /// repairing it.
    ///
    /// Only the wait has a deadline: reading and writing take as long as the system needs.
    ///
    /// A lock file that another library left behind is taken over ten seconds after it was
    /// written, so with a shorter timeout a call may have to be repeated.
    ///
    /// [`Error::Locked`]: msal_cache_core::Error::Locked
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.options.lock_timeouts.timeout = timeout;
        self
    }

    /// Whether to take the lock of MSAL Java's extensions as well: `.lockfile` in the folder of
    /// the cache, one lock for all caches in the folder. Enable it where a Java app shares the
    /// file. The default is `false`.
    ///
    /// These extensions create the file with mode 0644, and give it that mode at each write. With
    /// [`Permissions::Refuse`], such a file of this user is then not refused but made private (mode
    /// 0600) when it is read. Between a write of Java and that read, other users can read it: keep it
    /// in a folder with mode 0700. A folder in which others can replace the file is still refused.
    pub fn share_with_java(mut self, share: bool) -> Self {
        self.options.java = share;
        self
    }

    /// The largest file that is read or written, in bytes. A larger one is [`Error::TooLarge`].
    /// The default is 1 GiB.
    ///
    /// [`Error::TooLarge`]: msal_cache_core::Error::TooLarge
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.options.max_size = bytes;
        self
    }

    /// The age at which the lock file of another library may be taken over. For tests.
    #[doc(hidden)]
    pub fn foreign_grace(mut self, grace_period: Duration) -> Self {
        self.options.lock_timeouts.grace_period = grace_period;
        self
    }

    /// Opens the store. This checks permissions and writes nothing: a missing file is an empty
    /// cache, and the first write creates missing folders (mode 0700).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the path names a folder, leads through something that isn't a folder, or
    /// through a loop of symbolic links; [`Error::Insecure`] where it names a pipe, a socket or a
    /// device, or where [`Permissions`] refuses the file or its folder.
    ///
    /// [`Error::Io`]: msal_cache_core::Error::Io
    /// [`Error::Insecure`]: msal_cache_core::Error::Insecure
    pub fn open(self) -> Result<FileStore> {
        Ok(FileStore::over(Document::new(self.open_blob()?)))
    }

    /// Opens the text of the file, for a wrapper around it. The errors are those of
    /// [`open`](Self::open).
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
