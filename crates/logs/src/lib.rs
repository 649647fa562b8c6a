//! Container log files: what the keeper writes and what `logs` reads back.
//!
//! ```text
//!  pipe ─► split (lines, 16 KiB parts) ─► json (Docker's json-file) ─► file (append, rotate)       writer side
//!  file, file.1, file.2.gz ─► chain (oldest first) ─► decode ─► Entry ─► stdcopy frames / raw      reader side
//! ```
//!
//! Everything here is synchronous. A writer lives in the single-threaded keeper of a container, a reader in a blocking
//! thread of the daemon; they share nothing but the files, so either survives the other.
//!
//! The driver is an enum ([`LogConfig`], [`Writer`]): the set is closed, and the two directions meet in [`Entry`].

mod chain;
mod codec;
mod escape;
mod file;
mod follow;
mod frame;
mod json;
mod line;
mod local;
mod reader;
mod split;
mod time;
mod writer;

pub use file::{Compression, Rotation, files};
pub use follow::StopHandle;
pub use frame::{Format, Framing};
pub use reader::{Position, Progress, ReadOptions, Reader};
pub use time::Timestamp;
pub use writer::{FileWriter, Writer};

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which of the two output streams a line came from. A terminal has only `Stdout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

/// One logged line, as a reader yields it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The stream it was written to.
    pub stream: Stream,
    /// When the keeper read it.
    pub time: Timestamp,
    /// The bytes, with their final newline; a part of a line longer than 16 KiB has none.
    pub line: &'a [u8],
    /// Labels and environment chosen by log options, as the JSON object that the file holds (`{"tag":"x"}`).
    pub attrs: Option<&'a [u8]>,
}

/// Where and how a container's output is kept. Travels to the keeper, so variants are only ever appended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogConfig {
    /// Nothing is kept (`--log-driver none`).
    #[default]
    None,
    /// Docker's `json-file`.
    JsonFile {
        /// The current file; rotated ones are beside it with `.1`, `.2` …
        path: PathBuf,
        /// When a new file begins and how many are kept.
        rotation: Rotation,
        /// Key and value of every entry's `attrs`; written sorted by key, as Go does.
        attrs: Vec<(String, String)>,
    },
    /// Docker's `local`: smaller than `json-file`, and without attributes.
    Local {
        /// The current file (`local-logs/container.log` in the container's folder); rotated ones are beside it.
        path: PathBuf,
        /// As above; Docker's own defaults for this driver are [`Rotation::LOCAL`].
        rotation: Rotation,
    },
}

/// What went wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused an operation on a file.
    #[error("{op} `{}`", path.display())]
    Io {
        /// The operation, as the system call is called.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: std::io::Error,
    },
    /// The driver keeps nothing that could be read.
    #[error("configured logging driver does not support reading")]
    NotReadable,
}

impl Error {
    pub(crate) fn io(op: &'static str, path: &std::path::Path, source: impl Into<std::io::Error>) -> Self {
        Self::Io { op, path: path.to_owned(), source: source.into() }
    }
}

/// Short form for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
