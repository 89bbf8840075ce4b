use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// A kind of writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    /// A process of this crate, with two threads.
    Ours,
    /// A process of this crate that is killed during its work and replaced.
    Killed,
    /// MSAL Python with `msal-extensions`, as pip installs it.
    Python,
    /// MSAL Python with `msal-extensions` and portalocker, which changes its locking.
    Portalocker,
    /// `@azure/msal-node` with `@azure/msal-node-extensions`.
    Node,
}

impl Party {
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::Killed)
    }

    /// The number of threads of a process.
    pub(crate) fn threads(self) -> u64 {
        match self {
            Self::Ours | Self::Killed => 2,
            _ => 1,
        }
    }

    /// The command of a process that adds `count` tokens.
    pub(crate) fn command(self, path: &Path, name: &str, count: u64, pause: u64) -> Command {
        let given = |name: &str| env::var_os(name).expect("run tests/peers/stress");
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = match self {
            Self::Ours | Self::Killed => {
                let mut command = Command::new(env::current_exe().expect("this program"));
                command.arg("write");
                command
            }
            Self::Python | Self::Portalocker => {
                let mut command = Command::new(given("MSAL_CACHE_PYTHON"));
                command.arg(here.join("writer.py"));
                let path = if self == Self::Portalocker {
                    given("MSAL_CACHE_PORTALOCKER")
                } else {
                    OsString::new()
                };
                command.env("PYTHONPATH", path);
                command
            }
            Self::Node => {
                given("MSAL_CACHE_NODE");
                let mut command = Command::new("node");
                command.arg(here.join("writer.mjs"));
                command
            }
        };
        command.arg(path).args([name, &count.to_string(), &pause.to_string()]);
        if self.is_ours() {
            command.arg(self.threads().to_string());
        }
        command
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Killed => "ours, killed",
            Self::Python => "Python",
            Self::Portalocker => "portalocker",
            Self::Node => "Node",
        })
    }
}
