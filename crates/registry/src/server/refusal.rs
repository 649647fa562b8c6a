//! What a client is told when it does not get what it asked for: the error codes of the distribution specification.

use serde_json::{Value, json};
use std::io;

/// The codes of the specification ("Error Codes"), and those that the stock registry adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    TooLarge,
    TagInvalid,
    Unauthorized,
    Unsupported,
    RangeInvalid,
    PaginationNumberInvalid,
    Unavailable,
    BadGateway,
    NotFound,
    Unknown,
}

impl Code {
    /// The code's name, its HTTP status and the sentence that goes with it.
    fn entry(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::BlobUnknown => ("BLOB_UNKNOWN", 404, "blob unknown to registry"),
            Self::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", 400, "blob upload invalid"),
            Self::BlobUploadUnknown => ("BLOB_UPLOAD_UNKNOWN", 404, "blob upload unknown to registry"),
            Self::DigestInvalid => ("DIGEST_INVALID", 400, "provided digest did not match uploaded content"),
            Self::ManifestBlobUnknown => ("MANIFEST_BLOB_UNKNOWN", 404, "blob unknown to registry"),
            Self::ManifestInvalid => ("MANIFEST_INVALID", 400, "manifest invalid"),
            Self::ManifestUnknown => ("MANIFEST_UNKNOWN", 404, "manifest unknown"),
            Self::NameInvalid => ("NAME_INVALID", 400, "invalid repository name"),
            Self::NameUnknown => ("NAME_UNKNOWN", 404, "repository name not known to registry"),
            Self::SizeInvalid => ("SIZE_INVALID", 400, "provided length did not match content length"),
            Self::TooLarge => ("SIZE_INVALID", 413, "the manifest is too large"),
            Self::TagInvalid => ("TAG_INVALID", 400, "manifest tag did not match URI"),
            Self::Unauthorized => ("UNAUTHORIZED", 401, "authentication required"),
            Self::Unsupported => ("UNSUPPORTED", 405, "The operation is unsupported."),
            Self::RangeInvalid => ("RANGE_INVALID", 416, "invalid content range"),
            Self::PaginationNumberInvalid => ("PAGINATION_NUMBER_INVALID", 400, "invalid number of results requested"),
            Self::Unavailable => ("UNAVAILABLE", 503, "service unavailable"),
            Self::BadGateway => ("UNAVAILABLE", 502, "the registry behind this one does not answer"),
            Self::NotFound => ("NOT_FOUND", 404, "no such page"),
            Self::Unknown => ("UNKNOWN", 500, "unknown error"),
        }
    }

    /// The HTTP status.
    pub(crate) fn status(self) -> u16 {
        self.entry().1
    }
}

/// A refusal. What went wrong inside is logged by [`Refusal::broken`] and not told.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    detail: Option<Value>,
    message: Option<String>,
}

impl Refusal {
    /// With details for programs.
    pub(crate) fn new(code: Code, detail: Value) -> Self {
        Self { code, detail: Some(detail), message: None }
    }

    /// With a sentence of its own.
    pub(crate) fn saying(code: Code, message: impl Into<String>) -> Self {
        Self { code, detail: None, message: Some(message.into()) }
    }

    /// Something that is not the client's fault.
    pub(crate) fn broken(what: &str, error: &io::Error) -> Self {
        tracing::error!("{what}: {error}");
        match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => {
                Self::saying(Code::Unavailable, "no space left in the registry's storage")
            }
            Some(rustix::io::Errno::ROFS) => Self::saying(Code::Unavailable, "the registry's storage is read-only"),
            _ => Self { code: Code::Unknown, detail: None, message: None },
        }
    }

    /// The document of the specification.
    pub(crate) fn body(&self) -> Value {
        let (code, _, sentence) = self.code.entry();
        let message = self.message.as_deref().unwrap_or(sentence);
        let mut error = json!({"code": code, "message": message});
        if let Some(detail) = &self.detail {
            error["detail"] = detail.clone();
        }
        json!({ "errors": [error] })
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self { code, detail: None, message: None }
    }
}

pub(crate) type Outcome<T> = Result<T, Refusal>;
