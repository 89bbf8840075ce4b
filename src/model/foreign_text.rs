//! Texts that a server has sent, as they may be logged and shown in a terminal.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// The most characters that are printed.
const LONGEST: usize = 200;

/// A text in quotes, without anything that a log or a terminal would interpret: control characters,
/// line breaks, and characters that are invisible or change the direction of the text are escaped.
/// A long text is cut.
pub(crate) struct ForeignText<'a>(pub(crate) &'a str);

impl fmt::Display for ForeignText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write_safe(f, self.0)?;
        f.write_char('"')
    }
}

impl fmt::Debug for ForeignText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The same without quotes, for a field of an event.
pub(crate) fn loggable(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST && text.chars().all(is_safe) {
        return text.into();
    }
    let mut safe = String::new();
    let _ = write_safe(&mut safe, text);
    safe.into()
}

fn write_safe(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    for (at, char) in text.chars().enumerate() {
        if at == LONGEST {
            return out.write_str("...");
        }
        match char {
            _ if is_safe(char) => out.write_char(char)?,
            _ => write!(out, "{}", char.escape_default())?,
        }
    }
    Ok(())
}

/// Letters and digits of any script, and the visible characters of ASCII but quotes and backslashes.
fn is_safe(char: char) -> bool {
    char == ' '
        || (char.is_ascii_graphic() && !matches!(char, '"' | '\\'))
        || char.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::{ForeignText, loggable};

    #[test]
    fn what_a_log_or_a_terminal_interprets_is_escaped() {
        for (text, shown) in [
            ("invalid_grant", "invalid_grant"),
            ("caf\u{e9} \u{6771}\u{4eac}", "caf\u{e9} \u{6771}\u{4eac}"),
            ("a\r\nb\tc", r"a\r\nb\tc"),
            ("\u{1b}[31mred", r"\u{1b}[31mred"),
            ("\u{202e}evil\u{2066}\u{200b}\u{feff}", r"\u{202e}evil\u{2066}\u{200b}\u{feff}"),
            ("\u{9b}31m\u{2028}", r"\u{9b}31m\u{2028}"),
            (r#"a"b\c"#, r#"a\"b\\c"#),
        ] {
            assert_eq!(ForeignText(text).to_string(), format!("\"{shown}\""));
            assert_eq!(format!("{:?}", ForeignText(text)), format!("\"{shown}\""));
            assert_eq!(loggable(text), shown);
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let long = "x".repeat(1_000_000);
        assert_eq!(ForeignText(&long).to_string().len(), 205);
        assert_eq!(loggable(&long).len(), 203);
        assert!(loggable(&"\u{1b}".repeat(1000)).len() < 1500);
    }
}
