use std::fmt;
use std::sync::Arc;

use msal_cache_core::{BoxFuture, Result};

/// The user and the password of one connection.
#[derive(Clone)]
pub struct Credentials {
    /// The ACL user; `None` is the user `default`.
    pub username: Option<String>,
    /// The password, or a token that the server accepts as one.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Returns the credentials of the next connection.
#[derive(Clone)]
pub(crate) struct CredentialSource(
    Arc<dyn Fn() -> BoxFuture<'static, Result<Credentials>> + Send + Sync>,
);

impl CredentialSource {
    pub(crate) fn new<F>(source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credentials>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(source())))
    }

    pub(crate) async fn get(&self) -> Result<Credentials> {
        (self.0)().await
    }
}
