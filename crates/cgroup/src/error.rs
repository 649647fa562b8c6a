//! What can go wrong, by what the caller can do about it.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cgroup does not exist.
    #[error("cgroup `{}` does not exist", .0.display())]
    NotFound(PathBuf),
    /// The cgroup has processes that are not ours.
    #[error("container's cgroup is not empty: {count} process(es) found in `{}`", .path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// How many processes.
        count: usize,
    },
    /// A value that no kernel would take.
    #[error("{field}: {reason}")]
    InvalidInput {
        /// The limit.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// This machine's cgroups cannot do it.
    #[error("{what} is not supported by the cgroups mounted here")]
    Unsupported {
        /// The limit or operation.
        what: String,
    },
    /// A deadline passed.
    #[error("{op} `{}`: no end within {seconds} s", .path.display())]
    TimedOut {
        /// What was waited for.
        op: &'static str,
        /// The folder.
        path: PathBuf,
        /// How long.
        seconds: u64,
    },
    /// A system call said no.
    #[error("{op} `{}`: {errno}", .path.display())]
    Kernel {
        /// The operation, with the value written if any.
        op: String,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
}

impl Error {
    pub(crate) fn kernel(op: impl Into<String>, path: &Path, errno: Errno) -> Self {
        Self::Kernel { op: op.into(), path: path.to_owned(), errno }
    }

    /// The kernel's reason, when it was the kernel.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}
