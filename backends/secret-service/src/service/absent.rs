//! A system without the service.

use msal_cache_core::Bytes;

use super::SecretServiceOptions;
use crate::SecretEntry;
use crate::SecretServiceFailure::{self as Failure, Unsupported};

/// There is none.
pub(super) enum Connection {}

impl Connection {
    pub(super) fn open(_: SecretServiceOptions) -> Result<Self, Failure> {
        Err(Unsupported)
    }

    pub(super) fn read(&self, _: &SecretEntry) -> Result<Option<Bytes>, Failure> {
        match *self {}
    }

    pub(super) fn contains(&self, _: &SecretEntry) -> Result<bool, Failure> {
        match *self {}
    }

    pub(super) fn apps(&self) -> Result<Vec<String>, Failure> {
        match *self {}
    }

    pub(super) fn write(&self, _: &SecretEntry, _: &[u8]) -> Result<(), Failure> {
        match *self {}
    }

    pub(super) fn remove(&self, _: &SecretEntry) -> Result<bool, Failure> {
        match *self {}
    }
}
