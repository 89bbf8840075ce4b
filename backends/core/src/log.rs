//! How these crates log: as `tracing` events, where the feature `tracing` of this crate is on.
//! Without it, an event compiles to nothing.
//!
//! Log what the code did on its own and what it waited for: paths, counts, durations, client ids,
//! the digest of a partition. Never log a key, a value or any other part of a record.

/// Emits an event: `event!(debug, target: "…", name = value, name = %shown, "message")`.
///
/// The syntax is the one of `tracing::debug!` and its siblings. The feature belongs to this crate,
/// so a crate that calls the macro needs none of its own.
#[cfg(feature = "tracing")]
#[doc(hidden)]
#[macro_export]
macro_rules! event {
    ($level:ident, $($event:tt)*) => {
        $crate::internal::tracing::$level!($($event)*)
    };
}

/// Evaluates nothing; its arguments count as used.
#[cfg(not(feature = "tracing"))]
#[doc(hidden)]
#[macro_export]
macro_rules! event {
    (@ $message:literal $(, $argument:expr)*) => {{ $(let _ = &$argument;)* }};
    (@ $name:ident = % $value:expr, $($rest:tt)*) => {{ let _ = &$value; $crate::event!(@ $($rest)*); }};
    (@ $name:ident = ? $value:expr, $($rest:tt)*) => {{ let _ = &$value; $crate::event!(@ $($rest)*); }};
    (@ $name:ident = $value:expr, $($rest:tt)*) => {{ let _ = &$value; $crate::event!(@ $($rest)*); }};
    (@ % $value:ident, $($rest:tt)*) => {{ let _ = &$value; $crate::event!(@ $($rest)*); }};
    (@ ? $value:ident, $($rest:tt)*) => {{ let _ = &$value; $crate::event!(@ $($rest)*); }};
    (@ $value:ident, $($rest:tt)*) => {{ let _ = &$value; $crate::event!(@ $($rest)*); }};
    ($level:ident, target: $target:expr, $($event:tt)*) => { $crate::event!($level, $($event)*) };
    ($level:ident, $($event:tt)*) => {
        { let _ = || $crate::event!(@ $($event)*); }
    };
}
