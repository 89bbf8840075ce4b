//! Whose token it is: the fields of a record decide, not its key or its partition.

use msal_cache::store::CacheStore;
use msal_cache::{
    AccountInfo, AcquireError, CredentialType, Event, Fields, Query, SilentRequest, TokenCache,
};
use serde_json::{Value, json};

use crate::client::server::Server;
use crate::common::{ENVIRONMENT, REALM, document, home, sign_in};
use crate::stores::{EVERY, Open, on_every_store};

on_every_store! {
    users_whose_ids_differ_in_case_never_get_each_others_token
    apps_whose_ids_differ_in_case_never_get_each_others_token
    tenants_whose_names_differ_in_case_have_one_token
    apps_whose_joined_ids_are_equal_never_get_each_others_token
}

/// Two owners of a token whose stored keys are equal: each adds a token in turn.
fn takes_turns(
    cache: &TokenCache<Box<dyn CacheStore>>,
    add: impl Fn(usize),
    found: impl Fn(usize) -> Option<String>,
) {
    for (turn, owner) in [0, 1, 0, 0, 1].into_iter().enumerate() {
        add(owner);
        assert_eq!(found(owner).as_deref(), Some(&*format!("AT-{owner}")), "turn {turn}");
        assert_eq!(found(1 - owner), None, "turn {turn}: the token of the other one");
        let tokens = cache.entries(Some(CredentialType::AccessToken)).unwrap();
        let stored = document(cache)["AccessToken"].as_object().unwrap().len();
        assert_eq!((tokens.len(), stored), (1, 1), "one key is one record");
    }
}

/// The token that a request finds in the cache.
fn token(
    cache: &TokenCache<Box<dyn CacheStore>>,
    (client, realm): (&str, &str),
    request: &SilentRequest,
) -> Option<String> {
    let client = cache.client(client, format!("https://{ENVIRONMENT}/{realm}"));
    match client.acquire(request, &Server::new([super::client::server::unreachable()])) {
        Ok(token) => Some(token.secret().expose().to_owned()),
        Err(AcquireError::Transport { .. } | AcquireError::InteractionRequired(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

fn users_whose_ids_differ_in_case_never_get_each_others_token(open: Open) {
    let (cache, _) = open();
    let users = ["alice", "ALICE"];
    takes_turns(
        &cache,
        |user| drop(cache.add(&sign_in(users[user], "User.Read", &user.to_string())).unwrap()),
        |user| {
            let user = home(users[user]);
            let query = Query::new().home_account_id(user.as_str());
            let found = cache.find(CredentialType::AccessToken, &query).unwrap();
            let request = SilentRequest::new(["User.Read"], &AccountInfo::of(user));
            let silent = token(&cache, (crate::common::CLIENT, REALM), &request);
            assert_eq!(found.len(), usize::from(silent.is_some()));
            silent
        },
    );
}

fn app_tokens(open: Open, apps: [(&str, &str); 2]) {
    let (cache, _) = open();
    takes_turns(
        &cache,
        |app| {
            let (client, realm) = apps[app];
            let event = Event::new(client)
                .token_endpoint(format!("https://{ENVIRONMENT}/{realm}/oauth2/v2.0/token"))
                .scope(["scope"])
                .grant_type("client_credentials")
                .response(
                    Fields::new().set("access_token", format!("AT-{app}")).set("expires_in", 3600),
                );
            cache.add(&event).unwrap();
        },
        |app| token(&cache, apps[app], &SilentRequest::for_client(["scope"])),
    );
}

fn apps_whose_ids_differ_in_case_never_get_each_others_token(open: Open) {
    app_tokens(open, [("app", "tenant"), ("APP", "tenant")]);
}

/// Tenants ignore case, as in MSAL Go and .NET: a later token of one replaces the earlier one.
fn tenants_whose_names_differ_in_case_have_one_token(open: Open) {
    let (cache, _) = open();
    let realms = ["tenant", "TENANT"];
    for (turn, realm) in [0, 1, 0, 0, 1].into_iter().enumerate() {
        let event = Event::new("app")
            .token_endpoint(format!("https://{ENVIRONMENT}/{}/oauth2/v2.0/token", realms[realm]))
            .scope(["scope"])
            .response(
                Fields::new().set("access_token", format!("AT-{turn}")).set("expires_in", 3600),
            );
        cache.add(&event).unwrap();
        for realm in realms {
            let found = token(&cache, ("app", realm), &SilentRequest::for_client(["scope"]));
            assert_eq!(found, Some(format!("AT-{turn}")), "{realm}");
        }
    }
}

fn apps_whose_joined_ids_are_equal_never_get_each_others_token(open: Open) {
    app_tokens(open, [("c-e", "t"), ("c", "e-t")]);
}

/// A document in which one key is in two spellings, as other libraries can leave it, moves between
/// stores without a loss.
#[test]
fn a_copy_and_a_serialized_cache_have_the_records_of_the_source() {
    let record = |home: &str, secret: &str| {
        json!({
            "credential_type": "RefreshToken", "secret": secret, "home_account_id": home,
            "environment": ENVIRONMENT, "client_id": "c", "target": "",
        })
    };
    let state: Value = json!({ "RefreshToken": {
        "UID.t-refreshtoken-c": record("UID.t", "upper"),
        "uid.t-refreshtoken-c": record("uid.t", "lower"),
        "elsewhere": record("uid.t", "moved"),
    }});
    for source in EVERY {
        let (source, _) = source();
        source.deserialize(&state.to_string()).unwrap();
        assert_eq!(document(&source)["RefreshToken"], state["RefreshToken"]);
        for target in EVERY {
            let (target, _) = target();
            assert_eq!(source.copy_to(&target).unwrap(), 3);
            assert_eq!(document(&target)["RefreshToken"], state["RefreshToken"]);
        }
    }
}
