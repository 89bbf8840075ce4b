//! A store that wraps another one.

/// Forwards the verbs of [`CacheStore`](crate::CacheStore) to another store, in the `impl` of a
/// store that wraps it. Verbs after `except` are not forwarded: implement them, or leave them to
/// the body that the contract provides. Without `load`, `is_unchanged` isn't forwarded either.
///
/// [`detached`](crate::CacheStore::detached) is that of the wrapper, and none unless implemented.
///
/// A wrapper that forwards by hand can omit a verb with a provided body, and then replaces a guard
/// by none.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use msal_cache_core::{Batch, CacheStore, Result, Revision, delegate_store};
///
/// /// Counts the commits to a store.
/// #[derive(Debug)]
/// struct Counted<S> {
///     store: S,
///     commits: AtomicU64,
/// }
///
/// impl<S: CacheStore> CacheStore for Counted<S> {
///     delegate_store!(self => self.store, except commit);
///
///     fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
///         self.commits.fetch_add(1, Ordering::Relaxed);
///         self.store.commit(batch)
///     }
/// }
/// ```
#[macro_export]
macro_rules! delegate_store {
    ($self:ident => $store:expr $(, except $($verb:ident),+ $(,)?)?) => {
        $($($crate::__delegate_verb!(@known $verb);)+)?
        $crate::__delegate_verb!($self $store; load [$($($verb)+)?]);
        $crate::__delegate_verb!($self $store; is_unchanged [$($($verb)+)?]);
        $crate::__delegate_verb!($self $store; load_many [$($($verb)+)?]);
        $crate::__delegate_verb!($self $store; commit [$($($verb)+)?]);
        $crate::__delegate_verb!($self $store; list [$($($verb)+)?]);
        $crate::__delegate_verb!($self $store; purge [$($($verb)+)?]);
        $crate::__delegate_verb!($self $store; guard [$($($verb)+)?]);
        $crate::__delegate_verb!($self $store; watch [$($($verb)+)?]);
        $crate::__delegate_verb!($self $store; is_shared [$($($verb)+)?]);
        $crate::__delegate_verb!($self $store; is_immediate [$($($verb)+)?]);
        $crate::__delegate_verb!($self $store; detached [$($($verb)+)?]);
    };
}

/// Forwards a verb, unless it is in the list.
#[doc(hidden)]
#[macro_export]
macro_rules! __delegate_verb {
    (@known load) => {};
    (@known is_unchanged) => {};
    (@known load_many) => {};
    (@known commit) => {};
    (@known list) => {};
    (@known purge) => {};
    (@known guard) => {};
    (@known watch) => {};
    (@known is_shared) => {};
    (@known is_immediate) => {};
    (@known detached) => {};
    (@known $other:ident) => {
        ::core::compile_error!(::core::concat!(
            "`CacheStore` has no verb `",
            ::core::stringify!($other),
            "`"
        ));
    };

    ($self:ident $store:expr; load [load $($rest:ident)*]) => {};
    // A wrapper with a `load` of its own wants to see each look-up.
    ($self:ident $store:expr; is_unchanged [load $($rest:ident)*]) => {};
    ($self:ident $store:expr; is_unchanged [is_unchanged $($rest:ident)*]) => {};
    ($self:ident $store:expr; load_many [load_many $($rest:ident)*]) => {};
    ($self:ident $store:expr; commit [commit $($rest:ident)*]) => {};
    ($self:ident $store:expr; list [list $($rest:ident)*]) => {};
    ($self:ident $store:expr; purge [purge $($rest:ident)*]) => {};
    ($self:ident $store:expr; guard [guard $($rest:ident)*]) => {};
    ($self:ident $store:expr; watch [watch $($rest:ident)*]) => {};
    ($self:ident $store:expr; is_shared [is_shared $($rest:ident)*]) => {};
    ($self:ident $store:expr; is_immediate [is_immediate $($rest:ident)*]) => {};
    ($self:ident $store:expr; detached [detached $($rest:ident)*]) => {};
    ($self:ident $store:expr; $verb:ident [$other:ident $($rest:ident)*]) => {
        $crate::__delegate_verb!($self $store; $verb [$($rest)*]);
    };

    ($self:ident $store:expr; load []) => {
        #[inline]
        fn load(
            &$self,
            partition: &$crate::Partition,
            known: ::core::option::Option<$crate::Revision>,
        ) -> $crate::Result<$crate::Load> {
            $crate::CacheStore::load(&$store, partition, known)
        }
    };
    ($self:ident $store:expr; is_unchanged []) => {
        #[inline]
        fn is_unchanged(&$self, partition: &$crate::Partition, known: $crate::Revision) -> bool {
            $crate::CacheStore::is_unchanged(&$store, partition, known)
        }
    };
    ($self:ident $store:expr; load_many []) => {
        #[inline]
        fn load_many(
            &$self,
            wanted: &[(&$crate::Partition, ::core::option::Option<$crate::Revision>)],
        ) -> $crate::Result<::std::vec::Vec<$crate::Load>> {
            $crate::CacheStore::load_many(&$store, wanted)
        }
    };
    ($self:ident $store:expr; commit []) => {
        #[inline]
        fn commit(
            &$self,
            batch: &$crate::Batch,
        ) -> $crate::Result<::std::vec::Vec<$crate::Revision>> {
            $crate::CacheStore::commit(&$store, batch)
        }
    };
    ($self:ident $store:expr; list []) => {
        #[inline]
        fn list(
            &$self,
            credential_type: ::core::option::Option<&$crate::CredentialType>,
            known: ::core::option::Option<$crate::Revision>,
        ) -> $crate::Result<$crate::Load> {
            $crate::CacheStore::list(&$store, credential_type, known)
        }
    };
    ($self:ident $store:expr; purge []) => {
        #[inline]
        fn purge(&$self, now: i64) -> $crate::Result<u64> {
            $crate::CacheStore::purge(&$store, now)
        }
    };
    ($self:ident $store:expr; guard []) => {
        #[inline]
        fn guard(
            &$self,
            partition: &$crate::Partition,
            wait: ::core::time::Duration,
        ) -> $crate::Result<$crate::RefreshGuard> {
            $crate::CacheStore::guard(&$store, partition, wait)
        }
    };
    ($self:ident $store:expr; watch []) => {
        #[inline]
        fn watch(&$self, signal: $crate::ChangeSignal) -> $crate::Result<$crate::Watch> {
            $crate::CacheStore::watch(&$store, signal)
        }
    };
    ($self:ident $store:expr; detached []) => {
        fn detached(
            self: ::std::sync::Arc<Self>,
        ) -> ::core::option::Option<::std::sync::Arc<dyn $crate::CacheStore>> {
            ::core::option::Option::None
        }
    };
    ($self:ident $store:expr; is_shared []) => {
        #[inline]
        fn is_shared(&$self) -> bool {
            $crate::CacheStore::is_shared(&$store)
        }
    };
    ($self:ident $store:expr; is_immediate []) => {
        #[inline]
        fn is_immediate(&$self) -> bool {
            $crate::CacheStore::is_immediate(&$store)
        }
    };
}
