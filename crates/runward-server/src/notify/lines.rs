//! Lines to a system log elsewhere, over TCP or TLS.
//!
//! A log answers nothing. What can be known is that every byte was taken by the other machine, and that it did not break
//! the connection off when it was told that this was all.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use runward_notify::{Allowed, Failure, FailureKind, LogHost};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::{BuilderVerifierExt as _, Verifier};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::reach::{NotPublic, judge};

/// How long it is listened for the other side to break off, once it was told everything.
const LISTEN: Duration = Duration::from_millis(300);

/// A way to logs.
pub(super) struct Lines {
    allowed: Allowed,
    patience: Duration,
    tls: Arc<ClientConfig>,
}

impl Lines {
    pub(super) fn new(
        allowed: &Allowed,
        ca: Option<&str>,
        patience: Duration,
    ) -> anyhow::Result<Lines> {
        let provider = Arc::new(ring::default_provider());
        let mut authorities: Vec<CertificateDer<'static>> = Vec::new();
        for found in CertificateDer::pem_slice_iter(ca.unwrap_or_default().as_bytes()) {
            authorities.extend(found.ok());
        }
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let config = match authorities.is_empty() {
            true => builder.with_platform_verifier()?.with_no_client_auth(),
            false => {
                let verifier = Verifier::new_with_extra_roots(authorities, provider)?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
                    .with_no_client_auth()
            }
        };
        Ok(Lines {
            allowed: allowed.clone(),
            patience,
            tls: Arc::new(config),
        })
    }

    /// Sends frames that are complete.
    pub(super) async fn send(&self, log: &LogHost, frames: &[u8]) -> Result<(), Failure> {
        let sent = timeout(self.patience, self.sent(log, frames)).await;
        sent.unwrap_or_else(|_| {
            let seconds = self.patience.as_secs_f32();
            let told = format!("it was not taken within {seconds} seconds");
            Err(failure(told, FailureKind::Passing))
        })
    }

    async fn sent(&self, log: &LogHost, frames: &[u8]) -> Result<(), Failure> {
        let stream = self.connected(log).await?;
        if !log.tls {
            return put(stream, frames).await.map_err(broken);
        }
        let name = ServerName::try_from(log.host.clone());
        let name = name.map_err(|_| failure("its name can't be checked", FailureKind::Refused))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, stream).await;
        let stream = stream.map_err(|error| {
            let told = format!("there is no connection: {error}");
            failure(told, FailureKind::Passing)
        })?;
        put(stream, frames).await.map_err(broken)
    }

    /// Connects to an address that may be called, of those that the name leads to now.
    async fn connected(&self, log: &LogHost) -> Result<TcpStream, Failure> {
        let no_connection = |error: std::io::Error| {
            let told = format!("there is no connection: {error}");
            failure(told, FailureKind::Passing)
        };
        let found = lookup_host((log.host.as_str(), log.port)).await;
        let all: Vec<SocketAddr> = found.map_err(no_connection)?.collect();
        let may = judge(&all, &self.allowed);
        if may.is_empty() && !all.is_empty() {
            return Err(failure(NotPublic.to_string(), FailureKind::Refused));
        }
        TcpStream::connect(may.as_slice())
            .await
            .map_err(no_connection)
    }
}

async fn put(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    frames: &[u8],
) -> std::io::Result<()> {
    stream.write_all(frames).await?;
    stream.flush().await?;
    // With TLS, this tells the other side that nothing was cut off.
    stream.shutdown().await?;
    let mut rest = [0; 64];
    match timeout(LISTEN, stream.read(&mut rest)).await {
        Ok(Err(error)) if error.kind() != ErrorKind::UnexpectedEof => Err(error),
        // It has ended as well, has something to say that nobody asked for, or waits for more.
        _ => Ok(()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn broken(error: std::io::Error) -> Failure {
    failure(
        format!("the connection broke off: {error}"),
        FailureKind::Passing,
    )
}

fn failure(told: impl Into<String>, kind: FailureKind) -> Failure {
    Failure {
        error: told.into(),
        kind,
        after: None,
    }
}
