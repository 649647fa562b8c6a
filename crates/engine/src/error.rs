//! What the engine answers when it cannot do what it was asked: one kind per way for the caller to react.
//!
//! The `Display` of every value is the sentence that Docker gives; the HTTP edge only adds the status of its kind.

use std::fmt::Display;

/// Errors of the engine.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The named object does not exist (404).
    #[error("{0}")]
    NotFound(String),
    /// The request contradicts the state of an object (409).
    #[error("{0}")]
    Conflict(String),
    /// The request cannot be right (400).
    #[error("{0}")]
    InvalidParameter(String),
    /// The object is in the wanted state already (304, no body).
    #[error("not modified")]
    NotModified,
    /// Credentials are missing or wrong (401).
    #[error("{0}")]
    Unauthorized(String),
    /// The request is understood and refused (403).
    #[error("{0}")]
    Forbidden(String),
    /// Something that the request needs is not there at the moment (503).
    #[error("{0}")]
    Unavailable(String),
    /// Docker has it, we do not (501).
    #[error("{0}")]
    NotImplemented(String),
    /// The program inside a container cannot be run: `docker run` ends with this exit code (126 or 127; the status is 400).
    #[error("{message}")]
    Program {
        /// 126: not executable; 127: not found.
        exit_code: i32,
        /// Docker's sentence.
        message: String,
    },
    /// Anything that the caller cannot help (500).
    #[error("{0}")]
    System(String),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `No such container: x`.
    pub fn no_such_container(name: &str) -> Error {
        Error::NotFound(format!("No such container: {name}"))
    }

    /// `No such exec instance: x`.
    pub fn no_such_exec(id: &str) -> Error {
        Error::NotFound(format!("No such exec instance: {id}"))
    }

    /// `No such image: x`.
    pub fn no_such_image(name: &str) -> Error {
        Error::NotFound(format!("No such image: {name}"))
    }

    /// `container <id> is not running` (409).
    pub fn not_running(id: impl Display) -> Error {
        Error::Conflict(format!("container {id} is not running"))
    }

    /// A failure of the world below: what was done, and why it failed.
    pub fn system(what: impl Display, why: impl Display) -> Error {
        Error::System(format!("{what}: {why}"))
    }

    /// What a test lets a fail point say.
    pub(crate) fn injected(errno: wharf_sys::Errno) -> Error {
        Error::system("fail point", errno)
    }
}

impl Error {
    /// The same kind with another sentence.
    pub(crate) fn map(self, sentence: impl FnOnce(&str) -> String) -> Error {
        let text = sentence(&self.to_string());
        match self {
            Error::NotFound(_) => Error::NotFound(text),
            Error::Conflict(_) => Error::Conflict(text),
            Error::InvalidParameter(_) => Error::InvalidParameter(text),
            Error::NotModified => Error::NotModified,
            Error::Unauthorized(_) => Error::Unauthorized(text),
            Error::Forbidden(_) => Error::Forbidden(text),
            Error::Unavailable(_) => Error::Unavailable(text),
            Error::NotImplemented(_) => Error::NotImplemented(text),
            Error::Program { exit_code, .. } => Error::Program { exit_code, message: text },
            Error::System(_) => Error::System(text),
        }
    }
}

impl From<wharf_store::Error> for Error {
    fn from(e: wharf_store::Error) -> Self {
        use wharf_store::Error as Store;
        let text = e.to_string();
        match e {
            Store::NoSuchImage(_) | Store::NoSuchSnapshot(_) => Error::NotFound(text),
            Store::Ambiguous(_) | Store::Invalid(_) | Store::Reference(_) => Error::InvalidParameter(text),
            Store::Conflict(_) => Error::Conflict(text),
            Store::Unsupported(_) => Error::NotImplemented(text),
            _ => Error::System(text),
        }
    }
}

impl From<wharf_net::Error> for Error {
    fn from(e: wharf_net::Error) -> Self {
        use wharf_net::Error as Net;
        let text = e.to_string();
        match e {
            Net::NotFound(_) => Error::NotFound(text),
            Net::Conflict(_) => Error::Conflict(text),
            Net::Invalid(_) => Error::InvalidParameter(text),
            Net::Forbidden(_) | Net::NotConnected { .. } => Error::Forbidden(text),
            Net::Unsupported(_) => Error::NotImplemented(text),
            _ => Error::System(text),
        }
    }
}

impl From<wharf_volume::Error> for Error {
    fn from(e: wharf_volume::Error) -> Self {
        use wharf_volume::Error as Volume;
        let text = e.to_string();
        match e {
            Volume::NotFound(_) | Volume::NoDriver(_) | Volume::Missing(_) => Error::NotFound(text),
            Volume::Conflict(_) => Error::Conflict(text),
            Volume::Invalid(_) | Volume::Unsupported(_) | Volume::Archive(_) => Error::InvalidParameter(text),
            _ => Error::System(text),
        }
    }
}

impl From<wharf_state::Error> for Error {
    fn from(e: wharf_state::Error) -> Self {
        Error::System(e.to_string())
    }
}
