//! What the browser shows after the sign-in. The pages contain nothing of the request.

macro_rules! page {
    ($title:literal, $text:literal) => {
        concat!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">",
            "<meta name=\"viewport\" content=\"width=device-width\"><title>",
            $title,
            "</title><style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;",
            "margin:20vh auto;padding:0 1rem;color-scheme:light dark}</style></head><body><h1>",
            $title,
            "</h1><p>",
            $text,
            "</p></body></html>"
        )
    };
}

pub(super) const SUCCESS: &str =
    page!("Signed in", "You can close this page and return to the application.");
pub(super) const FAILURE: &str = page!(
    "Sign-in failed",
    "You can close this page and return to the application, which shows the reason."
);
pub(super) const FOREIGN: &str =
    page!("Not part of a sign-in", "Return to the application, and start the sign-in there.");

/// The pages after a success and after an error.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    pub(super) success: String,
    pub(super) failure: String,
}
