use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use msal_cache_core::{Error, Result};

/// The conventional path of a cache file: that of an app, or one that well-known tools share.
///
/// A location is only a path. It reads nothing from the disk and creates nothing there. Pass it to
/// [`FileStore::open`](crate::FileStore::open) like any path.
///
/// | | Linux and the BSDs | macOS | Windows |
/// |---|---|---|---|
/// | [`app`](Self::app) | `$XDG_STATE_HOME/<app>/msal_cache.json`, else `~/.local/state/<app>/…` | `~/Library/Application Support/<app>/…` | `%LOCALAPPDATA%\<app>\…` |
/// | [`session`](Self::session) | `$XDG_RUNTIME_DIR/<app>/msal_cache.json` | unsupported | unsupported |
/// | [`azure_cli`](Self::azure_cli) | `~/.azure/msal_token_cache.json` | the same | `%USERPROFILE%\.azure\msal_token_cache.json` |
/// | [`developer_tools`](Self::developer_tools) | `~/.IdentityService/msal.cache.nocae` or `.cae` | the same | `%LOCALAPPDATA%\.IdentityService\…` |
/// | [`dotnet_tools`](Self::dotnet_tools) | `$XDG_DATA_HOME/.IdentityService/…`, else `~/.local/share/…` | `~/Library/Application Support/.IdentityService/…` | as `developer_tools` |
///
/// # Format of these files
///
/// The tools write plain JSON, which this store can read, only where they don't encrypt:
///
/// | | plain JSON in this file | otherwise |
/// |---|---|---|
/// | Azure CLI | if its setting `core.encrypt_token_cache` is off (the default on Linux and macOS for years; run `az config get core.encrypt_token_cache`), and on Linux without a secret service | Windows: `msal_token_cache.bin` beside it, encrypted by the Data Protection API. Elsewhere: the keychain or the secret service, and a `.sig` file whose time stamp signals changes |
/// | developer tools (the Azure SDKs' `azure-identity` for Python, Java, JavaScript; `dotnet_tools`: `Azure.Identity` for .NET, Azure PowerShell) | on Linux without a secret service, if the app allows unencrypted storage | Windows: this file, encrypted by the Data Protection API. macOS and Linux: the keychain or the secret service; the file is empty, and its time stamp signals changes. `azidentity` for Go on Linux writes a file in a format of its own |
///
/// If the file is missing although a tool is in use, the tool stores its tokens elsewhere and won't
/// read what is written to this file. Reading an encrypted file returns [`Error::Corrupt`]. Open it
/// with [`OnCorrupt::Error`](crate::OnCorrupt::Error), so that a write doesn't set it aside.
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

/// The file name of the cache of an app.
const FILE: &str = "msal_cache.json";

/// Whether the tokens are for apps that support continuous access evaluation (CAE). The Microsoft
/// developer tools keep the two kinds in separate files, because an app that requests one kind
/// can't use the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cae {
    /// Tokens for apps that don't handle claims challenges: `msal.cache.nocae`.
    Without,
    /// Tokens for apps that handle claims challenges: `msal.cache.cae`.
    With,
}

impl Location {
    /// The persistent cache of one app, in the platform's folder for application state.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where `name` isn't a valid folder name, or where the environment variable
    /// that determines the folder is not set (`HOME`, on Windows `LOCALAPPDATA`).
    pub fn app(name: &str) -> Result<Self> {
        Environment::CURRENT.app(name)
    }

    /// The cache of one app for a login session, in a folder that the system removes when the user
    /// logs out of the machine. For tokens that must not outlive an SSH session.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] as for [`app`](Self::app), and where the system has no such folder:
    /// where `XDG_RUNTIME_DIR` is not set, on macOS and on Windows.
    pub fn session(name: &str) -> Result<Self> {
        Environment::CURRENT.session(name)
    }

    /// The cache of Azure CLI, in `AZURE_CONFIG_DIR` if that is set. See
    /// [above](Self#format-of-these-files) for when it is plain JSON.
    ///
    /// Azure CLI uses MSAL Python, so use the default profile for a cache over this file.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where neither `AZURE_CONFIG_DIR` nor `HOME` (on Windows `USERPROFILE`)
    /// is set.
    pub fn azure_cli() -> Result<Self> {
        Environment::CURRENT.azure_cli()
    }

    /// The cache that Microsoft's developer tools share. See [above](Self#format-of-these-files)
    /// for when it is plain JSON.
    ///
    /// Several MSAL libraries write it, so use `Profile::Family` for a cache over this file.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where `HOME` is not set (on Windows `LOCALAPPDATA`).
    pub fn developer_tools(cae: Cae) -> Result<Self> {
        Environment::CURRENT.developer_tools(cae)
    }

    /// The cache that Microsoft's developer tools for .NET share: `Azure.Identity` and Azure PowerShell.
    /// It is in the folder that .NET calls `LocalApplicationData`; on macOS, that of .NET 8 and later.
    /// See [above](Self#format-of-these-files) for when it is plain JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where `HOME` is not set (on Windows `LOCALAPPDATA`).
    pub fn dotnet_tools(cae: Cae) -> Result<Self> {
        Environment::CURRENT.dotnet_tools(cae)
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

/// A system and its environment variables, so that the rules of each system can be tested on any.
struct Environment<E> {
    system: System,
    variable: E,
}

impl Environment<fn(&str) -> Option<OsString>> {
    const CURRENT: Self = Self {
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
                None => self.required("HOME")?.join(".local/state"),
            },
            System::Apple => self.required("HOME")?.join("Library/Application Support"),
            System::Windows => self.required("LOCALAPPDATA")?,
        };
        Ok(Location(base.join(name).join(FILE)))
    }

    fn session(&self, name: &str) -> Result<Location> {
        let name = app_name(name)?;
        match self.system {
            System::Xdg => Ok(Location(self.required("XDG_RUNTIME_DIR")?.join(name).join(FILE))),
            System::Apple | System::Windows => {
                let reason = "this system has no folder that is removed when the user logs out; \
                              keep the tokens in memory instead";
                Err(Error::invalid("location", reason))
            }
        }
    }

    fn azure_cli(&self) -> Result<Location> {
        // Azure CLI also resolves a relative path from the working directory.
        let folder = match (self.variable)("AZURE_CONFIG_DIR").filter(|it| !it.is_empty()) {
            Some(folder) => folder.into(),
            None => self.home()?.join(".azure"),
        };
        Ok(Location(folder.join("msal_token_cache.json")))
    }

    fn developer_tools(&self, cae: Cae) -> Result<Location> {
        let base = match self.system {
            System::Windows => self.required("LOCALAPPDATA")?,
            System::Xdg | System::Apple => self.home()?,
        };
        Ok(identity_service(&base, cae))
    }

    fn dotnet_tools(&self, cae: Cae) -> Result<Location> {
        let base = match self.system {
            System::Windows => self.required("LOCALAPPDATA")?,
            System::Apple => self.home()?.join("Library/Application Support"),
            System::Xdg => match self.folder("XDG_DATA_HOME") {
                Some(data) => data,
                None => self.home()?.join(".local/share"),
            },
        };
        Ok(identity_service(&base, cae))
    }

    fn home(&self) -> Result<PathBuf> {
        self.required(if self.system == System::Windows { "USERPROFILE" } else { "HOME" })
    }

    /// The folder that a variable names. A relative path is ignored, because it names another
    /// folder in each working directory.
    fn folder(&self, variable: &str) -> Option<PathBuf> {
        (self.variable)(variable).map(PathBuf::from).filter(|it| it.has_root())
    }

    fn required(&self, variable: &str) -> Result<PathBuf> {
        self.folder(variable).ok_or_else(|| {
            let reason = "it is not set to an absolute path; set it, or open the cache by its path";
            Error::invalid(format!("environment variable {variable}"), reason)
        })
    }
}

fn identity_service(base: &Path, cae: Cae) -> Location {
    let name = match cae {
        Cae::Without => "msal.cache.nocae",
        Cae::With => "msal.cache.cae",
    };
    Location(base.join(".IdentityService").join(name))
}

/// Checks that a name is one component of a path on every system.
fn app_name(name: &str) -> Result<&str> {
    let separates = |it: char| matches!(it, '/' | '\\' | ':' | '\0');
    if name.is_empty() || name.chars().all(|it| it == '.') || name.contains(separates) {
        let reason = "it is not a folder name: it is empty, only dots, or contains one of / \\ :";
        return Err(Error::invalid("name of the app", reason));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(
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
    fn the_cache_of_an_app_is_in_the_state_folder() {
        let home = ("HOME", "/home/alice");
        let xdg = environment(System::Xdg, &[home]);
        assert_eq!(path(xdg.app("mail")), "/home/alice/.local/state/mail/msal_cache.json");
        let xdg = environment(System::Xdg, &[home, ("XDG_STATE_HOME", "/state")]);
        assert_eq!(path(xdg.app("mail")), "/state/mail/msal_cache.json");
        for ignored in ["", "state", "./state"] {
            let xdg = environment(System::Xdg, &[home, ("XDG_STATE_HOME", ignored)]);
            assert_eq!(path(xdg.app("mail")), "/home/alice/.local/state/mail/msal_cache.json");
        }
        assert_eq!(
            path(environment(System::Apple, &[home]).app("mail")),
            "/home/alice/Library/Application Support/mail/msal_cache.json"
        );
        let windows = environment(System::Windows, &[("LOCALAPPDATA", "/local"), home]);
        assert_eq!(path(windows.app("mail")), "/local/mail/msal_cache.json");
    }

    #[test]
    fn the_cache_of_a_session_is_in_the_runtime_folder() {
        let xdg = environment(System::Xdg, &[("XDG_RUNTIME_DIR", "/run/user/1000")]);
        assert_eq!(path(xdg.session("mail")), "/run/user/1000/mail/msal_cache.json");
        let home = [("HOME", "/home/alice"), ("LOCALAPPDATA", "/local")];
        assert_eq!(unset(environment(System::Xdg, &home).session("mail")), "XDG_RUNTIME_DIR");
        for system in [System::Apple, System::Windows] {
            let none = environment(system, &home).session("mail");
            assert!(matches!(none, Err(Error::Invalid { field, .. }) if field == "location"));
        }
    }

    #[test]
    fn the_caches_of_tools_are_where_the_tools_look() {
        let home = ("HOME", "/home/alice");
        for system in [System::Xdg, System::Apple] {
            let at = environment(system, &[home]);
            assert_eq!(path(at.azure_cli()), "/home/alice/.azure/msal_token_cache.json");
            let shared = at.developer_tools(Cae::Without);
            assert_eq!(path(shared), "/home/alice/.IdentityService/msal.cache.nocae");
            let shared = at.developer_tools(Cae::With);
            assert_eq!(path(shared), "/home/alice/.IdentityService/msal.cache.cae");
        }
        let variables = [("USERPROFILE", "/users/alice"), ("LOCALAPPDATA", "/local"), home];
        let windows = environment(System::Windows, &variables);
        assert_eq!(path(windows.azure_cli()), "/users/alice/.azure/msal_token_cache.json");
        let shared = windows.developer_tools(Cae::With);
        assert_eq!(path(shared), "/local/.IdentityService/msal.cache.cae");
        for (folder, expected) in [
            ("/elsewhere", "/elsewhere/msal_token_cache.json"),
            ("relative", "relative/msal_token_cache.json"),
            ("", "/home/alice/.azure/msal_token_cache.json"),
        ] {
            let moved = environment(System::Xdg, &[home, ("AZURE_CONFIG_DIR", folder)]);
            assert_eq!(path(moved.azure_cli()), expected);
        }
    }

    #[test]
    fn the_caches_of_dotnet_tools_are_in_its_local_application_data() {
        let home = ("HOME", "/home/alice");
        let xdg = environment(System::Xdg, &[home]);
        let expected = "/home/alice/.local/share/.IdentityService/msal.cache.nocae";
        assert_eq!(path(xdg.dotnet_tools(Cae::Without)), expected);
        let moved = environment(System::Xdg, &[home, ("XDG_DATA_HOME", "/data")]);
        let expected = "/data/.IdentityService/msal.cache.cae";
        assert_eq!(path(moved.dotnet_tools(Cae::With)), expected);
        let apple = environment(System::Apple, &[home]);
        let expected = "/home/alice/Library/Application Support/.IdentityService/msal.cache.cae";
        assert_eq!(path(apple.dotnet_tools(Cae::With)), expected);
        let windows = environment(System::Windows, &[home, ("LOCALAPPDATA", "/local")]);
        for cae in [Cae::With, Cae::Without] {
            assert_eq!(windows.dotnet_tools(cae).unwrap(), windows.developer_tools(cae).unwrap());
        }
        assert_eq!(unset(environment(System::Xdg, &[]).dotnet_tools(Cae::With)), "HOME");
    }

    #[test]
    fn an_error_names_the_variable_that_is_not_set() {
        let nothing = |system| environment(system, &[]);
        for system in [System::Xdg, System::Apple] {
            assert_eq!(unset(nothing(system).app("mail")), "HOME");
            assert_eq!(unset(nothing(system).azure_cli()), "HOME");
            assert_eq!(unset(nothing(system).developer_tools(Cae::With)), "HOME");
        }
        let windows = nothing(System::Windows);
        assert_eq!(unset(windows.app("mail")), "LOCALAPPDATA");
        assert_eq!(unset(windows.azure_cli()), "USERPROFILE");
        assert_eq!(unset(windows.developer_tools(Cae::With)), "LOCALAPPDATA");
        let relative = environment(System::Xdg, &[("HOME", "home")]);
        assert_eq!(unset(relative.app("mail")), "HOME");
    }

    #[test]
    fn a_name_that_is_not_a_folder_name_is_refused() {
        let at = environment(System::Xdg, &[("HOME", "/home/alice"), ("XDG_RUNTIME_DIR", "/run")]);
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
    fn the_environment_of_the_process_is_used() {
        let home = env::var_os("HOME").filter(|it| Path::new(it).is_absolute());
        let found = Location::developer_tools(Cae::Without);
        assert_eq!(found.is_ok(), home.is_some() || cfg!(windows));
    }
}
