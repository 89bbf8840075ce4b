//! A proof that the store works.

use msal_cache_core::{AsyncCacheStore, Result, event, internal};

use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;

impl<S: AsyncCacheStore, R: Runtime> Engine<S, R> {
    /// The record that is written for it is of no user, and deleted again: the cache hasn't changed.
    pub(crate) async fn verify(&self) -> Result<()> {
        let verified = internal::verify(&self.store, self.now()).await;
        match &verified {
            Ok(()) => event!(debug, "the store can be read and written"),
            Err(error) => event!(warn, %error, "the store can't be used"),
        }
        verified
    }
}
