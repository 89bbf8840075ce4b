//! Work that takes long enough to wonder about it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows on standard error what is being done, if that is a terminal and it takes more than a
/// moment.
pub(crate) fn during<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    let spinner = ProgressBar::new_spinner().with_message(what);
    // The first tick comes after the interval, so short work shows nothing.
    spinner.enable_steady_tick(Duration::from_millis(120));
    let done = work();
    spinner.finish_and_clear();
    done
}

/// A bar for work on so many entries; none for few.
pub(crate) fn bar(what: &'static str, entries: usize) -> ProgressBar {
    if entries < 10_000 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(entries as u64).with_message(what);
    // The template is a constant, and a default is no reason to fail.
    let style = ProgressStyle::with_template("{msg} {bar:30} {human_pos}/{human_len}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
