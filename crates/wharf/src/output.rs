//! Writing to the standard streams: a reader that went away is no reason to complain.

use std::io::{self, IsTerminal as _, Write as _};

/// Writes to standard output.
pub(crate) fn out(text: &str) {
    bytes(text.as_bytes());
}

/// Writes bytes to standard output.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut stream = io::stdout().lock();
    let written = stream.write_all(bytes).and_then(|()| stream.flush());
    if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        // whoever read has left: end as the signal would have ended us
        std::process::exit(141);
    }
}

/// Writes a line to standard output.
pub(crate) fn line(text: &str) {
    out(&format!("{text}\n"));
}

/// Writes to standard error.
pub(crate) fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}
