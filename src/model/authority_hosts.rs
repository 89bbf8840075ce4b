use std::ops::Deref;

use crate::model::{Authority, Clouds, Hosts};

/// An authority, and the hosts of its cloud.
#[derive(Clone, Debug)]
pub(crate) struct AuthorityHosts {
    authority: Authority,
    /// The names of its cloud.
    pub(crate) hosts: Hosts,
}

impl AuthorityHosts {
    pub(crate) fn new(authority: Authority, clouds: &Clouds) -> Self {
        let hosts = Hosts::of(clouds, authority.environment());
        Self { authority, hosts }
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl Deref for AuthorityHosts {
    type Target = Authority;

    fn deref(&self) -> &Authority {
        &self.authority
    }
}
