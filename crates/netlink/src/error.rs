//! The kernel's answers that are not success.

use rustix::io::Errno;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A request the kernel did not carry out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The kernel refused one message of a batch.
    #[error("{op}: {errno}{}{extack}", if extack.is_empty() { "" } else { ": " })]
    Refused {
        /// Operation and object, as the message names itself.
        op: String,
        /// Why.
        errno: Errno,
        /// The kernel's own words; empty if it had none.
        extack: String,
    },
    /// A system call on the socket failed.
    #[error("{op}: {errno}")]
    Socket {
        /// Which call.
        op: &'static str,
        /// Why.
        errno: Errno,
    },
    /// The kernel's answer is not what the protocol says.
    #[error("{0}: malformed answer")]
    Malformed(&'static str),
}

impl Error {
    /// The error number, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } | Self::Socket { errno, .. } => Some(*errno),
            Self::Malformed(_) => None,
        }
    }
}
