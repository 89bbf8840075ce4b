use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use msal_cache_core::{Error, Result};

/// Where a cache file is by convention: that of an app, or one that well-known tools use.
///
/// A location is a path and no more. Nothing is looked up on the disk or made there; that is left
/// to [`FileStore::open`](crate::FileStore::open), which takes a location as it takes any path.
///
/// | | Linux and the BSDs | macOS | Windows |
/// |---|---|---|---|
/// | [`app`](Self::app) | `$XDG_STATE_HOME/<app>/msal_cache.json`, else `~/.local/state/<app>/…` | `~/Library/Application Support/<app>/…` | `%LOCALAPPDATA%\<app>\…` |
/// | [`session`](Self::session) | `$XDG_RUNTIME_DIR/<app>/msal_cache.json` | none | none |
/// | [`azure_cli`](Self::azure_cli) | `~/.azure/msal_token_cache.json` | the same | `%USERPROFILE%\.azure\msal_token_cache.json` |
/// | [`developer_tools`](Self::developer_tools) | `~/.IdentityService/msal.cache.nocae` or `.cae` | the same | `%LOCALAPPDATA%\.IdentityService\…` |
///
/// # What stands there
///
/// The tools keep plain JSON, as this store does, only where they don't encrypt:
///
/// | | plain JSON in this file | otherwise |
/// |---|---|---|
/// | Azure CLI | with its setting `core.encrypt_token_cache` off (the default on Linux and macOS for years; ask `az config get core.encrypt_token_cache`), and on Linux where there is no secret service | Windows: `msal_token_cache.bin` beside it, encrypted by the Data Protection API. Elsewhere the key chain or the secret service, and a `.sig` file whose time tells of changes |
/// | developer tools (the Azure SDKs' `azure-identity` for Python, Java, JavaScript; PowerShell) | on Linux without a secret service, if the app allows unencrypted storage | Windows: this file, encrypted by the Data Protection API. macOS and Linux: the key chain or the secret service; the file is empty, and its time tells of changes. MSAL Go's `azidentity` on Linux writes a file of its own format |
///
/// So a file that is missing where a tool is in use is one that the tool doesn't use; what is
/// written into it, the tool won't see. A file that is there and encrypted is
/// [`Error::Corrupt`] when it is read. Open it with
/// [`OnCorrupt::Error`](crate::OnCorrupt::Error), so that a write doesn't set it aside.
///
/// ```
/// use msal_cache_file::{FileStore, Location};
///
/// # fn main() -> Result<(), msal_cache_core::Error> {
/// # if std::env::var_os("HOME").is_none() { return Ok(()); }
/// let store = FileStore::open(Location::app("contoso-mail")?)?;
/// assert!(store.path().ends_with("contoso-mail/msal_cache.json"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(PathBuf);

/// The name of the file of an app.
const FILE: &str = "msal_cache.json";

/// Whether the tokens are for services that end sessions by event (continuous access evaluation).
/// The Microsoft developer tools keep the two kinds in two files, since an access token of one
/// kind is of no use to an app that asks for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cae {
    /// Tokens of apps that don't handle claims challenges: `msal.cache.nocae`.
    Without,
    /// Tokens of apps that do: `msal.cache.cae`.
    With,
}

impl Location {
    /// The cache of one app, kept until the user signs out: in the folder for state that the
    /// platform gives to apps.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the name is no name for a folder, or where a variable that the
    /// folder follows from is not set (`HOME`, on Windows `LOCALAPPDATA`).
    pub fn app(name: &str) -> Result<Self> {
        Environment::REAL.app(name)
    }

    /// The cache of one app, kept until the user logs out of the machine: in the folder that the
    /// system removes then. For tokens that shall not outlive an SSH session.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] as for [`app`](Self::app), and where the system has no such folder:
    /// `XDG_RUNTIME_DIR` is not set, or it is macOS or Windows.
    pub fn session(name: &str) -> Result<Self> {
        Environment::REAL.session(name)
    }

    /// The cache of Azure CLI, in `AZURE_CONFIG_DIR` where that is set. See
    /// [above](Self#what-stands-there) for when it is plain JSON.
    ///
    /// Azure CLI writes with MSAL Python, so the default profile of a cache is the right one.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where neither `AZURE_CONFIG_DIR` nor `HOME` (on Windows `USERPROFILE`)
    /// is set.
    pub fn azure_cli() -> Result<Self> {
        Environment::REAL.azure_cli()
    }

    /// The cache that Microsoft's developer tools share. See [above](Self#what-stands-there) for
    /// when it is plain JSON.
    ///
    /// Several libraries write it, so a cache over it should have the profile for the family.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where `HOME` is not set (on Windows `LOCALAPPDATA`).
    pub fn developer_tools(cae: Cae) -> Result<Self> {
        Environment::REAL.developer_tools(cae)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for Location {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl From<Location> for PathBuf {
    fn from(location: Location) -> Self {
        location.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    /// Linux and the BSDs: the XDG Base Directory Specification 0.8.
    Xdg,
    Apple,
    Windows,
}

/// A system and its environment, so that the rules of each are tested on all.
struct Environment<E> {
    system: System,
    variable: E,
}

impl Environment<fn(&str) -> Option<OsString>> {
    const REAL: Self = Self {
        system: if cfg!(windows) {
            System::Windows
        } else if cfg!(target_vendor = "apple") {
            System::Apple
        } else {
            System::Xdg
        },
        variable: |name| env::var_os(name),
    };
}

impl<E: Fn(&str) -> Option<OsString>> Environment<E> {
    fn app(&self, name: &str) -> Result<Location> {
        let name = app_name(name)?;
        let base = match self.system {
            System::Xdg => match self.folder("XDG_STATE_HOME") {
                Some(state) => state,
                None => self.needed("HOME")?.join(".local/state"),
            },
            System::Apple => self.needed("HOME")?.join("Library/Application Support"),
            System::Windows => self.needed("LOCALAPPDATA")?,
        };
        Ok(Location(base.join(name).join(FILE)))
    }

    fn session(&self, name: &str) -> Result<Location> {
        let name = app_name(name)?;
        match self.system {
            System::Xdg => Ok(Location(self.needed("XDG_RUNTIME_DIR")?.join(name).join(FILE))),
            System::Apple | System::Windows => {
                let reason = "this system has no folder that is removed when the user logs out; \
                              keep the tokens in memory instead";
                Err(Error::invalid("location", reason))
            }
        }
    }

    fn azure_cli(&self) -> Result<Location> {
        // As it is: Azure CLI too takes a relative one from the working directory.
        let folder = match (self.variable)("AZURE_CONFIG_DIR").filter(|it| !it.is_empty()) {
            Some(folder) => folder.into(),
            None => self.home()?.join(".azure"),
        };
        Ok(Location(folder.join("msal_token_cache.json")))
    }

    fn developer_tools(&self, cae: Cae) -> Result<Location> {
        let base = match self.system {
            System::Windows => self.needed("LOCALAPPDATA")?,
            System::Xdg | System::Apple => self.home()?,
        };
        let name = match cae {
            Cae::Without => "msal.cache.nocae",
            Cae::With => "msal.cache.cae",
        };
        Ok(Location(base.join(".IdentityService").join(name)))
    }

    fn home(&self) -> Result<PathBuf> {
        self.needed(if self.system == System::Windows { "USERPROFILE" } else { "HOME" })
    }

    /// A folder that a variable names. A relative one is as good as none: it would be another in
    /// each working directory.
    fn folder(&self, variable: &str) -> Option<PathBuf> {
        (self.variable)(variable).map(PathBuf::from).filter(|it| it.has_root())
    }

    fn needed(&self, variable: &str) -> Result<PathBuf> {
        self.folder(variable).ok_or_else(|| {
            let reason = "it names no folder, so there is no place for the cache; set it to an \
                          absolute path, or give the path of the file";
            Error::invalid(format!("environment variable {variable}"), reason)
        })
    }
}

/// A name that is one folder and no way to another, on every system.
fn app_name(name: &str) -> Result<&str> {
    let leads_away = |it: char| matches!(it, '/' | '\\' | ':' | '\0');
    if name.is_empty() || name.chars().all(|it| it == '.') || name.contains(leads_away) {
        let reason = "it can't name a folder: it is empty, made of dots, or holds one of / \\ :";
        return Err(Error::invalid("name of the app", reason));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(
        system: System,
        variables: &[(&'static str, &'static str)],
    ) -> Environment<impl Fn(&str) -> Option<OsString> + use<>> {
        let variables = variables.to_vec();
        let variable = move |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        Environment { system, variable }
    }

    fn path(location: Result<Location>) -> String {
        location.unwrap().path().to_str().unwrap().to_owned()
    }

    /// The variable that an error names.
    fn unset(location: Result<Location>) -> String {
        match location.unwrap_err() {
            Error::Invalid { field, reason } => {
                assert!(reason.contains("set it"), "{reason}");
                field.strip_prefix("environment variable ").unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_app_has_a_folder_among_the_states() {
        let home = ("HOME", "/home/alice");
        let xdg = here(System::Xdg, &[home]);
        assert_eq!(path(xdg.app("mail")), "/home/alice/.local/state/mail/msal_cache.json");
        let xdg = here(System::Xdg, &[home, ("XDG_STATE_HOME", "/state")]);
        assert_eq!(path(xdg.app("mail")), "/state/mail/msal_cache.json");
        for ignored in ["", "state", "./state"] {
            let xdg = here(System::Xdg, &[home, ("XDG_STATE_HOME", ignored)]);
            assert_eq!(path(xdg.app("mail")), "/home/alice/.local/state/mail/msal_cache.json");
        }
        assert_eq!(
            path(here(System::Apple, &[home]).app("mail")),
            "/home/alice/Library/Application Support/mail/msal_cache.json"
        );
        let windows = here(System::Windows, &[("LOCALAPPDATA", "/local"), home]);
        assert_eq!(path(windows.app("mail")), "/local/mail/msal_cache.json");
    }

    #[test]
    fn a_session_has_a_folder_where_the_system_removes_one() {
        let xdg = here(System::Xdg, &[("XDG_RUNTIME_DIR", "/run/user/1000")]);
        assert_eq!(path(xdg.session("mail")), "/run/user/1000/mail/msal_cache.json");
        let home = [("HOME", "/home/alice"), ("LOCALAPPDATA", "/local")];
        assert_eq!(unset(here(System::Xdg, &home).session("mail")), "XDG_RUNTIME_DIR");
        for system in [System::Apple, System::Windows] {
            let none = here(system, &home).session("mail");
            assert!(matches!(none, Err(Error::Invalid { field, .. }) if field == "location"));
        }
    }

    #[test]
    fn what_tools_share_is_where_they_look() {
        let home = ("HOME", "/home/alice");
        for system in [System::Xdg, System::Apple] {
            let at = here(system, &[home]);
            assert_eq!(path(at.azure_cli()), "/home/alice/.azure/msal_token_cache.json");
            let shared = at.developer_tools(Cae::Without);
            assert_eq!(path(shared), "/home/alice/.IdentityService/msal.cache.nocae");
            let shared = at.developer_tools(Cae::With);
            assert_eq!(path(shared), "/home/alice/.IdentityService/msal.cache.cae");
        }
        let variables = [("USERPROFILE", "/users/alice"), ("LOCALAPPDATA", "/local"), home];
        let windows = here(System::Windows, &variables);
        assert_eq!(path(windows.azure_cli()), "/users/alice/.azure/msal_token_cache.json");
        let shared = windows.developer_tools(Cae::With);
        assert_eq!(path(shared), "/local/.IdentityService/msal.cache.cae");
        for (folder, expected) in [
            ("/elsewhere", "/elsewhere/msal_token_cache.json"),
            ("relative", "relative/msal_token_cache.json"),
            ("", "/home/alice/.azure/msal_token_cache.json"),
        ] {
            let moved = here(System::Xdg, &[home, ("AZURE_CONFIG_DIR", folder)]);
            assert_eq!(path(moved.azure_cli()), expected);
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let nothing = |system| here(system, &[]);
        for system in [System::Xdg, System::Apple] {
            assert_eq!(unset(nothing(system).app("mail")), "HOME");
            assert_eq!(unset(nothing(system).azure_cli()), "HOME");
            assert_eq!(unset(nothing(system).developer_tools(Cae::With)), "HOME");
        }
        let windows = nothing(System::Windows);
        assert_eq!(unset(windows.app("mail")), "LOCALAPPDATA");
        assert_eq!(unset(windows.azure_cli()), "USERPROFILE");
        assert_eq!(unset(windows.developer_tools(Cae::With)), "LOCALAPPDATA");
        let relative = here(System::Xdg, &[("HOME", "home")]);
        assert_eq!(unset(relative.app("mail")), "HOME");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        let at = here(System::Xdg, &[("HOME", "/home/alice"), ("XDG_RUNTIME_DIR", "/run")]);
        for name in ["", ".", "..", "...", "a/b", "/a", "..\\a", "C:a", "a\0"] {
            for location in [at.app(name), at.session(name)] {
                let refused = location.unwrap_err();
                assert!(
                    matches!(refused, Error::Invalid { field, .. } if field == "name of the app")
                );
            }
        }
        for name in ["mail", ".mail", "com.contoso.mail", "Contoso Mail", "メール"] {
            assert!(path(at.app(name)).contains(name));
        }
    }

    #[test]
    fn the_real_environment_is_asked() {
        let home = env::var_os("HOME").filter(|it| Path::new(it).is_absolute());
        let found = Location::developer_tools(Cae::Without);
        assert_eq!(found.is_ok(), home.is_some() || cfg!(windows));
    }
}
