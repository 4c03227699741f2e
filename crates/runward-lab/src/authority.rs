//! The lab's own certificate authority.

use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::error::LabError;

/// The name that the authority's own certificate bears.
const NAME: &str = "Runward lab authority";

/// A certificate authority that exists as long as its lab, or as the test that made it. Its key never leaves memory.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self, LabError> {
        let make = || {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.distinguished_name.push(DnType::CommonName, NAME);
            CertifiedIssuer::self_signed(params, KeyPair::generate()?)
        };
        make()
            .map(|issuer| Authority { issuer })
            .map_err(|error| failed(NAME, error))
    }

    /// The authority's certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// What a client needs to trust the lab's servers.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, LabError> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.issuer.der().clone())
            .map_err(|error| failed(NAME, error))?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(NAME, error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// A server's configuration with a fresh certificate for one name or address.
    pub fn server_config(&self, name: &str) -> Result<Arc<ServerConfig>, LabError> {
        let (chain, key) = self.issue(name).map_err(|error| failed(name, error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| failed(name, error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// A fresh certificate for one name or address, and its key, as PEM: for servers that are programs of their own.
    pub fn certificate(&self, name: &str) -> Result<(String, String), LabError> {
        let (certificate, key) = self.sign(name).map_err(|error| failed(name, error))?;
        Ok((certificate.pem() + &self.pem(), key.serialize_pem()))
    }

    fn issue(
        &self,
        name: &str,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), rcgen::Error> {
        let (certificate, key) = self.sign(name)?;
        let chain = vec![certificate.der().clone(), self.issuer.der().clone()];
        Ok((chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
    }

    fn sign(&self, name: &str) -> Result<(Certificate, KeyPair), rcgen::Error> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate, key))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

fn failed(name: &str, error: impl fmt::Display) -> LabError {
    LabError::Certificate {
        name: name.to_owned(),
        reason: error.to_string(),
    }
}
