//! What can go wrong with volumes, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such volume.
    #[error("get {0}: no such volume")]
    NotFound(String),
    /// There is no such snapshot, or no such path inside the volume.
    #[error("{0}")]
    Missing(String),
    /// There is no such driver.
    #[error("{0}")]
    NoDriver(String),
    /// It is in use, or the name is taken.
    #[error("{0}")]
    Conflict(String),
    /// The wish is wrong.
    #[error("{0}")]
    Invalid(String),
    /// Something that this kernel, file system or driver cannot do.
    #[error("{0}")]
    Unsupported(String),
    /// The kernel refuses to mount a volume.
    #[error("{0}")]
    Mount(String),
    /// A volume plugin does not answer, or answers with an error.
    #[error("{0}")]
    Plugin(String),
    /// The archive that is read or written.
    #[error(transparent)]
    Archive(#[from] wharf_archive::Error),
    /// A file operation.
    #[error("{op} `{}`: {source}", path.display())]
    Io {
        /// What.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A row that cannot be read.
    #[error("{0}")]
    Corrupt(String),
    /// The database.
    #[error(transparent)]
    State(#[from] wharf_state::Error),
}

impl Error {
    pub(crate) fn io<E: Into<io::Error>>(op: &'static str, path: &Path) -> impl FnOnce(E) -> Error + use<E> {
        let path = path.to_owned();
        move |source| Error::Io { op, path, source: source.into() }
    }
}

/// The kernel's reason in the words of Go programs: "no such file or directory".
pub(crate) fn reason(errno: rustix::io::Errno) -> String {
    let text = io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
