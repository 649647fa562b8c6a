//! Talking to an engine: where it is, and HTTP/1.1 over that.
//!
//! A command needs a handful of requests, so this is blocking code over plain sockets: no reactor has to be started,
//! and one kept-alive connection serves all requests that come one after the other.

mod address;
mod connection;
mod query;
mod request;
mod start;
mod stream;
mod tls;

pub(crate) use address::{Address, parse_host};
pub(crate) use connection::{Body, Head};
pub(crate) use query::{Query, escape_path};
pub(crate) use request::{Ahead, Client, Hijacked, Method, Ping, Settings};
pub(crate) use start::{DEFAULT_SOCKETS, daemon, default_address};
pub(crate) use stream::Stream;
pub(crate) use tls::Files as TlsFiles;

/// Why a request gave no answer. The messages are docker's sentences.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The engine said no.
    #[error("Error response from daemon: {message}")]
    Response { status: u16, message: String },
    /// An answer without a message.
    #[error("{0}")]
    Status(String),
    /// Nobody answers there.
    #[error("Cannot connect to the Docker daemon at {0}. Is the docker daemon running?")]
    Unreachable(String),
    /// Somebody does, but not us.
    #[error("permission denied while trying to connect to the Docker daemon socket at {address}: {reason}")]
    Denied { address: String, reason: String },
    /// The address makes no sense.
    #[error("{0}")]
    Address(String),
    /// The connection broke.
    #[error("error during connect: {0}")]
    Broken(String),
    /// Not HTTP, or not JSON.
    #[error("{0}")]
    Protocol(String),
}

impl Error {
    /// Whether the engine does not know the object.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Response { status: 404, .. })
    }
}
