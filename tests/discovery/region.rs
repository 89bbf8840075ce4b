//! Regional endpoints.

use std::env;
use std::process::Command;

use msal_cache::endpoint::{Form, TokenEndpoint, TokenRequest};

use super::*;

/// The variable that has a child process run the test.
const CHILD: &str = "MSAL_CACHE_TEST_CHILD";

/// The hosts to which requests are sent, as a proxy sees them, which refuses each.
fn hosts(builder: &HttpEndpointBuilder, requests: &[TokenRequest]) -> Vec<String> {
    let runtime = runtime();
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let kept = seen.clone();
    let serve = move |mut stream: Box<dyn Stream>| {
        let seen = kept.clone();
        async move {
            let head = head(&mut stream).await?;
            seen.lock().unwrap().push(head.split([' ', ':']).nth(1).unwrap().to_owned());
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await?;
            stream.shutdown().await
        }
    };
    let proxy = format!("http://{}", start(&runtime, None, serve));
    let (endpoint, nonblocking) = Provider::endpoints(&builder.clone().proxy(proxy));
    for request in requests {
        endpoint.send(request).unwrap_err();
        let sent = msal_cache::endpoint::AsyncTokenEndpoint::send(&nonblocking, request);
        runtime.block_on(sent).unwrap_err();
    }
    seen.lock().unwrap().clone()
}

fn request(grant_type: &str) -> TokenRequest {
    let address = "https://login.microsoftonline.com/contoso/oauth2/v2.0/token";
    TokenRequest::new(address, "app", Form::new().with("grant_type", grant_type))
}

#[test]
fn tokens_of_apps_are_requested_from_the_region() {
    let requests = [request("client_credentials"), request("refresh_token")];
    let (regional, central) = ("westus2.login.microsoft.com", "login.microsoftonline.com");
    let builder = Provider::builder();
    assert_eq!(hosts(&builder, &requests), [central; 4]);
    let in_region = builder.region("westus2");
    assert_eq!(hosts(&in_region, &requests), [regional, regional, central, central]);
    let own = in_region.token_endpoint("https://login.example/contoso/oauth2/v2.0/token");
    assert_eq!(hosts(&own, &requests), ["login.example"; 4]);
    for name in ["", "a.evil.example/"] {
        let error = Provider::builder().region(name).build().unwrap_err();
        assert!(error.to_string().contains("region"), "{error}");
    }
}

#[test]
fn the_region_of_the_environment_is_used_on_request() {
    if env::var_os(CHILD).is_some() {
        let requests = [request("client_credentials")];
        let expected = match env::var("REGION_NAME") {
            Ok(name) if !name.is_empty() => "westus2.login.microsoft.com",
            _ => "login.microsoftonline.com",
        };
        assert_eq!(hosts(&Provider::builder().region_from_env(), &requests), [expected; 2]);
        assert_eq!(hosts(&Provider::builder(), &requests), ["login.microsoftonline.com"; 2]);
        return;
    }
    for name in [Some("West US 2"), Some(""), None] {
        let mut child = Command::new(env::current_exe().unwrap());
        child.env(CHILD, "").env_remove("REGION_NAME").args([
            "--exact",
            "discovery::region::the_region_of_the_environment_is_used_on_request",
        ]);
        if let Some(name) = name {
            child.env("REGION_NAME", name);
        }
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{name:?}: {text}");
    }
}
