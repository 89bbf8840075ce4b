//! The app's side of the cache: accounts, and tokens without a person.

mod account;
mod accounts;
mod acquire;
mod asked;
mod authority;
mod claims;
mod endpoint;
mod error;
mod explain;
mod flight;
mod form;
mod hosts;
mod plan;
mod request;
mod settle;
mod sign_out;
mod token;
mod turn;
mod view;

pub use account::{AccountInfo, TenantProfile};
pub use endpoint::{
    TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
};
pub use error::{AcquireError, InteractionRequired, ServerError};
pub(crate) use flight::Flights;
pub use form::Form;
pub use plan::{Attempt, Candidate, ClientFamily, Role, SilentPlan, Verdict};
pub use request::SilentRequest;
pub use token::{AcquiredToken, RefreshReason, TokenSource};
pub use view::Client;
