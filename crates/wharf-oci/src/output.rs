//! Standard output, and the log that the caller asked for.
//!
//! The log has one line per entry: logrus' text form, or with `--log-format json` objects
//! `{"level":"error","msg":"…","time":"…"}` of which containerd, dockerd and Podman show the last one to their users.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::clock;
use crate::error::Error;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// `time="…" level=… msg="…"`
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// Where errors and debug lines go.
#[derive(Debug, Default)]
pub(crate) struct Log {
    file: Option<File>,
    pub(crate) format: Format,
    pub(crate) debug: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    level: &'a str,
    msg: &'a str,
    time: &'a str,
}

impl Log {
    /// Appends to a file instead of the error output.
    pub(crate) fn open(&mut self, path: &str) -> Result<(), Error> {
        if !path.is_empty() && path != "/dev/stderr" {
            let file = OpenOptions::new().create(true).append(true).open(path);
            self.file = Some(file.map_err(|source| Error::file("open", Path::new(path), source))?);
        }
        Ok(())
    }

    /// The error that ends the program: into the log and, when that is a file, for the human as well.
    pub(crate) fn error(&self, message: &str) {
        self.write("error", message);
        if self.file.is_some() {
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }

    /// Something the caller should know although the command goes on.
    pub(crate) fn warn(&self, message: &str) {
        self.write("warning", message);
    }

    /// For `--debug`.
    pub(crate) fn debug(&self, message: impl FnOnce() -> String) {
        if self.debug {
            self.write("debug", &message());
        }
    }

    fn write(&self, level: &str, message: &str) {
        let time = clock::now_seconds();
        let mut line = match self.format {
            Format::Text => format!("time=\"{time}\" level={level} msg={message:?}"),
            Format::Json => serde_json::to_string(&Line { level, msg: message, time: &time }).unwrap_or_default(),
        };
        line.push('\n');
        // a log that cannot be written must not change what the command does
        let _ = match &self.file {
            Some(file) => (&*file).write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| Error::file("write", "/dev/stdout", source))
}

/// Writes a document to standard output, indented by `indent`.
pub(crate) fn print_json(document: &impl Serialize, indent: &str) -> Result<(), Error> {
    let mut text = pretty(document, indent);
    text.push('\n');
    print(&text)
}

/// A document as indented text.
pub(crate) fn pretty(document: &impl Serialize, indent: &str) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // documents here have only text keys and go into memory
    let _ = document.serialize(&mut serializer);
    String::from_utf8_lossy(&bytes).into_owned()
}
