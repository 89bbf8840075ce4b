//! Confirmation of what deletes.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;
use crate::out::Out;

/// Asks on the terminal; without one, `--yes` is required.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !Out::is_terminal() {
        let reason = "deleting entries must be confirmed on a terminal";
        return Err(Failure::usage(reason)
            .with_hint("--yes confirms it; --dry-run shows what would be deleted"));
    }
    let mut out = io::stdout();
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::nothing("nothing was deleted")),
    }
}
