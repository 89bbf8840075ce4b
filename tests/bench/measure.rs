//! Measures alternatives in turn, so that load on the machine affects all of them.

use std::time::{Duration, Instant};

/// Repeats an operation and returns the time that it took.
pub(crate) type Side<'a> = Box<dyn FnMut(usize) -> Duration + 'a>;

/// An operation in wall-clock time. It gets the number of the repetition.
pub(crate) fn side<'a>(mut work: impl FnMut(usize) + 'a) -> Side<'a> {
    let mut next = 0;
    Box::new(move |times| {
        let started = Instant::now();
        for _ in 0..times {
            work(next);
            next += 1;
        }
        started.elapsed()
    })
}

/// An operation that only computes, in processor time, so that load on the machine matters little.
pub(crate) fn computing<'a>(mut work: impl FnMut(usize) + 'a) -> Side<'a> {
    let mut next = 0;
    Box::new(move |times| {
        let started = processor_time();
        for _ in 0..times {
            work(next);
            next += 1;
        }
        processor_time().saturating_sub(started)
    })
}

/// The processor time of this thread.
pub(crate) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// An operation in processor time, with a step that undoes it and is not measured.
pub(crate) fn undone<'a, C: 'a>(
    mut context: C,
    mut work: impl FnMut(&mut C, usize) + 'a,
    mut undo: impl FnMut(&mut C, usize) + 'a,
) -> Side<'a> {
    let mut next = 0;
    Box::new(move |times| {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            let started = processor_time();
            work(&mut context, next);
            took += processor_time().saturating_sub(started);
            undo(&mut context, next);
            next += 1;
        }
        took
    })
}

/// The effort of a measurement.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// The number of turns of each side.
    pub(crate) turns: usize,
    /// The approximate time of a turn.
    pub(crate) turn: Duration,
    /// After this time, three turns are enough.
    pub(crate) most: Duration,
}

/// The median time of each side, in nanoseconds.
pub(crate) fn compare<const N: usize>(effort: Effort, mut sides: [Side<'_>; N]) -> [f64; N] {
    let started = Instant::now();
    // Warm up, and determine the repetitions in a turn.
    let times = sides.each_mut().map(|side| {
        let mut times = 1;
        loop {
            let took = side(times);
            if took * 4 >= effort.turn || started.elapsed() > effort.most {
                let one = took.as_nanos().max(1) / times as u128;
                break usize::try_from(effort.turn.as_nanos() / one.max(1)).unwrap_or(1).max(1);
            }
            times *= 2;
        }
    });
    let mut turns: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for turn in 0..effort.turns {
        if turn >= 3 && started.elapsed() > effort.most {
            break;
        }
        for (at, side) in sides.iter_mut().enumerate() {
            let took = side(times[at]).as_nanos();
            #[expect(clippy::cast_precision_loss, reason = "a turn takes milliseconds")]
            turns[at].push(took as f64 / times[at] as f64);
        }
    }
    turns.map(|mut turns| {
        turns.sort_by(f64::total_cmp);
        turns[turns.len() / 2]
    })
}
