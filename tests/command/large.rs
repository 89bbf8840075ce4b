//! A cache of 100,000 tokens, in a file and in a database.

use std::fmt::Write;

use crate::tool::{NOW, Tool};

const USERS: usize = 10_000;

fn document() -> String {
    let mut out = String::from("{\"Account\": {");
    for user in 0..USERS {
        let comma = if user == 0 { "" } else { "," };
        write!(
            out,
            r#"{comma}"u{user}.t-login.example-t": {{"home_account_id": "u{user}.t",
            "environment": "login.example", "realm": "t", "local_account_id": "u{user}",
            "username": "user{user}@example", "authority_type": "MSSTS"}}"#
        )
        .unwrap();
    }
    out.push_str("}, \"AccessToken\": {");
    for token in 0..USERS * 10 {
        let (user, scope) = (token / 10, token % 10);
        let comma = if token == 0 { "" } else { "," };
        // One token in ten has expired.
        let expires = if scope == 0 { NOW - 60 } else { NOW + 3600 };
        write!(
            out,
            r#"{comma}"u{user}.t-login.example-accesstoken-c-t-s{scope}": {{
            "credential_type": "AccessToken", "secret": "FAKE-{token}",
            "home_account_id": "u{user}.t", "environment": "login.example", "client_id": "c",
            "target": "s{scope}", "realm": "t", "token_type": "Bearer",
            "cached_at": "{NOW}", "expires_on": "{expires}"}}"#
        )
        .unwrap();
    }
    out.push_str("}}");
    out
}

#[test]
fn a_hundred_thousand_tokens_are_counted_checked_copied_and_purged() {
    let tool = Tool::new();
    tool.write("cache.json", document());
    tool.run(&["copy", "cache.json", "sqlite:cache.db"]).expect_code(0);
    for store in ["cache.json", "sqlite:cache.db"] {
        let stats = tool.run(&["stats", store, "--json"]).json();
        assert_eq!((&stats["entries"], &stats["users"]), (&110_000.into(), &USERS.into()));
        assert_eq!(stats["expired"], 10_000);
        let checked = tool.run(&["check", store]).expect_code(0);
        assert!(checked.contains("has expired: 10,000 access tokens"), "{checked}");
        assert!(checked.lines().count() < 12, "{checked}");
        let of_one = tool.run(&["tokens", store, "--account", "user77@example", "--json"]).json();
        assert_eq!(of_one["tokens"].as_array().unwrap().len(), 10);
        assert_eq!(tool.run(&["purge", store, "--json"]).json()["purged"], 10_000);
        let removed = tool.run(&["remove", store, "--scope", "s1", "--yes"]).expect_code(0);
        assert!(removed.contains("10,000 access tokens removed"), "{removed}");
        assert!(removed.lines().count() < 30, "{removed}");
        assert_eq!(tool.run(&["stats", store, "--json"]).json()["entries"], 90_000);
    }
}
