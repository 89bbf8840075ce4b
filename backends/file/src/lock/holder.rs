use std::env;
#[cfg(unix)]
use std::path::Path;
use std::process;

/// The holder of a lock, according to the content of the lock file.
///
/// Python writes `pid program`, Go puts both in braces, .NET starts with a byte order mark, and
/// Node writes only the process id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// `None` where the content has none of these formats.
    pub(super) pid: Option<u32>,
    pub(super) program: String,
    /// Whether it uses this crate. Such a process keeps its `flock` until it dies.
    pub(super) is_ours: bool,
    /// Whether the file is empty, which it may be for a moment after its creation.
    pub(super) is_empty: bool,
    /// What is known where the file of another user can't be read.
    unreadable: Option<String>,
}

/// The last word that this crate writes into its lock files.
const MARK: &str = "msal-cache";

/// The most characters of a program's name that are kept and printed.
const LONGEST_NAME: usize = 100;

/// The holder of a lock file without a process id.
const UNKNOWN: &str = "an unknown process, which wrote no process id into it (if no program uses \
     the cache, remove it)";

/// The most bytes of a lock file that are read; no library writes more.
pub(super) const LONGEST_LOCK_FILE: u64 = 4096;

impl Holder {
    /// The content that this process writes.
    pub(super) fn line() -> String {
        let program = env::args_os().next().unwrap_or_default();
        let program = printable(&program.to_string_lossy());
        let program = if program.is_empty() { "?" } else { &program };
        format!("{} {program} {MARK}\n", process::id())
    }

    pub(super) fn parse(content: &[u8]) -> Self {
        let text = String::from_utf8_lossy(content);
        let text = text.trim_start_matches('\u{feff}').trim_matches(['\0', ' ', '\r', '\n']);
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let unbraced = |text: &str| text.trim_matches(['{', '}']).to_owned();
        // A program may have the name of the mark, so it is a mark only after a program.
        let (program, is_ours) = match rest.trim_end().rsplit_once(' ') {
            Some((program, MARK)) => (program, true),
            _ => (rest, false),
        };
        Self {
            pid: unbraced(first).parse().ok().filter(|pid| *pid > 0),
            program: printable(&unbraced(program)),
            is_ours,
            is_empty: text.is_empty(),
            unreadable: None,
        }
    }

    /// The holder according to a lock file of another user, which can't be read.
    #[cfg(unix)]
    pub(super) fn unreadable(owner: u32, path: &Path) -> Self {
        let path = path.display();
        let text = format!(
            "a process of user {owner}, whose lock file can't be read (if no program uses the \
             cache, remove {path})"
        );
        Self { unreadable: Some(text), ..Self::parse(b"?") }
    }

    /// A description for an error about the lock file. A content that doesn't start with a process
    /// id isn't quoted, since it may be anything, and isn't taken for that of a dead process.
    pub(super) fn describe(&self) -> Option<String> {
        let Some(pid) = self.pid else {
            let unknown = || (!self.is_empty).then(|| UNKNOWN.to_owned());
            return self.unreadable.clone().or_else(unknown);
        };
        Some(match self.program.as_str() {
            "" => format!("process {pid}"),
            program => format!("process {pid} ({program})"),
        })
    }
}

fn printable(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '?' } else { c };
    text.trim().chars().map(printable).take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_each_library_is_parsed() {
        for (content, pid, description) in [
            ("123 /usr/bin/az", Some(123), Some("process 123 (/usr/bin/az)")),
            ("{123} {/tmp/app}", Some(123), Some("process 123 (/tmp/app)")),
            ("\u{feff}123 dotnet\n", Some(123), Some("process 123 (dotnet)")),
            ("123", Some(123), Some("process 123")),
            ("123 a b msal-cache\n", Some(123), Some("process 123 (a b)")),
            ("", None, None),
            ("\n", None, None),
            ("0 x", None, Some(UNKNOWN)),
            ("-1 x", None, Some(UNKNOWN)),
            ("{\"AccessToken\":{\"secret\"", None, Some(UNKNOWN)),
            ("program", None, Some(UNKNOWN)),
        ] {
            let holder = Holder::parse(content.as_bytes());
            assert_eq!(holder.pid, pid, "{content}");
            assert_eq!(holder.describe().as_deref(), description, "{content}");
            assert_eq!(holder.is_ours, content.contains("a b msal-cache"), "{content}");
        }
    }

    #[test]
    fn a_program_with_the_name_of_the_mark_is_not_marked() {
        assert!(!Holder::parse(b"123 msal-cache").is_ours);
        assert!(Holder::parse(b"123 msal-cache msal-cache\n").is_ours);
        let ours = Holder::parse(Holder::line().as_bytes());
        assert!(ours.is_ours);
        assert_eq!(ours.pid, Some(process::id()));
    }

    #[test]
    fn a_description_is_short_and_printable() {
        let text = format!("1 \u{1b}[2J{}", "x".repeat(500));
        let described = Holder::parse(text.as_bytes()).describe().unwrap();
        assert!(described.starts_with("process 1 (?[2Jxxx"), "{described}");
        assert!(described.chars().count() <= LONGEST_NAME + 20);
    }
}
