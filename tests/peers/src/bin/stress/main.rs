//! Runs writers of several libraries on one cache file at the same time; started by
//! `tests/peers/stress`.
//!
//! Each combination runs twice: without and with writers of this crate. The difference shows which
//! updates of the other libraries are lost because of this crate.

mod party;
mod run;
mod writer;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use party::Party;
use run::{Outcome, Run};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["write", path, name, count, pause, threads] => {
            let number = |text: &str| text.parse().expect("a number");
            writer::write(Path::new(path), name, number(count), number(pause), number(threads));
            ExitCode::SUCCESS
        }
        ["read", path] => {
            writer::read(Path::new(path));
            ExitCode::SUCCESS
        }
        [] | ["short"] => stress(15),
        ["long"] => stress(100),
        _ => {
            eprintln!("usage: tests/peers/stress [short|long]");
            ExitCode::from(2)
        }
    }
}

/// Runs all combinations. Each process adds `count` tokens.
fn stress(count: u64) -> ExitCode {
    let mut verdict = Verdict::default();
    println!(
        "{:<44} {:<12} {:>6} {:>6} {:>6} {:>6} {:>9}",
        "run", "writer", "added", "errors", "kept", "lost", "longest"
    );
    // Only this crate, without pauses.
    verdict.judge(None, &Run::new("ours", 0, 40).with(Party::Ours, 4).start());
    let others: [(&str, &[(Party, usize)]); 4] = [
        ("Python", &[(Party::Python, 2)]),
        ("Python with portalocker", &[(Party::Portalocker, 2)]),
        ("Node", &[(Party::Node, 1)]),
        ("all", &[(Party::Python, 1), (Party::Portalocker, 1), (Party::Node, 1)]),
    ];
    for (name, parties) in others {
        let alone = Run::new(name, PAUSE, count).with_all(parties).start();
        verdict.judge(None, &alone);
        let name = format!("{name} and ours");
        let run = Run::new(&name, PAUSE, count).with_all(parties).with(Party::Ours, 2);
        verdict.judge(Some(&alone), &run_with_retry(&run, &alone));
    }
    let parties = [(Party::Python, 1), (Party::Node, 1)];
    let alone = Run::new("Python and Node", PAUSE, count).with_all(&parties).start();
    verdict.judge(None, &alone);
    let run = Run::new("Python, Node and ours, some killed", PAUSE, count);
    let run = run.with_all(&parties).with(Party::Ours, 1).with(Party::Killed, 1);
    verdict.judge(Some(&alone), &run_with_retry(&run, &alone));
    verdict.report()
}

/// Repeats a run if another library timed out, which happens on a busy machine: MSAL Python waits
/// for five seconds. If this crate is the cause, the second run fails again.
fn run_with_retry(run: &Run, alone: &Outcome) -> Outcome {
    let outcome = run.start();
    let timed_out = outcome.tallies.iter().any(|(party, tally)| {
        !party.is_ours()
            && !tally.errors.is_empty()
            && alone.tallies.get(party).is_some_and(|alone| alone.errors.is_empty())
    });
    if !timed_out || outcome.has_lost() {
        return outcome;
    }
    outcome.print();
    println!("    another library timed out; repeating the run");
    run.start()
}

/// The average pause before each sign-in, in milliseconds. Without pauses, the other libraries
/// starve each other.
const PAUSE: u64 = 150;

#[derive(Default)]
struct Verdict {
    faults: Vec<String>,
    added: usize,
    lost: usize,
    kills: usize,
    reads: u64,
}

impl Verdict {
    /// Collects the faults of a run. `alone` is the same run without this crate.
    fn judge(&mut self, alone: Option<&Outcome>, outcome: &Outcome) {
        outcome.print();
        let mut blame = |what: String| self.faults.push(format!("{}: {what}", outcome.name));
        for (party, tally) in &outcome.tallies {
            if party.is_ours() {
                self.added += tally.acknowledged.len();
                self.lost += tally.lost;
                if tally.lost > 0 {
                    blame(format!("{} updates of ours are lost", tally.lost));
                }
                for error in &tally.errors {
                    blame(format!("an update of ours failed: {error}"));
                }
            } else if let Some(alone) = alone.and_then(|alone| alone.tallies.get(party)) {
                if tally.lost > 0 && alone.lost == 0 {
                    blame(format!("{} updates of {party} are lost, none without us", tally.lost));
                }
                if !tally.errors.is_empty() && alone.errors.is_empty() {
                    blame(format!("{party} failed, but not without us: {}", tally.errors[0]));
                }
            }
        }
        self.kills += outcome.kills;
        self.reads += outcome.reads;
        for fault in &outcome.torn {
            blame(format!("a reader of ours failed: {fault}"));
        }
        if let Some(fault) = &outcome.unreadable
            && outcome.tallies.keys().any(|party| party.is_ours())
        {
            blame(format!("the file is not a cache at the end: {fault}"));
        }
    }

    fn report(self) -> ExitCode {
        println!(
            "\nP1, P3: {} acknowledged writes of ours with {} kills and {} reads: {} lost",
            self.added, self.kills, self.reads, self.lost
        );
        for fault in &self.faults {
            println!("FAULT {fault}");
        }
        if self.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
