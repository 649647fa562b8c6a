//! Volumes.

use serde_json::json;

use super::Call;
use crate::engine::{Query, escape_path};
use crate::exit::Outcome;
use crate::{json, options, output};

/// `volume create`
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let mut body = serde_json::Map::new();
    body.insert("Driver".into(), json!(flags.text("driver").unwrap_or("local")));
    body.insert("DriverOpts".into(), options::pairs(&flags.all("opt")));
    body.insert("Labels".into(), options::pairs(&flags.all("label")));
    if let Some(name) = call.args.first() {
        body.insert("Name".into(), json!(name));
    }
    let answer = call.client()?.post("/volumes/create", &Query::new(), Some(&body.into()))?;
    output::line(json::text(&answer, "Name"));
    Ok(())
}

/// `volume rm`
pub(crate) fn remove(call: &Call<'_>) -> Outcome {
    let client = call.client()?;
    let query = Query::new().when(call.flags.on("force"), "force", "1");
    call.for_each(|name| {
        client.delete(&format!("/volumes/{}", escape_path(name)), &query)?;
        Ok(Some(name.to_owned()))
    })
}
