//! Sign-in by device code.

use std::sync::atomic::AtomicUsize;

use msal_cache::http::HttpEndpoint;

use super::*;
use crate::stand_in::StandIn;
use crate::stand_in::server::{Server, json as respond};

const CLIENT: &str = "client-id";
const CONTOSO: &str = "https://login.example/contoso";

const CODE: &str = r#"{"device_code":"CANARY","user_code":"X","verification_uri":"https://x",
                       "expires_in":3,"interval":1}"#;
const PENDING: (&str, &str) = ("400 Bad Request", r#"{"error":"authorization_pending"}"#);

fn endpoint(address: &str) -> HttpEndpoint {
    HttpEndpoint::builder()
        .token_endpoint(format!("{address}/token"))
        .device_authorization_endpoint(format!("{address}/devicecode"))
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

/// A server whose responses to polls are given in turn. The last one is repeated.
fn server(turns: &'static [(&'static str, &'static str)]) -> Server {
    let next = AtomicUsize::new(0);
    Server::start(move |request, out| {
        if request.path == "/devicecode" {
            return respond(out, "200 OK", CODE);
        }
        let turn = next.fetch_add(1, Ordering::Relaxed).min(turns.len() - 1);
        respond(out, turns[turn].0, turns[turn].1)
    })
    .unwrap()
}

#[test]
fn a_user_signs_in_by_device_code_and_is_stored() {
    let server = StandIn::start().unwrap();
    let cache = TokenCache::in_memory();
    let client = cache.client(CLIENT, CONTOSO);
    let polls = Arc::new(AtomicUsize::new(0));
    let (seen, mut shown) = (polls.clone(), String::new());
    let token = client
        .device_code(["User.Read"])
        .on_poll(move |flow, error| {
            assert!(error.is_none() && flow.expires_in() > Duration::from_secs(800));
            seen.fetch_add(1, Ordering::Relaxed);
        })
        .run(&endpoint(&server.url()), |code| shown = code.message().to_owned())
        .unwrap();
    assert!(shown.contains("WDJB-MJHT"), "{shown}");
    assert_eq!(polls.load(Ordering::Relaxed), 1, "the first poll is pending");
    let account = token.account().unwrap();
    assert_eq!(account.username(), Some("alice@contoso.example"));
    assert_eq!(client.accounts().unwrap(), [account]);
    assert_eq!(cache.find(CredentialType::RefreshToken, &Query::new()).unwrap().len(), 1);
}

#[test]
fn a_sign_in_by_device_code_ends_for_each_reason() {
    let run = |turns, timeout: Duration, cancel_after: Duration| {
        let server = server(turns);
        let cache = TokenCache::in_memory();
        let started = Instant::now();
        let failed = cache
            .client(CLIENT, CONTOSO)
            .device_code(["User.Read"])
            .timeout(timeout)
            .cancel_if(move || started.elapsed() >= cancel_after)
            .run(&endpoint(&server.url()), |_| {})
            .unwrap_err();
        assert!(is_empty(&cache));
        clean("the error", &format!("{failed} {failed:?}"));
        (failed, started.elapsed())
    };
    let long = Duration::MAX;
    let (failed, _) = run(&[PENDING], long, long);
    assert!(matches!(failed, SignInError::Expired), "{failed:?}");
    let (failed, took) = run(&[PENDING], Duration::from_millis(300), long);
    assert!(matches!(failed, SignInError::TimedOut) && took < Duration::from_secs(2), "{failed:?}");
    let (failed, _) = run(&[PENDING], long, Duration::ZERO);
    assert!(matches!(failed, SignInError::Cancelled), "{failed:?}");
    let (failed, _) = run(&[("400 Bad Request", r#"{"error":"expired_token"}"#)], long, long);
    assert!(matches!(failed, SignInError::Expired), "{failed:?}");
    for error in ["access_denied", "authorization_declined"] {
        let declined = match error {
            "access_denied" => &[("400 Bad Request", r#"{"error":"access_denied"}"#)],
            _ => &[("400 Bad Request", r#"{"error":"authorization_declined"}"#)],
        };
        let (failed, _) = run(declined, long, long);
        assert!(matches!(failed, SignInError::Declined(_)), "{failed:?}");
    }
    let (failed, _) = run(&[("200 OK", r#"{"token_type":"Bearer"}"#)], long, long);
    assert!(matches!(failed, SignInError::InvalidResponse(_)), "{failed:?}");
}

#[test]
fn the_tokens_of_another_app_or_server_are_not_stored() {
    let server = StandIn::start().unwrap();
    let cache = TokenCache::in_memory();
    // The stand-in issues ID tokens of login.example.
    let failed = cache
        .client(CLIENT, "https://elsewhere.example/contoso")
        .device_code(["User.Read"])
        .run(&endpoint(&server.url()), |_| {});
    assert!(matches!(failed, Err(SignInError::InvalidResponse(_))), "{failed:?}");
    assert!(is_empty(&cache));
    // The app can say who the issuer is.
    cache
        .client(CLIENT, "https://elsewhere.example/contoso")
        .device_code(["User.Read"])
        .issuer("https://login.example/contoso")
        .run(&endpoint(&server.url()), |_| {})
        .unwrap();
}

#[test]
fn a_request_that_is_refused_shows_no_code() {
    let server = Server::start(|_, out| {
        respond(out, "400 Bad Request", r#"{"error":"unauthorized_client"}"#)
    })
    .unwrap();
    let client = TokenCache::in_memory().client(CLIENT, CONTOSO);
    let show = |_: &_| panic!("a code is shown");
    let failed = client.device_code(["User.Read"]).run(&endpoint(&server.url()), show);
    assert!(matches!(failed, Err(SignInError::Refused(_))), "{failed:?}");
    let failed = client
        .device_code(["User.Read"])
        .claims_challenge("not JSON")
        .run(&endpoint(&server.url()), show);
    assert!(matches!(failed, Err(SignInError::Invalid(_))), "{failed:?}");
}

#[cfg(feature = "http-async")]
mod async_face {
    use msal_cache::AsyncTokenCache;

    use super::*;

    fn build(address: &str) -> msal_cache::http::AsyncHttpEndpoint {
        msal_cache::http::AsyncHttpEndpoint::builder()
            .token_endpoint(format!("{address}/token"))
            .device_authorization_endpoint(format!("{address}/devicecode"))
            .build_async()
            .unwrap()
    }

    #[tokio::test]
    async fn a_user_signs_in_by_device_code() {
        let server = StandIn::start().unwrap();
        let client = AsyncTokenCache::in_memory().client(CLIENT, CONTOSO);
        let endpoint = build(&server.url());
        let token = client.device_code(["User.Read"]).run(&endpoint, |_| {}).await.unwrap();
        assert_eq!(client.accounts().await.unwrap(), [token.account().unwrap()]);
    }

    #[tokio::test]
    async fn a_granted_code_is_stored_although_the_sign_in_was_dropped() {
        let (arrived, gone) = (mpsc::channel(), mpsc::channel::<()>());
        let (send, receive) = (arrived.0, Mutex::new(gone.1));
        let server = Server::start(move |request, out| {
            if request.path == "/devicecode" {
                return respond(out, "200 OK", CODE);
            }
            send.send(()).unwrap();
            let _ = receive.lock().unwrap().recv();
            let body = r#"{"access_token":"CANARY-at","expires_in":3600,"client_info":
                           "eyJ1aWQiOiJhbGljZSIsInV0aWQiOiJjb250b3NvIn0"}"#;
            respond(out, "200 OK", body)
        })
        .unwrap();
        let cache = AsyncTokenCache::in_memory();
        let (client, endpoint) = (cache.client(CLIENT, CONTOSO), build(&server.url()));
        let signing = {
            let client = client.clone();
            tokio::spawn(async move {
                let _ = client.device_code(["User.Read"]).run(&endpoint, |_| {}).await;
            })
        };
        tokio::task::spawn_blocking(move || arrived.1.recv().unwrap()).await.unwrap();
        signing.abort();
        assert!(signing.await.unwrap_err().is_cancelled());
        drop(gone.0);
        cache.finish_refreshes().await;
        assert_eq!(client.accounts().await.unwrap().len(), 1);
    }
}
