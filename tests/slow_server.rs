//! A token endpoint over HTTP that accepts connections and says nothing.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use msal_cache::AcquireError;
use msal_cache::http::HttpEndpoint;

use crate::client::waiting::fill_aging;
use crate::client::{client, user};
use crate::common::cache;

const SCOPE: [&str; 1] = ["User.Read"];

#[test]
fn a_token_endpoint_that_hangs_holds_no_caller_back() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/token", silent.local_addr().unwrap());
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(address)
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let (cache, _) = cache();
    fill_aging(&cache);
    let client = client(&cache).with_refresh_wait(Duration::from_millis(20));
    let started = Instant::now();
    for _ in 0..3 {
        let token = client.acquire_token_silent(SCOPE, &user(), &endpoint).unwrap();
        assert_eq!(token.secret().expose(), "at");
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    cache.finish_refreshes();
    let token = client.acquire_token_silent(SCOPE, &user(), &endpoint).unwrap();
    assert!(matches!(token.refresh_error(), Some(AcquireError::Transport(_))));
}
