//! Completions and manual pages, made of what `args` says.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Run;
use crate::args::Arguments;
use crate::failure::{Failure, Outcome};
use crate::out::GOOD;

const NAME: &str = "msal-cache";

pub(crate) fn completions(run: &mut Run<'_>, shell: Shell) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    run.out.raw(&script)?;
    Ok(Outcome::Done)
}

pub(crate) fn man(run: &mut Run<'_>, folder: Option<&Path>) -> Result<Outcome, Failure> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        let manual = clap_mangen::Man::new(Arguments::command());
        manual.render(&mut page)?;
        page.extend_from_slice(b".SH JSON\n.nf\n");
        page.extend(roff(SHAPES).into_bytes());
        page.extend_from_slice(b".fi\n");
        run.out.raw(&page)?;
        return Ok(Outcome::Done);
    };
    let failed = |source| Failure::File { operation: "write to", path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Arguments::command(), folder).map_err(failed)?;
    run.out.line(format!("{GOOD}✓{GOOD:#} the manual is in {}", folder.display()))?;
    Ok(Outcome::Done)
}

/// The shape of what `--json` prints, as it is documented.
const SHAPES: &str = include_str!("../../docs/json.txt");

/// A text that roff leaves alone.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.lines().flat_map(|line| ["\\&", line, "\n"]).collect()
}
