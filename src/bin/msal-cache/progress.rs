//! Progress of long operations, and what they wait for.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use msal_cache::FileStore;

use crate::failure::{complain, printable};
use crate::out::DIM;
use crate::store::StoreRef;

/// How long work takes before the command says what it waits for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs `work`. If it takes longer than a moment, a spinner is shown on standard error, if that is
/// a terminal. If it takes longer than a second because another process holds the lock of the
/// store, one line says so.
pub(crate) fn during<T>(
    what: &'static str,
    store: Option<&StoreRef>,
    timeout: Duration,
    work: impl FnOnce() -> T,
) -> T {
    let spinner = ProgressBar::new_spinner().with_message(what);
    // The first tick comes after the interval, so that short work shows nothing.
    spinner.enable_steady_tick(Duration::from_millis(120));
    let shown = spinner.clone();
    let (done, is_done) = mpsc::channel::<()>();
    let result = thread::scope(|scope| {
        // If there can be no thread, the work is done without a word.
        let watcher = thread::Builder::new().spawn_scoped(scope, move || {
            // Ends when the sender is dropped, even if the work panics.
            if is_done.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout)
                && let Some(reason) = store.and_then(reason)
            {
                let timeout = timeout.as_secs_f64();
                shown.suspend(|| {
                    complain(&format!(
                        "{DIM}waiting for {reason}; --lock-timeout is {timeout} s{DIM:#}"
                    ));
                });
            }
        });
        drop(watcher);
        let result = work();
        drop(done);
        result
    });
    spinner.finish_and_clear();
    result
}

/// What a store waits for.
fn reason(store: &StoreRef) -> Option<String> {
    let StoreRef::File(path) = store else {
        let StoreRef::Sqlite(path) = store else { return None };
        let path = printable(&path.display().to_string());
        return Some(format!("{path}, which another process may be writing to"));
    };
    let holder = FileStore::lock_holder(path).ok()??;
    if holder.process() == Some(std::process::id()) {
        return None;
    }
    let process = match (holder.process(), holder.program()) {
        (Some(process), Some(program)) => format!("process {process} ({})", printable(program)),
        (Some(process), None) => format!("process {process}"),
        (None, _) => "another process".into(),
    };
    Some(format!("the lock of {}, held by {process}", printable(&path.display().to_string())))
}

/// A progress bar for this number of entries, hidden below 10,000.
pub(crate) fn bar(what: &'static str, entries: usize) -> ProgressBar {
    if entries < 10_000 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(entries as u64).with_message(what);
    // The template is valid; if not, the default bar serves as well.
    let style = ProgressStyle::with_template("{msg} {bar:30} {human_pos}/{human_len}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
