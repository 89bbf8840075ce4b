use msal_cache_disk::Permissions;

use crate::lock::LockTimeouts;

/// The options of a store; [`FileStoreBuilder`](crate::FileStoreBuilder) documents them.
#[derive(Clone, Debug)]
pub(crate) struct FileOptions {
    pub(crate) permissions: Permissions,
    pub(crate) on_corrupt: OnCorrupt,
    pub(crate) lock_timeouts: LockTimeouts,
    /// Whether to take the lock of MSAL Java, too.
    pub(crate) java: bool,
    /// In bytes.
    pub(crate) max_size: u64,
}

impl FileOptions {
    /// What to do about the file itself. The extension of MSAL Java gives it mode 0644 at each write,
    /// so where it shares the file, that is no reason to refuse it.
    pub(crate) fn permissions_of_file(&self) -> Permissions {
        match self.permissions {
            Permissions::Refuse if self.java => Permissions::Repair,
            permissions => permissions,
        }
    }
}

/// What a write does about a file that isn't a token cache. A read returns
/// [`Error::Corrupt`](msal_cache_core::Error::Corrupt) and leaves the file as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnCorrupt {
    /// Return [`Error::Corrupt`](msal_cache_core::Error::Corrupt), like a read. Nothing can be
    /// written as long as the file is there.
    Error,
    /// Rename the file to `<name>.corrupt-<n>` in its folder and start an empty cache, so that a
    /// new sign-in repairs it. The renamed file may hold tokens: it has mode 0600, and this crate
    /// never deletes it.
    #[default]
    Quarantine,
}
