//! Encryption at rest for the stores of `msal-cache`.
//!
//! [`Sealed`] encrypts the records of a store with rows, [`SealedBlob`] a whole document, with the
//! numbered keys of a [`KeyRing`]. The cipher is XChaCha20-Poly1305. `docs::sealed` of `msal-cache` is
//! the guide, and has the format byte by byte.

#![forbid(unsafe_code)]

mod blob;
mod envelope;
mod error;
mod file;
mod header;
mod key;
mod names;
mod record;
mod rekey;
mod ring;
mod segments;
mod store;
mod stored;
mod text;

pub use blob::{SealedBlob, is_sealed_document, key_of_document};
pub use error::SealFailure;
pub use key::Key;
pub use rekey::{is_sealed_record, key_of_record};
pub use ring::KeyRing;
pub use store::Sealed;
