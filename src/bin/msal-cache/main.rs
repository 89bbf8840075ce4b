//! The command `msal-cache`: inspects, checks, repairs and moves token caches.
//!
//! The library does the work; the command calls it and renders the results. Each file holds one
//! group of subcommands. Only `redact` reads secrets from entries.

mod accounts;
#[cfg(feature = "http")]
mod adal;
mod add;
mod args;
mod backup;
mod broken;
mod cache;
mod check;
mod clients;
mod complete;
mod confirm;
mod content;
#[cfg(feature = "postgres")]
mod ddl;
mod export;
mod failure;
mod flags;
mod import;
mod input;
mod key_store;
mod keys;
mod lock;
mod manual;
mod out;
mod places;
mod preview;
mod progress;
mod redact;
mod remove;
mod repair;
mod report;
mod run;
mod seal;
mod sealed;
mod sealing;
mod select;
mod server;
mod show;
#[cfg(feature = "http")]
mod sign_in;
mod silent;
mod stats;
mod store;
mod table;
mod time;
mod tokens;
mod trouble;
mod tsv;
mod usage;
mod watch;
mod well_known;

use std::process::ExitCode;

use crate::args::Command;
use crate::failure::{Failure, Outcome};
use crate::flags::Format;
use crate::out::Out;
use crate::report::Report;
use crate::run::Run;
use crate::seal::Change;

fn main() -> ExitCode {
    // Arguments may be in another encoding than UTF-8.
    let words: Vec<_> = std::env::args_os().collect();
    let arguments = match usage::parse(&words) {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            // Help, or the version.
            return match error.print() {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => Report::default().print(&Failure::Output(error)),
            };
        }
        // With --json, usage errors are JSON too.
        Err(error) if usage::wants_json(&words) => {
            return Report { json: true, ..Report::default() }
                .print(&usage::failure(&error, &words));
        }
        Err(error) => {
            if usage::instead(&error).is_some() {
                return Report::default().print(&usage::failure(&error, &words));
            }
            usage::print(&error, &words);
            return ExitCode::from(2);
        }
    };
    let common = &arguments.common;
    let now = cache::clock(common).now();
    let mut out = Out::new(common, now);
    let mut run = Run { common, out: &mut out, store: None };
    let result = dispatch(&mut run, &arguments.command);
    let store = run.store.take();
    match result.and_then(|outcome| Ok(out.flush().map(|()| outcome)?)) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            // Earlier output comes before the error.
            let _ = out.flush();
            let json = common.format() == Format::Json;
            Report { json, quiet: common.quiet, store }.print(&failure)
        }
    }
}

fn dispatch(run: &mut Run<'_>, command: &Command) -> Result<Outcome, Failure> {
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
        Command::Repair { store, dry, no_backup, force } => {
            let options =
                repair::RepairOptions { dry_run: dry.dry_run, backup: !no_backup, force: *force };
            repair::repair(run, &store.store, options)
        }
        Command::Why { store, request } => silent::why(run, &store.store, request),
        Command::GetToken { store, request, refresh, show_secrets } => {
            silent::get_token(run, &store.store, request, refresh, *show_secrets)
        }
        #[cfg(feature = "http")]
        Command::SignIn { store, request } => sign_in::sign_in(run, &store.store, request),
        Command::Add { store, input, client, token_endpoint, scope, grant_type, profile } => {
            let request = add::Request { client, token_endpoint, scope, grant_type };
            add::add(run, &store.store, input, &request, *profile)
        }
        Command::Remove { store, id, filter, delete } => {
            remove::remove(run, &store.store, id, filter, delete)
        }
        Command::SignOut { store, account, dry } => {
            remove::sign_out(run, &store.store, account, dry.dry_run)
        }
        Command::Purge { store, dry } => remove::purge(run, &store.store, dry.dry_run),
        Command::Clear { store, delete } => remove::clear(run, &store.store, delete),
        Command::Export { store, account, show_secrets, output, plain } => {
            let output = output.as_deref().map(|path| export::Output { path, plain: *plain });
            export::export(run, &store.store, account.as_deref(), (*show_secrets).into(), output)
        }
        Command::Import { store, input, replace, redeem, delete } => {
            import::import(run, &store.store, input, *replace, redeem, delete)
        }
        Command::Copy { store, to, account, plain, dry } => {
            import::copy(run, &store.store, to, account.as_deref(), *plain, dry.dry_run)
        }
        Command::Seal { store, dry } => seal::change(run, &store.store, Change::Seal, dry.dry_run),
        Command::Unseal { store, dry } => {
            seal::change(run, &store.store, Change::Unseal, dry.dry_run)
        }
        Command::Rekey { store, new_key, dry } => {
            let change = Change::Rekey { new_key: *new_key };
            seal::change(run, &store.store, change, dry.dry_run)
        }
        Command::Keys { store, change } => keys::keys(run, store.as_deref(), change),
        Command::Watch { store, count, interval } => {
            watch::watch(run, &store.store, *count, *interval)
        }
        Command::Lock { store } => lock::lock(run, &store.store),
        #[cfg(feature = "postgres")]
        Command::Ddl { schema, prefix, role, row_level_security } => {
            ddl::ddl(run, [schema, prefix], role, *row_level_security)
        }
        Command::Places => places::list(run),
        Command::Completions { shell } => complete::completions(run, *shell),
        Command::Man { output } => manual::man(run, output.as_deref()),
    }
}
