//! The speed of the cache, as ratios to a baseline in the same run.
//!
//! ```sh
//! cargo bench --bench ratios --features sqlite-bundled,tokio           # a table
//! cargo bench --bench ratios --features sqlite-bundled,tokio -- --json  # as JSON
//! cargo bench --bench ratios --features sqlite-bundled,tokio -- --max 1000000
//! cargo bench --bench ratios --features sqlite-bundled,tokio -- --only async
//! cargo bench --bench ratios --features sqlite-bundled,sealed -- --only sealed --no-peers
//! cargo bench --bench ratios --features sqlite-bundled,tokio -- --picture FILE.svg
//! ```

#![allow(missing_docs, reason = "a program")]

#[cfg(feature = "tokio")]
mod asynchronous;
mod baseline;
mod file;
mod measure;
mod memory;
mod peers;
mod picture;
mod processes;
mod report;
#[cfg(feature = "sealed")]
mod sealed;
mod sqlite;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use measure::Effort;
use report::Report;

/// The command-line options.
struct Options {
    json: bool,
    max: usize,
    only: Option<String>,
    effort: Effort,
    peers: bool,
    picture: Option<PathBuf>,
}

fn options() -> Options {
    let mut options = Options {
        json: false,
        max: 10_000,
        only: None,
        effort: Effort { turns: 61, turn: Duration::from_millis(1), most: Duration::from_secs(8) },
        peers: true,
        picture: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => options.json = true,
            "--quick" => {
                options.effort.turns = 15;
            }
            "--no-peers" => options.peers = false,
            "--max" => {
                let number = arguments.next().and_then(|it| it.parse().ok());
                options.max = number.expect("--max needs a number of tokens");
            }
            "--picture" => {
                let path = arguments.next().expect("--picture needs the path of an SVG file");
                options.picture = Some(path.into());
            }
            "--only" => options.only = arguments.next(),
            // Cargo passes this to every benchmark.
            "--bench" => {}
            other => panic!("unknown argument {other}"),
        }
    }
    options
}

fn main() {
    if processes::is_worker() {
        return;
    }
    let options = options();
    let wanted = |section: &str| options.only.as_deref().is_none_or(|only| only == section);
    let mut report = Report::default();
    let sizes = [10, 1_000, 10_000, 100_000, 1_000_000];
    for tokens in sizes.into_iter().filter(|it| *it <= options.max) {
        if wanted("memory") {
            memory::measure(&mut report, options.effort, tokens);
        }
        if wanted("file") && tokens <= 10_000 {
            file::measure(&mut report, options.effort, tokens);
        }
        #[cfg(feature = "tokio")]
        if wanted("async") && tokens <= 10_000 {
            asynchronous::measure(&mut report, options.effort, tokens);
        }
        if wanted("sqlite") {
            sqlite::measure(&mut report, options.effort, tokens);
        }
        #[cfg(feature = "sealed")]
        if wanted("sealed") && tokens <= 10_000 {
            sealed::measure(&mut report, options.effort, tokens);
        }
    }
    if wanted("memory") {
        memory::measure_extended_keys(&mut report, options.effort, options.max.min(100_000));
    }
    if wanted("threads") {
        memory::measure_threads(&mut report, options.max.min(10_000));
    }
    if wanted("processes") {
        processes::measure(&mut report);
    }
    if options.peers && wanted("peers") {
        peers::measure(&mut report, options.max);
    }
    if let Some(path) = options.picture {
        std::fs::write(&path, report.picture()).unwrap_or_else(|error| {
            panic!("{}: {error}", path.display());
        });
    }
    if options.json {
        println!("{}", report.json());
    } else {
        println!("{}", report.table());
    }
}
