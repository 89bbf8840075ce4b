//! A token response made of canaries, for the tests that look where secrets come out.

use msal_cache::{Event, Fields};
use serde_json::json;

use crate::common::{CLIENT, client_info, id_token};

/// Stands within each secret.
pub(crate) const CANARY: &str = "CANARY";

/// A token response in which every secret has a canary in it.
pub(crate) fn event() -> Event {
    // A signature that is a canary makes the whole token one.
    let id_token = format!("{}-{CANARY}", id_token("alice"));
    Event::new(CLIENT)
        .token_endpoint("https://login.example/tenant/oauth2/v2.0/token")
        .scope(["User.Read"])
        .grant_type("password")
        .response(
            Fields::new()
                .set("access_token", format!("{CANARY}-at"))
                .set("refresh_token", format!("{CANARY}-rt"))
                .set("id_token", id_token)
                .set("client_info", client_info("alice"))
                .set("id_token_claims", json!({"sub": "s", "secret_claim": CANARY}))
                .set("expires_in", 3600),
        )
        .data(
            Fields::new()
                .set("password", CANARY)
                .set("client_secret", CANARY)
                .set("code", CANARY)
                .set("code_verifier", CANARY)
                .set("client_assertion", CANARY)
                .set("device_code", CANARY)
                .set("assertion", CANARY),
        )
}

/// Fails where something printed has a canary in it.
pub(crate) fn clean(what: &str, printed: &str) {
    assert!(!printed.contains(CANARY), "{what} prints a secret: {printed}");
}
