//! Credentials for the Azure SDK.

mod challenges;
mod records;
mod sign_in;
mod silent;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use azure_core::credentials::{AccessToken, TokenCredential};
use msal_cache::azure::CredentialError;
use msal_cache::endpoint::{AsyncTokenEndpoint, Form, TokenRequest, TokenResponse, TransportError};
use msal_cache::{AsyncClient, AsyncTokenCache, Fields};

use crate::common::{CLIENT, client_info, sign_in};

const AUTHORITY: &str = "https://login.example/tenant";
const VAULT: &[&str] = &["https://vault.example/.default"];

/// A server that responds from a list, and knows what it was sent.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<(VecDeque<TokenResponse>, Vec<Form>)>>);

impl Server {
    fn responding(responses: impl IntoIterator<Item = TokenResponse>) -> Self {
        Self(Arc::new(Mutex::new((responses.into_iter().collect(), Vec::new()))))
    }

    fn sent(&self) -> Vec<Form> {
        self.0.lock().unwrap().1.clone()
    }
}

impl AsyncTokenEndpoint for Server {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        tokio::task::yield_now().await;
        let mut state = self.0.lock().unwrap();
        state.1.push(request.form().clone());
        Ok(state.0.pop_front().expect("no response is left"))
    }
}

fn granted(user: &str, secret: &str) -> TokenResponse {
    let fields = Fields::new()
        .set("access_token", secret)
        .set("refresh_token", format!("{secret} refresh"))
        .set("client_info", client_info(user))
        .set("expires_in", 3600);
    TokenResponse::new(200, fields)
}

fn refused(error: &str, description: &str) -> TokenResponse {
    let fields = Fields::new().set("error", error).set("error_description", description);
    TokenResponse::new(400, fields)
}

/// A client whose cache has these users.
async fn client(users: &[&str]) -> AsyncClient {
    let cache = AsyncTokenCache::in_memory();
    for user in users {
        cache.add(&sign_in(user, "User.Read", user)).await.unwrap();
    }
    cache.client(CLIENT, AUTHORITY)
}

async fn token(credential: &dyn TokenCredential) -> azure_core::Result<AccessToken> {
    credential.get_token(VAULT, None).await
}

async fn failure(credential: &dyn TokenCredential) -> CredentialError {
    let error = token(credential).await.unwrap_err();
    assert_eq!(*error.kind(), azure_core::error::ErrorKind::Credential);
    error.downcast_ref::<CredentialError>().unwrap().clone()
}
