//! Credentials for the Azure SDK for Rust (feature `azure`): its
//! [`TokenCredential`](azure_core::credentials::TokenCredential) over any cache. The guide is
//! [`docs::azure`](crate::docs::azure).

mod builder;
mod challenge;
mod chosen;
mod credential;
mod error;
mod interaction;
mod record;

pub use builder::CredentialBuilder;
pub use challenge::ClaimsChallenge;
pub use credential::Credential;
pub use error::CredentialError;
pub use record::AuthenticationRecord;
