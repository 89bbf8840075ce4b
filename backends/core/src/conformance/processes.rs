//! Concurrent processes.

use std::env;
use std::process::{self, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Processes;
use super::traffic::{AtWork, Observed, write};
use crate::CacheStore;

const PROCESSES: usize = 4;

/// The address of the place, and the number of the process, for a process that a case has started.
const PLACE: &str = "MSAL_CACHE_CONFORMANCE_PLACE";
const NUMBER: &str = "MSAL_CACHE_CONFORMANCE_NUMBER";

/// Processes that write to one place lose no records to each other, and a concurrent reader sees
/// complete commits only.
///
/// `test` is the path of the calling test, including its crate:
/// `concat!(module_path!(), "::name_of_the_test")`.
pub fn processes_lose_nothing<H: Processes>(test: &str) {
    work::<H>(|store, number| write(store, number));
    let place = H::new();
    let reader = place.open();
    let mut seen = Observed::default();
    during(&place, test, |busy| seen.watch(&reader, busy));
    seen.assert_nothing_lost(&reader, PROCESSES);
    Observed::default().assert_nothing_lost(&place.open(), PROCESSES);
}

/// In a process that a case has started: does the work and exits.
fn work<H: Processes>(work: impl FnOnce(&dyn CacheStore, usize)) {
    let Some(address) = env::var_os(PLACE) else { return };
    let number = env::var(NUMBER).ok().and_then(|number| number.parse().ok());
    let store = H::open_at(&address);
    work(&store, number.expect("a process number"));
    drop(store);
    // On a line of its own, since the test runner prints as well.
    println!("\n{}", done(&address.to_string_lossy()));
    process::exit(0);
}

fn done(address: &str) -> String {
    format!("the work at {address} is done")
}

/// Runs `meanwhile` while the processes work, and asserts that all of them succeed.
fn during<H: Processes>(place: &H, test: &str, meanwhile: impl FnOnce(&dyn Fn() -> bool)) {
    let address = place.address();
    // The name of the crate is not part of the name of the test.
    let (_, name) = test.split_once("::").expect("the path of a test");
    let program = env::current_exe().expect("the path of this program");
    let working = &AtomicUsize::new(0);
    let outputs: Vec<Output> = thread::scope(|scope| {
        let processes: Vec<_> = (0..PROCESSES)
            .map(|number| {
                let mut command = Command::new(&program);
                command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
                command.env(PLACE, &address).env(NUMBER, number.to_string()).stdin(Stdio::null());
                let at_work = AtWork::new(working);
                scope.spawn(move || {
                    let _at_work = at_work;
                    command.output().expect("this program starts again")
                })
            })
            .collect();
        meanwhile(&|| working.load(Ordering::SeqCst) > 0);
        processes.into_iter().map(|it| it.join().expect("a process was started")).collect()
    });
    for output in outputs {
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
        assert!(
            output.status.success() && stdout.contains(&done(&address.to_string_lossy())),
            "a process failed at test {name}: {stdout}{stderr}"
        );
    }
}
