//! TLS by rustls.

use std::sync::Arc;

use msal_cache_core::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, crypto};
use rustls_platform_verifier::Verifier;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::{Address, read_file};

/// What the server's certificate is checked against, and how the client proves who it is.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// PEM; the roots that the system trusts unless set.
    pub(crate) roots: Option<Vec<u8>>,
    /// Certificates and key in PEM.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// Reads the files that an address names, unless the builder has set their contents.
    pub(crate) fn add(&mut self, address: &Address) -> Result<()> {
        if address.config.get_ssl_mode() == SslMode::Disable {
            return Ok(());
        }
        if let (None, Some(path)) = (&self.roots, &address.root) {
            self.roots = Some(read_file("sslrootcert", path)?);
        }
        match (&self.client, &address.certificate, &address.key) {
            (Some(_), ..) | (None, None, None) => {}
            (None, Some(certificate), Some(key)) => {
                self.client = Some((read_file("sslcert", certificate)?, read_file("sslkey", key)?));
            }
            _ => {
                return Err(Error::invalid(
                    "sslcert",
                    "a certificate needs `sslcert` and `sslkey`",
                ));
            }
        }
        Ok(())
    }

    /// Reads the roots of the system only if they are `used`.
    pub(crate) fn connector(&self, used: bool) -> Result<MakeRustlsConnect> {
        // Not the default of the process, which an app may not have chosen.
        let provider = Arc::new(crypto::ring::default_provider());
        let invalid = |error: rustls::Error| Error::invalid("tls", error.to_string());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(invalid)?;
        let builder = match &self.roots {
            Some(pem) => builder.with_root_certificates(roots(pem)?),
            None if !used => builder.with_root_certificates(RootCertStore::empty()),
            None => builder.dangerous().with_custom_certificate_verifier(Arc::new(
                Verifier::new(provider).map_err(invalid)?,
            )),
        };
        let config = match &self.client {
            Some((certificates, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|_| Error::invalid("client_certificate", "the key is not PEM"))?;
                builder
                    .with_client_auth_cert(
                        certificates_in("client_certificate", certificates)?,
                        key,
                    )
                    .map_err(|error| Error::invalid("client_certificate", error.to_string()))?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(MakeRustlsConnect::new(config))
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_in("root_certificates", pem)? {
        let added = roots.add(certificate);
        added.map_err(|error| Error::invalid("root_certificates", error.to_string()))?;
    }
    Ok(roots)
}

fn certificates_in(field: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match parsed {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Error::invalid(field, "has no certificate in PEM format")),
    }
}
