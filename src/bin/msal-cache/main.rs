//! The command `msal-cache`: inspects, checks, repairs and moves token caches.
//!
//! The library does the work; the command calls it and renders the results. Each file holds one
//! group of subcommands. Only `redact` reads secrets from entries.

mod accounts;
mod add;
mod args;
mod check;
mod clients;
mod export;
mod failure;
mod flags;
mod import;
mod lock;
mod out;
mod places;
mod progress;
mod redact;
mod remove;
mod repair;
mod run;
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
mod well_known;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::out::Out;
use crate::run::Run;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // With --json, usage errors are JSON too.
        Err(error) if error.use_stderr() && std::env::args().any(|it| it == "--json") => {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            return Failure::usage(reason).with_hint("run with --help for usage").report(true);
        }
        Err(error) => error.exit(),
    };
    let now = store::clock(&arguments.common).now();
    let mut out = Out::new(&arguments.common, now);
    let run = Run { common: &arguments.common, out: &mut out };
    let result = dispatch(run, &arguments.command);
    match result.and_then(|outcome| Ok(out.flush().map(|()| outcome)?)) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            // Earlier output comes before the error.
            let _ = out.flush();
            failure.report(arguments.common.json)
        }
    }
}

fn dispatch(mut run: Run<'_>, command: &Command) -> Result<Outcome, Failure> {
    let run = &mut run;
    match command {
        Command::Accounts { store, owner } => accounts::list(run, &store.store, owner),
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
        Command::Why { store, request } => silent::why(run, &store.store, request),
        Command::GetToken { store, request, show_secrets } => {
            silent::get_token(run, &store.store, request, *show_secrets)
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
