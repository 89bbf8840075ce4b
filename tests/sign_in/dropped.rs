//! Sign-ins whose future is dropped at any await.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use msal_cache::AsyncTokenCache;
use msal_cache::endpoint::AsyncTokenEndpoint;

use super::*;

const REDIRECT_URI: &str = "https://app.example/signed-in";

/// Responds after a few other tasks have run.
#[derive(Clone)]
struct Slow(Arc<Redeems>);

impl AsyncTokenEndpoint for Slow {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let response = self.0.send(request);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        response
    }
}

#[tokio::test]
async fn a_code_that_was_sent_is_stored_although_the_future_was_dropped() {
    let mut was_dropped = 0;
    for polls in 1..20 {
        let (server, cache) = (Arc::new(Redeems::default()), AsyncTokenCache::in_memory());
        let client = cache.client("client-id", AUTHORITY);
        let begun = client.sign_in(["User.Read"]).begin_sign_in(REDIRECT_URI).unwrap();
        let asked = Asked::of(&begun.address);
        *server.asked.lock().unwrap() = Some(asked.clone());
        let (endpoint, answer) = (Slow(server.clone()), asked.good());
        let is_done = {
            let mut finish = pin!(client.finish_sign_in(begun.state, &answer, &endpoint));
            let mut is_done = false;
            for _ in 0..polls {
                is_done = poll_fn(|cx| Poll::Ready(finish.as_mut().poll(cx).is_ready())).await;
                if is_done {
                    break;
                }
                tokio::task::yield_now().await;
            }
            is_done
        };
        was_dropped += usize::from(!is_done);
        cache.finish_refreshes().await;
        let sent = server.forms.lock().unwrap().len();
        assert_eq!(client.accounts().await.unwrap().len(), sent, "dropped after {polls} polls");
        assert_eq!(sent, 1);
    }
    assert!(was_dropped > 2, "{was_dropped} futures were dropped");
}

#[test]
fn a_sign_in_outside_of_a_runtime_asks_no_user() {
    let client = AsyncTokenCache::in_memory().client("client-id", AUTHORITY);
    let endpoint = Slow(Arc::default());
    let open = |_: &str| panic!("a browser was opened");
    let mut signing = pin!(client.sign_in(["User.Read"]).open_with(open).run(&endpoint));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let Poll::Ready(failed) = signing.as_mut().poll(&mut context) else { panic!("it waits") };
    assert!(matches!(failed, Err(SignInError::Runtime(_))), "{failed:?}");
}
