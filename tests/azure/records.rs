//! Authentication records.

use msal_cache::azure::{AuthenticationRecord, Credential};
use serde_json::{Value, json};

use super::{Server, client, granted, token};
use crate::common::{CLIENT, home};

/// As azure-identity 1.27 for Python writes it.
fn of_python() -> Value {
    json!({
        "authority": "login.example", "clientId": "client-id",
        "homeAccountId": "alice.tenant", "tenantId": "tenant",
        "username": "alice@example", "version": "1.0",
    })
}

#[tokio::test]
async fn a_record_chooses_its_user_in_a_later_run() {
    let server = Server::responding([granted("alice", "AT"), granted("alice", "AT-2")]);
    let both = client(&["alice", "bob"]).await;
    let first = Credential::for_user(both.clone(), server.clone()).login_hint("alice@example");
    let first = first.build();
    assert!(first.record().is_none());
    token(&*first).await.unwrap();
    let record = first.record().unwrap();
    let json: Value = serde_json::from_str(&record.to_json()).unwrap();
    assert_eq!(json, of_python());

    let record = AuthenticationRecord::from_json(&of_python().to_string()).unwrap();
    assert_eq!(record, first.record().unwrap());
    assert_eq!(record.client_id(), CLIENT);
    assert_eq!(record.home_account_id(), home("alice"));
    let later = Credential::for_user(both, server).record(&record).build();
    assert_eq!(later.record().unwrap().home_account_id(), "alice.tenant");
    assert_eq!(token(&*later).await.unwrap().token.secret(), "AT");
}

#[test]
fn the_host_of_an_authority_is_the_environment_of_the_account() {
    for (authority, environment) in [
        ("login.example", Some("login.example")),
        ("Login.Example:8443", Some("login.example")),
        ("https://login.example", Some("login.example")),
        ("https://login.example:8443/tenant", Some("login.example")),
        ("", None),
        ("a b", None),
        ("https://", None),
    ] {
        let mut record = of_python();
        record["authority"] = authority.into();
        let record = AuthenticationRecord::from_json(&record.to_string()).unwrap();
        assert_eq!(record.account().environment(), environment, "{authority}");
        assert_eq!(record.authority(), authority);
    }
}

#[test]
fn a_record_has_a_version_and_a_user() {
    let mut more = of_python();
    more["added"] = json!([1]);
    assert!(AuthenticationRecord::from_json(&more.to_string()).is_ok());
    for (name, value) in
        [("version", json!("2.0")), ("homeAccountId", json!("")), ("tenantId", json!(1))]
    {
        let mut other = of_python();
        other[name] = value;
        let error = AuthenticationRecord::from_json(&other.to_string()).unwrap_err();
        assert!(!error.to_string().contains("alice"), "{error}");
        let mut other = of_python();
        other.as_object_mut().unwrap().remove(name);
        AuthenticationRecord::from_json(&other.to_string()).unwrap_err();
    }
    for text in ["", "[]", "null", "{"] {
        AuthenticationRecord::from_json(text).unwrap_err();
    }
    let record = AuthenticationRecord::from_json(&of_python().to_string()).unwrap();
    assert!(!format!("{record:?}").contains("alice@example"));
}
