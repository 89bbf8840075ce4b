//! Well-known cache locations, by name.

use std::path::{Path, PathBuf};

use msal_cache::Error;
use msal_cache::file::{Cae, Location};

use crate::failure::Failure;

/// A well-known cache.
pub(crate) struct WellKnown {
    pub(crate) name: &'static str,
    pub(crate) owner: &'static str,
    /// Its path, or why the environment doesn't say it.
    pub(crate) path: Result<PathBuf, Error>,
}

type Locate = fn() -> msal_cache::Result<Location>;

/// Name, owner and path of each.
const KNOWN: [(&str, &str, Locate); 5] = [
    ("azure-cli", "Azure CLI", Location::azure_cli),
    ("shared", "developer tools", || Location::developer_tools(Cae::Without)),
    ("shared-cae", "developer tools (CAE)", || Location::developer_tools(Cae::With)),
    ("dotnet", ".NET tools", || Location::dotnet_tools(Cae::Without)),
    ("dotnet-cae", ".NET tools (CAE)", || Location::dotnet_tools(Cae::With)),
];

/// Prefix that makes an app's name the name of its cache.
pub(crate) const APP: &str = "app:";

/// The fixed names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(name, ..)| *name)
}

/// All locations with a fixed name.
pub(crate) fn all() -> Vec<WellKnown> {
    let located = KNOWN.iter().map(|(name, owner, locate)| {
        let path = locate().map(PathBuf::from);
        WellKnown { name, owner, path }
    });
    located.collect()
}

/// The path of a well-known location, or `None` if `name` isn't the name of one.
pub(crate) fn find(name: &str) -> Result<Option<PathBuf>, Failure> {
    if let Some(app) = name.strip_prefix(APP) {
        return Ok(Some(Location::app(app)?.into()));
    }
    let Some((_, _, locate)) = KNOWN.iter().find(|(known, ..)| *known == name) else {
        return Ok(None);
    };
    let path: PathBuf = locate()?.into();
    // The user may mean the file of this name.
    if Path::new(name).exists() {
        let reason =
            format!("{name} is ambiguous: a file and a well-known location have this name");
        let hint = format!("use ./{name} or file:{}", path.display());
        return Err(Failure::usage(reason).with_hint(hint));
    }
    Ok(Some(path))
}

/// The app whose cache is at this path.
pub(crate) fn app_of(path: &Path) -> Option<&str> {
    let app = path.parent()?.file_name()?.to_str()?;
    Location::app(app).is_ok_and(|location| location.path() == path).then_some(app)
}
