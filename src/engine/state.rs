use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use msal_cache_core::{Batch, ChangeSignal, Error, Guards, Result};

use crate::engine::back_off::BackOff;
use crate::engine::decoded_cache::DecodedCache;
use crate::engine::in_flight::InFlight;
use crate::engine::known_clouds::KnownClouds;
#[cfg(feature = "metrics")]
use crate::engine::meter::timed;
use crate::engine::metrics;
use crate::engine::outages::{Moment, Outages};
use crate::model::{Authority, Clock, Clouds, Limits, OutagePolicy, Profile, SystemClock};

/// The options of a cache.
#[derive(Clone)]
pub(crate) struct CacheOptions {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) profile: Profile,
    pub(crate) clouds: Clouds,
    pub(crate) limits: Limits,
    pub(crate) outages: OutagePolicy,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            profile: Profile::default(),
            clouds: Clouds::default(),
            limits: Limits::default(),
            outages: OutagePolicy::default(),
        }
    }
}

impl fmt::Debug for CacheOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheOptions")
            .field("profile", &self.profile)
            .field("clouds", &self.clouds)
            .field("limits", &self.limits)
            .field("outages", &self.outages)
            .finish_non_exhaustive()
    }
}

/// A cache over an async store: what the faces share.
pub(crate) struct Engine<S, R> {
    pub(crate) store: S,
    pub(crate) runtime: R,
    pub(crate) state: Arc<CacheState>,
}

/// What a cache knows besides its store.
pub(crate) struct CacheState {
    pub(crate) options: CacheOptions,
    pub(crate) clouds: KnownClouds,
    pub(crate) decoded: DecodedCache,
    /// Approximately how many access tokens are stored, where their number is limited.
    pub(crate) stored: AtomicUsize,
    pub(crate) changed: AtomicBool,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) back_off: BackOff,
    pub(crate) outages: Outages,
    /// Refreshes of this process: the process takes part in the guard of the store only once.
    pub(crate) guards: Guards,
    /// Notified of each change by this cache, and by the store where it is watched.
    pub(crate) signal: ChangeSignal,
    /// Whether the store may block its caller. Its calls are timed even if they don't suspend.
    pub(crate) blocks: bool,
}

impl<S, R> Engine<S, R> {
    /// `blocks`: see [`CacheState`].
    pub(crate) fn new(store: S, runtime: R, options: CacheOptions, blocks: bool) -> Self {
        metrics::describe();
        let state = Arc::new(CacheState {
            decoded: DecodedCache::new(options.limits.decoded_bytes),
            outages: Outages::new(options.outages, &*options.clock),
            clouds: KnownClouds::new(options.clouds.clone()),
            options,
            // Unknown: the first sign-in counts.
            stored: AtomicUsize::new(usize::MAX / 2),
            changed: AtomicBool::new(false),
            in_flight: Arc::default(),
            back_off: BackOff::default(),
            guards: Guards::new(),
            signal: ChangeSignal::new(),
            blocks,
        });
        Self { store, runtime, state }
    }

    pub(crate) fn now(&self) -> i64 {
        self.state.options.clock.now()
    }

    /// The time for the policy of outages.
    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        self.state.outages.moment(&*self.state.options.clock)
    }

    pub(crate) fn profile(&self) -> Profile {
        self.state.options.profile
    }

    pub(crate) fn clouds(&self) -> &Clouds {
        self.state.clouds.latest()
    }

    /// Parses an authority, and learns to which cloud its host belongs, if that has been discovered.
    pub(crate) fn authority<A>(&self, authority: A) -> Result<Authority>
    where
        A: TryInto<Authority, Error: Into<Error>>,
    {
        let authority = authority.try_into().map_err(Into::into)?;
        if let Some(cloud) = authority.cloud() {
            self.state.clouds.learn(cloud);
        }
        Ok(authority)
    }

    pub(crate) fn set_changed(&self) {
        self.state.changed.store(true, Ordering::SeqCst);
    }

    /// Before a call whose result is unknown if its future is dropped, or if the store panics.
    pub(crate) fn pending<'a>(&'a self, may_change: MayChange<'a>) -> Pending<'a> {
        Pending { state: &self.state, may_change }
    }

    pub(crate) fn has_changed(&self) -> bool {
        self.state.changed.load(Ordering::SeqCst)
    }

    /// Records a call of the store.
    #[cfg(feature = "metrics")]
    #[inline]
    pub(crate) async fn call<T>(
        &self,
        verb: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let (done, took) = timed(self.state.blocks, call).await;
        metrics::store(verb, took, &done);
        done
    }

    #[cfg(not(feature = "metrics"))]
    #[expect(clippy::unused_self, reason = "it is used with the feature")]
    #[inline]
    pub(crate) fn call<T, F: Future<Output = Result<T>>>(&self, _: &'static str, call: F) -> F {
        call
    }
}

/// What a call may change in the store.
pub(crate) enum MayChange<'a> {
    Nothing,
    Partitions(&'a Batch),
    Everything,
}

/// A call that has not ended. If it is dropped before, the cache counts as changed, and what the call
/// may have removed from the store isn't kept in memory.
pub(crate) struct Pending<'a> {
    state: &'a CacheState,
    may_change: MayChange<'a>,
}

impl Pending<'_> {
    /// The call has ended.
    pub(crate) fn ended(self) {
        std::mem::forget(self);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.state.changed.store(true, Ordering::SeqCst);
        self.state.signal.notify();
        match self.may_change {
            MayChange::Nothing => {}
            MayChange::Partitions(batch) => self.state.decoded.forget(batch),
            MayChange::Everything => self.state.decoded.forget_all(),
        }
    }
}
