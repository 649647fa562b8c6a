//! The serving side: a certificate of one's own, and what is asked of clients.

use crate::{Error, pem, provider};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What is asked of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    /// Anybody may come.
    Any,
    /// A client must show a certificate that a CA of this file has signed.
    SignedBy(PathBuf),
}

/// The files of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The certificate, followed by those in between.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// What is asked of clients.
    pub clients: Clients,
}

impl Server {
    /// Reads the files.
    ///
    /// # Errors
    /// A file is missing or is not what it should be.
    pub fn load(&self) -> Result<Arc<ServerConfig>, Error> {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| self.mismatch(&e))?;
        let builder = match &self.clients {
            Clients::Any => builder.with_no_client_auth(),
            Clients::SignedBy(path) => {
                let malformed = |reason: String| Error::Malformed { path: path.clone(), reason };
                let mut roots = RootCertStore::empty();
                for certificate in pem::certificates(path)? {
                    roots.add(certificate).map_err(|e| malformed(e.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
                builder.with_client_cert_verifier(verifier.map_err(|e| malformed(e.to_string()))?)
            }
        };
        let config = builder.with_single_cert(pem::certificates(&self.certificate)?, pem::key(&self.key)?);
        let mut config = config.map_err(|e| self.mismatch(&e))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn mismatch(&self, error: &rustls::Error) -> Error {
        Error::Mismatch { certificate: self.certificate.clone(), key: self.key.clone(), reason: error.to_string() }
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let ca = match &self.clients {
            Clients::Any => None,
            Clients::SignedBy(path) => Some(path.as_path()),
        };
        [self.certificate.as_path(), self.key.as_path()].into_iter().chain(ca)
    }

    /// When each file was last written; `None` where it cannot be told.
    fn times(&self) -> Vec<Option<SystemTime>> {
        self.files().map(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok()).collect()
    }
}

/// How often changed files are looked for at most: a renewal shows within a second, a flood of handshakes costs nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A configuration that follows its files: new certificates count from the next connection on.
#[derive(Debug)]
pub struct Reloading {
    server: Server,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    config: Arc<ServerConfig>,
    times: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl Reloading {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// As [`Server::load`].
    pub fn new(server: Server) -> Result<Self, Error> {
        let times = server.times();
        let state = State { config: server.load()?, times, looked: Instant::now() };
        Ok(Self { server, state: Mutex::new(state) })
    }

    /// The configuration for the next connection. Files that changed are read again; while they do not fit together the last
    /// good ones stay, and the error comes along once.
    pub fn current(&self) -> (Arc<ServerConfig>, Option<Error>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() < LOOK_EVERY {
            return (state.config.clone(), None);
        }
        state.looked = Instant::now();
        let times = self.server.times();
        if times == state.times {
            return (state.config.clone(), None);
        }
        state.times = times;
        match self.server.load() {
            Ok(config) => {
                state.config = config;
                (state.config.clone(), None)
            }
            Err(error) => (state.config.clone(), Some(error)),
        }
    }
}
