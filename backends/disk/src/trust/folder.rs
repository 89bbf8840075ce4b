//! The folders and links that lead to a file.

use std::path::{Path, PathBuf};

use msal_cache_core::{Error, Result};

use super::folder_use::FolderUse;
use crate::error::{absent, io};
use crate::{Permissions, folder};

/// Checks the way to a file, which has each of these `names`: the last one is the file, and each
/// other one is a symbolic link to the next. Returns what other users can do in the folder of the
/// file.
///
/// Each folder from the root on has to belong to this user or to root, and no other user may be
/// able to rename or remove what is in it. The same holds for the target of each symbolic link, and
/// each link itself has to belong to this user or to root.
pub(crate) fn check_names(permissions: Permissions, names: &[PathBuf]) -> Result<FolderUse> {
    if permissions == Permissions::Ignore {
        return Ok(FolderUse::Private);
    }
    let mut found = FolderUse::Private;
    for (at, name) in names.iter().enumerate() {
        found = check(permissions, name)?;
        if at + 1 < names.len() {
            let link = absent(name.symlink_metadata()).map_err(io("look at", name))?;
            link.map_or(Ok(()), |link| system::check_link(name, &link))?;
        }
    }
    Ok(found)
}

/// Checks the folder of a file, and those above it.
fn check(permissions: Permissions, file: &Path) -> Result<FolderUse> {
    let folder = folder::of(file);
    let refused = match system::check(folder) {
        Ok(found) => return Ok(found),
        Err(refused) => refused,
    };
    match refused.repairable {
        Some(mode) if permissions == Permissions::Repair => {
            system::close(folder, mode, file)?;
            system::check(folder).map_err(|refused| refused.error)
        }
        _ => Err(refused.error),
    }
}

/// Why a folder isn't safe.
struct Refused {
    error: Error,
    /// Its mode, if the folder of the file itself has the wrong mode and belongs to this user.
    repairable: Option<u32>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, repairable: None }
    }
}

#[cfg(unix)]
mod system {
    use std::ffi::OsStr;
    use std::fs::{self, Metadata};
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::time::Instant;

    use msal_cache_core::{Error, Result, notice};

    use super::{FolderUse, Refused};
    use crate::error::{absent, io, writing};
    use crate::platform;
    use crate::trust::advice;
    use crate::trust::groups::{self, OtherWriter};
    use crate::trust::recent::{self, FolderState};
    use crate::trust::users::TrustedUsers;
    use crate::trust::walk::{Step, walk};

    const STICKY: u32 = 0o1000;

    /// Checks a folder and those above it. One that is missing is safe: it is created private.
    pub(super) fn check(folder: &Path) -> Result<FolderUse, Refused> {
        let since = Instant::now();
        let found = absent(folder.metadata()).map_err(io("look at", folder))?;
        let state = found.as_ref().map(state);
        if let Some(known) = state.and_then(|state| recent::find(folder, state)) {
            return Ok(known);
        }
        let users = TrustedUsers::now();
        let (mut found, mut at_end, mut repairable) = (FolderUse::Private, None, None);
        let walked = walk(folder, |step| {
            if step.found.is_symlink() {
                return check_link(step.path, step.found);
            }
            match exposure(step, users) {
                None if step.is_last => {
                    at_end = Some(self::state(step.found));
                    found = folder_use(step.found);
                    Ok(())
                }
                None => Ok(()),
                Some(exposure) => {
                    let is_ours = step.is_last && step.found.uid() == users.ours;
                    repairable = is_ours.then_some(step.found.mode() & 0o7777);
                    Err(refuse(step, &exposure, users))
                }
            }
        });
        walked.map_err(|error| Refused { error, repairable })?;
        // What was examined may already be another folder than the one that was looked at first.
        if let Some(state) = state.filter(|state| at_end == Some(*state)) {
            recent::note(folder, state, since, found);
        }
        Ok(found)
    }

    /// Checks the owner of a symbolic link.
    pub(super) fn check_link(path: &Path, found: &Metadata) -> Result<()> {
        let users = TrustedUsers::now();
        if found.is_symlink() && !users.trusts(found.uid()) {
            return Err(advice::foreign_link(path, found.uid(), users.ours));
        }
        Ok(())
    }

    fn state(found: &Metadata) -> FolderState {
        let (mode, owner) = (u64::from(found.mode()), u64::from(found.uid()));
        let users = u64::from(TrustedUsers::now().ours);
        [found.dev(), found.ino(), mode, owner, u64::from(found.gid()), users]
    }

    fn folder_use(found: &Metadata) -> FolderUse {
        match found.mode() & (STICKY | 0o022) {
            0 | STICKY => FolderUse::Private,
            // The group of a folder without the sticky bit is known to be private.
            bits if bits & STICKY == 0 => FolderUse::Private,
            _ => FolderUse::Shared,
        }
    }

    /// Who can replace what is in a folder.
    enum Replacer {
        Owner(u32),
        Everyone(u32),
        Writer(u32, OtherWriter),
    }

    fn exposure(step: &Step<'_>, users: TrustedUsers) -> Option<Replacer> {
        let (owner, mode) = (step.found.uid(), step.found.mode() & 0o7777);
        if !users.trusts(owner) {
            return Some(Replacer::Owner(owner));
        }
        if mode & STICKY != 0 {
            return None;
        }
        if mode & 0o002 != 0 {
            return Some(Replacer::Everyone(mode));
        }
        if mode & 0o020 == 0 {
            return None;
        }
        let writer = groups::other_writer(step.path, owner, step.found.gid(), users)?;
        Some(Replacer::Writer(mode, writer))
    }

    fn refuse(step: &Step<'_>, exposure: &Replacer, users: TrustedUsers) -> Error {
        let (path, is_ours) = (step.path, step.found.uid() == users.ours);
        let (mode, writer) = match exposure {
            Replacer::Owner(owner) => return advice::foreign_folder(path, *owner, users.ours),
            Replacer::Everyone(mode) => (*mode, None),
            Replacer::Writer(mode, writer) => (*mode, Some(*writer)),
        };
        if step.is_last && is_ours {
            advice::open_folder(path, mode, writer)
        } else {
            advice::open_folder_above(path, mode, writer, step.is_last, users.ours)
        }
    }

    /// Takes the right to write to a folder away from others. A folder that holds other files than
    /// those of this cache is left alone: other programs may need it as it is.
    pub(super) fn close(folder: &Path, mode: u32, file: &Path) -> Result<()> {
        let name = file.file_name().unwrap_or_default();
        let entries = fs::read_dir(folder).map_err(io("read", folder))?;
        for entry in entries {
            let entry = entry.map_err(io("read", folder))?.file_name();
            if !belongs_to(&entry, name) {
                return Err(advice::folder_of_others(folder, mode));
            }
        }
        let changed = platform::close_folder(folder, mode);
        let now = changed.map_err(writing("change the permissions of", folder))?;
        if now & 0o022 != 0 {
            return Err(advice::keeps_no_modes(folder, mode, true));
        }
        let what = format_args!("mode {mode:04o}: removed the write access of other users");
        notice::warn(folder, what);
        Ok(())
    }

    /// Whether a name is that of a file of the cache `file`: the file, or one that is kept beside it.
    fn belongs_to(name: &OsStr, file: &OsStr) -> bool {
        let (name, file) = (name.as_encoded_bytes(), file.as_encoded_bytes());
        let is_beside = |rest: &[u8]| rest.is_empty() || matches!(rest[0], b'.' | b'-');
        let of = |name: &[u8]| name.strip_prefix(file).is_some_and(is_beside);
        name == b".lockfile" || of(name) || name.strip_prefix(b".").is_some_and(of)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_files_of_a_cache_are_recognized() {
            let of = |name: &str| belongs_to(OsStr::new(name), OsStr::new("c.json"));
            for name in
                ["c.json", "c.json.lockfile", ".c.json.abcdef.tmp", "c.json-wal", ".lockfile"]
            {
                assert!(of(name), "{name}");
            }
            for name in ["c", "c.json2", "notes.txt", "x.c.json", ".c.jsonx"] {
                assert!(!of(name), "{name}");
            }
        }
    }
}

/// On Windows, a file has the rights of its folder, and neither is checked.
#[cfg(windows)]
#[expect(clippy::unnecessary_wraps, reason = "the signatures are those of the other systems")]
mod system {
    use std::fs::Metadata;
    use std::path::Path;

    use msal_cache_core::Result;

    use super::{FolderUse, Refused};

    pub(super) fn check(_: &Path) -> Result<FolderUse, Refused> {
        Ok(FolderUse::Private)
    }

    pub(super) fn check_link(_: &Path, _: &Metadata) -> Result<()> {
        Ok(())
    }

    pub(super) fn close(_: &Path, _: u32, _: &Path) -> Result<()> {
        Ok(())
    }
}
