//! The conformance suite, while each store listens.

use msal_cache_core::conformance::{Harness, Persistent};

use super::{Store, open};
use crate::conformance::Schema;

struct Listening(Schema);

impl Harness for Listening {
    type Store = Store;

    fn new() -> Self {
        Self(Schema::new())
    }

    fn open(&self) -> Store {
        open(self.0.name())
    }
}

impl Persistent for Listening {}

msal_cache_core::conformance!(Listening: Persistent);
