use std::sync::atomic::{AtomicBool, Ordering};

use event_listener::Event;

/// Lets the writers of one handle write one after the other. Otherwise, of a hundred writers that
/// swap at the same time, ninety-nine read and swap again.
#[derive(Default)]
pub(crate) struct Turns {
    is_taken: AtomicBool,
    ended: Event,
}

/// The turn of one writer, until it is dropped.
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    /// Waits for a turn.
    pub(crate) async fn take(&self) -> Turn<'_> {
        loop {
            if let Some(turn) = self.try_take() {
                return turn;
            }
            let ended = self.ended.listen();
            // It may have ended before there was a listener.
            if let Some(turn) = self.try_take() {
                return turn;
            }
            ended.await;
        }
    }

    fn try_take(&self) -> Option<Turn<'_>> {
        // A turn that isn't taken must not be dropped.
        (!self.is_taken.swap(true, Ordering::SeqCst)).then(|| Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.is_taken.store(false, Ordering::SeqCst);
        self.0.ended.notify(1);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_dropped_waiter_passes_the_turn_on() {
        let turns = Turns::default();
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(turn) = pin!(turns.take()).poll(&mut context) else {
            panic!("the turn is free")
        };
        let (mut first, mut second) = (Box::pin(turns.take()), pin!(turns.take()));
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop(turn);
        // It was notified and never polled again.
        drop(first);
        assert!(second.as_mut().poll(&mut context).is_ready());
    }
}
