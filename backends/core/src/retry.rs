use std::thread;
use std::time::Duration;

use crate::{Error, Result};

/// How often a plan is repeated before its conflict is reported.
const ATTEMPTS: u32 = 64;

/// Runs `attempt` again as long as it ends in [`Error::Conflict`], up to 64 times.
///
/// This is the one place where conflicts are retried. A plan is made anew from what is stored
/// each time, so `attempt` has to read, plan and commit, and must do nothing else that lasts.
/// From the third attempt on it waits a random moment first, up to 32 ms, so that writers who
/// collided don't collide again.
pub fn retry<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt() {
            Err(Error::Conflict) if tries < ATTEMPTS => {
                crate::trace::conflict(tries);
                if tries > 1 {
                    let most = 250 << tries.min(7);
                    thread::sleep(Duration::from_micros(fastrand::u64(0..most)));
                }
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_retried_and_other_errors_are_not() {
        let mut tries = 0;
        let third = retry(|| {
            tries += 1;
            if tries < 3 { Err(Error::Conflict) } else { Ok(tries) }
        });
        assert_eq!(third.unwrap(), 3);

        let mut tries = 0;
        let failed: Result<()> = retry(|| {
            tries += 1;
            Err(Error::invalid("field", "reason"))
        });
        assert!(matches!(failed, Err(Error::Invalid { .. })));
        assert_eq!(tries, 1);
    }

    #[test]
    fn whoever_always_loses_is_told_so() {
        let mut tries = 0;
        let lost: Result<()> = retry(|| {
            tries += 1;
            Err(Error::Conflict)
        });
        assert!(matches!(lost, Err(Error::Conflict)));
        assert_eq!(tries, ATTEMPTS);
    }
}
