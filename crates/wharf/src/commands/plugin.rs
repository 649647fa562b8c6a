//! Managed plugins, of an engine that has some.

use serde_json::json;

use super::Call;
use crate::engine::{Query, escape_path};
use crate::exit::Outcome;
use crate::output;

fn path(name: &str, verb: &str) -> String {
    format!("/plugins/{}/{verb}", escape_path(name))
}

/// `plugin enable`
pub(crate) fn enable(call: &Call<'_>) -> Outcome {
    let name = &call.args[0];
    let query = Query::new().with("timeout", call.flags.text("timeout").unwrap_or("30"));
    call.client()?.post(&path(name, "enable"), &query, None)?;
    output::line(name);
    Ok(())
}

/// `plugin disable`
pub(crate) fn disable(call: &Call<'_>) -> Outcome {
    let name = &call.args[0];
    let query = Query::new().when(call.flags.on("force"), "force", "1");
    call.client()?.post(&path(name, "disable"), &query, None)?;
    output::line(name);
    Ok(())
}

/// `plugin rm`
pub(crate) fn remove(call: &Call<'_>) -> Outcome {
    let client = call.client()?;
    let query = Query::new().when(call.flags.on("force"), "force", "1");
    call.for_each(|name| {
        client.delete(&format!("/plugins/{}", escape_path(name)), &query)?;
        Ok(Some(name.to_owned()))
    })
}

/// `plugin set`
pub(crate) fn set(call: &Call<'_>) -> Outcome {
    call.client()?.post(&path(&call.args[0], "set"), &Query::new(), Some(&json!(call.args[1..])))?;
    Ok(())
}
