//! Claims challenges.

use azure_core::credentials::{TokenCredential, TokenRequestOptions};
use azure_core::http::{ClientMethodOptions, Context};
use msal_cache::azure::{ClaimsChallenge, Credential};

use super::{Server, VAULT, client, granted, token};

const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true}}}"#;

#[tokio::test]
async fn claims_in_the_context_of_a_request_bring_a_new_token() {
    let server = Server::responding([granted("alice", "AT-1"), granted("alice", "AT-2")]);
    let credential = Credential::for_user(client(&["alice"]).await, server.clone()).build();
    assert_eq!(token(&*credential).await.unwrap().token.secret(), "AT-1");
    let context = Context::new().with_value(ClaimsChallenge::new(CLAIMS));
    let options = TokenRequestOptions { method_options: ClientMethodOptions { context } };
    let new = credential.get_token(VAULT, Some(options)).await.unwrap();
    assert_eq!(new.token.secret(), "AT-2");
    let sent = server.sent();
    assert_eq!(sent[0].get("claims"), None);
    assert!(sent[1].get("claims").unwrap().contains("nbf"));
    // It is the token of all requests from then on.
    assert_eq!(token(&*credential).await.unwrap().token.secret(), "AT-2");
}

#[test]
fn claims_are_read_from_a_header() {
    let claims = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZX19fQ==";
    let unpadded = claims.trim_end_matches('=');
    for header in [
        format!(r#"Bearer claims="{claims}""#),
        format!(r#"Bearer realm="", error="insufficient_claims", claims="{unpadded}""#),
        format!(r#"bearer authorization_uri="https://a/b?c=d", Claims = "{claims}", error="x""#),
        format!(r#"PoP nonce="n, claims=", Bearer error="a \", claims=\"e30", claims="{claims}""#),
        format!(r#"Negotiate, Bearer error="x",claims={claims}"#),
    ] {
        let found = ClaimsChallenge::of_header(&header).map(|it| it.as_str().to_owned());
        assert_eq!(found.as_deref(), Some(CLAIMS), "{header}");
    }
    for header in [
        String::new(),
        "Bearer".into(),
        r#"Bearer error="invalid_token""#.into(),
        format!(r#"PoP claims="{claims}""#),
        format!(r#"Bearer error="claims={claims}""#),
        r#"Bearer claims="not base64!""#.into(),
        r#"Bearer claims="bm8ganNvbg==""#.into(),
        "Bearer claims=".into(),
        "\",=\"\\".into(),
    ] {
        assert_eq!(ClaimsChallenge::of_header(&header), None, "{header}");
    }
    let printed = format!("{:?}", ClaimsChallenge::new(CLAIMS));
    assert!(!printed.contains("nbf"));
}
