//! TLS: the machine's roots, a registry's own certificates (`certs.d`), and what is not verified where that is allowed.
//!
//! ```text
//!   certs.d/<host:port>/*.crt           further roots
//!                      /*.cert + *.key  a certificate to show to the registry
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{Error, Result, Settings};

/// Where distributions keep their bundle of roots.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The TLS configuration for one `host[:port]`.
///
/// # Errors
/// [`Error::Settings`] for files under `certs.d` that cannot be used.
pub(crate) fn config(settings: &Settings, authority: &str, verify: bool) -> Result<Arc<ClientConfig>> {
    let own = Own::read(settings, authority)?;
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Settings(e.to_string()))?;
    let builder = if verify {
        builder.with_root_certificates(roots(own.roots)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    };
    let mut config = match own.identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|e| Error::Settings(format!("client certificate for {authority}: {e}")))?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(own: Vec<CertificateDer<'static>>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let bundle = named.or_else(|| BUNDLES.iter().map(PathBuf::from).find(|p| p.exists()));
    if let Some(bundle) = bundle {
        let all = certificates(&bundle)?;
        // a bundle may hold roots of a kind that cannot be used
        store.add_parsable_certificates(all);
    }
    for root in own {
        store.add(root).map_err(|e| Error::Settings(format!("a CA certificate of the registry: {e}")))?;
    }
    Ok(store)
}

/// What the administrator gave for one registry.
#[derive(Default)]
struct Own {
    roots: Vec<CertificateDer<'static>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Own {
    fn read(settings: &Settings, authority: &str) -> Result<Self> {
        let mut own = Self::default();
        for folder in &settings.certificates {
            // an authority has no slash: `Address` sees to that
            if matches!(authority, "." | "..") {
                continue;
            }
            own.add(&folder.join(authority))?;
        }
        Ok(own)
    }

    fn add(&mut self, folder: &Path) -> Result<()> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
        let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        files.sort();
        let has = |path: &Path| files.iter().any(|f| f == path);
        for file in &files {
            match file.extension().and_then(|e| e.to_str()) {
                Some("crt") => self.roots.extend(certificates(file)?),
                Some("cert") => {
                    let key = file.with_extension("key");
                    if !has(&key) {
                        return Err(Error::Settings(format!(
                            "missing key {} for client certificate {}. CA certificates must use the extension .crt",
                            shown(&key),
                            shown(file)
                        )));
                    }
                    let private = PrivateKeyDer::from_pem_file(&key)
                        .map_err(|e| Error::Settings(format!("read `{}`: {e}", key.display())))?;
                    self.identity = Some((certificates(file)?, private));
                }
                Some("key") => {
                    let certificate = file.with_extension("cert");
                    if !has(&certificate) {
                        return Err(Error::Settings(format!(
                            "missing client certificate {} for key {}",
                            shown(&certificate),
                            shown(file)
                        )));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = |e: rustls::pki_types::pem::Error| Error::Settings(format!("read `{}`: {e}", file.display()));
    CertificateDer::pem_file_iter(file).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}

/// Takes any certificate: for registries that the administrator calls insecure. That the peer has the key is verified all the same.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
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
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Go's sentence for a failed handshake.
pub(crate) fn reason(error: &rustls::Error, host: &str) -> String {
    use rustls::{AlertDescription as Alert, CertificateError as Bad, Error as Tls};
    let bad = |why: &str| format!("tls: failed to verify certificate: x509: {why}");
    match error {
        Tls::InvalidMessage(_) => "http: server gave HTTP response to HTTPS client".into(),
        Tls::InvalidCertificate(Bad::UnknownIssuer) => bad("certificate signed by unknown authority"),
        Tls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            bad(&format!("certificate is not valid for {host}"))
        }
        Tls::InvalidCertificate(
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. },
        ) => bad("certificate has expired or is not yet valid"),
        Tls::InvalidCertificate(other) => bad(&format!("{other:?}")),
        Tls::AlertReceived(Alert::CertificateRequired) => "remote error: tls: certificate required".into(),
        Tls::AlertReceived(Alert::BadCertificate) => "remote error: tls: bad certificate".into(),
        Tls::AlertReceived(alert) => format!("remote error: tls: {alert:?}"),
        other => format!("tls: {other}"),
    }
}
