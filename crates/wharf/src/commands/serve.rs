//! `registry serve`, `registry gc`: the registry is part of `wharfd`; this client becomes that program.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::Call;
use crate::engine;
use crate::exit::{Exit, Outcome};

/// Executes `wharfd registry …` with the words as they came.
pub(super) fn hand_over(call: &Call<'_>) -> Outcome {
    let Some(daemon) = engine::daemon() else {
        return Err(Exit::error("the registry is part of wharfd, which is neither beside this program nor in PATH"));
    };
    // only comes back when it could not be executed
    let error =
        Command::new(&daemon).arg("registry").args(&call.args).env("WHARF_CALLED_AS", &call.session.program).exec();
    Err(Exit::error(format!("run {}: {}", daemon.display(), crate::go::io_error(&error))))
}
