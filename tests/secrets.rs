//! Canaries in place of secrets: no public type and no error prints one. `traces.rs` checks trace
//! events.

use std::fmt::Debug;

use crate::canary::{CANARY, clean, event};
use crate::common::{cache, home, sign_in};
use msal_cache::endpoint::{
    Form, ServerError, TokenEndpoint, TokenRequest, TokenResponse, TransportError,
};
use msal_cache::store::{Batch, CacheStore, Expect, Load};
use msal_cache::{CredentialType, Entry, Fields, Query, SilentRequest};

fn prints_nothing(what: &str, value: &impl Debug) {
    clean(what, &format!("{value:?}"));
    clean(what, &format!("{value:#?}"));
}

#[test]
fn p10_no_public_type_prints_a_secret() {
    let (cache, _) = cache();
    prints_nothing("Event", &event());
    cache.add(&event()).unwrap();
    prints_nothing("TokenCache", &cache);
    let query = Query::new().home_account_id(home("alice"));
    for entry in cache.entries(None).unwrap() {
        prints_nothing("Entry", &entry);
        prints_nothing("Json", entry.json());
        prints_nothing("Fields", &entry.fields().unwrap());
        prints_nothing("AccessToken", &entry.access_token());
        prints_nothing("RefreshToken", &entry.refresh_token());
        prints_nothing("IdToken", &entry.id_token());
        prints_nothing("Account", &entry.account());
        prints_nothing("AppMetadata", &entry.app_metadata());
        prints_nothing("Secret", &entry.access_token().map(|it| it.secret()));
        prints_nothing("claims", &entry.id_token().map(|it| it.claims()));
        assert_eq!(entry.get("secret"), None);
    }
    prints_nothing("Vec<Entry>", &cache.find(CredentialType::AccessToken, &query).unwrap());
    prints_nothing("Query", &Query::new().field("secret", CANARY));
    prints_nothing("Wanted", &msal_cache::entry::Wanted::from(CANARY));
    prints_nothing("Memory", cache.store());

    let loaded = cache.store().list(None, None).unwrap();
    prints_nothing("Load", &loaded);
    let Load::Snapshot(snapshot) = loaded else { panic!("no revision was given") };
    assert!(snapshot.records().iter().any(|it| it.value().expose().contains(CANARY)));
    let mut batch = Batch::new();
    for record in snapshot.records() {
        batch.change(record.partition(), Expect::Any).put(record.clone());
    }
    prints_nothing("Batch", &batch);
    prints_nothing("Op", &batch.changes()[0].ops());
}

#[test]
fn p10_a_new_entry_prints_no_secret() {
    let fields = Fields::new().set("secret", CANARY).set("environment", "login.example");
    let entry = Entry::new(CredentialType::RefreshToken, &fields).unwrap();
    prints_nothing("Entry", &entry);
    assert_eq!(entry.refresh_token().unwrap().secret().expose(), CANARY);
}

#[test]
fn p10_no_client_type_prints_a_secret_or_a_user_name() {
    let (cache, _) = cache();
    cache.add(&event()).unwrap();
    let client = cache.client(crate::common::CLIENT, "https://login.example/tenant");
    let account = client.account(&home("alice")).unwrap().unwrap();
    cache.add(&sign_in("bob", "User.Read", "s")).unwrap();
    let named = client.account(&home("bob")).unwrap().unwrap();
    assert_eq!(named.username(), Some("bob@example"));
    assert!(!format!("{named:?}").contains("bob@example"), "{named:?}");
    let error_response = |body: Fields| TokenResponse::new(400, body);
    let refusal = error_response(
        Fields::new()
            .set("error", "invalid_grant")
            .set("error_description", CANARY)
            .set("claims", CANARY),
    );
    let server_error = ServerError::of(&refusal).unwrap();
    let request = SilentRequest::new(["User.Read"], &account)
        .claims_challenge(format!("{{\"{CANARY}\":1}}"))
        .data(Fields::new().set("req_cnf", CANARY));
    let plan = client.plan(&request.clone().claims_challenge("{}")).unwrap();
    assert!(!plan.attempts().is_empty() && !plan.candidates().is_empty());
    let form = Form::new().with("client_secret", CANARY);
    let token = client.acquire_token_silent(["User.Read"], &account, &Refuses).unwrap();
    assert_eq!(token.secret().expose(), format!("{CANARY}-at"));
    let refused = client.acquire(&request, &Refuses).unwrap_err();
    prints_nothing("Client", &client);
    prints_nothing("AccountInfo", &account);
    prints_nothing("SilentRequest", &request);
    prints_nothing("SilentPlan", &plan);
    clean("SilentPlan", &plan.to_string());
    prints_nothing("TokenRequest", &TokenRequest::new("https://x/y", "c", form.clone()));
    prints_nothing("Form", &form);
    prints_nothing("TokenResponse", &refusal);
    prints_nothing("ServerError", &server_error);
    clean("ServerError", &server_error.to_string());
    prints_nothing("AcquiredToken", &token);
    prints_nothing("AcquireError", &refused);
    clean("AcquireError", &refused.to_string());
    let page = TokenResponse::from_json(200, CANARY).unwrap_err();
    prints_nothing("TransportError", &page);
    clean("TransportError", &page.to_string());
}

struct Refuses;

impl TokenEndpoint for Refuses {
    fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let body = Fields::new().set("error", "invalid_grant").set("error_description", CANARY);
        Ok(TokenResponse::new(400, body))
    }
}
