//! The data of a cache: records, entries, queries, events, accounts, requests, errors. Nothing here
//! decides, and nothing reads or writes a store.

mod account;
mod acquired;
mod authority;
mod authority_hosts;
mod claims;
mod client;
mod clock;
mod cloud;
mod decoded;
mod endpoint;
mod entry;
mod event;
mod field;
mod fields;
mod form;
mod hosts;
mod json_object;
pub(crate) mod jwt;
mod keys;
mod limits;
mod problem;
mod profile;
mod query;
mod request;
pub(crate) mod schema;
mod secret;
mod server_error;
mod views;

pub use account::{AccountInfo, TenantProfile};
pub use acquired::{AcquireError, AcquiredToken, RefreshReason, TokenSource};
pub use authority::AuthorityType;
pub(crate) use authority::environment_and_realm;
pub(crate) use authority_hosts::AuthorityHosts;
pub(crate) use claims::merged as merged_claims;
pub(crate) use client::ClientConfig;
pub use clock::{Clock, ManualClock, SystemClock};
pub use cloud::{Cloud, Clouds};
pub(crate) use decoded::Decoded;
pub use endpoint::{
    AsyncTokenEndpoint, DynAsyncTokenEndpoint, SharedTokenEndpoint, TokenEndpoint, TokenRequest,
    TokenResponse, TransportError, TransportErrorKind,
};
pub use entry::Entry;
pub use event::Event;
pub(crate) use field::Field;
pub use fields::Fields;
pub(crate) use fields::kind;
pub use form::Form;
pub(crate) use hosts::Hosts;
pub(crate) use json_object::{FieldValue, Nulls, merge, write};
pub(crate) use keys::KeyFields;
pub use limits::Limits;
pub use problem::Problem;
pub use profile::Profile;
pub use query::{Query, Wanted};
pub use request::SilentRequest;
pub use secret::Secret;
pub use server_error::{InteractionRequired, ServerError};
pub use views::{AccessToken, Account, AppMetadata, IdToken, RefreshToken};
