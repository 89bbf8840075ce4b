#![cfg_attr(feature = "file", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "file"), doc = "The token cache that every MSAL shares.")]
#![forbid(unsafe_code)]

mod authority;
mod builder;
mod cache;
pub mod check;
mod client;
mod clock;
mod cloud;
mod decoded;
pub mod docs;
mod entry;
mod event;
mod family;
mod field;
mod fields;
#[cfg(feature = "http")]
mod http;
mod jwt;
mod keys;
mod limits;
mod object;
mod plan;
mod profile;
mod query;
mod response;
mod scope;
mod secret;
mod trace;
mod views;

pub use authority::AuthorityType;
pub use builder::TokenCacheBuilder;
pub use cache::TokenCache;
pub use client::{
    AccountInfo, AcquireError, AcquiredToken, Attempt, Candidate, Client, ClientFamily, Form,
    InteractionRequired, RefreshReason, Role, ServerError, SilentPlan, SilentRequest,
    TenantProfile, TokenEndpoint, TokenRequest, TokenResponse, TokenSource, TransportError,
    TransportErrorKind, Verdict,
};
pub use clock::{Clock, ManualClock, SystemClock};
pub use cloud::{Cloud, Clouds};
pub use entry::Entry;
pub use event::Event;
pub use fields::Fields;
#[cfg(feature = "http")]
pub use http::{AssertionRequest, DeviceFlow, DeviceFlowError, HttpEndpoint, HttpEndpointBuilder};
pub use limits::Limits;
#[cfg(feature = "conformance")]
pub use msal_cache_core::conformance;
pub use msal_cache_core::{
    Batch, Blob, BlobStore, Bytes, CacheStore, Change, CredentialType, Document, Error, Expect,
    Guards, Hold, Json, Load, Memory, Op, Partition, Record, Result, Revision, Snapshot,
    ext_cache_key, notice, retry,
};
#[cfg(feature = "file")]
pub use msal_cache_file::{
    Builder as FileStoreBuilder, Cae, FileBlob, FileStore, Location, LockHolder, OnCorrupt,
};
#[cfg(any(feature = "file", feature = "sqlite"))]
pub use msal_cache_place::Permissions;
#[cfg(feature = "sqlite")]
pub use msal_cache_sqlite::{Builder as SqliteStoreBuilder, Journal, SqliteStore, Synchronous};
pub use profile::Profile;
pub use query::{Query, Wanted};
pub use secret::Secret;
pub use views::{AccessToken, Account, AppMetadata, IdToken, RefreshToken};

use authority::environment_and_realm;
