use std::env;
use std::process;

/// Who says to hold a lock, by the content of the lock file.
///
/// Python writes `pid program`, Go puts both in braces, .NET begins with a byte order mark, Node
/// writes the process id alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// Absent where the content isn't one of these.
    pub(super) pid: Option<u32>,
    pub(super) program: String,
    /// It is this crate, in this process or another: it holds its `flock` until it dies.
    pub(super) is_ours: bool,
    /// Nothing was written, or not yet.
    pub(super) is_empty: bool,
}

/// The last word that this crate writes into its lock files.
const MARK: &str = "msal-cache";

/// Of a program's name. It is printed.
const LONGEST: usize = 100;

impl Holder {
    /// What this process writes.
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
        // A program may well be called as the mark is: that is a mark only behind a program.
        let (program, is_ours) = match rest.trim_end().rsplit_once(' ') {
            Some((program, MARK)) => (program, true),
            _ => (rest, false),
        };
        Self {
            pid: unbraced(first).parse().ok().filter(|pid| *pid > 0),
            program: printable(&unbraced(program)),
            is_ours,
            is_empty: text.is_empty(),
        }
    }

    /// For an error. What doesn't begin with a process id isn't repeated: it may be anything.
    pub(super) fn describe(&self) -> Option<String> {
        let pid = self.pid?;
        Some(match self.program.as_str() {
            "" => format!("process {pid}"),
            program => format!("process {pid} ({program})"),
        })
    }
}

fn printable(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '?' } else { c };
    text.trim().chars().map(printable).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_s_content_is_understood() {
        for (content, pid, description) in [
            ("123 /usr/bin/az", Some(123), Some("process 123 (/usr/bin/az)")),
            ("{123} {/tmp/app}", Some(123), Some("process 123 (/tmp/app)")),
            ("\u{feff}123 dotnet\n", Some(123), Some("process 123 (dotnet)")),
            ("123", Some(123), Some("process 123")),
            ("123 a b msal-cache\n", Some(123), Some("process 123 (a b)")),
            ("", None, None),
            ("\n", None, None),
            ("0 x", None, None),
            ("-1 x", None, None),
            ("{\"AccessToken\":{\"secret\"", None, None),
            ("somebody", None, None),
        ] {
            let holder = Holder::parse(content.as_bytes());
            assert_eq!(holder.pid, pid, "{content}");
            assert_eq!(holder.describe().as_deref(), description, "{content}");
            assert_eq!(holder.is_ours, content.contains("a b msal-cache"), "{content}");
        }
    }

    #[test]
    fn a_program_that_is_called_like_the_mark_is_not_marked() {
        assert!(!Holder::parse(b"123 msal-cache").is_ours);
        assert!(Holder::parse(b"123 msal-cache msal-cache\n").is_ours);
        let ours = Holder::parse(Holder::line().as_bytes());
        assert!(ours.is_ours);
        assert_eq!(ours.pid, Some(process::id()));
    }

    #[test]
    fn what_is_printed_is_short_and_printable() {
        let text = format!("1 \u{1b}[2J{}", "x".repeat(500));
        let described = Holder::parse(text.as_bytes()).describe().unwrap();
        assert!(described.starts_with("process 1 (?[2Jxxx"), "{described}");
        assert!(described.chars().count() <= LONGEST + 20);
    }
}
