//! Whether the process that wrote a lock file is dead.

use std::fs;
use std::time::{Duration, Instant};

use super::holder::Holder;
use crate::fingerprint::Fingerprint;

/// A lock file of another process, and when this process first saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    pub(super) file: Fingerprint,
    pub(super) since: Instant,
}

/// What is known about the process that a lock file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessState {
    /// It doesn't exist, or is a zombie.
    Dead,
    /// It is running, for this long if the system tells.
    Alive(Option<Duration>),
}

/// Times of the file system are rounded, and a process starts some time before it writes its lock
/// file.
const ROUNDING: Duration = Duration::from_secs(2);

/// Whether a lock file of another library was left behind: its process is dead, and it is older
/// than `grace_period`, which is longer than any library holds the lock.
///
/// `age` is the age by the times of the file system; `seen` is how long this process has seen the
/// file unchanged. A process that is younger than the file has only reused the id of a dead one.
/// It may also look younger if a clock was set; so in this case, only `seen` counts.
pub(super) fn is_left_behind(
    holder: &Holder,
    process: ProcessState,
    age: Option<Duration>,
    seen: Duration,
    grace_period: Duration,
) -> bool {
    let old = seen >= grace_period || age.is_some_and(|age| age >= grace_period);
    if holder.is_empty {
        return old;
    }
    match (holder.pid, process) {
        (None, _) => false,
        (Some(_), ProcessState::Dead) => old,
        (Some(_), ProcessState::Alive(runs)) => {
            let reused = runs.zip(age).is_some_and(|(runs, age)| runs + ROUNDING < age);
            reused && seen >= grace_period
        }
    }
}

/// The state of a process that exists. Only Linux tells more than that it is alive.
pub(super) fn existing(pid: u32, ticks_per_second: u64) -> ProcessState {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return ProcessState::Alive(None);
    };
    // The name of the program, in parentheses, can contain any character.
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
        is_left_behind(&holder, process, Some(SECOND * age), SECOND * seen, SECOND * 10)
    }

    #[test]
    fn the_lock_file_of_a_dead_process_is_left_behind_once_it_is_old() {
        assert!(!left("7 az", ProcessState::Dead, 9, 9));
        assert!(left("7 az", ProcessState::Dead, 10, 0));
        assert!(left("7 az", ProcessState::Dead, 0, 10));
        assert!(left("", ProcessState::Dead, 10, 0));
        assert!(!left("", ProcessState::Dead, 9, 0));
        assert!(!left("az", ProcessState::Dead, 1000, 1000));
    }

    #[test]
    fn the_lock_file_of_a_live_process_is_left_behind_only_if_it_is_older_than_the_process() {
        let runs = |seconds| ProcessState::Alive(Some(SECOND * seconds));
        assert!(!left("7 az", runs(1000), 1000, 1000));
        assert!(!left("7 az", runs(999), 1000, 1000));
        assert!(left("7 az", runs(990), 1000, 10));
        assert!(!left("7 az", runs(990), 1000, 9), "a clock may have been set");
        assert!(!left("7 az", ProcessState::Alive(None), 1000, 1000));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_the_state_of_a_process() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let ProcessState::Alive(Some(runs)) = existing(child.id(), 100) else {
            panic!("the process is running")
        };
        assert!(runs < 20 * SECOND, "{runs:?}");
        let ProcessState::Alive(Some(first)) = existing(1, 100) else {
            panic!("process 1 is running")
        };
        assert!(first >= runs);
        child.kill().unwrap();
        // It is a zombie until its parent waits for it.
        while existing(child.id(), 100) != ProcessState::Dead {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.wait().unwrap();
        assert_eq!(existing(child.id(), 100), ProcessState::Alive(None), "there is no entry");
    }
}
