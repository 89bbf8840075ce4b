use std::fmt;
use std::sync::Arc;

use crate::{BoxFuture, Result};

/// The user and the password of one connection to a server that stores tokens.
#[derive(Clone)]
pub struct Credentials {
    /// The user; `None` is that of the address, or the default of the server.
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
pub struct CredentialSource(Arc<dyn Fn() -> BoxFuture<'static, Result<Credentials>> + Send + Sync>);

impl CredentialSource {
    /// Wraps a function that returns a future.
    pub fn new<F>(source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credentials>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(source())))
    }

    /// Calls the function.
    ///
    /// # Errors
    ///
    /// Those of the function.
    pub async fn get(&self) -> Result<Credentials> {
        (self.0)().await
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialSource")
    }
}
