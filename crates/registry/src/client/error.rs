//! Why a registry could not be used, by what the caller can do about it.

use std::time::Duration;

/// Errors of the client. The sentences are those that Docker gives where it has one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke before an answer came: another endpoint or another time may do.
    #[error("{method} \"{url}\": {why}")]
    Unreachable {
        /// `Get`, `Head`, …
        method: &'static str,
        /// What was asked for.
        url: String,
        /// The cause.
        why: String,
    },
    /// The registry wants credentials and there are none.
    #[error("{method} \"{url}\": no basic auth credentials")]
    NoCredentials {
        /// `Get`, `Head`, …
        method: &'static str,
        /// What was asked for.
        url: String,
    },
    /// The registry does not accept the credentials.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// The registry said no: its status, and code and message of its first error (OCI distribution specification, "Error codes").
    #[error("{}: {message}", code.to_lowercase().replace('_', " "))]
    Answer {
        /// HTTP status.
        status: u16,
        /// `MANIFEST_UNKNOWN`, …
        code: String,
        /// A sentence.
        message: String,
    },
    /// A status without a registry's explanation.
    #[error("{method} \"{url}\": unexpected status code {status}")]
    Status {
        /// `Get`, `Head`, …
        method: &'static str,
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// A web server that is no registry said no.
    #[error("failed to GET {url} with status {status} {why}")]
    Refused {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
        /// Its words.
        why: String,
    },
    /// The registry asks to come back later.
    #[error("toomanyrequests: {message}")]
    TooMany {
        /// A sentence.
        message: String,
        /// What it asked for.
        after: Option<Duration>,
    },
    /// What came is not what was promised: sizes, digests, endless lists.
    #[error("{0}")]
    Lie(String),
    /// The document is of a kind that is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// The administrator's settings or files are wrong.
    #[error("{0}")]
    Settings(String),
}

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same request may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TooMany { .. } => true,
            Self::Answer { status, .. } | Self::Status { status, .. } => *status >= 500 || *status == 408,
            _ => false,
        }
    }

    /// Whether the registry says that the thing does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Answer { status: 404, .. } | Self::Status { status: 404, .. })
    }

    /// The registry's code, in upper case.
    pub fn code(&self) -> &str {
        match self {
            Self::Answer { code, .. } => code,
            _ => "",
        }
    }
}
