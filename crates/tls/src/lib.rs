//! TLS configurations from PEM files, for everything of ours that serves or dials TLS. The provider is chosen here and nowhere else.

mod client;
mod pem;
mod sentence;
mod server;

pub use client::{Client, Trust};
pub use sentence::sentence;
pub use server::{Clients, Reloading, Server};

use std::path::PathBuf;
use std::sync::Arc;

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("open {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's sentence.
        reason: std::io::Error,
    },
    /// A file has no certificate, or no key, or rubbish.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not go together, or the certificate cannot be used.
    #[error("certificate {} and key {}: {reason}", certificate.display(), key.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// rustls's sentence.
        reason: String,
    },
}

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
