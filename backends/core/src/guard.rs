use std::fmt;

/// Holds off other refreshes of a partition until it is dropped; see
/// [`CacheStore::guard`](crate::CacheStore::guard).
///
/// It borrows nothing and may be dropped on any thread, so a task can hold it across an await.
#[must_use = "the guard ends when it is dropped"]
pub struct RefreshGuard(Option<Box<dyn Held>>);

trait Held: Send {}
impl<T: Send> Held for T {}

impl RefreshGuard {
    /// A guard that excludes nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// A guard that excludes others until `held` is dropped.
    pub fn new(held: impl Send + 'static) -> Self {
        Self(Some(Box::new(held)))
    }
}

impl fmt::Debug for RefreshGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "RefreshGuard(held)" } else { "RefreshGuard(none)" })
    }
}
