//! What went wrong on the way, in the words that Docker's users know from Go.

use std::error::Error as _;
use std::io;

/// `connection refused`: the system's sentence as Go writes it.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// The cause of a failure on a stream that may be TLS.
pub(crate) fn explain(error: &io::Error, host: &str) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => wharf_tls::sentence(tls, host),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "EOF".into(),
        None => reason(error),
    }
}

/// The cause of a failure that hyper tells.
pub(crate) fn explain_http(error: &hyper::Error, host: &str) -> String {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return explain(io, host);
        }
        source = cause.source();
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return "EOF".into();
    }
    if error.is_parse() {
        return "net/http: malformed HTTP response".into();
    }
    error.to_string()
}
