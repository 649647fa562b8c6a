//! `cp`, as far as streams of tar go: `-` on the local side.

use std::io;

use super::Call;
use super::container::path;
use crate::engine::{Method, Query};
use crate::exit::{Exit, Outcome};
use crate::{output, streams};

/// One side of a copy.
enum Side<'a> {
    Container(&'a str, &'a str),
    Local(&'a str),
}

fn side(text: &str) -> Side<'_> {
    // an absolute or explicitly relative path may contain colons
    if text.starts_with('/') || text.starts_with('.') {
        return Side::Local(text);
    }
    match text.split_once(':') {
        Some((name, path)) if !name.is_empty() => Side::Container(name, path),
        _ => Side::Local(text),
    }
}

/// `cp`
pub(crate) fn copy(call: &Call<'_>) -> Outcome {
    match (side(&call.args[0]), side(&call.args[1])) {
        (Side::Container(..), Side::Container(..)) => Err(Exit::error("copying between containers is not supported")),
        (Side::Local(_), Side::Local(_)) => Err(Exit::error("must specify at least one container source")),
        (Side::Container(name, inside), Side::Local(local)) => from_container(call, name, inside, local),
        (Side::Local(local), Side::Container(name, inside)) => to_container(call, local, name, inside),
    }
}

fn from_container(call: &Call<'_>, name: &str, inside: &str, local: &str) -> Outcome {
    if local != "-" {
        return Err(Exit::error("copying to a folder is not available yet: use '-' and a tar program"));
    }
    if output::is_terminal() {
        return Err(Exit::error("refusing to copy to a terminal: redirect standard output"));
    }
    let query = Query::new().with("path", inside);
    let (_, body) = call.client()?.open(&path(name, "archive"), &query)?;
    Ok(streams::copy(body, &mut io::stdout().lock())?)
}

fn to_container(call: &Call<'_>, local: &str, name: &str, inside: &str) -> Outcome {
    if local != "-" {
        return Err(Exit::error("copying from a folder is not available yet: use '-' and a tar program"));
    }
    let query = Query::new().with("path", inside).with("noOverwriteDirNonDir", "true").when(
        call.flags.on("archive"),
        "copyUIDGID",
        "true",
    );
    call.client()?.upload(Method::Put, &path(name, "archive"), &query, "application/x-tar", &mut io::stdin().lock())?;
    Ok(())
}
