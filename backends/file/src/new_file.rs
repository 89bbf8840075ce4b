//! Whose a new file is.

use std::fs::File;
use std::path::Path;

use msal_cache_core::{Error, Result};
use msal_cache_disk::Permissions;

use crate::error::io;
use crate::platform;

/// Checks that a new file for the place `path` is private, and gives it the owner of the file there.
/// Called before a secret is written to it.
pub(crate) fn check_new(new: &File, path: &Path, permissions: Permissions) -> Result<()> {
    let found = new.metadata().map_err(io("look at", path))?;
    if permissions != Permissions::Ignore {
        return permissions.check_new(path, &found);
    }
    let Some(owner) = platform::foreign_owner(path) else { return Ok(()) };
    let old = path.symlink_metadata().map_err(io("look at", path))?;
    platform::keep_owner(new, &old).map_err(|_| Error::Insecure {
        path: path.to_owned(),
        reason: format!("it belongs to user {owner}, and a new file would belong to this process"),
        remedy: "write it as that user".into(),
    })
}
