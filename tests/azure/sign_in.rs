//! Credentials that sign users in.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use msal_cache::azure::{Credential, CredentialError};
use msal_cache::http::AsyncHttpEndpoint;
use msal_cache::sign_in::{ResponseMode, SignIn, SignInError};
use msal_cache::store::{Memory, Offload};
use msal_cache::{AccountInfo, AsyncClient, AsyncTokenCache};
use tokio::time::sleep;

use super::{VAULT, failure, token};
use crate::stand_in::StandIn;
use crate::stand_in::browser::visit;

type Client = AsyncClient<Offload<Memory>>;

fn endpoint(server: &StandIn) -> AsyncHttpEndpoint {
    let address = format!("{}/contoso/oauth2/v2.0/token", server.url());
    AsyncHttpEndpoint::builder().token_endpoint(address).build_async().unwrap()
}

fn client() -> Client {
    AsyncTokenCache::in_memory().client("app", "https://login.example/contoso")
}

/// Opens the address as this user, and counts.
fn as_user<'a>(
    sign_in: SignIn<&'a Client>,
    server: &str,
    user: &'static str,
    opened: &Arc<AtomicUsize>,
) -> SignIn<&'a Client> {
    let opened = opened.clone();
    sign_in
        .authorization_endpoint(format!("{server}/contoso/oauth2/v2.0/authorize"))
        .response_mode(ResponseMode::Query)
        .login_hint(user)
        .open_with(move |address| {
            opened.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(100));
            visit(address)
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_share_one_sign_in() {
    let server = StandIn::start().unwrap();
    let (url, opened) = (server.url(), Arc::new(AtomicUsize::new(0)));
    let counted = opened.clone();
    let credential = Credential::for_user(client(), endpoint(&server))
        .browser_with(move |it| as_user(it, &url, "alice", &counted))
        .build();
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let credential = credential.clone();
            tokio::spawn(async move { token(&*credential).await.unwrap() })
        })
        .collect();
    let mut tokens = Vec::new();
    for call in calls {
        tokens.push(call.await.unwrap().token.secret().to_owned());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    assert!(tokens[0].ends_with("of alice"));
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    let record = credential.record().unwrap();
    assert_eq!(record.home_account_id(), "alice.contoso");
    assert_eq!(record.username(), "alice@contoso.example");

    // Another scope needs no sign-in.
    credential.get_token(&["https://other.example/.default"], None).await.unwrap();
    assert_eq!(opened.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_get_the_error_of_a_sign_in_and_the_next_call_begins_another() {
    let server = StandIn::start().unwrap();
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = opened.clone();
    let credential = Credential::for_user(client(), endpoint(&server))
        .browser_with(move |it| {
            let counted = counted.clone();
            let address = "https://login.example/contoso/oauth2/v2.0/authorize";
            it.authorization_endpoint(address).open_with(move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(200));
                Err(io::Error::other("no display"))
            })
        })
        .build();
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let credential = credential.clone();
            tokio::spawn(async move { failure(&*credential).await })
        })
        .collect();
    for call in calls {
        let CredentialError::SignIn(error) = call.await.unwrap() else { panic!("another error") };
        assert!(matches!(*error, SignInError::Browser(_)), "{error:?}");
    }
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    failure(&*credential).await;
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_than_the_chosen_one_gets_no_token() {
    let server = StandIn::start().unwrap();
    let (url, opened) = (server.url(), Arc::new(AtomicUsize::new(0)));
    let (client, alice) = (client(), AccountInfo::of("alice.contoso"));
    let credential = Credential::for_user(client.clone(), endpoint(&server))
        .account(alice)
        .browser_with(move |it| as_user(it, &url, "bob", &opened))
        .build();
    for _ in 0..2 {
        assert!(matches!(failure(&*credential).await, CredentialError::OtherUser));
    }
    let error = credential.authenticate(VAULT).await.unwrap_err();
    assert!(matches!(error, CredentialError::OtherUser));
    assert_eq!(credential.record().unwrap().home_account_id(), "alice.contoso");
    // Bob has signed in nevertheless.
    assert_eq!(client.accounts().await.unwrap()[0].home_account_id(), "bob.contoso");
}

#[tokio::test(flavor = "multi_thread")]
async fn authenticate_asks_for_the_user_and_may_change_who_it_is() {
    let server = StandIn::start().unwrap();
    let (url, opened) = (server.url(), Arc::new(AtomicUsize::new(0)));
    let counted = opened.clone();
    let credential = Credential::for_user(client(), endpoint(&server))
        .browser_with(move |it| {
            let user = if counted.load(Ordering::SeqCst) == 0 { "alice" } else { "bob" };
            as_user(it, &url, user, &counted)
        })
        .build();
    assert_eq!(credential.authenticate(VAULT).await.unwrap().home_account_id(), "alice.contoso");
    assert!(token(&*credential).await.unwrap().token.secret().ends_with("of alice"));
    assert_eq!(credential.authenticate(VAULT).await.unwrap().home_account_id(), "bob.contoso");
    assert!(token(&*credential).await.unwrap().token.secret().ends_with("of bob"));
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_leaves_the_sign_in_to_the_next_one() {
    let server = StandIn::start().unwrap();
    let (url, opened) = (server.url(), Arc::new(AtomicUsize::new(0)));
    let counted = opened.clone();
    let credential = Credential::for_user(client(), endpoint(&server))
        .browser_with(move |it| {
            if counted.load(Ordering::SeqCst) > 0 {
                return as_user(it, &url, "alice", &counted);
            }
            // The user never comes back.
            let counted = counted.clone();
            let address = "https://login.example/contoso/oauth2/v2.0/authorize";
            it.authorization_endpoint(address).open_with(move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        })
        .build();
    let spawn = || {
        let credential = credential.clone();
        tokio::spawn(async move { token(&*credential).await })
    };
    let first = spawn();
    while opened.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let second = spawn();
    sleep(Duration::from_millis(50)).await;
    first.abort();
    assert!(second.await.unwrap().unwrap().token.secret().ends_with("of alice"));
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_by_device_code() {
    let server = StandIn::start().unwrap();
    let shown = Arc::new(AtomicUsize::new(0));
    let counted = shown.clone();
    let credential = Credential::for_user(client(), endpoint(&server))
        .device_code(move |flow| {
            assert_eq!(flow.user_code(), "WDJB-MJHT");
            counted.fetch_add(1, Ordering::SeqCst);
        })
        .build();
    for _ in 0..2 {
        assert!(token(&*credential).await.unwrap().token.secret().ends_with("of alice"));
    }
    assert_eq!(shown.load(Ordering::SeqCst), 1);
    assert_eq!(credential.record().unwrap().username(), "alice@contoso.example");
}
