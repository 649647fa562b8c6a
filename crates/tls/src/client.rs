//! The dialling side: whom to trust, and the certificate to show.

use crate::{Error, pem, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The CAs of this file only.
    File(PathBuf),
    /// The CAs of this machine, and those of further files.
    Machine {
        /// The further files.
        and: Vec<PathBuf>,
    },
    /// Anybody: the connection is encrypted, its other end unknown.
    Anybody,
}

/// The files of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Whom to trust.
    pub trust: Trust,
    /// Certificate and key to show, when the server asks.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Where distributions keep the bundle of this machine's CAs; the first that is there counts.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

impl Trust {
    /// The CAs of this machine and no others.
    pub const fn machine() -> Self {
        Self::Machine { and: Vec::new() }
    }
}

impl Client {
    /// Reads the files. What is spoken within is HTTP/1.1.
    ///
    /// # Errors
    /// A file is missing or is not what it should be.
    pub fn load(&self) -> Result<Arc<ClientConfig>, Error> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let nowhere = |error: rustls::Error| Error::Malformed { path: PathBuf::new(), reason: error.to_string() };
        let builder = builder.map_err(nowhere)?;
        let builder = match &self.trust {
            Trust::Anybody => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Blind { provider: provider() }))
            }
            Trust::File(path) => builder.with_root_certificates(add(RootCertStore::empty(), path)?),
            Trust::Machine { and } => builder.with_root_certificates(and.iter().try_fold(machine(), |r, f| add(r, f))?),
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                builder.with_client_auth_cert(pem::certificates(certificate)?, pem::key(key)?).map_err(|error| {
                    Error::Mismatch { certificate: certificate.clone(), key: key.clone(), reason: error.to_string() }
                })?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// `roots` and the CAs of a file.
fn add(mut roots: RootCertStore, path: &Path) -> Result<RootCertStore, Error> {
    for certificate in pem::certificates(path)? {
        let malformed = |e: rustls::Error| Error::Malformed { path: path.to_owned(), reason: e.to_string() };
        roots.add(certificate).map_err(malformed)?;
    }
    Ok(roots)
}

/// The CAs of this machine; those in a form that we do not know are left out.
fn machine() -> RootCertStore {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let found = named.into_iter().chain(BUNDLES.iter().map(PathBuf::from)).find(|path| path.exists());
    let mut roots = RootCertStore::empty();
    if let Some(certificates) = found.and_then(|path| pem::certificates(&path).ok()) {
        roots.add_parsable_certificates(certificates);
    }
    roots
}

/// Accepts any certificate; the signatures of the handshake are still checked.
#[derive(Debug)]
struct Blind {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
