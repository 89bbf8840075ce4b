//! The help texts, the completions and the manual.

use clap::CommandFactory;

use crate::args::Arguments;
use crate::tool::Tool;

/// The names of all subcommands.
pub(crate) fn subcommands() -> Vec<String> {
    let command = Arguments::command();
    command.get_subcommands().map(|it| it.get_name().to_owned()).collect()
}

#[test]
fn the_clap_definition_is_valid() {
    Arguments::command().debug_assert();
}

#[test]
fn every_subcommand_has_valid_examples() {
    for command in Arguments::command().get_subcommands() {
        let name = command.get_name();
        let help = command.get_after_help().unwrap_or_else(|| panic!("{name}")).to_string();
        let examples = help.split_once("Examples:").unwrap_or_else(|| panic!("{name}: {help}")).1;
        assert!(examples.contains(&format!("msal-cache {name}")), "{name}: {help}");
        // The examples of the help are parsed like a shell's arguments.
        let joined = examples.replace("\\\n", " ");
        let mut parsed = 0;
        for line in joined.lines() {
            let Some((_, line)) = line.split_once("msal-cache ") else { continue };
            let line = line.split(['|', '>', '&', ')']).next().unwrap();
            let words = std::iter::once("msal-cache").chain(line.split_whitespace());
            if let Err(error) = Arguments::command().try_get_matches_from(words) {
                panic!("{name}: {line}: {error}");
            }
            parsed += 1;
        }
        assert!(parsed > 0, "{name}");
    }
}

#[test]
fn every_flag_has_an_example() {
    let command = Arguments::command();
    let flags = command.get_subcommands().chain([&command]).flat_map(clap::Command::get_arguments);
    let mut seen = 0;
    for flag in flags.filter(|it| it.get_long().is_some() && !it.is_hide_set()) {
        let long = format!("--{}", flag.get_long().unwrap());
        let help = flag.get_help().unwrap_or_else(|| panic!("{long}")).to_string();
        let (_, example) = help.split_once("[example:").unwrap_or_else(|| panic!("{long}: {help}"));
        assert!(example.contains(&long), "{long}: {help}");
        seen += 1;
    }
    assert!(seen > 30);
}

#[test]
fn help_completions_and_manual_are_printed() {
    let tool = Tool::new();
    let without = tool.run_without_time(&[]);
    assert_eq!(without.code, 2);
    assert!(without.err.contains("Getting started:"), "{}", without.err);
    for name in subcommands() {
        let help = tool.run_without_time(&[&name, "--help"]).expect_code(0);
        assert!(help.contains("Examples:"), "{name}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{name}: {help}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = tool.run_without_time(&["completions", shell]).expect_code(0);
        assert!(script.contains("sign-out"), "{shell}");
    }
    let manual = tool.run_without_time(&["man"]).expect_code(0);
    assert!(manual.contains(".TH") && manual.contains("Exit codes"), "{manual}");
    tool.run_without_time(&["man", "--output", "man1"]).expect_code(0);
    let pages = std::fs::read_dir(tool.path("man1")).unwrap().count();
    assert!(pages > subcommands().len(), "{pages}");
}

#[test]
fn preformatted_help_fits_80_columns() {
    let command = Arguments::command();
    for command in command.get_subcommands().chain([&command]) {
        let help = command.get_after_help().unwrap().to_string();
        for line in help.lines() {
            assert!(line.chars().count() < 80, "{}: {line}", command.get_name());
        }
    }
}
