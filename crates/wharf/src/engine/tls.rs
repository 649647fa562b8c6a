//! TLS to an engine: which files it needs, and a stream that one thread reads while another writes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use wharf_tls::Trust;

use super::Error;

/// Bytes taken from the socket at once: a record of TLS and its head fit.
const PIECE: usize = 17 << 10;

/// The certificates that a user named or left lying in docker's places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// Whom to trust; nobody in particular when the engine shall not be verified.
    pub(crate) trust: Trust,
    /// Certificate and key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

impl Files {
    /// The files in `folder` (a context's, or the configuration's), as far as they are there.
    pub(crate) fn lying_in(folder: &Path, verify: bool) -> Self {
        let there = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
        let trust = match (verify, there("ca.pem")) {
            (false, _) => Trust::Anybody,
            (true, Some(ca)) => Trust::File(ca),
            (true, None) => Trust::machine(),
        };
        Self { trust, identity: there("cert.pem").zip(there("key.pem")) }
    }

    /// Reads them.
    pub(crate) fn load(&self) -> Result<Arc<ClientConfig>, Error> {
        let client = wharf_tls::Client { trust: self.trust.clone(), identity: self.identity.clone() };
        client.load().map_err(|error| {
            let what = match &error {
                wharf_tls::Error::Unreadable { path, .. } if self.trust == Trust::File(path.clone()) => {
                    "could not read CA certificate"
                }
                wharf_tls::Error::Mismatch { .. } => "could not load X509 key pair",
                _ => "could not read TLS files",
            };
            match &error {
                // Go's words for what the system says
                wharf_tls::Error::Unreadable { path, reason } => {
                    Error::Address(format!("{what}: open {}: {}", path.display(), crate::go::io_error(reason)))
                }
                error => Error::Address(format!("{what}: {error}")),
            }
        })
    }
}

/// A connection that has shaken hands.
///
/// The session is never locked while a thread waits for the socket: an engine that sends before it reads on must find a reader.
#[derive(Debug)]
pub(crate) struct TlsStream {
    socket: TcpStream,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Whom it is with, for sentences.
    host: String,
    session: Mutex<ClientConnection>,
    /// Bytes of the socket that the session has not taken yet. Locked while reading, so that records stay in order.
    records: Mutex<Records>,
    /// Locked while writing, so that records stay in order.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Records {
    bytes: Vec<u8>,
    taken: usize,
}

impl TlsStream {
    /// Shakes hands with the engine called `host`.
    pub(crate) fn open(mut socket: TcpStream, host: &str, config: Arc<ClientConfig>) -> io::Result<Self> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let name = ServerName::try_from(host.to_owned()).map_err(|e| invalid(format!("{host}: {e}")))?;
        let mut session = ClientConnection::new(config, name).map_err(|e| invalid(e.to_string()))?;
        while session.is_handshaking() {
            session.complete_io(&mut socket).map_err(|error| sentence(error, host))?;
        }
        let shared = Shared {
            host: host.to_owned(),
            session: Mutex::new(session),
            records: Mutex::default(),
            writing: Mutex::default(),
        };
        Ok(Self { socket, shared: Arc::new(shared) })
    }

    fn session(&self) -> MutexGuard<'_, ClientConnection> {
        lock(&self.shared.session)
    }

    /// A second handle to the same stream.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, shared: self.shared.clone() })
    }

    /// Tells the other side that nothing more will be written; what it writes still comes.
    pub(crate) fn close_write(&self) {
        let _turn = lock(&self.shared.writing);
        self.session().send_close_notify();
        let _ = self.send();
    }

    /// Ends the stream both ways.
    pub(crate) fn close(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Sends what the session has ready. The caller has the turn to write.
    fn send(&self) -> io::Result<()> {
        loop {
            let mut ready = Vec::new();
            {
                let mut session = self.session();
                while session.wants_write() {
                    session.write_tls(&mut ready)?;
                }
            }
            if ready.is_empty() {
                return Ok(());
            }
            (&self.socket).write_all(&ready)?;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut records = lock(&self.shared.records);
        loop {
            match self.session().reader().read(buffer) {
                // an engine that was killed closes without saying so
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
            if records.taken == records.bytes.len() {
                records.bytes.resize(PIECE, 0);
                let count = (&self.socket).read(&mut records.bytes)?;
                records.bytes.truncate(count);
                records.taken = 0;
            }
            {
                // the session takes as much as it has room for; at the end of the stream it is told of the end
                let mut session = self.session();
                let mut rest = &records.bytes[records.taken..];
                let count = session.read_tls(&mut rest)?;
                session.process_new_packets().map_err(|error| sentence(io::Error::other(error), &self.shared.host))?;
                drop(session);
                records.taken += count;
            }
            // answers of the protocol itself; a writer that has the turn sends them along
            if let Ok(_turn) = self.shared.writing.try_lock() {
                self.send()?;
            }
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let _turn = lock(&self.shared.writing);
        let count = self.session().writer().write(buffer)?;
        self.send()?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let _turn = lock(&self.shared.writing);
        self.send()
    }
}

/// The sentence that docker's users know, when it was TLS that failed.
fn sentence(error: io::Error, host: &str) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => io::Error::other(wharf_tls::sentence(tls, host)),
        None => error,
    }
}
