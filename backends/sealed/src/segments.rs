//! The segments of a text, which are sealed one by one, and by several threads where there are many.

use std::hint::black_box;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::{mem, thread};

use chacha20poly1305::aead::Error;
use zeroize::Zeroize;

/// The size of each segment but the last one, which has the rest.
pub(crate) const SEGMENT: usize = 1 << 18;

/// The size of a tag. The tags of all segments follow the text.
pub(crate) const TAG: usize = 16;

/// To start a thread for fewer segments takes about as long as to seal them.
const MANY: usize = 4;

/// The number of threads at most. Other threads of the process have work, too.
const THREADS: usize = 4;

/// The number of segments of a text, at least one.
fn count(size: usize) -> usize {
    size.div_ceil(SEGMENT).max(1)
}

/// The size of a text with its tags.
pub(crate) fn sealed_size(size: usize) -> usize {
    size + count(size) * TAG
}

/// The size of the text that has this [`sealed_size`], if one has.
pub(crate) fn text_size(sealed: usize) -> Option<usize> {
    let tags = sealed.div_ceil(SEGMENT + TAG) * TAG;
    sealed.checked_sub(tags).filter(|size| sealed_size(*size) == sealed)
}

/// Calls `f` with the index, the text and the tag of each segment, in any order. A thread
/// that meets an error calls it no more.
pub(crate) fn each(
    text: &mut [u8],
    tags: &mut [u8],
    f: impl Fn(u32, &mut [u8], &mut [u8; TAG]) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let count = count(text.len());
    let mut rest = text;
    let segments = tags.as_chunks_mut().0.iter_mut().map(|tag| {
        let size = SEGMENT.min(rest.len());
        let (segment, others) = mem::take(&mut rest).split_at_mut(size);
        rest = others;
        (segment, tag)
    });
    let segments = Mutex::new((0..).zip(segments));
    let work = || loop {
        let next = segments.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some((index, (segment, tag))) = next else { return Ok(()) };
        f(index, segment, tag)?;
    };
    if count < MANY {
        return work();
    }
    let work = || {
        let done = apart(work);
        wipe_stack();
        done
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    thread::scope(|scope| {
        let start = |_| {
            let thread = thread::Builder::new().name("msal-cache sealed".into());
            thread.spawn_scoped(scope, work).ok()
        };
        // Where the system refuses a thread, the others do its work.
        let others: Vec<_> = (1..threads).map_while(start).collect();
        let done = work();
        let join =
            |it: thread::ScopedJoinHandle<'_, _>| it.join().unwrap_or_else(|e| resume_unwind(e));
        others.into_iter().map(join).fold(done, Result::and)
    })
}

/// Calls a function in a part of the stack that [`wipe_stack`] overwrites afterwards.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Overwrites what the cipher has left on the stack, such as its last block of text: the stacks of threads that
/// have ended are kept for the next ones.
#[inline(never)]
fn wipe_stack() {
    let mut stack = [0xff_u8; 1 << 14];
    stack.zeroize();
    black_box(&stack);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_belongs_to_one_text() {
        let near = |size: usize| size.saturating_sub(40)..size + 40;
        for size in [0, SEGMENT, 2 * SEGMENT, 7 * SEGMENT].into_iter().flat_map(near) {
            assert_eq!(text_size(sealed_size(size)), Some(size));
        }
        let sizes: Vec<_> = (0..3 * SEGMENT).map(sealed_size).collect();
        let refused = (0..sealed_size(3 * SEGMENT)).filter(|it| text_size(*it).is_none());
        let none = (0..sealed_size(3 * SEGMENT)).filter(|it| sizes.binary_search(it).is_err());
        assert!(refused.eq(none));
    }

    #[test]
    fn each_segment_is_called_once_and_an_error_is_returned() {
        for size in [0, 1, SEGMENT, SEGMENT + 1, 9 * SEGMENT + 5] {
            let mut text = vec![0; size];
            let mut tags = vec![0; sealed_size(size) - size];
            let mark = |index: u32, segment: &mut [u8], tag: &mut [u8; TAG]| {
                let number = u8::try_from(index).unwrap() + 1;
                for byte in segment {
                    *byte += number;
                }
                tag[0] += number;
                Ok(())
            };
            each(&mut text, &mut tags, mark).unwrap();
            let number = |at: usize| u8::try_from(at).unwrap() + 1;
            assert!(text.iter().enumerate().all(|(at, it)| *it == number(at / SEGMENT)));
            assert!(tags.iter().step_by(TAG).enumerate().all(|(at, it)| *it == number(at)));
            for broken in 0..u32::try_from(count(size)).unwrap() {
                let fail = |index, _: &mut [u8], _: &mut _| {
                    if index == broken { Err(Error) } else { Ok(()) }
                };
                assert!(each(&mut text, &mut tags, fail).is_err());
            }
        }
    }
}
