//! Whatever is sent to the redirect URI of a sign-in, only a request with its state is an answer, and the
//! response contains nothing of the request.

#![no_main]

#[allow(dead_code, reason = "the library uses it")]
#[path = "../../../src/sign_in/answer.rs"]
mod answer;
#[allow(dead_code, reason = "the library uses it")]
#[path = "../../../src/sign_in/connection.rs"]
mod connection;
#[allow(dead_code, reason = "the library uses it")]
#[path = "../../../src/sign_in/page.rs"]
mod page;

/// What the library calls by these names.
mod model {
    pub(crate) use msal_cache::Fields;
    pub(crate) use msal_cache::endpoint::{ServerError, TokenResponse};
}

use answer::Answer;
use connection::{Expected, respond_to};
use page::{FAILURE, FOREIGN, Pages, SUCCESS};

const STATE: &str = "gQ7sRk";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let expected = Expected {
        state: String::from(STATE).into(),
        issuer: None,
        path: "/".into(),
        port: 8400,
        pages: Pages { success: SUCCESS.into(), failure: FAILURE.into() },
    };
    let mut response = Vec::new();
    let answered = respond_to(data, &mut response, &expected);
    let response = String::from_utf8(response).expect("it is text");
    match answered {
        Ok(Answer::Code(code)) => {
            assert!(!code.is_empty() && response.ends_with(SUCCESS));
            assert!(may_have_state(data), "a code without the state");
        }
        Ok(Answer::Error(_)) => {
            assert!(response.ends_with(FAILURE));
            assert!(may_have_state(data), "an error without the state");
        }
        Ok(Answer::Stateless(_)) => assert!(response.ends_with(FAILURE)),
        Ok(Answer::Foreign) => {
            assert!(response.starts_with("HTTP/1.1 4") && response.ends_with(FOREIGN));
        }
        // It has ended, or its head is too long.
        Err(_) => assert!(response.is_empty()),
    }
});

/// Whether the request has the state, or something that decodes to it.
fn may_have_state(request: &[u8]) -> bool {
    request.contains(&b'%') || request.windows(STATE.len()).any(|it| it == STATE.as_bytes())
}
