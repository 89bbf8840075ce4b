//! Running the command in a folder of its own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// When everything happens, in seconds since the epoch: when the fixtures of MSAL Python and Node
/// were written.
pub(crate) const NOW: i64 = 1_700_000_000;

/// A folder, and the command run in it.
pub(crate) struct Tool(TempDir);

/// What a run has left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// What was printed, where the run ended with this code.
    pub(crate) fn ends(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self.out
    }

    /// The JSON that was printed, on one line.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON error.
    pub(crate) fn error(&self) -> Value {
        serde_json::from_str::<Value>(&self.err).unwrap_or_else(|error| panic!("{error}: {self:?}"))
            ["error"]
            .take()
    }
}

impl Tool {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a copy of a fixture, as `cache.json`.
    pub(crate) fn with(fixture: &str) -> Self {
        let tool = Self::new();
        tool.write("cache.json", fs::read(fixtures().join(fixture)).unwrap());
        tool
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file that nobody else can open.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
        self.chmod(name, 0o600);
    }

    #[cfg(unix)]
    pub(crate) fn chmod(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[cfg(not(unix))]
    pub(crate) fn chmod(&self, _: &str, _: u32) {}

    pub(crate) fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_msal-cache"));
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", "/home/alice")
            .env("TZ", "UTC")
            .env("COLUMNS", "80")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A run at `NOW`.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_at(NOW, args)
    }

    pub(crate) fn run_at(&self, now: i64, args: &[&str]) -> Run {
        self.run_with(now, args, None)
    }

    /// A run without a time.
    pub(crate) fn run_bare(&self, args: &[&str]) -> Run {
        let done = self.command().args(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
    }

    /// A run that is given something on its standard input.
    pub(crate) fn feed(&self, args: &[&str], input: &str) -> Run {
        self.run_with(NOW, args, Some(input))
    }

    fn run_with(&self, now: i64, args: &[&str], input: Option<&str>) -> Run {
        let mut command = self.command();
        command.args(args).args(["--now", &now.to_string()]);
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            // One that reads nothing has gone away by now.
            let _ = stdin.write_all(input.as_bytes());
        }
        let done = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains("panicked"), "{args:?}: {text}");
            // The folder has another name each time.
            text.replace(&self.0.path().canonicalize().unwrap().display().to_string(), "FOLDER")
                .replace(&self.0.path().display().to_string(), "FOLDER")
        };
        Run { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
    }
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The names of the fixtures in a folder of theirs.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(fixtures().join(folder))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 30, "the fixtures are not where they should be");
    names
}
