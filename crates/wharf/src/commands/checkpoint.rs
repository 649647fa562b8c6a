//! Checkpoints: only with an engine in its experimental mode, as with docker.

use serde_json::{Value, json};

use super::Call;
use crate::engine::{Client, Query, escape_path};
use crate::exit::{Exit, Outcome};
use crate::{json, output};

/// The engine, if it has them.
fn experimental<'a>(call: &'a Call<'_>) -> Result<&'a Client, Exit> {
    let client = call.client()?;
    if client.ping()?.experimental {
        return Ok(client);
    }
    Err(Exit::error(format!("{} is only supported on a Docker daemon with experimental features enabled", call.full)))
}

fn path(container: &str) -> String {
    format!("/containers/{}/checkpoints", escape_path(container))
}

fn folder(call: &Call<'_>) -> Query {
    match call.flags.filled("checkpoint-dir") {
        Some(folder) => Query::new().with("dir", folder),
        None => Query::new(),
    }
}

/// `checkpoint create`
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let body = json!({
        "CheckpointID": call.args[1],
        "CheckpointDir": call.flags.text("checkpoint-dir").unwrap_or_default(),
        "Exit": !call.flags.on("leave-running"),
    });
    experimental(call)?.post(&path(&call.args[0]), &Query::new(), Some(&body))?;
    output::line(&call.args[1]);
    Ok(())
}

/// `checkpoint ls`
pub(crate) fn list(call: &Call<'_>) -> Outcome {
    let found = experimental(call)?.get(&path(&call.args[0]), &folder(call))?;
    output::line("CHECKPOINT NAME");
    for checkpoint in found.as_array().map(Vec::as_slice).unwrap_or_default() {
        output::line(json::text(checkpoint, "Name"));
    }
    Ok(())
}

/// `checkpoint rm`
pub(crate) fn remove(call: &Call<'_>) -> Outcome {
    let path = format!("{}/{}", path(&call.args[0]), escape_path(&call.args[1]));
    experimental(call)?.delete(&path, &folder(call)).map(|_: Value| ()).map_err(Exit::from)
}
