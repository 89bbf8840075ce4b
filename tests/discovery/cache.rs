//! How often documents are requested.

use std::thread;

use super::*;

const DOCUMENT: &str = "/.well-known/openid-configuration";

#[test]
fn a_document_is_requested_once_by_clones_at_the_same_time() {
    let provider = Provider::start();
    provider.publish(DOCUMENT, &provider.good(""));
    provider.state.lock().unwrap().delay = Duration::from_millis(200);
    let (blocking, nonblocking) = Provider::endpoints(&Provider::builder());
    let issuer = provider.issuer("");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| blocking.clone().discover_issuer(&issuer).unwrap());
        }
    });
    blocking.discover_issuer(&issuer).unwrap();
    assert_eq!(provider.requests(), [format!("GET {DOCUMENT}")]);

    provider.runtime.block_on(async {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (endpoint, issuer) = (nonblocking.clone(), issuer.clone());
                tokio::spawn(async move { endpoint.discover_issuer(&issuer).await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        nonblocking.discover_issuer(&issuer).await.unwrap();
    });
    assert_eq!(provider.requests().len(), 2);
}

#[test]
fn an_error_is_shared_by_those_who_wait_and_is_not_kept() {
    let provider = Provider::start();
    provider.publish_as(DOCUMENT, 503, "{}");
    provider.state.lock().unwrap().delay = Duration::from_secs(2);
    let (endpoint, _) = Provider::endpoints(&Provider::builder());
    let issuer = provider.issuer("");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| endpoint.discover_issuer(&issuer).unwrap_err());
        }
    });
    // A thread that starts after the first request has ended sends another one.
    assert!(provider.requests().len() < 8, "{:?}", provider.requests());
    provider.publish(DOCUMENT, &provider.good(""));
    endpoint.discover_issuer(&issuer).unwrap();
}

#[test]
fn a_dropped_future_leaves_the_request_to_the_next_caller() {
    let provider = Provider::start();
    provider.publish(DOCUMENT, &provider.good(""));
    provider.state.lock().unwrap().delay = Duration::from_millis(200);
    let (_, endpoint) = Provider::endpoints(&Provider::builder());
    let issuer = provider.issuer("");
    provider.runtime.block_on(async {
        let first = tokio::spawn({
            let (endpoint, issuer) = (endpoint.clone(), issuer.clone());
            async move { endpoint.discover_issuer(&issuer).await }
        });
        while provider.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let second = tokio::spawn({
            let (endpoint, issuer) = (endpoint.clone(), issuer.clone());
            async move { endpoint.discover_issuer(&issuer).await }
        });
        first.abort();
        let _ = first.await;
        second.await.unwrap().unwrap();
    });
}
