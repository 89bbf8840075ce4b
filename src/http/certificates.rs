//! Root certificates in PEM format.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject, SectionKind};

/// Parses all certificates of a PEM file.
pub(super) fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let mut certificates = Vec::new();
    let mut store = RootCertStore::empty();
    for item in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = item.map_err(|_| "it is not valid PEM")?;
        if kind != SectionKind::Certificate {
            return Err("it contains an item that is not a certificate");
        }
        let certificate = CertificateDer::from(der);
        store.add(certificate.clone()).map_err(|_| "it contains an invalid certificate")?;
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        return Err("it contains no certificate");
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_certificates_are_accepted() {
        for (pem, why) in [
            ("", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "PEM"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "invalid certificate",
            ),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a certificate"),
        ] {
            let reason = parse(pem.as_bytes()).unwrap_err();
            assert!(reason.contains(why), "{pem}: {reason}");
        }
    }
}
