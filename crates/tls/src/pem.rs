//! Certificates and keys out of PEM files.

use crate::Error;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// More than any bundle of certificates has; a file beyond it is something else.
const MAX_FILE: u64 = 16 << 20;

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |reason| Error::Unreadable { path: path.to_owned(), reason };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE {
        return Err(Error::Malformed { path: path.to_owned(), reason: format!("{size} bytes are no PEM file") });
    }
    std::fs::read(path).map_err(unreadable)
}

/// All certificates of a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let malformed = |reason: String| Error::Malformed { path: path.to_owned(), reason };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let found = found.map_err(|e| malformed(format!("not PEM: {e}")))?;
    if found.is_empty() {
        return Err(malformed("no certificate in it".into()));
    }
    Ok(found)
}

/// The first private key of a file: PKCS #8, PKCS #1 or SEC1, not encrypted.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let encrypted = bytes.windows(9).any(|w| w == b"ENCRYPTED");
        let reason = if encrypted { "the private key is encrypted".into() } else { format!("no private key: {error}") };
        Error::Malformed { path: path.to_owned(), reason }
    })
}
