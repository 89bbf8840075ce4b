//! Who signed in: a sign-in and each acquisition return the account, with its current name.

use msal_cache::account::TenantProfile;
use msal_cache::{AccountInfo, Event, Fields, Memory, Profile, SilentRequest, TokenCache};
use serde_json::{Value, json};

use super::server::{Server, issued, refreshed, unreachable};
use super::{access_token, account, client, fill, refresh_token, section, user, with};
use crate::common::{ENVIRONMENT, NOW, app_token, base64, cache, client_info, over, sign_in};

fn names(accounts: &[AccountInfo]) -> Vec<&str> {
    accounts.iter().filter_map(AccountInfo::username).collect()
}

#[test]
fn a_sign_in_returns_its_user_and_not_the_first_account() {
    for profile in [Profile::Python, Profile::Family] {
        let cache = TokenCache::builder(Memory::new()).profile(profile).build();
        for name in ["alice", "bob", "alice"] {
            let added = cache.add(&sign_in(name, "User.Read", name)).unwrap();
            let account = added.account().unwrap();
            assert_eq!(account.home_account_id(), format!("{name}.tenant"));
            assert_eq!(account.username(), Some(&*format!("{name}@example")));
            assert_eq!(account.environment(), Some(ENVIRONMENT));
            assert_eq!(account.account_source(), Some("authorization_code"));
            assert_eq!(account.tenant_profiles().len(), 1);
            let token = added.access_token().unwrap().access_token().unwrap();
            assert_eq!(token.secret().expose(), format!("AT-{name}"));
            assert!(added.entries().len() >= 5);
            let client = client(&cache);
            assert_eq!(client.account(account.home_account_id()).unwrap(), Some(account));
        }
        assert!(cache.add(&app_token("api/.default", "app")).unwrap().account().is_none());
    }
}

#[test]
fn the_account_of_a_sign_in_has_what_was_known_before() {
    let (cache, _) = cache();
    let guest = with(account(), json!({ "realm": "guest", "username": "uid_ext@guest" }));
    fill(&cache, &[("Account", vec![guest])]);
    let account = cache.add(&sign_in("uid", "User.Read", "1")).unwrap().account().unwrap();
    assert_eq!(account.username(), Some("uid@example"));
    let realms: Vec<_> = account.tenant_profiles().iter().map(TenantProfile::realm).collect();
    assert_eq!(realms, ["tenant", "guest"]);
    // Without an account, the response says who it is.
    let event = sign_in("carol", "User.Read", "1").skip_account_creation(true);
    let carol = cache.add(&event).unwrap().account().unwrap();
    assert_eq!(carol.home_account_id(), "carol.tenant");
    assert_eq!(carol.username(), Some("carol@example"));
    assert!(client(&cache).account("carol.tenant").unwrap().is_none());
}

#[test]
fn each_acquisition_returns_the_account() {
    let (cache, clock) = cache();
    cache.add(&sign_in("uid", "User.Read", "1")).unwrap();
    cache.add(&sign_in("bob", "User.Read", "2")).unwrap();
    let client = client(&cache);
    let known = client.account("uid.tenant").unwrap();
    let request = SilentRequest::new(["User.Read"], &user());
    let hit = client.acquire(&request, &Server::new([])).unwrap();
    assert_eq!(hit.account(), known);
    let server = Server::new([refreshed("uid", "3")]);
    let renewed = client.acquire(&request.clone().force_refresh(true), &server).unwrap();
    assert_eq!(renewed.account(), known);
    // In an outage.
    clock.advance(3600 - 100);
    let late = client.acquire(&request, &Server::new([unreachable()])).unwrap();
    assert_eq!(late.account(), known);
    assert!(late.refresh_error().is_some());
    // For the app itself, there is none.
    let request = SilentRequest::for_client(["api/.default"]);
    let own = client.acquire(&request, &Server::new([issued("own", json!({}))])).unwrap();
    assert_eq!(own.account(), None);
    assert_eq!(client.acquire(&request, &Server::new([])).unwrap().account(), None);
    assert!(!format!("{hit:?}").contains("uid@example"), "user names are not logged");
}

#[test]
fn a_token_without_an_account_record_names_its_user() {
    let (cache, _) = cache();
    fill(&cache, &[("AccessToken", vec![access_token("User.Read", "at", 3600)])]);
    let request = SilentRequest::new(["User.Read"], &user());
    let account = client(&cache).acquire(&request, &Server::new([])).unwrap().account().unwrap();
    assert_eq!(account.home_account_id(), "uid.tenant");
    assert_eq!((account.username(), account.environment()), (None, Some(ENVIRONMENT)));
}

/// The response to a refresh whose ID token has these claims.
fn renamed(claims: &Value) -> Server<'static> {
    let id_token = format!("e30.{}.signature", base64(&claims.to_string()));
    let more = json!({
        "id_token": id_token, "client_info": client_info("uid"), "refresh_token": "RT-new",
        "scope": "User.Read openid profile",
    });
    Server::new([issued("new", more)])
}

#[test]
fn a_new_name_is_listed_after_a_refresh() {
    for profile in [Profile::Python, Profile::Family] {
        let cache = TokenCache::builder(Memory::new()).profile(profile).build();
        let node = json!({
            "realm": "home", "username": "User@Example", "invented": [1],
            "tenantProfiles": [json!({ "tenantId": "home", "localAccountId": "uid",
                "username": "User@Example" }).to_string()],
        });
        let others = json!({ "home_account_id": "bob.tenant", "local_account_id": "bob" });
        let accounts = vec![account(), with(account(), node), with(account(), others)];
        fill(&cache, &[("RefreshToken", vec![refresh_token("RT", 0)]), ("Account", accounts)]);
        let client = client(&cache);
        let request = SilentRequest::new(["User.Read"], &user()).force_refresh(true);
        let claims = json!({ "oid": "uid", "sub": "s", "preferred_username": "new@example" });
        let token = client.acquire(&request, &renamed(&claims)).unwrap();
        assert_eq!(token.account().unwrap().username(), Some("new@example"), "{profile:?}");
        let accounts = client.accounts().unwrap();
        assert_eq!(names(&accounts), ["new@example", "User@Example"], "{profile:?}");
        assert_eq!(client.accounts_named("new@example").unwrap().len(), 1);
        assert_eq!(client.accounts_named("user@example").unwrap().len(), 1, "bob keeps his name");
        let stored = section(&cache, "Account");
        assert_eq!(stored[1]["invented"], json!([1]), "other fields are kept");
    }
}

#[test]
fn a_refresh_without_a_name_keeps_the_old_one_and_signs_no_one_in() {
    for claims in [
        json!({ "oid": "uid", "sub": "s" }),
        json!({ "oid": "uid", "sub": "s", "preferred_username": "" }),
        json!({ "oid": "uid", "sub": "s", "preferred_username": null }),
        json!({ "oid": "uid", "sub": "s", "preferred_username": ["odd"] }),
    ] {
        let (cache, _) = over(Memory::new());
        let records =
            [("RefreshToken", vec![refresh_token("RT", 0)]), ("Account", vec![account()])];
        fill(&cache, &records);
        let request = SilentRequest::new(["User.Read"], &user());
        client(&cache).acquire(&request, &renamed(&claims)).unwrap();
        assert_eq!(names(&client(&cache).accounts().unwrap()), ["User@Example"], "{claims}");
    }
    // A user without an account stays without one.
    let (cache, _) = over(Memory::new());
    fill(&cache, &[("RefreshToken", vec![refresh_token("RT", 0)])]);
    let request = SilentRequest::new(["User.Read"], &user());
    let claims = json!({ "oid": "uid", "sub": "s", "preferred_username": "new@example" });
    client(&cache).acquire(&request, &renamed(&claims)).unwrap();
    assert!(client(&cache).accounts().unwrap().is_empty());
}

#[test]
fn a_name_does_not_bring_a_user_back_who_signed_out_meanwhile() {
    let (cache, _) = over(Memory::new());
    let records = [("RefreshToken", vec![refresh_token("RT", 0)]), ("Account", vec![account()])];
    fill(&cache, &records);
    let client = client(&cache);
    let claims = json!({ "oid": "uid", "sub": "s", "preferred_username": "new@example" });
    let server = renamed(&claims).meanwhile(|| {
        client.remove_account(&user()).unwrap();
    });
    let request = SilentRequest::new(["User.Read"], &user());
    assert!(client.acquire(&request, &server).is_err());
    assert!(section(&cache, "Account").is_empty());
}

#[test]
fn a_user_without_client_info_is_named_by_the_subject() {
    let (cache, _) = over(Memory::new());
    let claims = json!({ "sub": "subject", "upn": "alice@contoso.example", "iat": NOW });
    let event = Event::new("app")
        .token_endpoint("https://adfs.example/adfs/oauth2/token")
        .scope(["api/.default"])
        .grant_type("authorization_code")
        .response(
            Fields::new()
                .set("access_token", "AT")
                .set("id_token", format!("e30.{}.s", base64(&claims.to_string()))),
        );
    let account = cache.add(&event).unwrap().account().unwrap();
    assert_eq!(account.home_account_id(), "subject");
    assert_eq!(account.username(), Some("alice@contoso.example"));
}
