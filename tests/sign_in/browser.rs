//! The system browser: what it, a server and strangers may do.

use super::*;

#[test]
fn a_user_signs_in_and_is_stored() {
    let server = Arc::default();
    let (send, page) = mpsc::channel();
    let (signed, asked, cache) = sign_in(&server, LONG, move |asked| {
        send.send(post(asked.port(), &asked.good())).unwrap();
    });
    let token = signed.unwrap();
    assert_eq!(token.secret().expose(), "CANARY-at");
    let account = token.account().unwrap();
    assert_eq!(account.username(), Some("alice@contoso.example"));
    assert_eq!(account.home_account_id(), format!("alice.{TENANT}"));
    let page = page.recv().unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("Signed in"), "{page}");
    assert!(page.contains("Cache-Control: no-store"), "{page}");
    clean("the page", &page);
    assert_closed(asked.port());

    assert!(asked.address.starts_with(&format!("{AUTHORITY}/oauth2/v2.0/authorize?client_id=")));
    assert_eq!(asked.query["response_type"], "code");
    assert_eq!(asked.query["response_mode"], "form_post");
    assert_eq!(asked.query["scope"], "User.Read offline_access openid profile");
    let forms = server.forms.lock().unwrap();
    let [form] = &forms[..] else { panic!("{forms:?}") };
    assert_eq!(form["code"], "CANARY-code");
    assert_eq!(form["redirect_uri"], asked.query["redirect_uri"]);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    assert_eq!(challenge, asked.query["code_challenge"]);
    assert!(!asked.address.contains(&form["code_verifier"]));

    for credential_type in [CredentialType::AccessToken, CredentialType::RefreshToken] {
        assert_eq!(cache.find(credential_type, &Query::new()).unwrap().len(), 1);
    }
    // The next token is that of the cache.
    let client = cache.client("client-id", AUTHORITY);
    let silent = client.acquire_token_silent(["User.Read"], &account, &*server).unwrap();
    assert_eq!(silent.secret().expose(), "CANARY-at");
    assert_eq!(forms.len(), 1);
}

#[test]
fn options_are_parts_of_the_address() {
    let client = TokenCache::in_memory().client("client-id", AUTHORITY).with_capabilities(["CP1"]);
    let (send, receive) = mpsc::channel();
    let signed = client
        .sign_in(["User.Read"])
        .prompt(Prompt::SelectAccount)
        .login_hint("alice+1@contoso.example")
        .domain_hint("contoso.example")
        .claims_challenge(r#"{"access_token":{"nbf":{"value":"1"}}}"#)
        .extra_scopes_to_consent(["api://other/read"])
        .response_mode(ResponseMode::Query)
        .path("callback")
        .authorization_endpoint("https://login.example/authorize?tenant=t")
        .open_with(move |address| {
            send.send(Asked::of(address)).unwrap();
            Err(io::Error::other("no display"))
        })
        .run(&Redeems::default());
    assert!(matches!(signed, Err(SignInError::Browser(_))), "{signed:?}");
    let asked = receive.recv().unwrap();
    assert!(asked.address.starts_with("https://login.example/authorize?tenant=t&client_id="));
    assert_eq!(asked.query["prompt"], "select_account");
    assert_eq!(asked.query["login_hint"], "alice+1@contoso.example");
    assert_eq!(asked.query["domain_hint"], "contoso.example");
    assert_eq!(asked.query["response_mode"], "query");
    assert!(asked.query["scope"].contains("api://other/read"));
    assert!(asked.query["redirect_uri"].ends_with("/callback"));
    let claims: Value = serde_json::from_str(&asked.query["claims"]).unwrap();
    assert_eq!(claims["access_token"]["xms_cc"]["values"], json!(["CP1"]));
    assert_eq!(claims["access_token"]["nbf"]["value"], "1");
}

#[test]
fn idle_connections_and_foreign_requests_delay_no_sign_in() {
    let server = Arc::default();
    let (signed, asked, _) = sign_in(&server, LONG, |asked| {
        let port = asked.port();
        let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
        let idle: Vec<_> = (0..100).map(|_| connect()).collect();
        let mut half = connect();
        half.write_all(b"GET /?code=x HT").unwrap();
        let good = asked.good();
        let refused = |response: String| {
            assert!(response.starts_with("HTTP/1.1 4"), "{response}");
            clean("the response", &response);
        };
        refused(get(port, "/favicon.ico"));
        refused(get(port, "/?code=CANARY&state=wrong"));
        refused(get(port, "/?code=CANARY"));
        refused(get(port, "/?error=access_denied&state=wrong"));
        refused(get(port, &format!("/elsewhere?{good}")));
        refused(post(port, "code=CANARY&state=wrong"));
        refused(post(port, ""));
        refused(exchange("127.0.0.1", port, "\r\n\r\n"));
        // A name that another site controls, a request for an image, and two lengths.
        let rest = format!("Content-Length: {}\r\n\r\n{good}", good.len());
        for head in [
            "POST / HTTP/1.1\r\nHost: evil.example\r\n".to_owned(),
            "POST / HTTP/1.1\r\n".to_owned(),
            format!("POST / HTTP/1.1\r\nHost: localhost:{port}\r\nSec-Fetch-Dest: image\r\n"),
            format!("POST / HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 1\r\n"),
            format!("POST / HTTP/1.1\r\nHost: localhost:{port}\r\nTransfer-Encoding: chunked\r\n"),
            format!("PUT / HTTP/1.1\r\nHost: localhost:{port}\r\n"),
        ] {
            refused(exchange("127.0.0.1", port, &format!("{head}{rest}")));
        }
        let large = "9".repeat(30);
        refused(exchange(
            "127.0.0.1",
            port,
            &format!(
                "POST / HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {large}\r\n\r\n"
            ),
        ));
        // A head without an end is closed.
        let mut endless = connect();
        let _ = endless.write_all(&vec![b'x'; 100 << 10]);
        // The answer comes by IPv6, where this machine has it.
        let host = if TcpStream::connect(("::1", port)).is_ok() { "::1" } else { "127.0.0.1" };
        let answer = exchange(
            host,
            port,
            &format!("GET /?{good} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"),
        );
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        drop((idle, half));
    });
    assert_eq!(signed.unwrap().secret().expose(), "CANARY-at");
    assert_closed(asked.port());
}

#[test]
fn an_error_of_the_server_ends_the_sign_in() {
    for (error, is_declined) in [("access_denied", true), ("invalid_scope", false)] {
        let server = Arc::default();
        let (signed, asked, _) = sign_in(&server, LONG, move |asked| {
            let state = &asked.query["state"];
            let body = format!("error={error}&error_description=AADSTS65004%3A+no&state={state}");
            let page = post(asked.port(), &body);
            assert!(page.contains("Sign-in failed") && !page.contains("AADSTS"), "{page}");
        });
        let failed = signed.unwrap_err();
        assert_eq!(matches!(failed, SignInError::Declined(_)), is_declined, "{failed:?}");
        let refusal = failed.server_error().unwrap();
        assert_eq!(refusal.error(), error);
        assert_eq!(refusal.error_description(), Some("AADSTS65004: no"));
        assert!(server.forms.lock().unwrap().is_empty());
        assert_closed(asked.port());
    }
}

#[test]
fn an_error_without_a_state_ends_the_sign_in_unless_the_code_follows() {
    let started = Instant::now();
    let server = Arc::default();
    let (signed, ..) = sign_in(&server, LONG, |asked| drop(get(asked.port(), "/?error=bad")));
    let failed = signed.unwrap_err();
    assert_eq!(failed.server_error().unwrap().error(), "bad");
    assert!(started.elapsed() < LONG / 2);

    let (signed, ..) = sign_in(&server, LONG, |asked| {
        get(asked.port(), "/?error=bad");
        post(asked.port(), &asked.good());
    });
    signed.unwrap();
}

#[test]
fn a_closed_page_ends_at_the_deadline() {
    let started = Instant::now();
    let server = Arc::default();
    let timeout = Duration::from_millis(300);
    let (signed, asked, _) = sign_in(&server, timeout, |_| {});
    assert!(matches!(signed, Err(SignInError::TimedOut)), "{signed:?}");
    assert!(started.elapsed() >= timeout);
    assert_closed(asked.port());
}

#[test]
fn a_sign_in_is_cancelled() {
    let cancelled = Arc::new(AtomicBool::new(false));
    let (set, check) = (cancelled.clone(), cancelled);
    let started = Instant::now();
    let signed = TokenCache::in_memory()
        .client("client-id", AUTHORITY)
        .sign_in(["User.Read"])
        .open_with(move |_| {
            set.store(true, Ordering::Relaxed);
            Ok(())
        })
        .timeout(Duration::MAX)
        .cancel_if(move || check.load(Ordering::Relaxed))
        .run(&Redeems::default());
    assert!(matches!(signed, Err(SignInError::Cancelled)), "{signed:?}");
    assert!(started.elapsed() < LONG);
}

#[test]
fn invalid_options_open_no_browser() {
    let cache = TokenCache::in_memory();
    let run = |client: &msal_cache::Client, path: &str, challenge: &str| {
        let signed = client
            .sign_in(["User.Read"])
            .path(path)
            .claims_challenge(challenge)
            .open_with(|_| panic!("a browser was opened"))
            .run(&Redeems::default());
        assert!(matches!(signed, Err(SignInError::Invalid(_))), "{signed:?}");
    };
    let client = cache.client("client-id", AUTHORITY);
    run(&client, "a?b", "");
    run(&client, "a\r\nb", "");
    run(&client, "", "CANARY");
    run(&cache.client(" ", AUTHORITY), "", "");
    run(&cache.client("client-id", "http://login.example/t"), "", "");
    // The authorization endpoint doesn't follow from that of another provider.
    let token_endpoint = "https://idp.example/realms/staff/token";
    let other = msal_cache::Authority::oidc("https://idp.example/realms/staff", token_endpoint);
    run(&cache.client("client-id", other.unwrap()), "", "");
}

#[test]
fn two_sign_ins_at_once_get_their_own_answers() {
    let other = thread::spawn(|| {
        let server = Arc::default();
        let (signed, asked, _) = sign_in(&server, LONG, |asked| {
            thread::sleep(Duration::from_millis(100));
            post(asked.port(), &asked.good());
        });
        (signed.unwrap(), asked)
    });
    let server = Arc::default();
    let (signed, asked, _) =
        sign_in(&server, LONG, |asked| drop(post(asked.port(), &asked.good())));
    signed.unwrap();
    let (_, theirs) = other.join().unwrap();
    assert_ne!(asked.query["state"], theirs.query["state"]);
    assert_ne!(asked.query["code_challenge"], theirs.query["code_challenge"]);
}

#[test]
fn a_port_that_is_used_is_an_error() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let client = TokenCache::in_memory().client("client-id", AUTHORITY);
    let signed = client
        .sign_in(["User.Read"])
        .port(port)
        .open_with(|_| panic!("a browser was opened"))
        .run(&Redeems::default());
    assert!(
        matches!(signed, Err(SignInError::Listen { port: it, .. }) if it == port),
        "{signed:?}"
    );
}

#[test]
fn an_id_token_of_another_app_issuer_or_sign_in_is_refused() {
    let now = SystemClock.now();
    let other = "0b0b0b0b-0000-0000-0000-000000000002";
    for (claim, value) in [
        ("aud", json!("other")),
        ("aud", json!(["client-id", "other"])),
        ("aud", Value::Null),
        ("azp", json!("other")),
        ("nonce", json!("CANARY")),
        ("nonce", Value::Null),
        ("tid", json!(other)),
        ("tid", Value::Null),
        ("iss", json!(format!("https://login.microsoftonline.com/{other}/v2.0"))),
        ("iss", json!(format!("https://login.microsoftonline.us/{TENANT}/v2.0"))),
        ("iss", json!(format!("http://login.microsoftonline.com/{TENANT}/v2.0"))),
        ("iss", json!(format!("https://login.microsoftonline.com@evil.example/{TENANT}/v2.0"))),
        ("iss", Value::Null),
        ("exp", json!(now - 400)),
        ("exp", json!("soon")),
        ("nbf", json!(now + 400)),
        ("iat", json!(now + 400)),
    ] {
        let server = Arc::new(Redeems::default());
        server.claims.lock().unwrap().push((claim, value.clone()));
        let (signed, _, cache) =
            sign_in(&server, LONG, |asked| drop(post(asked.port(), &asked.good())));
        let Err(SignInError::InvalidResponse(error)) = signed else {
            panic!("{claim} {value}: {signed:?}")
        };
        assert!(error.to_string().contains("id_token"), "{error}");
        clean("the error", &format!("{error} {error:?}"));
        assert!(cache.entries(None).unwrap().is_empty());
    }
    for (claim, value) in [
        ("aud", json!(["client-id"])),
        ("azp", json!("client-id")),
        ("exp", json!(now - 100)),
        ("iss", json!(format!("https://login.windows.net/{TENANT}/v2.0"))),
    ] {
        let server = Arc::new(Redeems::default());
        server.claims.lock().unwrap().push((claim, value.clone()));
        let (signed, ..) = sign_in(&server, LONG, |asked| drop(post(asked.port(), &asked.good())));
        assert!(signed.is_ok(), "{claim} {value}: {signed:?}");
    }
}

#[cfg(feature = "http-async")]
mod async_face {
    use msal_cache::AsyncTokenCache;
    use msal_cache::store::Offload;

    use super::*;

    #[tokio::test]
    async fn a_user_signs_in_while_other_tasks_run() {
        let server = Arc::new(Redeems::default());
        let kept = server.clone();
        let client = AsyncTokenCache::in_memory().client("client-id", AUTHORITY);
        let beat = tokio::spawn(async { tokio::time::sleep(Duration::from_millis(20)).await });
        let endpoint = Offload::new(server);
        let token = client
            .sign_in(["User.Read"])
            .timeout(LONG)
            .open_with(move |address| {
                let asked = Asked::of(address);
                *kept.asked.lock().unwrap() = Some(asked.clone());
                thread::sleep(Duration::from_millis(100));
                post(asked.port(), &asked.good());
                Ok(())
            })
            .run(&endpoint)
            .await
            .unwrap();
        assert!(beat.is_finished());
        assert_eq!(token.account().unwrap().username(), Some("alice@contoso.example"));
        assert_eq!(client.accounts().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn nothing_listens_after_a_dropped_sign_in() {
        let client = AsyncTokenCache::in_memory().client("client-id", AUTHORITY);
        let endpoint = Offload::new(Arc::new(Redeems::default()));
        let (send, receive) = mpsc::channel();
        let signing = client.sign_in(["User.Read"]).open_with(move |address| {
            send.send(Asked::of(address).port()).unwrap();
            Ok(())
        });
        let run = tokio::time::timeout(Duration::from_millis(200), signing.run(&endpoint));
        assert!(run.await.is_err());
        assert_closed(receive.recv().unwrap());
    }
}
