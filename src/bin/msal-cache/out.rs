//! Output of results: lines of text, one line of JSON, or lines of tab-separated values.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::flags::{Color, Format, GlobalArgs};
use crate::table::Table;
use crate::time::Calendar;
use crate::tsv;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();

/// The output of a run.
pub(crate) struct Out {
    stdout: io::BufWriter<AutoStream<io::Stdout>>,
    format: Format,
    quiet: bool,
    /// Whether to print the result as data: as JSON, or as tab-separated values.
    pub(crate) json: bool,
    /// Maximum line width; `None` in a pipe and with `--wide`.
    pub(crate) width: Option<usize>,
    pub(crate) calendar: Calendar,
}

impl Out {
    pub(crate) fn new(common: &GlobalArgs, now: i64) -> Self {
        match common.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
        .write_global();
        let stdout = io::BufWriter::new(anstream::stdout());
        let width = if common.wide { None } else { width() };
        let (format, quiet) = (common.format(), common.quiet);
        let json = format != Format::Table;
        Self { stdout, format, quiet, json, width, calendar: Calendar::new(now) }
    }

    /// Prints a line of text, which may be styled.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        writeln!(self.stdout, "{}", line.as_ref().trim_end())
    }

    pub(crate) fn table(&mut self, table: &Table) -> io::Result<()> {
        table.lines(self.width).into_iter().try_for_each(|line| self.line(line))
    }

    /// Prints a result as data.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        if self.format == Format::Tsv {
            for line in tsv::lines(&serde_json::to_value(value)?) {
                writeln!(self.stdout, "{line}")?;
            }
            return self.stdout.flush();
        }
        serde_json::to_writer(&mut self.stdout, value)?;
        writeln!(self.stdout)?;
        self.stdout.flush()
    }

    /// Prints what was asked for, also with `--quiet`: a document or a token.
    pub(crate) fn product(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.stdout, "{text}")
    }

    /// Prints bytes as they are, e.g. a manual page.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.write_all(bytes)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Whether standard output is a terminal.
    pub(crate) fn is_terminal() -> bool {
        io::stdout().is_terminal()
    }
}

/// The value of `COLUMNS`, or the width of the terminal.
fn width() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || Some(usize::from(terminal_size::terminal_size_of(io::stdout())?.0.0));
    columns.or_else(terminal).filter(|width| *width >= 20)
}

/// A number of bytes with a decimal unit: `4.0 kB`.
pub(crate) fn bytes(bytes: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "the result is rounded")]
    let of = |unit: usize| bytes as f64 / unit as f64;
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", of(1000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", of(1_000_000)),
        _ => format!("{:.1} GB", of(1_000_000_000)),
    }
}

/// A number with its noun: `1 token`, `2 tokens`, `no tokens`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    };
    match number {
        0 => format!("no {plural}"),
        1 => format!("1 {noun}"),
        _ => format!("{} {plural}", grouped(number)),
    }
}

/// A number with thousands separators.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
