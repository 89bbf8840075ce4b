//! New files with tokens: backups and exports.

use std::io;
use std::path::{Path, PathBuf};

use msal_cache::Error;
use msal_cache::store::{BlobStore, Revision};
use zeroize::Zeroizing;

use crate::cache::Cache;
use crate::failure::{Failure, printable};
use crate::flags::GlobalArgs;
use crate::out::DIM;
use crate::run::Run;
use crate::sealing::Sealing;
use crate::store::{StoreRef, file, permissions};

/// Writes the whole cache to a new file next to the store that only its owner can access. That of a sealed
/// store is sealed.
pub(crate) fn back_up(run: &Run<'_>, store: &StoreRef, cache: &Cache) -> Result<PathBuf, Failure> {
    let document = Zeroizing::new(cache.serialize()?);
    let sealing = Sealing::of(run.common, store)?;
    if sealing.is_none() && store.is_protected(run.common) {
        let reason = "the backup would be a file in plain text, and the store is encrypted";
        let hint = "--no-backup writes none; `msal-cache export STORE --show-secrets --output FILE --plain` \
                    writes the tokens in plain text";
        return Err(Failure::usage(reason).with_hint(hint));
    }
    let stamp = run.out.calendar.stamp(run.now());
    for number in 1..1000 {
        let again = if number == 1 { String::new() } else { format!("-{number}") };
        let path = beside(store.path(), &format!(".backup-{stamp}{again}.json"));
        match write_new(run.common, &path, document.as_bytes(), sealing.as_ref()) {
            Err(Failure::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            written => return written.map(|()| path),
        }
    }
    Err(Failure::usage("too many backups exist"))
}

/// Writes a new file as a cache is written: in a folder in which no other user can replace it, with
/// access for its owner only, and as a whole. With keys, it is sealed.
pub(crate) fn write_new(
    common: &GlobalArgs,
    path: &Path,
    bytes: &[u8],
    sealing: Option<&Sealing>,
) -> Result<(), Failure> {
    let failed = |source| Failure::File { operation: "write", path: path.to_owned(), source };
    if path.symlink_metadata().is_ok() {
        return Err(failed(exists()));
    }
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| folder.metadata().map(drop)).map_err(failed)?;
    let blob = file(common, path, permissions(common)).open_blob()?;
    let written = match sealing {
        Some(sealing) => sealing.text(blob).swap(Revision::ABSENT, bytes),
        None => blob.swap(Revision::ABSENT, bytes),
    };
    match written {
        Ok(_) => Ok(()),
        Err(Error::Conflict) => Err(failed(exists())),
        Err(error) => Err(error.into()),
    }
}

fn exists() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "it exists already")
}

/// A path with a suffix to its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A line about a backup, which is sealed if keys are given.
pub(crate) fn backup_line(common: &GlobalArgs, backup: &Path) -> String {
    let what =
        if common.keys.any() { "sealed by the keys of the store" } else { "contains tokens" };
    let backup = printable(&backup.display().to_string());
    format!("{DIM}Backup: {backup} ({what}){DIM:#}")
}
