//! The command `msal-cache`: see, check, repair and move token caches.
//!
//! The library does the work; what is here asks it and renders the answer. One file for each
//! family of subcommands; `redact` is the only one in which secrets come out of an entry.

mod accounts;
mod add;
mod args;
mod check;
mod clients;
mod export;
mod failure;
mod import;
mod lock;
mod out;
mod places;
mod progress;
mod redact;
mod remove;
mod repair;
mod select;
mod shell;
mod show;
mod silent;
mod stats;
mod store;
mod table;
mod time;
mod tokens;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use msal_cache::Entry;

use crate::args::{Arguments, Command, Common};
use crate::failure::{Failure, Outcome};
use crate::out::Out;
use crate::store::{Access, Cache, Place};

/// What a subcommand has at hand.
pub(crate) struct Run<'a> {
    common: &'a Common,
    out: &'a mut Out,
}

/// A store that was opened, and all that is in it.
pub(crate) struct Loaded {
    place: Place,
    cache: Cache,
    entries: Vec<Entry>,
}

impl Run<'_> {
    fn open(&self, name: &str, access: Access) -> Result<(Place, Cache), Failure> {
        let place = Place::named(name)?;
        let cache = place.open(self.common, access)?;
        Ok((place, cache))
    }

    /// Opens a store that has to be there, and reads all of it.
    fn load(&self, name: &str) -> Result<Loaded, Failure> {
        let (place, cache) = self.open(name, Access::Existing)?;
        let entries = progress::during("Reading", || cache.entries(None))?;
        Ok(Loaded { place, cache, entries })
    }

    fn now(&self) -> i64 {
        self.out.calendar.now
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // A script that reads JSON gets it, whatever it did wrong.
        Err(error) if error.use_stderr() && std::env::args().any(|it| it == "--json") => {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            return Failure::usage(reason).with_hint("--help tells more").report(true);
        }
        Err(error) => error.exit(),
    };
    let now = store::clock(&arguments.common).now();
    let mut out = Out::new(&arguments.common, now);
    let run = Run { common: &arguments.common, out: &mut out };
    let done = dispatch(run, &arguments.command);
    match done.and_then(|outcome| Ok(out.flush().map(|()| outcome)?)) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            // What was printed before belongs before the error.
            let _ = out.flush();
            failure.report(arguments.common.json)
        }
    }
}

fn dispatch(mut run: Run<'_>, command: &Command) -> Result<Outcome, Failure> {
    let run = &mut run;
    match command {
        Command::Accounts { store, who } => accounts::list(run, &store.store, who),
        Command::Tokens { store, filter, sort, reverse } => {
            tokens::list(run, &store.store, filter, *sort, *reverse)
        }
        Command::Show { store, id, show_secrets } => {
            show::show(run, &store.store, id, (*show_secrets).into())
        }
        Command::Stats { store } => stats::stats(run, &store.store),
        Command::Check { store, all } => check::check(run, &store.store, *all),
        Command::Repair { store, dry, no_backup } => {
            repair::repair(run, &store.store, dry.dry_run, !no_backup)
        }
        Command::Why { store, wanted } => silent::why(run, &store.store, wanted),
        Command::GetToken { store, wanted, show_secrets } => {
            silent::get_token(run, &store.store, wanted, *show_secrets)
        }
        Command::Add { store, input, client, token_endpoint, scope, grant_type, profile } => {
            let request = add::Request { client, token_endpoint, scope, grant_type };
            add::add(run, &store.store, input, &request, *profile)
        }
        Command::Remove { store, id, filter, dry } => {
            remove::remove(run, &store.store, id, filter, dry.dry_run)
        }
        Command::SignOut { store, account, dry } => {
            remove::sign_out(run, &store.store, account, dry.dry_run)
        }
        Command::Purge { store, dry } => remove::purge(run, &store.store, dry.dry_run),
        Command::Clear { store, yes, dry } => remove::clear(run, &store.store, *yes, dry.dry_run),
        Command::Export { store, account, show_secrets, output } => export::export(
            run,
            &store.store,
            account.as_deref(),
            (*show_secrets).into(),
            output.as_deref(),
        ),
        Command::Import { store, input, replace, dry } => {
            import::import(run, &store.store, input, *replace, dry.dry_run)
        }
        Command::Copy { store, to, account, dry } => {
            import::copy(run, &store.store, to, account.as_deref(), dry.dry_run)
        }
        Command::Watch { store, count, interval } => {
            watch::watch(run, &store.store, *count, *interval)
        }
        Command::Lock { store } => lock::lock(run, &store.store),
        Command::Places => places::list(run),
        Command::Completions { shell } => shell::completions(run, *shell),
        Command::Man { output } => shell::man(run, output.as_deref()),
    }
}
