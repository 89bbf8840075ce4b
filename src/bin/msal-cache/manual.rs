//! Manual pages, generated from `args`.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;

use crate::args::Arguments;
use crate::failure::{Failure, Outcome, printable};
use crate::out::GOOD;
use crate::run::Run;

/// The name of the command.
pub(crate) const NAME: &str = "msal-cache";

pub(crate) fn man(run: &mut Run<'_>, directory: Option<&Path>) -> Result<Outcome, Failure> {
    let Some(directory) = directory else {
        let mut page = Vec::new();
        let manual = clap_mangen::Man::new(Arguments::command());
        manual.render(&mut page)?;
        page.extend(json_section());
        run.out.raw(&page)?;
        return Ok(Outcome::Done);
    };
    let failed =
        |source| Failure::File { operation: "write to", path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Arguments::command(), directory).map_err(failed)?;
    let page = directory.join(format!("{NAME}.1"));
    let mut page = std::fs::OpenOptions::new().append(true).open(page).map_err(failed)?;
    page.write_all(&json_section()).map_err(failed)?;
    run.out.line(format!(
        "{GOOD}✓{GOOD:#} manual written to {}",
        printable(&directory.display().to_string())
    ))?;
    Ok(Outcome::Done)
}

/// The section of the manual about the output for programs.
fn json_section() -> Vec<u8> {
    format!(".SH JSON\n.nf\n{}.fi\n", roff(JSON_FORMAT)).into_bytes()
}

/// The documentation of `--json`.
const JSON_FORMAT: &str = include_str!("../../docs/json.txt");

/// Escapes text for roff.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.lines().flat_map(|line| ["\\&", line, "\n"]).collect()
}
