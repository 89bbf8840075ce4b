//! The accounts that a client lists.

use msal_cache::TokenCache;
use msal_cache::account::AuthorityType;
use serde_json::{Value, json};

use super::{account, client, fill, with};
use crate::common::{CLIENT, cache, fixtures};

fn public(cache: &TokenCache) -> msal_cache::Client {
    cache.client(CLIENT, "https://login.microsoftonline.com/common")
}

fn stored(home: &str, host: &str, realm: &str, name: &str) -> Value {
    with(
        account(),
        json!({
            "home_account_id": home, "environment": host, "realm": realm, "username": name,
            "local_account_id": format!("{home} in {realm}"),
        }),
    )
}

#[test]
fn a_user_is_one_account_across_tenants_and_hosts() {
    let (cache, _) = cache();
    fill(
        &cache,
        &[(
            "Account",
            vec![
                stored("u.guest-of", "login.microsoftonline.com", "elsewhere", "b@elsewhere"),
                stored("uid.home", "login.windows.net", "guest", "a#EXT#@guest"),
                stored("uid.home", "LOGIN.microsoftonline.com", "HOME", "a@home"),
                stored("uid.home", "login.microsoftonline.com", "common", "a@common"),
                stored("other.cloud", "login.microsoftonline.us", "x", "c@us"),
            ],
        )],
    );
    let accounts = public(&cache).accounts().unwrap();
    let names: Vec<_> = accounts.iter().map(|it| (it.home_account_id(), it.username())).collect();
    assert_eq!(names, [("u.guest-of", Some("b@elsewhere")), ("uid.home", Some("a@home"))]);
    let user = &accounts[1];
    assert_eq!(user.environment(), Some("LOGIN.microsoftonline.com"), "the requested host");
    let profiles: Vec<_> = user
        .tenant_profiles()
        .iter()
        .map(|it| (it.realm(), it.username(), it.is_home_tenant()))
        .collect();
    assert_eq!(
        profiles,
        [
            ("HOME", Some("a@home"), true),
            ("guest", Some("a#EXT#@guest"), false),
            ("common", Some("a@common"), false),
        ]
    );
    assert_eq!(user.tenant_profiles()[1].local_account_id(), Some("uid.home in guest"));
    assert_eq!(public(&cache).account("uid.home").unwrap().as_ref(), Some(user));
    assert_eq!(public(&cache).account("other.cloud").unwrap(), None);
    assert_eq!(public(&cache).account("nobody").unwrap(), None);
    assert!(!format!("{accounts:?}").contains("a@"), "{accounts:?}");
}

#[test]
fn user_names_are_compared_without_case() {
    let (cache, _) = cache();
    let host = "login.microsoftonline.com";
    fill(
        &cache,
        &[(
            "Account",
            vec![
                stored("a.t", host, "t", "Ålice@Example"),
                stored("b.t", host, "t", "bob@example"),
                stored("b.t", host, "guest", "bob#EXT#@guest"),
                with(stored("c.t", host, "t", ""), json!({ "username": null })),
            ],
        )],
    );
    let found = |name: &str| {
        let accounts = public(&cache).accounts_named(name).unwrap();
        accounts.iter().map(|it| it.home_account_id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("ÅLICE@example"), ["a.t"]);
    assert_eq!(found("BOB@EXAMPLE"), ["b.t"]);
    assert_eq!(found("bob#ext#@GUEST"), ["b.t"], "the user name in a guest tenant matches too");
    assert_eq!(found("bob"), Vec::<String>::new());
    assert_eq!(found(""), Vec::<String>::new());
}

#[test]
fn every_kind_of_account_is_listed() {
    for (authority, record, kind) in [
        (
            "https://sts.contoso.com/adfs",
            json!({ "home_account_id": "subject", "environment": "sts.contoso.com",
                    "realm": "adfs", "authority_type": "ADFS", "username": "a" }),
            Some(AuthorityType::Adfs),
        ),
        (
            "https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_in",
            json!({ "home_account_id": "uid-b2c_1_in.tenant",
                    "environment": "contoso.b2clogin.com",
                    "realm": "contoso.onmicrosoft.com", "authority_type": "MSSTS" }),
            Some(AuthorityType::Mssts),
        ),
        (
            "https://login.microsoftonline.com/consumers",
            json!({ "home_account_id": "uid.9188040d-6c67-4c5b-b112-36a304b66dad",
                    "environment": "login.windows.net",
                    "realm": "9188040d-6c67-4c5b-b112-36a304b66dad", "authority_type": "MSSTS" }),
            Some(AuthorityType::Mssts),
        ),
        (
            "https://login.microsoftonline.com/common",
            json!({ "home_account_id": "uid.tenant", "environment": "login.microsoftonline.com" }),
            None,
        ),
    ] {
        let (cache, _) = cache();
        let shell = with(
            record.clone(),
            json!({ "home_account_id": "shell", "authority_type": "CLOUDSHELL" }),
        );
        let nobody = with(record.clone(), json!({ "home_account_id": "" }));
        fill(&cache, &[("Account", vec![record.clone(), shell, nobody])]);
        let accounts = cache.client(CLIENT, authority).accounts().unwrap();
        let [account] = &accounts[..] else { panic!("{authority}: {accounts:?}") };
        assert_eq!(account.home_account_id(), record["home_account_id"]);
        assert_eq!(account.authority_type(), kind.as_ref());
    }
}

#[test]
fn tenant_profiles_of_msal_node_accounts_are_read() {
    let (cache, _) = cache();
    let profile = |tenant: &str| {
        json!({ "tenantId": tenant, "localAccountId": format!("id in {tenant}"), "name": "A" })
            .to_string()
    };
    let mut record = stored("uid.home", "login.windows.net", "home", "a@home");
    record["tenantProfiles"] = json!([profile("home"), profile("guest"), "no JSON", 7]);
    fill(&cache, &[("Account", vec![record])]);
    let accounts = public(&cache).accounts().unwrap();
    let realms: Vec<_> =
        accounts[0].tenant_profiles().iter().map(|it| (it.realm(), it.is_home_tenant())).collect();
    assert_eq!(realms, [("home", true), ("guest", false)]);
    assert_eq!(accounts[0].tenant_profiles()[1].local_account_id(), Some("id in guest"));
    assert_eq!(accounts[0].username(), Some("a@home"));
}

#[test]
fn accounts_in_the_caches_of_all_libraries_are_listed() {
    let mut listed = 0;
    for (name, path) in fixtures("") {
        let (cache, _) = cache();
        let text = std::fs::read_to_string(path).unwrap();
        if cache.deserialize(&text).is_err() {
            continue;
        }
        let document: Value = serde_json::from_str(&text).unwrap();
        let Some(accounts) = document["Account"].as_object() else { continue };
        for record in accounts.values() {
            let (Some(home), Some(host)) =
                (record["home_account_id"].as_str(), record["environment"].as_str())
            else {
                continue;
            };
            let client = cache.client(CLIENT, format!("https://{host}/common"));
            let found = client.account(home).unwrap();
            assert_eq!(found.map(|it| it.home_account_id().to_owned()).as_deref(), Some(home));
            assert!(client.accounts().unwrap().iter().any(|it| it.home_account_id() == home));
            listed += 1;
        }
        assert!(client(&cache).accounts().is_ok(), "{name}");
    }
    assert!(listed >= 5, "accounts in the fixtures: {listed}");
}
