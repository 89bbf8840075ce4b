use std::io;
use std::sync::Arc;

use msal_cache_core::Offload;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto};
use rustls_platform_verifier::Verifier;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::no_runtime;
use super::stream::Stream;
use crate::model::{TransportError, TransportErrorKind};

/// Whether the verifier of this platform calls the system, which may load certificates over the
/// network. That of other systems only computes.
const VERIFIER_BLOCKS: bool = cfg!(any(windows, target_vendor = "apple", target_os = "android"));

/// TLS with the certificates that the system trusts, or those of the app.
pub(super) struct Tls {
    roots: Option<RootCertStore>,
    /// Made for the first connection, since it reads the certificates of the system.
    connector: OnceCell<TlsConnector>,
    offload: Offload<()>,
    verifier_blocks: bool,
}

impl Tls {
    pub(super) fn new(roots: Option<&[CertificateDer<'static>]>, offload: Offload<()>) -> Self {
        let roots = roots.map(|roots| {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(roots.iter().cloned());
            store
        });
        let verifier_blocks = VERIFIER_BLOCKS && roots.is_none();
        Self { roots, connector: OnceCell::new(), offload, verifier_blocks }
    }

    /// Begins TLS with the server of this name.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: Box<dyn Stream>,
        deadline: Instant,
    ) -> Result<TlsStream<Box<dyn Stream>>, TransportError> {
        let unreachable =
            |error: io::Error| TransportError::new(TransportErrorKind::Unreachable, error);
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| unreachable(io::Error::other(error)))?;
        let connector = self.connector.get_or_try_init(|| self.connector()).await?.clone();
        let handshake = async move {
            let timed_out = || io::Error::new(io::ErrorKind::TimedOut, "timeout: TLS");
            let done = timeout_at(deadline, connector.connect(name, stream)).await;
            done.unwrap_or_else(|_| Err(timed_out()))
        };
        if self.verifier_blocks {
            let done = self.offload.call(|&()| Handle::current().block_on(handshake)).await;
            done.map_err(no_runtime)?.map_err(unreachable)
        } else {
            handshake.await.map_err(unreachable)
        }
    }

    async fn connector(&self) -> Result<TlsConnector, TransportError> {
        let roots = self.roots.clone();
        let config = self.offload.call(move |&()| config(roots)).await.map_err(no_runtime)?;
        let error = |error| TransportError::new(TransportErrorKind::Unreachable, error);
        config.map(|config| Arc::new(config).into()).map_err(error)
    }
}

fn config(roots: Option<RootCertStore>) -> Result<ClientConfig, rustls::Error> {
    // Not the default of the process, which an app may not have chosen.
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(rustls::ALL_VERSIONS)?;
    Ok(match roots {
        Some(roots) => builder.with_root_certificates(roots),
        None => builder
            // The verifier of the platform is as strict as that of rustls.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(provider)?)),
    }
    .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::runtime::Builder;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("../../../tests/fixtures/tls/certificate.pem");
    const KEY: &[u8] = include_bytes!("../../../tests/fixtures/tls/key.pem");

    /// TLS as on a platform whose verifier blocks.
    fn tls() -> Tls {
        let roots = crate::http::certificates::parse(CERTIFICATE).unwrap();
        Tls { verifier_blocks: true, ..Tls::new(Some(&roots), Offload::default()) }
    }

    async fn connect(tls: &Tls, host: &str, stream: DuplexStream) -> Result<(), TransportError> {
        let deadline = Instant::now() + Duration::from_millis(300);
        let mut stream = tls.connect(host, Box::new(stream), deadline).await?;
        assert_eq!(stream.read_u8().await.unwrap(), 7);
        Ok(())
    }

    async fn serve(stream: DuplexStream) {
        let certificates = crate::http::certificates::parse(CERTIFICATE).unwrap();
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, PrivateKeyDer::from_pem_slice(KEY).unwrap())
            .unwrap();
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            stream.write_u8(7).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    }

    #[test]
    fn a_handshake_can_take_place_on_a_thread_for_blocking_work() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, server) = duplex(1024);
            tokio::spawn(serve(server));
            connect(&tls(), "login.example", client).await.unwrap();

            let (client, server) = duplex(1024);
            tokio::spawn(serve(server));
            let error = connect(&tls(), "other.example", client).await.unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Unreachable);

            // The server is silent. The thread ends, else the runtime would wait for it.
            let (client, _server) = duplex(1024);
            let error = connect(&tls(), "login.example", client).await.unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Unreachable);
        });
    }
}
