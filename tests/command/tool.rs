//! Runs the command in a temporary directory.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The time of all runs, in seconds since the Unix epoch: the time at which the fixtures of MSAL
/// Python and Node were written.
pub(crate) const NOW: i64 = 1_700_000_000;

/// A temporary directory in which the command runs.
pub(crate) struct Tool(TempDir);

/// Exit code and output of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// Asserts the exit code, and returns the output.
    pub(crate) fn expect_code(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self.out
    }

    /// The output, which must be one line of JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error object from standard error.
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

    /// A directory with a copy of a fixture as `cache.json`.
    pub(crate) fn with(fixture: &str) -> Self {
        let tool = Self::new();
        tool.write("cache.json", fs::read(fixtures().join(fixture)).unwrap());
        tool
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that only its owner can access.
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
            // Not the key store of who runs the tests.
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the command at `NOW`.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_at(NOW, args)
    }

    pub(crate) fn run_at(&self, now: i64, args: &[&str]) -> Run {
        self.run_at_with(now, args, None)
    }

    /// Runs the command without `--now`.
    pub(crate) fn run_without_time(&self, args: &[&str]) -> Run {
        let done = self.command().args(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
    }

    /// Runs the command with this standard input.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Run {
        self.run_at_with(NOW, args, Some(input))
    }

    fn run_at_with(&self, now: i64, args: &[&str], input: Option<&str>) -> Run {
        let mut command = self.command();
        command.args(args).args(["--now", &now.to_string()]);
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            // The write fails if the child exits without reading.
            let _ = stdin.write_all(input.as_bytes());
        }
        let done = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains("panicked"), "{args:?}: {text}");
            // The name of the directory is random.
            text.replace(&self.0.path().canonicalize().unwrap().display().to_string(), "FOLDER")
                .replace(&self.0.path().display().to_string(), "FOLDER")
        };
        Run { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
    }
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The names of the fixtures in a subdirectory.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(fixtures().join(folder))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 30, "the fixtures are missing");
    names
}
