//! Tokens without a sign-in.

use std::error::Error;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::time::OffsetDateTime;
use msal_cache::acquire::ServerError;
use msal_cache::azure::{Credential, CredentialError};
use msal_cache::{AccountInfo, AcquireError, AsyncTokenCache, Event, Fields};

use super::{AUTHORITY, Server, VAULT, client, failure, granted, refused, token};
use crate::canary::{CANARY, clean};
use crate::common::{client_info, home, id_token};

#[tokio::test]
async fn calls_at_once_send_one_request() {
    let server = Server::responding([granted("alice", "AT")]);
    let credential = Credential::for_user(client(&["alice"]).await, server.clone()).build();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let credential = credential.clone();
            tokio::spawn(async move { token(&*credential).await.unwrap() })
        })
        .collect();
    for call in calls {
        let token = call.await.unwrap();
        assert_eq!(token.token.secret(), "AT");
        let left = token.expires_on - OffsetDateTime::now_utc();
        assert!((3500..=3600).contains(&left.whole_seconds()), "{left}");
    }
    let sent = server.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].get("refresh_token"), Some("RT-alice"));
    assert!(sent[0].get("scope").unwrap().contains(VAULT[0]));
    // The account of the first token is that of the others.
    assert_eq!(credential.record().unwrap().home_account_id(), home("alice"));
}

#[tokio::test]
async fn an_app_gets_its_own_tokens() {
    let response = Fields::new().set("access_token", "AT-app").set("expires_in", 3600);
    let server = Server::responding([super::TokenResponse::new(200, response)]);
    let credential = Credential::for_app(client(&["alice"]).await, server.clone());
    for _ in 0..2 {
        assert_eq!(token(&*credential).await.unwrap().token.secret(), "AT-app");
    }
    assert_eq!(server.sent().len(), 1);
    assert_eq!(server.sent()[0].get("grant_type"), Some("client_credentials"));
    assert!(credential.record().is_none());
    let error = credential.authenticate(VAULT).await.unwrap_err();
    assert!(matches!(error, CredentialError::NoSignIn));
}

#[tokio::test]
async fn the_user_is_the_chosen_one_or_the_only_one() {
    let server = Server::default();
    let nobody = Credential::for_user(client(&[]).await, server.clone()).build();
    assert!(matches!(failure(&*nobody).await, CredentialError::NoAccount));

    let both = client(&["alice", "bob"]).await;
    let any = Credential::for_user(both.clone(), server.clone()).build();
    assert!(matches!(failure(&*any).await, CredentialError::SeveralAccounts { count: 2 }));
    assert!(any.record().is_none());
    let other = Credential::for_user(both.clone(), server).login_hint("carol@example").build();
    assert!(matches!(failure(&*other).await, CredentialError::NoAccount));

    let server = Server::responding([granted("bob", "AT-1")]);
    let named = Credential::for_user(both.clone(), server).login_hint("BOB@example").build();
    assert_eq!(token(&*named).await.unwrap().token.secret(), "AT-1");
    let bob = AccountInfo::of(home("bob"));
    let by_id = Credential::for_user(both, Server::default()).account(bob).build();
    assert_eq!(token(&*by_id).await.unwrap().token.secret(), "AT-1");
}

#[tokio::test]
async fn the_user_stays_the_same_when_another_one_signs_in() {
    let both = client(&["alice"]).await;
    let server = Server::responding([granted("alice", "AT-alice")]);
    let credential = Credential::for_user(both.clone(), server).build();
    token(&*credential).await.unwrap();
    both.cache().add(&crate::common::sign_in("bob", "User.Read", "bob")).await.unwrap();
    assert_eq!(token(&*credential).await.unwrap().token.secret(), "AT-alice");
}

#[tokio::test]
async fn scopes_are_required() {
    let credential = Credential::for_user(client(&["alice"]).await, Server::default()).build();
    for scopes in [&[][..], &[""], &[" "]] {
        let error = credential.get_token(scopes, None).await.unwrap_err();
        assert_eq!(error.to_string(), "no scopes specified");
    }
}

/// A refresh token of a family of clients, which another app has stored.
fn of_another_app() -> Event {
    let response = Fields::new()
        .set("access_token", "AT-other")
        .set("refresh_token", "RT-family")
        .set("foci", "1")
        .set("id_token", id_token("alice"))
        .set("client_info", client_info("alice"))
        .set("expires_in", 3600);
    Event::new("other-app")
        .token_endpoint("https://login.example/tenant/oauth2/v2.0/token")
        .scope(["User.Read"])
        .response(response)
}

#[tokio::test]
async fn an_account_of_another_app_is_used_as_far_as_the_server_allows() {
    let answers = [
        (granted("alice", "AT"), true),
        (refused("invalid_grant", "AADSTS700022: not of this family"), false),
    ];
    for (response, is_allowed) in answers {
        let cache = AsyncTokenCache::in_memory();
        cache.add(&of_another_app()).await.unwrap();
        let server = Server::responding([response]);
        let client = cache.client("my-app", AUTHORITY);
        let credential = Credential::for_user(client, server.clone()).build();
        if is_allowed {
            assert_eq!(token(&*credential).await.unwrap().token.secret(), "AT");
        } else {
            assert!(failure(&*credential).await.is_interaction_required());
        }
        let sent = server.sent();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].get("client_id"), Some("my-app"));
        assert_eq!(sent[0].get("refresh_token"), Some("RT-family"));
    }
}

#[tokio::test]
async fn an_error_keeps_its_cause() {
    let server = Server::responding([
        refused("invalid_grant", "AADSTS50076: multi-factor authentication is required"),
        refused("invalid_client", "AADSTS7000222: the secret has expired"),
    ]);
    let credential = Credential::for_user(client(&["alice"]).await, server.clone()).build();
    let cause = failure(&*credential).await;
    assert!(cause.is_interaction_required());
    assert_eq!(cause.server_error().unwrap().error(), "invalid_grant");
    let cause = failure(&*credential).await;
    assert!(!cause.is_interaction_required());
    let CredentialError::Acquire(error @ AcquireError::Configuration(_)) = &cause else {
        panic!("{cause:?}");
    };
    let source = error.source().unwrap().downcast_ref::<ServerError>().unwrap();
    assert_eq!(source.error(), "invalid_client");

    let broken = AsyncTokenCache::in_memory().client("id", "no authority");
    let credential = Credential::for_user(broken, server).build();
    let cause = failure(&*credential).await;
    assert!(matches!(cause, CredentialError::Acquire(AcquireError::Invalid(_))), "{cause:?}");
}

#[tokio::test]
async fn p10_a_credential_and_its_errors_print_no_secret() {
    let cache = AsyncTokenCache::in_memory();
    cache.add(&crate::canary::event()).await.unwrap();
    let client = cache.client(crate::common::CLIENT, AUTHORITY);
    let secret = || granted("alice", &format!("{CANARY}-new"));
    let server = Server::responding([secret(), refused("invalid_grant", "AADSTS50076")]);
    let builder = Credential::for_user(client, server).login_hint(format!("{CANARY}@example"));
    clean("CredentialBuilder", &format!("{builder:?}"));
    let credential = builder.account(AccountInfo::of(home("alice"))).build();
    let token = token(&*credential).await.unwrap();
    clean("AccessToken", &format!("{token:?}"));
    let error = credential.get_token(&["https://other.example/.default"], None).await.unwrap_err();
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        clean("azure_core::Error", &format!("{error} {error:?} {error:#?}"));
        cause = error.source();
    }
    let credential: Arc<dyn TokenCredential> = credential;
    clean("Credential", &format!("{credential:?} {credential:#?}"));
}
