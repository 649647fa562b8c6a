//! Volumes.

use serde_json::json;

use std::fs::File;
use std::io::{self, IsTerminal, Read};

use super::Call;
use super::container::write_archive;
use crate::engine::{Client, Method, Query, escape_path};
use crate::exit::{Exit, Outcome};
use crate::{go, json, options, output};

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

/// The engine, if it is ours: others would not know what we ask for, or do something else.
pub(crate) fn ours<'a>(call: &'a Call<'_>, what: &str) -> Result<&'a Client, Exit> {
    let client = call.client()?;
    let (head, _) = client.open("/_ping", &Query::new())?;
    if head.get("server").is_some_and(|server| server.starts_with("Wharf/")) {
        return Ok(client);
    }
    Err(Exit::error(format!("{what} needs a Wharf engine: the one at {} is another", client.address())))
}

fn path(name: &str, verb: &str) -> String {
    format!("/volumes/{}/{verb}", escape_path(name))
}

fn pausing(call: &Call<'_>) -> Query {
    Query::new().when(call.flags.on("pause"), "pause", "1")
}

/// `volume export`
pub(crate) fn export(call: &Call<'_>) -> Outcome {
    let open = || Ok(ours(call, "volume export")?.open(&path(&call.args[0], "export"), &pausing(call))?);
    write_archive(call, "export volume", open)
}

/// `volume import`
pub(crate) fn import(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let mut query = Query::new().when(flags.on("replace"), "replace", "1");
    for (flag, key) in [("opt", "options"), ("label", "labels")] {
        if flags.given(flag) {
            query = query.with(key, options::pairs(&flags.all(flag)).to_string());
        }
    }
    let mut source: Box<dyn Read> = match call.args.get(1).map(String::as_str) {
        None | Some("-") if io::stdin().is_terminal() => {
            return Err(Exit::error(
                "refusing to read an archive from a terminal: give a file, or redirect standard input",
            ));
        }
        None | Some("-") => Box::new(io::stdin().lock()),
        Some(file) => {
            let opened = File::open(file);
            Box::new(opened.map_err(|error| Exit::error(go::path_error("open", std::path::Path::new(file), &error)))?)
        }
    };
    let client = ours(call, "volume import")?;
    client.upload(Method::Post, &path(&call.args[0], "import"), &query, "application/x-tar", &mut source)?;
    output::line(&call.args[0]);
    Ok(())
}

/// `volume clone`
pub(crate) fn clone(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let mut body = json!({"Name": call.args[1]});
    for (flag, key) in [("opt", "DriverOpts"), ("label", "Labels")] {
        if flags.given(flag) {
            body[key] = options::pairs(&flags.all(flag));
        }
    }
    let client = ours(call, "volume clone")?;
    let answer = client.post(&path(&call.args[0], "clone"), &pausing(call), Some(&body))?;
    output::line(json::text(&answer, "Name"));
    Ok(())
}

/// `volume rename`
pub(crate) fn rename(call: &Call<'_>) -> Outcome {
    let query = Query::new().with("name", call.args[1].clone());
    ours(call, "volume rename")?.post(&path(&call.args[0], "rename"), &query, None)?;
    Ok(())
}

/// `volume snapshot`
pub(crate) fn snapshot(call: &Call<'_>) -> Outcome {
    let client = ours(call, "volume snapshot")?;
    let name = call.args.get(1).map_or("", String::as_str);
    if call.flags.on("rm") {
        if name.is_empty() {
            return Err(Exit::error("volume snapshot --rm needs the name of a snapshot"));
        }
        client.delete(&path(&call.args[0], &format!("snapshots/{}", escape_path(name))), &Query::new())?;
        output::line(name);
        return Ok(());
    }
    let query = pausing(call).when(!name.is_empty(), "name", name);
    let answer = client.post(&path(&call.args[0], "snapshots"), &query, None)?;
    output::line(json::text(&answer, "Name"));
    Ok(())
}

/// `volume snapshots`
pub(crate) fn snapshots(call: &Call<'_>) -> Outcome {
    let answer = ours(call, "volume snapshots")?.get(&path(&call.args[0], "snapshots"), &Query::new())?;
    let rows = json::items(&answer).iter();
    if call.flags.on("quiet") {
        rows.for_each(|one| output::line(json::text(one, "Name")));
        return Ok(());
    }
    let lines = rows.map(|one| format!("{}\t{}\n", json::text(one, "Name"), json::text(one, "CreatedAt")));
    let table: String = std::iter::once("SNAPSHOT\tCREATED\n".to_owned()).chain(lines).collect();
    output::out(&crate::format::align(&table));
    Ok(())
}

/// `volume restore`
pub(crate) fn restore(call: &Call<'_>) -> Outcome {
    let query = Query::new().with("snapshot", call.args[1].clone());
    ours(call, "volume restore")?.post(&path(&call.args[0], "restore"), &query, None)?;
    Ok(())
}
