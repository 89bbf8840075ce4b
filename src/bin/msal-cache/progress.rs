//! Progress of long operations.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Runs `work` and shows a spinner on standard error, if that is a terminal and the work takes
/// longer than a moment.
pub(crate) fn during<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    let spinner = ProgressBar::new_spinner().with_message(what);
    // The first tick comes after the interval, so that short work shows nothing.
    spinner.enable_steady_tick(Duration::from_millis(120));
    let result = work();
    spinner.finish_and_clear();
    result
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
