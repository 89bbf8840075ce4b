use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_peers::Random;
use serde_json::Value;

use crate::party::Party;
use crate::writer;

/// A combination of writers on one file.
pub(crate) struct Run {
    name: String,
    pause: u64,
    count: u64,
    parties: Vec<(Party, usize)>,
}

/// The result of a run.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) tallies: BTreeMap<Party, Tally>,
    pub(crate) kills: usize,
    pub(crate) reads: u64,
    /// The errors of readers of this crate.
    pub(crate) torn: Vec<String>,
    /// Why the file is unreadable at the end.
    pub(crate) unreadable: Option<String>,
    took: Duration,
}

/// The updates of one party.
#[derive(Default)]
pub(crate) struct Tally {
    /// The users whose sign-in was acknowledged.
    pub(crate) acknowledged: Vec<String>,
    pub(crate) errors: Vec<String>,
    /// The number of acknowledged sign-ins that are missing at the end.
    pub(crate) lost: usize,
    longest: Duration,
}

impl Run {
    pub(crate) fn new(name: &str, pause: u64, count: u64) -> Self {
        Self { name: name.into(), pause, count, parties: Vec::new() }
    }

    /// Adds processes of a party.
    pub(crate) fn with(mut self, party: Party, processes: usize) -> Self {
        self.parties.push((party, processes));
        self
    }

    pub(crate) fn with_all(mut self, parties: &[(Party, usize)]) -> Self {
        self.parties.extend(parties);
        self
    }

    /// Runs all writers to the end.
    pub(crate) fn start(&self) -> Outcome {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("cache.json");
        writer::begin(&path);
        let mut reader = Process::start(reader(&path));
        let mut processes = Vec::new();
        let mut victims = 0;
        for (party, number) in &self.parties {
            if *party == Party::Killed {
                victims = *number;
                continue;
            }
            for process in 0..*number {
                let name = format!("{party}-{process}").to_lowercase();
                let command = party.command(&path, &name, self.count, self.pause);
                processes.push((*party, name, Process::start(command)));
            }
        }
        let started = Instant::now();
        let working = AtomicUsize::new(processes.len());
        let (mut results, killed) = thread::scope(|scope| {
            let threads: Vec<_> = processes
                .into_iter()
                .map(|(party, name, mut process)| {
                    let working = &working;
                    scope.spawn(move || {
                        process.go();
                        let tally = process.tally(&name);
                        working.fetch_sub(1, Ordering::SeqCst);
                        (party, tally)
                    })
                })
                .collect();
            let killers: Vec<_> = (0..victims)
                .map(|victim| {
                    let (path, working) = (&path, &working);
                    scope.spawn(move || kill_repeatedly(path, victim, working))
                })
                .collect();
            let results: Vec<_> =
                threads.into_iter().map(|it| it.join().expect("it ends")).collect();
            let killed: Vec<_> =
                killers.into_iter().flat_map(|it| it.join().expect("it ends")).collect();
            (results, killed)
        });
        let took = started.elapsed();
        let kills = killed.len();
        results.extend(killed.into_iter().map(|tally| (Party::Killed, tally)));
        reader.go();
        let (reads, torn) = reader.readings();
        let mut outcome = Outcome {
            name: self.name.clone(),
            tallies: BTreeMap::new(),
            kills,
            reads,
            torn,
            unreadable: None,
            took,
        };
        for (party, tally) in results {
            outcome.tallies.entry(party).or_default().merge(tally);
        }
        outcome.count_lost(&path);
        outcome
    }
}

fn reader(path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("read").arg(path);
    command
}

/// Starts writers of this crate and kills each after a while, until the other writers are done.
fn kill_repeatedly(path: &Path, victim: usize, working: &AtomicUsize) -> Vec<Tally> {
    let mut random = Random::new(victim as u64);
    let mut tallies = Vec::new();
    while working.load(Ordering::SeqCst) > 0 {
        let name = format!("killed-{victim}-{}", tallies.len());
        let mut process = Process::start(Party::Killed.command(path, &name, 1000, 10));
        process.go();
        thread::sleep(Duration::from_millis(20) + random.millis(100));
        process.child.kill().expect("it is there");
        tallies.push(process.tally(&name));
        // Without a pause, the others would never find the file unlocked.
        thread::sleep(Duration::from_millis(150) + random.millis(200));
    }
    tallies
}

impl Outcome {
    pub(crate) fn has_lost(&self) -> bool {
        self.tallies.values().any(|tally| tally.lost > 0)
    }

    fn count_lost(&mut self, path: &Path) {
        let read = fs::read(path).map_err(|error| error.to_string());
        let document = read.and_then(|text| {
            serde_json::from_slice::<Value>(&text).map_err(|error| error.to_string())
        });
        let secrets = document.map(|document| {
            let sections = ["AccessToken", "RefreshToken"].map(|name| document[name].clone());
            let entries = sections.iter().filter_map(Value::as_object).flat_map(|it| it.values());
            entries.filter_map(|it| it["secret"].as_str().map(str::to_owned)).collect()
        });
        let secrets: BTreeSet<String> = secrets.unwrap_or_else(|fault| {
            self.unreadable = Some(fault);
            BTreeSet::new()
        });
        for tally in self.tallies.values_mut() {
            let is_lost = |user: &&String| {
                ["AT", "RT"].iter().any(|kind| !secrets.contains(&format!("{kind}-{user}")))
            };
            tally.lost = tally.acknowledged.iter().filter(is_lost).count();
        }
    }

    pub(crate) fn print(&self) {
        let mut name = self.name.as_str();
        for (party, tally) in &self.tallies {
            println!(
                "{name:<44} {:<12} {:>6} {:>6} {:>6} {:>6} {:>6} ms",
                party.to_string(),
                tally.acknowledged.len(),
                tally.errors.len(),
                tally.acknowledged.len() - tally.lost,
                tally.lost,
                tally.longest.as_millis(),
            );
            if let Some(error) = tally.errors.first() {
                println!("    {error}");
            }
            name = "";
        }
        println!(
            "    {:.1} s, {} successful reads, {} failed reads, {} kills",
            self.took.as_secs_f32(),
            self.reads,
            self.torn.len(),
            self.kills
        );
    }
}

impl Tally {
    fn merge(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.errors.extend(other.errors);
        self.longest = self.longest.max(other.longest);
    }
}

/// A writer or reader process, which is killed when this is dropped.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a process and waits until it is ready.
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let ready = lines.next().and_then(Result::ok);
        assert_eq!(ready.as_deref(), Some("ready"), "{command:?}");
        Self { child, lines }
    }

    fn go(&mut self) {
        let mut stdin = self.child.stdin.take().expect("it is piped");
        stdin.write_all(b"go\n").expect("it reads");
    }

    /// Reads the output of a writer to the end.
    fn tally(mut self, name: &str) -> Tally {
        let mut tally = Tally::default();
        for line in self.lines.by_ref().map_while(Result::ok) {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().unwrap_or_default();
            let (outcome, number, took, why) = (word(), word(), word(), word());
            match outcome {
                "ok" => tally.acknowledged.push(format!("{name}-{number}")),
                _ => tally.errors.push(why.to_owned()),
            }
            let took = took.parse().unwrap_or_default();
            tally.longest = tally.longest.max(Duration::from_millis(took));
        }
        tally
    }

    fn readings(mut self) -> (u64, Vec<String>) {
        let (mut reads, mut torn) = (0, Vec::new());
        for line in self.lines.by_ref().map_while(Result::ok) {
            match line.strip_prefix("reads ") {
                Some(number) => reads = number.parse().expect("a number"),
                None => torn.push(line),
            }
        }
        (reads, torn)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
