//! Writers of several libraries on one cache file, at the same time; started by
//! `tests/peers/stress`.
//!
//! Each run is made twice: by the other libraries among themselves, and with writers of this crate
//! beside them. So what they lose by themselves is told apart from what they lose through us.

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

/// Each process adds this many.
fn stress(count: u64) -> ExitCode {
    let mut verdict = Verdict::default();
    println!(
        "{:<44} {:<12} {:>6} {:>6} {:>6} {:>6} {:>9}",
        "who writes", "", "added", "errors", "left", "lost", "longest"
    );
    // Ours alone, as fast as they can.
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
        verdict.judge(Some(&alone), &patiently(&run, &alone));
    }
    let parties = [(Party::Python, 1), (Party::Node, 1)];
    let alone = Run::new("Python and Node", PAUSE, count).with_all(&parties).start();
    verdict.judge(None, &alone);
    let run = Run::new("Python, Node and ours, which are killed", PAUSE, count);
    let run = run.with_all(&parties).with(Party::Ours, 1).with(Party::Killed, 1);
    verdict.judge(Some(&alone), &patiently(&run, &alone));
    verdict.told()
}

/// Runs it again where others gave up waiting, as they do on a busy machine: MSAL Python after
/// five seconds. If it is us who keep them waiting, they will give up again.
fn patiently(run: &Run, alone: &Outcome) -> Outcome {
    let outcome = run.start();
    let gave_up = outcome.tallies.iter().any(|(party, tally)| {
        !party.is_ours()
            && !tally.errors.is_empty()
            && alone.tallies.get(party).is_some_and(|alone| alone.errors.is_empty())
    });
    if !gave_up || outcome.has_lost() {
        return outcome;
    }
    outcome.print();
    println!("    others gave up waiting: once more");
    run.start()
}

/// The thought before each sign-in, in milliseconds. Without any, the other libraries starve each
/// other, which says nothing about us.
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
    /// `alone` is the same without us.
    fn judge(&mut self, alone: Option<&Outcome>, outcome: &Outcome) {
        outcome.print();
        let mut blame = |what: String| self.faults.push(format!("{}: {what}", outcome.name));
        for (party, tally) in &outcome.tallies {
            if party.is_ours() {
                self.added += tally.acknowledged.len();
                self.lost += tally.lost;
                if tally.lost > 0 {
                    blame(format!("{} of ours are lost", tally.lost));
                }
                for error in &tally.errors {
                    blame(format!("one of ours failed: {error}"));
                }
            } else if let Some(alone) = alone.and_then(|alone| alone.tallies.get(party)) {
                if tally.lost > 0 && alone.lost == 0 {
                    blame(format!("{} of {party} are lost, none without us", tally.lost));
                }
                if !tally.errors.is_empty() && alone.errors.is_empty() {
                    blame(format!("{party} failed, never without us: {}", tally.errors[0]));
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
            blame(format!("the file is no cache at the end: {fault}"));
        }
    }

    fn told(self) -> ExitCode {
        println!(
            "\nP1, P3: {} acknowledged writes of ours amid {} kills and {} reads: {} lost",
            self.added, self.kills, self.reads, self.lost
        );
        for fault in &self.faults {
            println!("FAULT {fault}");
        }
        if self.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
