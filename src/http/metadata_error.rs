use msal_cache_core::Error;

use crate::model::{ServerError, TransportError};

/// Why an authority has no metadata.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The server refused the document, such as that of a tenant that doesn't exist.
    #[error("the server refused the document {address}; check the tenant")]
    Refused {
        /// The address of the document.
        address: String,
        /// What the server said.
        #[source]
        source: ServerError,
    },

    /// The document could not be fetched, or is no JSON object.
    #[error(transparent)]
    Transport(#[from] TransportError),

    /// The document says something that is invalid for this authority. The source names the field.
    #[error("the document {address} is invalid for this authority")]
    Document {
        /// The address of the document.
        address: String,
        /// The field, and why it is invalid.
        #[source]
        source: Error,
    },

    /// Microsoft doesn't know the host (`invalid_instance` of instance discovery).
    #[error(
        "Microsoft doesn't know the host {host}; if it is that of a private cloud or of a domain of your \
         own, turn `instance_discovery` off"
    )]
    UnknownHost {
        /// The host of the authority.
        host: String,
        /// What the server said.
        #[source]
        source: ServerError,
    },

    /// The issuer is not an address. Nothing was sent.
    #[error(transparent)]
    Invalid(#[from] Error),
}
