//! Documents and events that are read from a file or from standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::flags::GlobalArgs;
use crate::store::{self, Cache};

/// The name of standard input.
pub(crate) const STDIN: &str = "-";

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

/// Reads a text that is expected to be something, and is not empty. What produced an empty text has
/// failed.
pub(crate) fn text(input: &Path, expected: &'static str) -> Result<Zeroizing<String>, Failure> {
    let bytes = bytes(input)?;
    match str::from_utf8(&bytes) {
        Ok(text) if text.trim().is_empty() => Err(Failure::EmptyInput { path: input.to_owned() }),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::NotText { path: input.to_owned(), expected }),
    }
}

/// A cache in memory with the document on standard input.
pub(crate) fn cache(common: &GlobalArgs) -> Result<Cache, Failure> {
    let path = Path::new(STDIN);
    let text = text(path, TOKEN_CACHE)?;
    let cache = store::in_memory(common);
    cache.deserialize(&text).map_err(|error| Failure::input(path, TOKEN_CACHE, error))?;
    Ok(cache)
}

/// What a store and an imported document are expected to be.
pub(crate) const TOKEN_CACHE: &str = "a token cache";
