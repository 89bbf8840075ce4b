//! Times at the ends of their range, as a file or a server can have them: no overflow.

use msal_cache::{AccountInfo, CredentialType, Event, Fields, Query, SilentRequest};
use serde_json::{Value, json};

use super::server::{Server, issued, unreachable};
use super::{HOME, access_token, account, client, fill, refresh_token, user, with};
use crate::common::{CLIENT, ENVIRONMENT, NOW, REALM, cache};

const TIMES: [i64; 7] = [i64::MIN, i64::MIN + 1, -1, 0, NOW, i64::MAX - 1, i64::MAX];
const NAMES: [&str; 4] = ["expires_on", "extended_expires_on", "cached_at", "refresh_on"];

#[test]
fn times_at_the_ends_of_their_range_in_a_file_overflow_nothing() {
    for name in NAMES {
        for time in TIMES {
            for written in [json!(time), json!(time.to_string())] {
                all_calls(name, &written);
            }
        }
    }
}

fn all_calls(name: &str, time: &Value) {
    let (cache, clock) = cache();
    let token = with(access_token("User.Read", "at", 3600), json!({ name: time }));
    let own = with(token.clone(), json!({ "home_account_id": null, "target": "own" }));
    let refresh = with(refresh_token("rt", 0), json!({ "last_modification_time": time }));
    fill(
        &cache,
        &[
            ("AccessToken", vec![token, own]),
            ("RefreshToken", vec![refresh]),
            ("Account", vec![account()]),
        ],
    );
    let client = client(&cache);
    for now in [NOW, 0, i64::MIN, i64::MAX] {
        clock.set(now);
        for request in
            [SilentRequest::new(["User.Read"], &user()), SilentRequest::for_client(["own"])]
        {
            let plan = client.plan(&request).unwrap();
            assert!(!plan.to_string().is_empty());
            // Whether there is a token or an error, it is no panic.
            drop(client.acquire(&request, &Server::new([unreachable()])));
        }
        let query = Query::new().home_account_id(HOME).target(["User.Read"]);
        let found = cache.find(CredentialType::AccessToken, &query).unwrap();
        assert!(found.len() <= 1);
        assert_eq!(client.accounts().unwrap().len(), 1);
        cache.check().unwrap();
    }
    clock.set(NOW);
    cache.purge_expired().unwrap();
    drop(client.acquire_token_silent(["b"], &user(), &Server::new([issued("b", json!({}))])));
    client.remove_account(&AccountInfo::of(HOME)).unwrap();
}

#[test]
fn times_at_the_ends_of_their_range_in_a_response_overflow_nothing() {
    for name in ["expires_in", "expires_on", "ext_expires_in", "refresh_in"] {
        for time in TIMES {
            for now in [NOW, 0, i64::MIN, i64::MAX] {
                let (cache, clock) = crate::common::cache();
                clock.set(now);
                let response = Fields::new().set("access_token", "at").set(name, time);
                let event = Event::new(CLIENT)
                    .token_endpoint(format!("https://{ENVIRONMENT}/{REALM}/token"))
                    .response(response);
                drop(cache.add(&event));
                cache.purge_expired().unwrap();
            }
        }
    }
}

#[test]
fn accounts_of_one_user_in_many_tenants_are_read_in_linear_time() {
    let took = |tenants: usize| {
        let (cache, _) = cache();
        let account = |nth: usize| with(account(), json!({ "realm": format!("tenant-{nth}") }));
        fill(&cache, &[("Account", (0..tenants).map(account).collect())]);
        let client = client(&cache);
        let started = std::time::Instant::now();
        let accounts = client.accounts().unwrap();
        assert_eq!(accounts[0].tenant_profiles().len(), tenants);
        started.elapsed()
    };
    // Quadratic time would be 64 times as long; a busy machine is slow for a moment.
    let is_linear = || took(16_000) < 24 * took(2_000) + std::time::Duration::from_millis(50);
    assert!((0..5).any(|_| is_linear()));
}
