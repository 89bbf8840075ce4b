//! Usage errors: what is missing, and what users of other tools may mean.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, CommandFactory, FromArgMatches};

use crate::args::Arguments;
use crate::failure::{Failure, complain};
use crate::server::without_passwords;

/// How users sign in.
const SIGN_IN: &str = if cfg!(feature = "http") {
    "`sign-in` signs a user in, with the client id of your own app registration"
} else {
    "this command was built without the feature http, so it doesn't sign in: the app or tool that owns the \
     cache does, such as `az login`; `add` adds the tokens of a response"
};

/// Subcommands of other tools, and what to use instead.
const OTHERS: [(&[&str], &str); 8] = [
    (&["list", "ls"], "`tokens` lists tokens, `accounts` lists users, `places` lists caches"),
    (&["users", "who", "whoami"], "`accounts` lists users"),
    (&["login", "signin", "sign-in"], SIGN_IN),
    (&["logout", "signout", "logoff"], "`sign-out` removes the entries of a user"),
    (&["rm", "delete", "del"], "`remove` removes entries, `sign-out` those of a user"),
    (&["get", "token"], "`get-token` prints an access token, `show` an entry"),
    (&["cat", "dump", "print"], "`export` prints the document, `show` an entry"),
    (&["fix", "fsck", "doctor", "verify"], "`check` finds problems, and `repair` fixes them"),
];

/// Parses the command line.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Arguments, clap::Error> {
    let command = Arguments::command().color(color(arguments));
    Arguments::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// The value of `--color`. Help and usage errors are printed before the command line is parsed.
fn color(arguments: &[OsString]) -> ColorChoice {
    let value = arguments.iter().enumerate().find_map(|(at, argument)| {
        let argument = argument.to_str()?;
        match argument.strip_prefix("--color")? {
            "" => arguments.get(at + 1)?.to_str(),
            value => value.strip_prefix('='),
        }
    });
    match value {
        Some("never") => ColorChoice::Never,
        Some("always") => ColorChoice::Always,
        _ => ColorChoice::Auto,
    }
}

/// Whether errors are to be printed as JSON.
pub(crate) fn wants_json(arguments: &[OsString]) -> bool {
    let is = |argument: Option<&OsString>, text: &str| argument.is_some_and(|it| it == text);
    arguments.iter().enumerate().any(|(at, argument)| {
        ["--json", "--format=json", "-ojson"].iter().any(|it| argument == it)
            || (is(Some(argument), "--format") || is(Some(argument), "-o"))
                && is(arguments.get(at + 1), "json")
    })
}

/// Prints a usage error. Standard error may be closed.
pub(crate) fn print(error: &clap::Error, words: &[OsString]) {
    let text = error.to_string();
    let shown = without_passwords(&text, words);
    if shown == text {
        let _ = error.print();
    } else {
        complain(shown.trim_end());
    }
}

/// The failure that a usage error is.
pub(crate) fn failure(error: &clap::Error, words: &[OsString]) -> Failure {
    let text = without_passwords(&error.to_string(), words);
    // What is missing is on the lines after the first one.
    let reason: Vec<_> = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.trim_start().starts_with("tip:"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let reason = reason.join(" ");
    let hint = instead(error).unwrap_or("run with --help for usage");
    Failure::usage(reason.trim_start_matches("error: ")).with_hint(hint)
}

/// What to use instead of a subcommand of another tool.
pub(crate) fn instead(error: &clap::Error) -> Option<&'static str> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let known = OTHERS.iter().find(|(words, _)| words.contains(&word.to_lowercase().as_str()));
    known.map(|(_, instead)| *instead)
}
