//! Keys in a blob.

use msal_cache_core::{Blob, BlobStore, Result, Revision, retry};

use crate::error::SealFailure;
use crate::text::Keys;

/// Reads the keys of a blob; `None` where there is nothing.
pub(crate) fn read(blob: &dyn BlobStore) -> Result<Option<(Revision, Keys)>> {
    let Blob::Present(revision, bytes) = blob.read(None)? else { return Ok(None) };
    let place = blob.place();
    let text = std::str::from_utf8(bytes.expose())
        .map_err(|_| SealFailure::keys(&*place, "it can't be read as text"))?;
    Ok(Some((revision, Keys::parse(&place, text)?)))
}

/// Replaces the keys of a blob, again where another process was faster.
pub(crate) fn replace<T>(
    blob: &dyn BlobStore,
    change: impl Fn(&mut Keys, &str) -> Result<T>,
) -> Result<T> {
    let place = blob.place();
    retry(|| {
        let Some((revision, mut keys)) = read(blob)? else {
            return Err(SealFailure::keys(&*place, "there is none"));
        };
        let done = change(&mut keys, &place)?;
        blob.swap(revision, keys.text().as_bytes())?;
        Ok(done)
    })
}
