//! What can go wrong in the store, by what the caller can do about it. The sentences are Docker's where Docker has one.

use std::{io, path::PathBuf};

use wharf_spec::{digest::Digest, reference::ReferenceError};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No image has this name or identifier.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// A container has no snapshot here.
    #[error("No such snapshot: {0}")]
    NoSuchSnapshot(String),
    /// A prefix means several images.
    #[error("ambiguous prefix: {0}")]
    Ambiguous(String),
    /// What is there forbids the request.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The request cannot be right.
    #[error("{0}")]
    Invalid(String),
    /// A name does not follow the grammar.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// An archive that cannot be taken: broken, hostile or of a kind we do not know.
    #[error("{0}")]
    Archive(#[from] wharf_archive::Error),
    /// A document inside an archive is not what it should be.
    #[error("invalid archive: {0}")]
    Document(String),
    /// Bytes do not have the digest that was promised.
    #[error("{what}: digest is {found}, expected {expected}")]
    DigestMismatch {
        /// Which blob.
        what: String,
        /// The promise.
        expected: Box<Digest>,
        /// The truth.
        found: Box<Digest>,
    },
    /// This machine or this program cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// The operation was cancelled.
    #[error("context canceled")]
    Cancelled,
    /// A system call or a file operation.
    #[error("{op} `{}`: {source}", path.display())]
    Io {
        /// What was done.
        op: &'static str,
        /// To what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The other end of a stream.
    #[error("{op}: {source}")]
    Stream {
        /// `read archive` or `write archive`.
        op: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    State(#[from] wharf_state::Error),
    /// What is on disk is not what the rows say.
    #[error("corrupt store: {0}")]
    Corrupt(String),
}

impl Error {
    /// For `map_err`: wraps an error of the operation `op` on `path`.
    pub(crate) fn io<E: Into<io::Error>>(op: &'static str, path: &std::path::Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { op, path, source: source.into() }
    }

    /// For `map_err`: an archive that could not be read on.
    pub(crate) fn read(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => wharf_archive::Error::Truncated("a file").into(),
            _ => Self::Stream { op: "read archive", source },
        }
    }
}
