// The examples of the README need these features.
#![cfg_attr(all(feature = "file", feature = "http", feature = "http-async"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "file", feature = "http", feature = "http-async")),
    doc = "The token cache that all MSAL libraries share."
)]
#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
mod aio;
#[cfg(feature = "azure")]
pub mod azure;
mod builder;
mod cache;
pub mod changes;
pub mod check;
mod client;
pub mod docs;
mod engine;
#[cfg(any(feature = "http", feature = "http-async"))]
pub mod http;
mod model;
pub mod plan;
#[cfg(any(feature = "http", feature = "http-async"))]
pub mod sign_in;

#[cfg(feature = "tokio")]
pub use aio::{AsyncClient, AsyncTokenCache};
pub use builder::TokenCacheBuilder;
pub use cache::TokenCache;
pub use client::Client;
pub use model::{
    AccountInfo, AcquireError, AcquiredToken, Authority, Entry, Event, Fields, Limits, Profile,
    Query, Secret, SilentRequest,
};
pub use msal_cache_core::{CredentialType, Error, Memory, Result};
#[cfg(feature = "file")]
pub use msal_cache_file::FileStore;
#[cfg(feature = "sqlite")]
pub use msal_cache_sqlite::SqliteStore;

pub mod account {
    //! Accounts: who is signed in.
    pub use crate::model::{AccountInfo, Added, AuthorityType, TenantProfile};
}

pub mod acquire {
    //! Acquisition of tokens: requests, tokens and errors. [`plan`](crate::plan) explains a token.
    pub use crate::model::{
        AcquireError, AcquireMetadata, AcquiredToken, AnsweredBy, InteractionRequired,
        RefreshReason, ServerError, SilentRequest, TokenSource,
    };
}

pub mod authority {
    //! Authorities: who issues tokens, and where. The guide is
    //! [`docs::authorities_and_errors`](crate::docs::authorities_and_errors).
    pub use crate::model::{Authority, AuthorityKind, Metadata};
}

pub mod clock {
    //! The time.
    pub use crate::model::{Clock, ManualClock, SystemClock};
}

pub mod cloud {
    //! Clouds, and the hosts by which each is known.
    pub use crate::model::{Cloud, Clouds};
}

pub mod endpoint {
    //! The token endpoint of an authorization server, over any HTTP client.
    pub use crate::model::{
        AsyncTokenEndpoint, DynAsyncTokenEndpoint, Form, ServerError, SharedTokenEndpoint,
        TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
    };
}

pub mod entry {
    //! Entries of the cache, and views of them by type.
    pub use crate::model::{
        AccessToken, Account, AppMetadata, Entry, IdToken, Problem, RefreshToken, Wanted,
    };
}

#[cfg(feature = "file")]
pub mod file {
    //! One JSON file, shared safely between processes and with the other MSAL libraries.
    pub use msal_cache_disk::Permissions;
    pub use msal_cache_file::{
        Cae, FileBlob, FileStore, FileStoreBuilder, Location, LockHolder, OnCorrupt,
    };
}

pub mod outage {
    //! What a cache does while the server of its store can't be reached. The guide is
    //! [`docs::outages`](crate::docs::outages).
    pub use crate::model::OutagePolicy;
}

#[cfg(feature = "postgres")]
pub mod postgres {
    //! A cache in a PostgreSQL database. The guide is [`docs::postgresql`](crate::docs::postgresql).
    pub use msal_cache_postgres::{
        Credentials, PostgresFailure, PostgresStore, PostgresStoreBuilder,
    };
}

#[cfg(feature = "redis")]
pub mod redis {
    //! A cache on a Redis or Valkey server. The guide is [`docs::redis`](crate::docs::redis).
    pub use msal_cache_redis::{Credentials, RedisFailure, RedisStore, RedisStoreBuilder};
}

#[cfg(feature = "secret-service")]
pub mod secret_service {
    //! The key store of the Linux desktop, shared with the other MSAL libraries. The guide is
    //! [`docs::secret_service`](crate::docs::secret_service).
    pub use msal_cache_secret_service::{
        DeveloperToolsStore, Encoding, OnLocked, SecretEntry, SecretService, SecretServiceBlob,
        SecretServiceFailure, SecretServiceOptions, SecretServiceStore, SecretServiceStoreBuilder,
    };
}

#[cfg(feature = "sealed")]
pub mod sealed {
    //! Encryption at rest, of any store. The guide is [`docs::sealed`](mod@crate::docs::sealed).
    pub use msal_cache_sealed::{
        Key, KeyRing, SealFailure, Sealed, SealedBlob, is_sealed_document, is_sealed_record,
        key_of_document, key_of_record,
    };

    /// The keys of an app in the key store of the Linux desktop; new ones, which are stored there, at the first
    /// use. The entry is [`SecretEntry::keys_of`](crate::secret_service::SecretEntry::keys_of). Processes that
    /// start at once have the same keys.
    ///
    /// For a part of this, such as keys that have to be there, pass the blob of the entry to
    /// [`KeyRing::from_blob`].
    ///
    /// ```no_run
    /// use msal_cache::sealed::{Sealed, keys_from_secret_service};
    /// use msal_cache::{Memory, TokenCache};
    ///
    /// let keys = keys_from_secret_service("contoso-mail")?;
    /// let cache = TokenCache::new(Sealed::new(Memory::new(), "contoso-mail", keys));
    /// # Ok::<(), msal_cache::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`SecretServiceStoreBuilder::open`](crate::secret_service::SecretServiceStoreBuilder::open) and
    /// of [`KeyRing::from_blob_or_new`].
    #[cfg(feature = "secret-service")]
    pub fn keys_from_secret_service(app: &str) -> crate::Result<KeyRing> {
        use crate::secret_service::{SecretEntry, SecretServiceStore};
        let entry = SecretEntry::keys_of(app)?;
        KeyRing::from_blob_or_new(SecretServiceStore::builder(entry).open_blob()?)
    }
}

#[cfg(feature = "sqlite")]
pub mod sqlite {
    //! A row for each token, in one SQLite database.
    pub use msal_cache_disk::Permissions;
    pub use msal_cache_sqlite::{Journal, SqliteStore, SqliteStoreBuilder, Synchronous};
}

#[doc(inline)]
pub use msal_cache_core as store;

#[cfg(feature = "conformance")]
pub use msal_cache_core::conformance;
