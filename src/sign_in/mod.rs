//! Sign-in by the system browser: authorization code (RFC 6749, section 4.1) with PKCE (RFC 7636) and
//! a loopback redirect (RFC 8252, section 7.3). The guide is [`docs::sign_in`](crate::docs::sign_in).

mod answer;
mod attempt;
mod browser;
mod builder;
mod connection;
mod error;
mod id_token;
mod options;
mod page;
mod random;
mod receiver;
mod steps;

pub use builder::SignIn;
pub use error::SignInError;
pub use options::{Prompt, ResponseMode};
