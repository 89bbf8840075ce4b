//! The data of a cache: records, entries, queries, events, accounts, requests, errors. Nothing here
//! decides, and nothing reads or writes a store.

mod account;
mod acquire_metadata;
mod acquired;
mod added;
pub(crate) mod address;
mod authority;
mod authority_hosts;
mod authority_kind;
mod authority_type;
mod claims;
mod client;
mod clock;
mod cloud;
mod decoded;
mod endpoint;
mod entry;
mod event;
mod event_address;
mod field;
mod fields;
mod foreign_text;
mod form;
mod hosts;
mod json_object;
pub(crate) mod jwt;
mod keys;
mod limits;
mod marks;
mod metadata;
mod outage_policy;
mod problem;
mod profile;
mod query;
mod request;
pub(crate) mod schema;
mod secret;
mod server_error;
mod tenant;
mod views;

pub use account::{AccountInfo, TenantProfile};
pub use acquire_metadata::{AcquireMetadata, AnsweredBy};
pub(crate) use acquire_metadata::{Cost, micros};
pub use acquired::{AcquireError, AcquiredToken, RefreshReason, TokenSource};
pub(crate) use acquired::{AcquireResult, TokenOwner};
pub use added::Added;
pub use authority::Authority;
pub(crate) use authority_hosts::AuthorityHosts;
pub use authority_kind::AuthorityKind;
#[cfg(any(feature = "http", feature = "http-async"))]
pub(crate) use authority_kind::CIAM_DOMAIN;
pub use authority_type::AuthorityType;
pub(crate) use claims::merged as merged_claims;
pub(crate) use client::ClientConfig;
pub use clock::{Clock, ManualClock, SystemClock};
pub use cloud::{Cloud, Clouds};
pub(crate) use decoded::Decoded;
#[cfg(any(feature = "http", feature = "http-async"))]
pub(crate) use endpoint::Route;
pub use endpoint::{
    AsyncTokenEndpoint, DynAsyncTokenEndpoint, SharedTokenEndpoint, TokenEndpoint, TokenRequest,
    TokenResponse, TransportError, TransportErrorKind,
};
pub use entry::Entry;
pub use event::Event;
pub(crate) use event_address::environment_and_realm;
pub(crate) use field::Field;
pub use fields::Fields;
pub(crate) use fields::{is_truthy, kind};
pub(crate) use foreign_text::{ForeignText, loggable};
pub use form::Form;
pub(crate) use hosts::Hosts;
pub(crate) use json_object::{FieldValue, Nulls, merge, write};
pub(crate) use keys::KeyFields;
pub use limits::Limits;
pub use metadata::Metadata;
#[cfg(any(feature = "http", feature = "http-async"))]
pub(crate) use metadata::{TENANT_PLACEHOLDER, document_address, is_known_cloud};
pub use outage_policy::OutagePolicy;
pub use problem::Problem;
pub use profile::Profile;
pub use query::{Query, Wanted};
pub use request::SilentRequest;
pub use secret::Secret;
pub(crate) use server_error::MendedBy;
pub use server_error::{InteractionRequired, ServerError};
pub(crate) use tenant::{CONSUMERS_ID, same_tenant, tenant_key};
pub use views::{AccessToken, Account, AppMetadata, IdToken, RefreshToken};
