//! A token response with canaries in place of secrets.

use msal_cache::{Event, Fields};
use serde_json::json;

use crate::common::{CLIENT, client_info, id_token};

/// Part of each secret.
pub(crate) const CANARY: &str = "CANARY";

/// A token response in which every secret contains the canary.
pub(crate) fn event() -> Event {
    // The canary in the signature marks the whole token.
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

/// Panics if a printed text contains the canary.
pub(crate) fn clean(what: &str, printed: &str) {
    assert!(!printed.contains(CANARY), "{what} prints a secret: {printed}");
}
