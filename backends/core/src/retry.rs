use std::thread;
use std::time::Duration;

use crate::{Error, Result, event};

/// How often a plan is made before the conflict is returned.
const ATTEMPTS: u32 = 64;

/// Runs `attempt` again as long as it returns [`Error::Conflict`], up to 64 times.
///
/// `attempt` has to read, plan and commit, so that each plan is based on the current contents. It
/// must have no other lasting effect. From the third attempt on, it follows a random pause, which
/// is the longer the more attempts there were, up to 128 ms, so that writers that collided don't
/// collide again. After 32 attempts it becomes shorter, so that a writer that lost often doesn't
/// lose to writers that have just begun.
///
/// This is the only level at which conflicts are retried: if every commit conflicts, there are 64.
pub fn retry<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut retry = Retry::new();
    loop {
        match retry.after(attempt()) {
            Next::Return(done) => return done,
            Next::Retry(pause) => thread::sleep(pause),
        }
    }
}

/// Counts the attempts of one operation. For code that can't pass a closure to [`retry`], such as a
/// loop that awaits.
#[derive(Debug, Default)]
pub struct Retry {
    attempts: u32,
}

/// What follows an attempt.
#[derive(Debug)]
pub enum Next<T> {
    /// The operation ends with this result.
    Return(Result<T>),
    /// The next attempt follows after this pause, which may be zero.
    Retry(Duration),
}

impl Retry {
    /// The state before the first attempt.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides what follows an attempt with this result.
    pub fn after<T>(&mut self, result: Result<T>) -> Next<T> {
        self.attempts += 1;
        if !matches!(result, Err(Error::Conflict)) || self.attempts >= ATTEMPTS {
            return Next::Return(result);
        }
        event!(debug, attempts = self.attempts, "conflict: planning the commit again");
        Next::Retry(pause(self.attempts))
    }
}

/// A random pause after this number of attempts that lost. Its limit rises to 128 ms, so that many
/// writers spread, and then falls: with one that only rises, a writer loses the more often the more
/// it has lost.
pub(crate) fn pause(attempts: u32) -> Duration {
    let limit = match attempts {
        0 | 1 => 0,
        2..32 => 250 << attempts.min(9),
        _ => 128_000 >> ((attempts - 28) / 4),
    };
    Duration::from_micros(fastrand::u64(0..=limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_conflicts_are_retried() {
        let mut attempts = 0;
        let third = retry(|| {
            attempts += 1;
            if attempts < 3 { Err(Error::Conflict) } else { Ok(attempts) }
        });
        assert_eq!(third.unwrap(), 3);

        let mut attempts = 0;
        let failed: Result<()> = retry(|| {
            attempts += 1;
            Err(Error::invalid("field", "reason"))
        });
        assert!(matches!(failed, Err(Error::Invalid { .. })));
        assert_eq!(attempts, 1);
    }

    #[test]
    fn the_pause_rises_and_falls() {
        let longest = |attempts| (0..2_000).map(|_| pause(attempts)).max().unwrap().as_micros();
        assert_eq!(longest(1), 0);
        assert!((500..=1_000).contains(&longest(2)));
        assert!((64_000..=128_000).contains(&longest(9)));
        assert!((64_000..=128_000).contains(&longest(31)));
        assert!((32_000..=64_000).contains(&longest(32)));
        assert!(longest(ATTEMPTS - 1) < 1_000);
    }

    #[test]
    fn the_last_conflict_is_returned() {
        let mut attempts = 0;
        let lost: Result<()> = retry(|| {
            attempts += 1;
            Err(Error::Conflict)
        });
        assert!(matches!(lost, Err(Error::Conflict)));
        assert_eq!(attempts, ATTEMPTS);
    }
}
