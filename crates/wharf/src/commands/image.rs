//! Commands on images that need no registry.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};

use serde_json::Value;
use wharf_spec::reference::Reference;

use super::Call;
use super::container::write_archive;
use crate::engine::{Method, Query, escape_path};
use crate::exit::{Exit, Outcome};
use crate::format::{Format, image};
use crate::{go, json, output, progress, streams};

/// A `--platform` as the API's JSON.
fn platform(text: &str) -> String {
    let mut parts = text.split('/');
    let os = parts.next().unwrap_or_default();
    let mut out = serde_json::Map::new();
    match parts.next() {
        Some(architecture) => {
            out.insert("architecture".into(), architecture.into());
            out.insert("os".into(), os.into());
            if let Some(variant) = parts.next() {
                out.insert("variant".into(), variant.into());
            }
        }
        None => _ = out.insert("os".into(), os.into()),
    }
    Value::Object(out).to_string()
}

/// Adds the `--platform` of a command to its query.
pub(crate) fn platforms(call: &Call<'_>, mut query: Query, key: &'static str) -> Query {
    for one in call.flags.strings("platform") {
        query = query.with(key, platform(&one));
    }
    query
}

/// `history`
pub(crate) fn history(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let query = platforms(call, Query::new(), "platform");
    let answer = call.client()?.get(&format!("/images/{}/history", escape_path(&call.args[0])), &query)?;
    let human = flags.bool_or("human", true);
    let source = match flags.filled("format").unwrap_or("table") {
        "table" if flags.on("quiet") => "{{.ID}}",
        "table" if human => image::HISTORY_TABLE,
        "table" => image::HISTORY_TABLE_PLAIN,
        other => other,
    };
    let truncate = !flags.on("no-trunc");
    let rows: Vec<_> = json::items(&answer).iter().map(|one| image::history(one, truncate, human)).collect();
    output::out(&Format::parse(source)?.render(image::HISTORY_HEADINGS, &rows)?);
    Ok(())
}

/// `tag`
pub(crate) fn tag(call: &Call<'_>) -> Outcome {
    let (source, target) = (&call.args[0], &call.args[1]);
    let why = |text: &str, error: &dyn std::fmt::Display| {
        Exit::error(format!("Error parsing reference: {} is not a valid repository/tag: {error}", go::quote(text)))
    };
    wharf_spec::reference::AnyReference::parse(source).map_err(|error| why(source, &error))?;
    let reference = Reference::parse(target).map_err(|error| why(target, &error))?;
    if reference.digest().is_some() {
        return Err(Exit::error("refusing to create a tag with a digest reference"));
    }
    let reference = reference.with_default_tag();
    let query = Query::new().with("repo", reference.familiar_name()).with("tag", reference.tag().unwrap_or_default());
    call.client()?.post(&format!("/images/{}/tag", escape_path(source)), &query, None)?;
    Ok(())
}

/// `rmi`
pub(crate) fn remove(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let client = call.client()?;
    let force = flags.on("force");
    let query = Query::new().when(force, "force", "1").when(flags.on("no-prune"), "noprune", "1");
    let query = platforms(call, query, "platforms");
    let (mut errors, mut fatal) = (Vec::new(), false);
    for name in &call.args {
        match client.delete(&format!("/images/{}", escape_path(name)), &query) {
            Ok(answer) => {
                for item in json::items(&answer) {
                    match json::text(item, "Deleted") {
                        "" => output::line(&format!("Untagged: {}", json::text(item, "Untagged"))),
                        deleted => output::line(&format!("Deleted: {deleted}")),
                    }
                }
            }
            Err(error) => {
                fatal |= !error.is_not_found();
                errors.push(error.to_string());
            }
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let text = errors.join("\n");
    if force && !fatal {
        output::err(&format!("{text}\n"));
        return Ok(());
    }
    Err(Exit::error(text))
}

/// `save`
pub(crate) fn save(call: &Call<'_>) -> Outcome {
    let mut query = Query::new();
    for name in &call.args {
        query = query.with("names", name.as_str());
    }
    let query = platforms(call, query, "platform");
    write_archive(call, "save image", || Ok(call.client()?.open("/images/get", &query)?))
}

/// `load`
pub(crate) fn load(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let mut source: Box<dyn Read> = match flags.filled("input") {
        Some(file) => Box::new(File::open(file).map_err(|error| Exit::error(go::path_error("open", file, &error)))?),
        None if io::stdin().is_terminal() => {
            return Err(Exit::error("requested load from stdin, but stdin is empty"));
        }
        None => Box::new(io::stdin()),
    };
    let quiet = flags.on("quiet") || !output::is_terminal();
    let query = Query::new().with("quiet", if quiet { "1" } else { "0" });
    let query = platforms(call, query, "platform");
    let (head, body) = call.client()?.upload(Method::Post, "/images/load", &query, "application/x-tar", &mut source)?;
    if head.get("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return progress::show(body);
    }
    Ok(streams::copy(body, &mut io::stdout().lock())?)
}

/// `import`
pub(crate) fn import(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let source = call.args[0].as_str();
    let reference = call.args.get(1).map_or("", String::as_str);
    if !reference.is_empty() {
        Reference::parse(reference).map_err(|error| Exit::error(error.to_string()))?;
    }
    let remote = source.contains("://");
    let mut query = Query::new()
        .with("fromSrc", if remote { source } else { "-" })
        .with("message", flags.text("message").unwrap_or_default())
        .with("repo", reference);
    for change in flags.all("change") {
        query = query.with("changes", change);
    }
    if let Some(platform) = flags.filled("platform") {
        query = query.with("platform", platform.to_lowercase());
    }
    let client = call.client()?;
    let (_, body) = if remote {
        client.post_stream("/images/create", &query, &[], None)?
    } else {
        let mut input: Box<dyn Read> = match source {
            "-" => Box::new(io::stdin()),
            file => Box::new(File::open(file).map_err(|error| Exit::error(go::path_error("open", file, &error)))?),
        };
        client.upload(Method::Post, "/images/create", &query, "text/plain", &mut input)?
    };
    progress::show(body)
}
