//! A connection to the host of a URL, with TLS where the URL says so.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::address::{resolve, unresolved};
use super::{PATIENCE, Policy};
use crate::proxy::Target;
use crate::stream::Stream;

/// Connects to the host of `url`, to the first of its addresses that answers.
pub(super) async fn connect(policy: &Policy, url: &Url) -> Result<Stream, String> {
    let host = url.host_str().ok_or("the URL has no host")?;
    let port = url.port_or_known_default().ok_or("the URL has no port")?;
    let connecting = async {
        if policy.way.has_proxy() {
            let target = unresolved(policy, host, port)?;
            let stream = policy.way.connect(target).await.map_err(|error| error.to_string())?;
            return secure(url, host, stream).await;
        }
        let mut failure = String::new();
        for address in resolve(policy, host, port).await? {
            match policy.way.connect(Target::Address(address)).await {
                Ok(stream) => return secure(url, host, stream).await,
                Err(error) => failure = error.to_string(),
            }
        }
        Err(failure)
    };
    tokio::time::timeout(PATIENCE, connecting)
        .await
        .unwrap_or_else(|_| Err(format!("{host} does not answer")))
}

async fn secure(url: &Url, host: &str, stream: TcpStream) -> Result<Stream, String> {
    // Without it, an announce waits for the acknowledgement of what went before.
    let _ = stream.set_nodelay(true);
    if !matches!(url.scheme(), "https" | "wss") {
        return Ok(Stream::Plain(stream));
    }
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(tls()?);
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| error.to_string())?;
    Ok(Stream::Tls(Box::new(stream.into())))
}

/// The settings of TLS: the system's certificates, or those that came with us where the system has none.
fn tls() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?;
            Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
        })
        .clone()
}
