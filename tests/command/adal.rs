//! Caches of ADAL: imported by redeeming their refresh tokens, and never taken for another file.

use serde_json::{Value, json};

use crate::tool::Tool;

/// An entry as ADAL Python 1.2.7 writes it.
fn entry(user: &str, refresh_token: &str, more: &Value) -> Value {
    let mut entry = json!({
        "tokenType": "Bearer", "expiresIn": 3599, "expiresOn": "2023-11-14 22:13:19.000000",
        "resource": "https://graph.example", "accessToken": "old access token",
        "refreshToken": refresh_token, "isMRRT": true, "userId": format!("{user}@contoso.example"),
        "isUserIdDisplayable": true, "oid": user, "tenantId": "contoso", "_clientId": "app",
        "_authority": "https://login.example/contoso",
    });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

#[test]
fn a_cache_of_adal_is_not_replaced_or_taken_for_an_empty_one() {
    let tool = Tool::new();
    let text = json!([entry("alice", "CANARY", &json!({}))]).to_string();
    tool.write("adal.json", &text);
    let check = tool.run(&["check", "adal.json", "--json"]);
    assert_eq!(check.code, 4, "{check:?}");
    let meaning = check.json()["troubles"][0]["meaning"].as_str().unwrap().to_owned();
    assert!(meaning.contains("cache of ADAL") && meaning.contains("--redeem"), "{meaning}");
    for args in [&["accounts", "adal.json"][..], &["repair", "adal.json"], &["clear", "adal.json"]]
    {
        let run = tool.run(args);
        assert_eq!((run.code, run.out.as_str()), (4, ""), "{args:?}: {run:?}");
        assert!(run.err.contains("ADAL") && !run.err.contains("CANARY"), "{args:?}: {run:?}");
    }
    let run = tool.run(&["import", "cache.json", "adal.json"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    assert!(run.err.contains("--redeem"), "{run:?}");
    assert!(!tool.path("cache.json").exists());
    assert_eq!(std::fs::read_to_string(tool.path("adal.json")).unwrap(), text);
}

#[cfg(feature = "http")]
mod redeemed {
    use super::*;
    use crate::stand_in::StandIn;
    use crate::tool::Run;

    fn import(tool: &Tool, server: &StandIn, more: &[&str]) -> Run {
        let endpoint = format!("{}/contoso/oauth2/v2.0/token", server.url());
        let args = ["import", "cache.json", "adal.json", "--redeem", "--token-endpoint", &endpoint];
        tool.run_without_time(&[&args, more].concat())
    }

    #[test]
    fn each_refresh_token_is_redeemed_once_and_signs_its_user_in() {
        let (tool, server) = (Tool::new(), StandIn::start().unwrap());
        let document = json!([
            entry("alice", "refresh token 1 of alice", &json!({})),
            // The same token for another resource, and in another tenant.
            entry("alice", "refresh token 1 of alice", &json!({"resource": "https://vault.example"})),
            entry("alice", "refresh token 1 of alice", &json!({
                "_authority": "https://login.example/fabrikam",
            })),
            entry("bob", "refresh token 2 of bob", &json!({"_clientId": "other", "resource": null})),
            // An app has no refresh token; the second entry is one of Azure CLI.
            {"accessToken": "CANARY", "_clientId": "daemon", "_authority": "https://login.example/t"},
            {"servicePrincipalId": "s", "servicePrincipalTenant": "t", "accessToken": "CANARY"},
        ]);
        tool.write("adal.json", document.to_string());

        let dry = import(&tool, &server, &["--dry-run", "--json"]).json();
        assert_eq!(dry["users"].as_array().unwrap().len(), 2);
        assert_eq!((server.token_requests(), tool.path("cache.json").exists()), (0, false));

        let run = import(&tool, &server, &["--json"]);
        assert_eq!(run.code, 0, "{run:?}");
        let result = run.json();
        assert_eq!(
            result,
            json!({
                "store": result["store"], "dry_run": false, "skipped": 2, "users": [
                    {"username": "alice@contoso.example", "home_account_id": "alice.contoso",
                        "client_id": "app", "error": null},
                    {"username": "bob@contoso.example", "home_account_id": "bob.contoso",
                        "client_id": "other", "error": null},
                ],
            })
        );
        let documented = include_str!("../../src/docs/json.txt");
        let users = result["users"][0].as_object().unwrap();
        for name in result.as_object().unwrap().keys().chain(users.keys()) {
            assert!(documented.contains(&format!("\"{name}\"")), "{name}");
        }
        let sent: Vec<_> = server.requests();
        let scopes: Vec<_> = sent.iter().map(|it| it.parameter("scope")).collect();
        assert_eq!(
            scopes,
            [
                "https://graph.example/.default offline_access openid profile",
                "offline_access openid profile",
            ]
        );

        // The next token comes from the new refresh token.
        let endpoint = format!("{}/contoso/oauth2/v2.0/token", server.url());
        let token = tool.run_without_time(&[
            "get-token",
            "cache.json",
            "--refresh",
            "--client",
            "app",
            "--account",
            "alice",
            "--scope",
            "Mail.Read",
            "--tenant",
            "contoso",
            "--environment",
            "login.example",
            "--token-endpoint",
            &endpoint,
        ]);
        assert!(token.expect_code(0).trim_end().ends_with(" of alice"));
    }

    #[test]
    fn a_refused_refresh_token_is_reported_and_the_others_are_stored() {
        let (tool, server) = (Tool::new(), StandIn::start().unwrap());
        let document = json!([
            entry("mallory", "CANARY", &json!({})),
            entry("carol", "CANARY-2", &json!({"_authority": "no address"})),
            entry("alice", "refresh token 1 of alice", &json!({})),
        ]);
        tool.write("adal.json", document.to_string());
        let run = import(&tool, &server, &[]);
        assert_eq!(run.code, 8, "{run:?}");
        for text in [&run.out, &run.err] {
            assert!(!text.contains("CANARY") && !text.contains("refresh token 1"), "{run:?}");
        }
        let lines: Vec<_> = run.out.lines().collect();
        assert!(lines[0].contains("mallory@contoso.example not signed in for app:"), "{run:?}");
        assert!(lines[0].contains("invalid_grant") && lines[1].contains("carol"), "{run:?}");
        assert_eq!(lines[2], "✓ alice@contoso.example signed in for app");
        assert!(run.err.contains("2 of 3 refresh tokens could not be redeemed"), "{run:?}");
        assert_eq!(server.token_requests(), 2);
        assert_eq!(tool.read("cache.json")["Account"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn nothing_is_sent_if_the_store_can_not_be_written() {
        let (tool, server) = (Tool::with("python-aad.json"), StandIn::start().unwrap());
        let document = json!([entry("alice", "refresh token 1 of alice", &json!({}))]).to_string();
        tool.write("adal.json", &document);
        std::fs::write(tool.path("cache.json.lockfile"), std::process::id().to_string()).unwrap();
        let run = import(&tool, &server, &["--lock-timeout", "0"]);
        assert_eq!((run.code, run.out.as_str()), (3, ""), "{run:?}");
        assert_eq!(server.token_requests(), 0);
    }

    #[test]
    fn only_a_cache_of_adal_is_redeemed() {
        let (tool, server) = (Tool::new(), StandIn::start().unwrap());
        for (document, code) in [
            ("{}", 2),
            ("[]", 2),
            (r#"[{"_authority": 1}]"#, 4),
            (r#"[{"_authority": "#, 4),
            (r#"["_authority"]"#, 4),
            (r#"[{"_authority": "https://login.example/t"}]"#, 1),
        ] {
            tool.write("adal.json", document);
            let run = import(&tool, &server, &[]);
            assert_eq!(run.code, code, "{document}: {run:?}");
        }
        assert_eq!(import(&tool, &server, &["--replace"]).code, 2);
        assert_eq!(server.token_requests(), 0);
    }
}
