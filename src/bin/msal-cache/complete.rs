//! Shell completions, generated from `args` and completed where the generator falls short:
//! `tests/command/completions` completes in each shell.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::args::Arguments;
use crate::failure::{Failure, Outcome};
use crate::manual::NAME;
use crate::run::Run;
use crate::well_known;

pub(crate) fn completions(run: &mut Run<'_>, shell: Shell) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(shell, &mut command, NAME, &mut script);
    let script = String::from_utf8_lossy(&script);
    let script = match shell {
        Shell::Bash => bash(&script),
        Shell::Zsh => zsh(&script),
        Shell::Fish => fish(&script, &command),
        _ => script.into_owned(),
    };
    run.out.raw(script.as_bytes())?;
    Ok(Outcome::Done)
}

/// The names of well-known stores.
fn places() -> String {
    let names: Vec<_> = well_known::names().collect();
    names.join(" ")
}

/// The subcommands whose first argument is a store.
fn with_stores(command: &Command) -> impl Iterator<Item = &str> {
    let has_store = |it: &&Command| it.get_arguments().any(|argument| argument.get_id() == "store");
    command.get_subcommands().filter(has_store).map(Command::get_name)
}

/// The generator names a subcommand in two ways if the name of the program has a hyphen, and it
/// offers options where a file may be meant.
fn bash(script: &str) -> String {
    let script = script.replace("msal__subcmd__cache", "msal__cache").replace(" --now ", " ");
    let function = format!(
        r#"
_msal__cache_or_store() {{
    _msal__cache "$@"
    # An argument that is not an option: a file or a well-known store.
    if [[ "$2" != -* && ${{COMP_CWORD}} -ge 2 && ( -z "${{COMPREPLY[*]}}" || "${{COMPREPLY[0]}}" == -* ) ]]; then
        compopt -o filenames 2>/dev/null
        local IFS=$'\n'
        COMPREPLY=( $(compgen -f -- "$2") $(IFS=' '; compgen -W "{}" -- "$2") )
    fi
}}
"#,
        places()
    );
    let script = script.replace("complete -F _msal__cache ", "complete -F _msal__cache_or_store ");
    match script.find("\nif [[ \"${BASH_VERSINFO[0]}\" -eq 4") {
        Some(at) => [&script[..at], &function, &script[at..]].concat(),
        None => script + &function,
    }
}

fn zsh(script: &str) -> String {
    let lines = script.lines().filter(|line| !line.starts_with("'--now=")).map(|line| {
        let is_store = line.starts_with("':store ") || line.starts_with("':to ");
        let line = if is_store {
            line.replace(":_files'", ":_msal-cache_stores'")
        } else {
            // Else no option is offered after the first of several arguments.
            line.replace("'*::id ", "'*:id ")
        };
        line + "\n"
    });
    let stores = format!(
        "_msal-cache_stores() {{\n    _alternative 'stores:well-known store:({})' 'files:file:_files'\n}}\n",
        places()
    );
    let script: String = lines.collect();
    match script.split_once("\n\n") {
        Some((head, rest)) => format!("{head}\n\n{stores}\n{rest}"),
        None => script + &stores,
    }
}

/// The generator knows no values of arguments that aren't options, takes `help` for a word that
/// follows it, and finds no value of an option before the subcommand.
fn fish(script: &str, command: &Command) -> String {
    let lines = script
        .lines()
        .filter(|line| !line.contains(" -l now "))
        .map(|line| line.replace(" man help\" -f", " man\" -f") + "\n");
    let script: String = lines.collect();
    let script = script.replace("2>/dev/null\n    or return\n", "2>/dev/null\n    or return 0\n");
    let with_stores: Vec<_> = with_stores(command).collect();
    let shells = ["bash", "elvish", "fish", "powershell", "zsh"].join(" ");
    let using = "__fish_msal_cache_using_subcommand";
    format!(
        "{script}complete -c {NAME} -n \"{using} {}\" -a \"{}\" -d 'well-known store'\n\
         complete -c {NAME} -n \"{using} completions\" -f -a \"{shells}\"\n",
        with_stores.join(" "),
        places()
    )
}
