//! The app's side of the cache: accounts, and tokens without a person.

mod account;
mod authority;
mod endpoint;
mod error;
mod form;
mod request;
mod token;
mod view;

pub use account::{AccountInfo, TenantProfile};
pub use endpoint::{
    TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
};
pub use error::{AcquireError, InteractionRequired, ServerError};
pub use form::Form;
pub use request::SilentRequest;
pub use token::{AcquiredToken, RefreshReason, TokenSource};
pub use view::Client;
