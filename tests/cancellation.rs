//! Callers of the async face that go away.

use std::sync::Arc;
use std::time::Duration;

use msal_cache::acquire::TokenSource;
use msal_cache::endpoint::{AsyncTokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::{AsyncClient, AsyncTokenCache, Event, Fields};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::client::user;
use crate::common::{CLIENT, ENVIRONMENT, REALM, sign_in};

const SCOPE: [&str; 1] = ["Mail.Read"];

/// A server that tells when a request has arrived, and replaces the refresh token when it may.
struct Server {
    arrived: Semaphore,
    may_respond: Semaphore,
}

impl AsyncTokenEndpoint for Server {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        assert_eq!(request.form().get("refresh_token"), Some("RT-1"));
        self.arrived.add_permits(1);
        self.may_respond.acquire().await.unwrap().forget();
        let fields = Fields::new()
            .set("access_token", "AT-2")
            .set("refresh_token", "RT-2")
            .set("expires_in", 3600);
        Ok(TokenResponse::new(200, fields))
    }
}

async fn signed_in() -> (AsyncClient, Arc<Server>) {
    let cache = AsyncTokenCache::in_memory();
    let event: Event = sign_in("uid", "User.Read", "1");
    cache.add(&event).await.unwrap();
    let server = Server { arrived: Semaphore::new(0), may_respond: Semaphore::new(0) };
    (cache.client(CLIENT, format!("https://{ENVIRONMENT}/{REALM}")), Arc::new(server))
}

#[tokio::test]
async fn the_response_to_a_dropped_future_is_stored() {
    let (client, server) = signed_in().await;
    let user = user();
    let mut dropped = Box::pin(client.acquire_token_silent(SCOPE, &user, &server));
    tokio::select! {
        _ = &mut dropped => panic!("the server has not responded"),
        arrived = server.arrived.acquire() => arrived.unwrap().forget(),
    }
    drop(dropped);
    // The request goes on, and another caller waits for it instead of sending one with the same
    // refresh token.
    let other = client.acquire_token_silent(SCOPE, &user, &server);
    server.may_respond.add_permits(1);
    let token = timeout(Duration::from_secs(60), other).await.unwrap().unwrap();
    assert_eq!(token.secret().expose(), "AT-2");
    let state = client.cache().serialize().await.unwrap();
    assert!(state.contains("RT-2") && !state.contains("RT-1"), "the stored refresh token");
    let again = client.acquire_token_silent(SCOPE, &user, &server).await.unwrap();
    assert_eq!(again.source(), TokenSource::Cache);
    assert_eq!(server.arrived.available_permits(), 0, "there was one request");
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_waits_does_not_stop_the_others() {
    let (client, server) = signed_in().await;
    let user = user();
    let mut first = Box::pin(client.acquire_token_silent(SCOPE, &user, &server));
    tokio::select! {
        _ = &mut first => panic!("the server has not responded"),
        arrived = server.arrived.acquire() => arrived.unwrap().forget(),
    }
    let waits = client.acquire_token_silent(SCOPE, &user, &server);
    assert!(
        timeout(Duration::from_millis(50), waits).await.is_err(),
        "the server has not responded"
    );
    server.may_respond.add_permits(1);
    let token = timeout(Duration::from_secs(60), first).await.unwrap().unwrap();
    assert_eq!(token.secret().expose(), "AT-2");
    assert_eq!(server.arrived.available_permits(), 0, "there was one request");
}
