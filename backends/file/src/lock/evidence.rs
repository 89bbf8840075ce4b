//! Whether the one who left a lock file behind is dead.

use std::fs;
use std::time::{Duration, Instant};

use super::Holder;
use crate::fingerprint::Fingerprint;

/// A lock file of somebody else, and since when it is known to stand there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    pub(super) file: Fingerprint,
    pub(super) since: Instant,
}

/// What is known about the process that a lock file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessState {
    /// There is none, or it has ended and waits for its parent to notice.
    Dead,
    /// It runs since this long, where the system tells.
    Alive(Option<Duration>),
}

/// The times in a lock file's neighbourhood are rounded, and its process had to start first.
const ROUNDING: Duration = Duration::from_secs(2);

/// Whether a lock file of another library was left behind. Its process has to be dead, and it has
/// to be older than `grace`: longer than any of them holds it.
///
/// `age` is what the times of the file system say, `seen` for how long this process has seen it
/// unchanged. A process that is younger than the file has inherited the number of the dead one;
/// clocks that were set may look like that, so then only what was seen counts.
pub(super) fn is_left(
    holder: &Holder,
    process: ProcessState,
    age: Option<Duration>,
    seen: Duration,
    grace: Duration,
) -> bool {
    let old = seen >= grace || age.is_some_and(|age| age >= grace);
    if holder.is_empty {
        return old;
    }
    match (holder.pid, process) {
        (None, _) => false,
        (Some(_), ProcessState::Dead) => old,
        (Some(_), ProcessState::Alive(runs)) => {
            let inherited = runs.zip(age).is_some_and(|(runs, age)| runs + ROUNDING < age);
            inherited && seen >= grace
        }
    }
}

/// What Linux tells of a process that exists; elsewhere it is alive, and no more is known.
pub(super) fn existing(pid: u32, ticks_per_second: u64) -> ProcessState {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return ProcessState::Alive(None);
    };
    // The name of the program, in parentheses, may hold anything.
    let Some((_, fields)) = stat.rsplit_once(") ") else { return ProcessState::Alive(None) };
    if matches!(fields.as_bytes().first(), Some(b'Z' | b'X')) {
        return ProcessState::Dead;
    }
    let seconds =
        |text: &str| text.parse().ok().and_then(|it| Duration::try_from_secs_f64(it).ok());
    let up = fs::read_to_string("/proc/uptime").ok();
    let up = up.as_deref().and_then(|up| seconds(up.split(' ').next()?));
    let started = fields.split(' ').nth(19).and_then(|ticks| ticks.parse::<u64>().ok());
    let started =
        started.map(|ticks| Duration::from_millis(ticks * 1000 / ticks_per_second.max(1)));
    ProcessState::Alive(up.zip(started).map(|(up, started)| up.saturating_sub(started)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn left(content: &str, process: ProcessState, age: u32, seen: u32) -> bool {
        let holder = Holder::parse(content.as_bytes());
        is_left(&holder, process, Some(SECOND * age), SECOND * seen, SECOND * 10)
    }

    #[test]
    fn a_dead_process_is_followed_once_its_file_is_old() {
        assert!(!left("7 az", ProcessState::Dead, 9, 9));
        assert!(left("7 az", ProcessState::Dead, 10, 0));
        assert!(left("7 az", ProcessState::Dead, 0, 10));
        assert!(left("", ProcessState::Dead, 10, 0));
        assert!(!left("", ProcessState::Dead, 9, 0));
        assert!(!left("nobody", ProcessState::Dead, 1000, 1000));
    }

    #[test]
    fn a_live_process_is_followed_only_if_it_is_younger_than_the_file() {
        let runs = |seconds| ProcessState::Alive(Some(SECOND * seconds));
        assert!(!left("7 az", runs(1000), 1000, 1000));
        assert!(!left("7 az", runs(999), 1000, 1000));
        assert!(left("7 az", runs(990), 1000, 10));
        assert!(!left("7 az", runs(990), 1000, 9), "clocks may have been set");
        assert!(!left("7 az", ProcessState::Alive(None), 1000, 1000));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_linux_tells_of_a_process() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let ProcessState::Alive(Some(runs)) = existing(child.id(), 100) else {
            panic!("it sleeps")
        };
        assert!(runs < 20 * SECOND, "{runs:?}");
        let ProcessState::Alive(Some(first)) = existing(1, 100) else { panic!("there is a first") };
        assert!(first >= runs);
        child.kill().unwrap();
        // Until its parent asks for its end it is there, and dead.
        while existing(child.id(), 100) != ProcessState::Dead {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.wait().unwrap();
        assert_eq!(
            existing(child.id(), 100),
            ProcessState::Alive(None),
            "there is nothing to read"
        );
    }
}
