//! How a command ends when it does not end well: an exit code and what to say.

use crate::engine;

/// The code and the sentence (which may be empty: then nothing is printed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Exit {
    /// An ordinary error: code 1.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// A silent end with a code.
    pub(crate) fn code(code: u8) -> Self {
        Self { code, message: String::new() }
    }

    /// A code and a sentence.
    pub(crate) fn with(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<engine::Error> for Exit {
    fn from(error: engine::Error) -> Self {
        Self::error(error.to_string())
    }
}

impl From<std::io::Error> for Exit {
    fn from(error: std::io::Error) -> Self {
        Self::error(crate::go::io_error(&error))
    }
}

/// What every command gives back.
pub(crate) type Outcome = Result<(), Exit>;
