//! Discovery: the metadata document of an authority, and the cloud of a host that is not known.

use std::time::Duration;

use http::Uri;
use msal_cache_core::{Error, Result};
use serde_json::Value;

use super::address;
use super::documents::DocumentError;
use super::exchange::Exchange;
use super::metadata_error::MetadataError;
use super::wire::Wire;
use crate::model::address::Address;
use crate::model::{
    Authority, AuthorityKind, Cloud, Fields, Metadata, document_address, is_known_cloud,
};

/// How long a document is used.
const LIFETIME: Duration = Duration::from_secs(86_400);

/// Where Microsoft says which hosts are its own (`authority.py` of MSAL Python).
const INSTANCE_DISCOVERY: &str = "https://login.microsoftonline.com/common/discovery/instance";

/// Version 1.1 has the hosts of the cloud, which MSAL Python asks for separately.
const API_VERSION: &str = "1.1";

/// How metadata is fetched and validated.
#[derive(Clone, Debug, Default)]
pub(super) struct DiscoveryOptions {
    /// Hosts of endpoints, besides those of the authority.
    pub(super) hosts: Vec<String>,
    pub(super) is_instance_discovery_off: bool,
    pub(super) instance_discovery_endpoint: Option<Uri>,
}

/// What instance discovery says of a host.
struct Instance {
    document_address: String,
    cloud: Option<Cloud>,
}

impl<W: Wire> Exchange<W> {
    /// The provider of an issuer, with its metadata.
    pub(super) async fn discover_issuer(&self, issuer: &str) -> Result<Authority, MetadataError> {
        self.discover(&Authority::undiscovered(issuer)?).await
    }

    /// The authority with its metadata, if it is not known where its endpoints are.
    pub(super) async fn discover_unknown(
        &self,
        authority: &Authority,
    ) -> Result<Authority, MetadataError> {
        let is_unknown = match authority.kind() {
            AuthorityKind::Aad => !is_known_cloud(authority.environment()),
            AuthorityKind::Oidc => true,
            _ => false,
        };
        let is_set = authority.has_own_token_endpoint() || self.options.token_endpoint.is_some();
        let is_set = is_set || authority.metadata().is_some();
        if is_unknown && !is_set { self.discover(authority).await } else { Ok(authority.clone()) }
    }

    /// The authority with its metadata.
    pub(super) async fn discover(&self, authority: &Authority) -> Result<Authority, MetadataError> {
        let is_asked = authority.kind() == AuthorityKind::Aad
            && !is_known_cloud(authority.environment())
            && !self.options.discovery.is_instance_discovery_off;
        let instance = if is_asked {
            self.instance(authority).await?
        } else {
            Instance { document_address: document_address(authority), cloud: None }
        };
        let address = instance.document_address;
        let document = self.document(&address, LIFETIME).await;
        let document = document.map_err(|error| MetadataError::of(&address, error))?;
        let invalid = |source| MetadataError::Document { address: address.clone(), source };
        let hosts = &self.options.discovery.hosts;
        let metadata = Metadata::validate(authority, &document.fields, hosts).map_err(invalid)?;
        authority.clone().with_metadata(metadata, instance.cloud).map_err(invalid)
    }

    /// Asks which cloud the host of an authority belongs to.
    async fn instance(&self, authority: &Authority) -> Result<Instance, MetadataError> {
        let configured = &self.options.discovery.instance_discovery_endpoint;
        let endpoint = configured.as_ref().map(Uri::to_string);
        let endpoint = endpoint.as_deref().unwrap_or(INSTANCE_DISCOVERY);
        let authorization_endpoint = format!("{}/oauth2/v2.0/authorize", authority.as_str());
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("api-version", API_VERSION)
            .append_pair("authorization_endpoint", &authorization_endpoint)
            .finish();
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        let address = format!("{endpoint}{separator}{query}");
        let document = match self.document(&address, LIFETIME).await {
            Ok(document) => document,
            Err(DocumentError::Refused(error)) if error.error() == "invalid_instance" => {
                let host = authority.environment().to_owned();
                return Err(MetadataError::UnknownHost { host, source: error });
            }
            Err(error) => return Err(MetadataError::of(endpoint, error)),
        };
        read_instance(authority, &document.fields).map_err(|source| {
            let endpoint = endpoint.split('?').next().unwrap_or_default();
            MetadataError::Document { address: endpoint.to_owned(), source }
        })
    }
}

fn read_instance(authority: &Authority, document: &Fields) -> Result<Instance> {
    let host = authority.environment();
    let cloud = match document.get("metadata") {
        None | Some(Value::Null) => None,
        Some(Value::Array(clouds)) => {
            let clouds = clouds.iter().filter_map(cloud_of);
            clouds.into_iter().find(|cloud| cloud.has(host))
        }
        Some(_) => return Err(Error::invalid("metadata", "it is not an array")),
    };
    let field = "tenant_discovery_endpoint";
    let found = document.get(field).and_then(Value::as_str);
    let found = found.ok_or_else(|| Error::invalid(field, "it is missing, or not a string"))?;
    let parsed = Address::parse(found).map_err(|reason| Error::invalid(field, reason))?;
    if parsed.host != host && !cloud.as_ref().is_some_and(|cloud| cloud.has(&parsed.host)) {
        return Err(Error::invalid(field, "its host is not one of the cloud of the authority"));
    }
    Ok(Instance { document_address: found.to_owned(), cloud })
}

/// A cloud of the response, or `None` for one without names.
fn cloud_of(entry: &Value) -> Option<Cloud> {
    let name = |field: &str| entry.get(field).and_then(Value::as_str).map(str::to_owned);
    let aliases = entry.get("aliases").and_then(Value::as_array).into_iter().flatten();
    let cloud = aliases
        .filter_map(Value::as_str)
        .fold(Cloud::new(name("preferred_network")?), |cloud, host| cloud.alias(host.to_owned()));
    Some(cloud.cached_as(name("preferred_cache")?))
}

impl MetadataError {
    fn of(address: &str, error: DocumentError) -> Self {
        match error {
            DocumentError::Transport(error) => Self::Transport(error),
            DocumentError::Refused(source) => {
                let address = address.parse().map(|it| address::printable(&it)).unwrap_or_default();
                Self::Refused { address, source }
            }
        }
    }
}
