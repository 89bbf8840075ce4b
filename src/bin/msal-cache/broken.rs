//! A file that isn't a valid token cache.

use std::io;
use std::path::PathBuf;

use msal_cache::Error;
use msal_cache::file::Permissions;
use msal_cache::store::{Blob, BlobStore, Bytes, Revision};
use zeroize::Zeroizing;

use crate::backup::beside;
use crate::cache::{Cache, in_memory};
use crate::content::Content;
use crate::failure::Failure;
use crate::redact;
use crate::run::Run;
use crate::store::{StoreRef, begin};

/// The byte order mark, which this library skips and other libraries refuse.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether a file begins with a byte order mark.
pub(crate) fn has_mark(store: &StoreRef) -> bool {
    matches!(store, StoreRef::File(path) if begin(path).starts_with(MARK))
}

/// Removes the byte order mark of a file, which is otherwise left as it is.
pub(crate) fn remove_mark(
    run: &Run<'_>,
    store: &StoreRef,
    permissions: Permissions,
) -> Result<(), Failure> {
    let Some(blob) = store.open_blob(run.common, permissions)? else { return Ok(()) };
    let _hold = blob.hold()?;
    if let Blob::Present(revision, bytes) = blob.read(None)?
        && let Some(text) = bytes.expose().strip_prefix(MARK)
    {
        blob.swap(revision, text)?;
    }
    Ok(())
}

/// A file that isn't a valid token cache.
pub(crate) struct BrokenFile {
    blob: Box<dyn BlobStore>,
    bytes: Bytes,
    /// A document of the recovered records.
    recovered: Zeroizing<String>,
}

impl BrokenFile {
    pub(crate) fn read(
        run: &Run<'_>,
        store: &StoreRef,
        permissions: Permissions,
    ) -> Result<Self, Failure> {
        let Some(blob) = store.open_blob(run.common, permissions)? else {
            return Err(Failure::usage("only a file can be set aside"));
        };
        let Blob::Present(_, bytes) = blob.read(None)? else {
            return Err(Failure::Missing(store.path().to_owned()));
        };
        let recovered = Zeroizing::new(redact::salvage(&bytes)?);
        Ok(Self { blob, bytes, recovered })
    }

    /// What the file looks like, if no record can be recovered from it.
    pub(crate) fn lost(&self) -> Option<Content> {
        (*self.recovered == "{}").then(|| Content::of(self.bytes.expose()))
    }

    /// A cache of the recovered records.
    pub(crate) fn cache(&self, run: &Run<'_>) -> Result<Cache, Failure> {
        let cache = in_memory(run.common);
        cache.deserialize(&self.recovered)?;
        Ok(cache)
    }

    /// Renames the file, if it hasn't changed since it was read, and writes the recovered records
    /// to a new one.
    pub(crate) fn recover(&self, store: &StoreRef) -> Result<PathBuf, Failure> {
        self.set_aside(store, &self.recovered)
    }

    /// Renames the file, if it hasn't changed since it was read, and writes an empty cache to a new
    /// one.
    pub(crate) fn clear(&self, store: &StoreRef) -> Result<PathBuf, Failure> {
        self.set_aside(store, "{}")
    }

    /// The new file is written even if it is empty: MSAL Node fails without a file.
    fn set_aside(&self, store: &StoreRef, document: &str) -> Result<PathBuf, Failure> {
        let name = |number: u32| beside(store.path(), &format!(".corrupt-{number}"));
        let _hold = self.blob.hold()?;
        // The revision is read while other writers are held off, so that it can be replaced.
        let revision = match self.blob.read(None)? {
            Blob::Present(revision, bytes) if bytes == self.bytes => revision,
            _ => return Err(Error::Conflict.into()),
        };
        let free = (1..=u32::MAX).map(name).find(|path| path.symlink_metadata().is_err());
        if !self.blob.quarantine(revision)? {
            let source = io::Error::other("it is a mount point");
            return Err(Failure::File { operation: "rename", path: store.path().into(), source });
        }
        self.blob.swap(Revision::ABSENT, document.as_bytes())?;
        Ok(free.unwrap_or_default())
    }
}
