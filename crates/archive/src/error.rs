//! What can be wrong with an archive or with unpacking it.

use std::{io, path::PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of this crate, by what the caller can do about them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream ended in the middle of something.
    #[error("archive ends in the middle of {0}: unexpected EOF")]
    Truncated(&'static str),
    /// The bytes are no tar, or break its rules.
    #[error("invalid tar: {0}")]
    Corrupt(String),
    /// A member would be written outside the root, or through something that is no folder.
    #[error("archive member {path:?}: {reason}")]
    Hostile {
        /// The member's name, as in the archive.
        path: PathBuf,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A folder and something that is no folder have the same name.
    #[error("{}", clash(path, *folder))]
    Clash {
        /// The member's name, as it is extracted.
        path: PathBuf,
        /// It is a folder that stands in the way.
        folder: bool,
    },
    /// More than the limit of the caller.
    #[error("archive is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A kind of archive, member or compression that is not supported.
    #[error("unsupported archive: {0}")]
    Unsupported(String),
    /// A system call on a member.
    #[error("{op} `{}`: {source}", path.display())]
    Io {
        /// What was done.
        op: &'static str,
        /// To what; relative to the root of the archive.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The stream itself: reading, decompressing, writing.
    #[error("{op}: {source}")]
    Stream {
        /// What was done.
        op: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: wraps an error of the operation `op` on the member `path`.
    pub(crate) fn io<E: Into<io::Error>>(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Io { op, path, source: source.into() }
    }

    /// For `map_err`: wraps an error of a stream. An end inside something is [`Error::Truncated`].
    pub(crate) fn stream(op: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated(op),
            _ => Self::Stream { op, source },
        }
    }
}

fn clash(path: &std::path::Path, folder: bool) -> String {
    if folder {
        format!("cannot overwrite directory {path:?} with non-directory")
    } else {
        format!("cannot overwrite non-directory {path:?} with directory")
    }
}
