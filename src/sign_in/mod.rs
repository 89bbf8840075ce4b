//! Sign-in: by the system browser, with an authorization code (RFC 6749, section 4.1), PKCE (RFC 7636)
//! and a loopback redirect (RFC 8252, section 7.3); to a web app; by device code (RFC 8628); with a
//! refresh token of another cache. The guide is [`docs::sign_in`](crate::docs::sign_in).

mod answer;
mod attempt;
mod browser;
mod builder;
mod code;
mod connection;
#[cfg(feature = "http-async")]
mod detached;
mod device_code;
mod error;
mod id_token;
mod options;
mod page;
mod random;
mod receiver;
mod refresh_token;
mod signature;
mod state;
mod web_app;

pub use builder::SignIn;
pub use device_code::DeviceCodeSignIn;
pub use error::SignInError;
pub use options::{Prompt, ResponseMode};
pub use refresh_token::RefreshTokenSignIn;
pub use state::SignInState;
pub use web_app::BegunSignIn;
