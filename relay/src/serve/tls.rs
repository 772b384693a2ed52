//! HTTPS and WSS on the HTTP listeners: a certificate and its key, read once at the start.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::stream::Stream;

/// How long the handshake of TLS may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why TLS cannot be had.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read.
    Io(PathBuf, io::Error),
    /// What is in the files cannot be used.
    Bad(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Bad(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for TlsError {}

/// What a relay needs to be reached by TLS.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the key.
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads a chain of certificates, our own first, and the private key of that one; both are PEM.
    ///
    /// # Errors
    /// `Io` where a file cannot be read; `Bad` where there is no certificate or key in it, or one does not belong to the other.
    pub fn read(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| std::fs::read(path).map_err(|error| TlsError::Io(path.to_owned(), error));
        let (chain, secret) = (read(certificates)?, read(key)?);
        let bad = |path: &Path, why: &dyn fmt::Display| TlsError::Bad(format!("{}: {why}", path.display()));
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
        let chain = chain.map_err(|error| bad(certificates, &error))?;
        if chain.is_empty() {
            return Err(bad(certificates, &"there is no certificate in it"));
        }
        let secret = PrivateKeyDer::from_pem_slice(&secret).map_err(|error| bad(key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret));
        let mut config = config.map_err(|error| bad(certificates, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Shakes hands with a client; `None` if it does not speak TLS, or is too slow.
    pub(super) async fn accept(&self, stream: TcpStream) -> Option<Stream> {
        let accepted = tokio::time::timeout(HANDSHAKE, self.0.accept(stream)).await;
        let stream = accepted.ok()?.ok()?;
        Some(Stream::Tls(Box::new(stream.into())))
    }
}
