//! Documents and events that are read from a file or from standard input.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use msal_cache::store::{Blob, BlobStore, CacheStore, Document, Revision};
use msal_cache::{Error, TokenCache};
use zeroize::Zeroizing;

use crate::cache::{Cache, clock};
use crate::failure::{Failure, STDIN, input_name};
use crate::flags::GlobalArgs;
use crate::sealing::{Sealing, sealed_by, sealed_without_keys};
use crate::store::StoreRef;

/// Reads a file, or standard input for `-`.
pub(crate) fn bytes(input: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |source| Failure::File { operation: "read", path: input.to_owned(), source };
    let mut bytes = Zeroizing::new(Vec::new());
    if input == Path::new(STDIN) {
        io::stdin().read_to_end(&mut bytes).map_err(failed)?;
    } else {
        File::open(input).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(failed)?;
    }
    Ok(bytes)
}

/// Standard input can't be both the store and the input.
pub(crate) fn refuse_twice(store: &OsStr, input: &Path) -> Result<(), Failure> {
    if store == STDIN && input == Path::new(STDIN) {
        return Err(Failure::usage("the store and the input can't both be standard input"));
    }
    Ok(())
}

/// Reads a text that is expected to be something, and is not empty. What produced an empty text has
/// failed.
pub(crate) fn text(input: &Path, expected: &'static str) -> Result<Zeroizing<String>, Failure> {
    of_bytes(&bytes(input)?, input, expected)
}

/// Reads a document as [`text`], which may be sealed as `store` is.
pub(crate) fn document(
    common: &GlobalArgs,
    store: &StoreRef,
    input: &Path,
) -> Result<Zeroizing<String>, Failure> {
    let bytes = bytes(input)?;
    let Some(key) = sealed_by(&bytes, &input_name(input))? else {
        return of_bytes(&bytes, input, TOKEN_CACHE);
    };
    let Some(sealing) = Sealing::of(common, store)? else {
        return Err(sealed_without_keys(&input_name(input), [key]));
    };
    let opened = sealing.open_document(bytes.to_vec().into(), input)?;
    of_bytes(opened.expose(), input, TOKEN_CACHE)
}

fn of_bytes(
    bytes: &[u8],
    input: &Path,
    expected: &'static str,
) -> Result<Zeroizing<String>, Failure> {
    match str::from_utf8(bytes) {
        Ok(text) if text.trim().is_empty() => Err(Failure::EmptyInput { path: input.to_owned() }),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::NotText { path: input.to_owned(), expected }),
    }
}

/// The document on standard input, as a cache that can't be changed.
pub(crate) fn cache(common: &GlobalArgs) -> Result<Cache, Failure> {
    let path = Path::new(STDIN);
    let text = document(common, &StoreRef::Input, path)?;
    let blob = InputText { revision: Revision::unique(), text };
    let store: Box<dyn CacheStore> = Box::new(Document::new(blob));
    let cache = TokenCache::with_clock(store, clock(common));
    cache.entries(None).map_err(|error| Failure::input(path, TOKEN_CACHE, error))?;
    Ok(cache)
}

/// A text that was read.
struct InputText {
    revision: Revision,
    text: Zeroizing<String>,
}

impl fmt::Debug for InputText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InputText([{} bytes])", self.text.len())
    }
}

impl BlobStore for InputText {
    fn read(&self, known: Option<Revision>) -> msal_cache::Result<Blob> {
        Ok(match known {
            Some(known) if known == self.revision => Blob::Unchanged,
            _ => Blob::Present(self.revision, self.text.as_bytes().to_vec().into()),
        })
    }

    fn swap(&self, _: Revision, _: &[u8]) -> msal_cache::Result<Revision> {
        let source = io::ErrorKind::ReadOnlyFilesystem.into();
        Err(Error::ReadOnly { path: self.place().into(), source })
    }

    fn place(&self) -> String {
        "standard input".into()
    }
}

/// What a store and an imported document are expected to be.
pub(crate) const TOKEN_CACHE: &str = "a token cache";
