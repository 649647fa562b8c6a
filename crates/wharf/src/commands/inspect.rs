//! `inspect` of every kind.

use serde_json::Value;
use wharf_template::{Functions, Template};

use super::Call;
use crate::engine::{Client, Error, Query, escape_path};
use crate::exit::{Exit, Outcome};
use crate::format::schema::typed;
use crate::{go, json, output};

/// A kind of object: where it is and what Go type it has.
#[derive(Clone, Copy)]
struct Kind {
    word: &'static str,
    path: fn(&str) -> String,
    go: &'static str,
}

const CONTAINER: Kind = Kind {
    word: "container",
    path: |name| format!("/containers/{}/json", escape_path(name)),
    go: "container.InspectResponse",
};
const IMAGE: Kind =
    Kind { word: "image", path: |name| format!("/images/{}/json", escape_path(name)), go: "image.InspectResponse" };
const NETWORK: Kind =
    Kind { word: "network", path: |name| format!("/networks/{}", escape_path(name)), go: "network.Inspect" };
const VOLUME: Kind =
    Kind { word: "volume", path: |name| format!("/volumes/{}", escape_path(name)), go: "volume.Volume" };
const PLUGIN: Kind = Kind { word: "plugin", path: |name| format!("/plugins/{}/json", escape_path(name)), go: "" };

/// `container inspect`
pub(crate) fn containers(call: &Call<'_>) -> Outcome {
    let query = Query::new().when(call.flags.on("size"), "size", "1");
    each(call, |client, name| fetch(client, CONTAINER, name, &query))
}

/// `image inspect`
pub(crate) fn images(call: &Call<'_>) -> Outcome {
    let query = super::image::platforms(call, Query::new(), "platform");
    each(call, |client, name| fetch(client, IMAGE, name, &query))
}

/// `network inspect`
pub(crate) fn networks(call: &Call<'_>) -> Outcome {
    let query = Query::new().when(call.flags.on("verbose"), "verbose", "true");
    each(call, |client, name| fetch(client, NETWORK, name, &query))
}

/// `volume inspect`
pub(crate) fn volumes(call: &Call<'_>) -> Outcome {
    each(call, |client, name| fetch(client, VOLUME, name, &Query::new()))
}

/// `plugin inspect`
pub(crate) fn plugins(call: &Call<'_>) -> Outcome {
    each(call, |client, name| fetch(client, PLUGIN, name, &Query::new()))
}

/// `inspect`
pub(crate) fn anything(call: &Call<'_>) -> Outcome {
    let wanted = call.flags.filled("type");
    let kinds: Vec<Kind> = match wanted {
        None => vec![CONTAINER, IMAGE, NETWORK, VOLUME, PLUGIN],
        Some("container") => vec![CONTAINER],
        Some("image") => vec![IMAGE],
        Some("network") => vec![NETWORK],
        Some("volume") => vec![VOLUME],
        Some("plugin") => vec![PLUGIN],
        Some(other @ ("node" | "service" | "task" | "secret" | "config")) => {
            return each(call, |_, name| Err(Exit::error(format!("Error: No such {other}: {name}"))));
        }
        Some(other) => {
            const KINDS: &str =
                r#""config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume""#;
            return Err(Exit::error(format!("unknown type: {}: must be one of {KINDS}", go::quote(other))));
        }
    };
    let size = Query::new().when(call.flags.on("size"), "size", "1");
    each(call, |client, name| {
        for kind in &kinds {
            let query = if kind.word == "container" { size.clone() } else { Query::new() };
            match client.get(&(kind.path)(name), &query) {
                Ok(document) => return Ok((*kind, document)),
                Err(error @ Error::Response { .. }) if kinds.len() > 1 => {
                    let next = error.is_not_found() || !matches!(error, Error::Response { status: 500, .. });
                    if !next {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Exit::error(format!("Error: No such object: {name}")))
    })
}

fn fetch(client: &Client, kind: Kind, name: &str, query: &Query) -> Result<(Kind, Value), Exit> {
    let name = name.trim_matches(' ');
    Ok((kind, client.get(&(kind.path)(name), query)?))
}

fn each(call: &Call<'_>, find: impl Fn(&Client, &str) -> Result<(Kind, Value), Exit>) -> Outcome {
    let shape = Shape::parse(call.flags.text("format").unwrap_or_default())?;
    let client = call.client()?;
    let mut found = Vec::new();
    let mut errors = Vec::new();
    let mut text = String::new();
    for name in &call.args {
        let one = find(client, name).and_then(|(kind, document)| shape.add(kind.go, document, &mut found, &mut text));
        if let Err(exit) = one {
            errors.push(exit.message);
        }
    }
    shape.print(&found, &text);
    if errors.is_empty() { Ok(()) } else { Err(Exit::error(errors.join("\n"))) }
}

/// What `--format` asks of an inspected object.
pub(crate) enum Shape {
    /// An indented array of everything.
    Indented,
    /// The same in one line.
    Lines,
    Template(Box<Template>),
}

impl Shape {
    pub(crate) fn parse(format: &str) -> Result<Self, Exit> {
        match format {
            "" => Ok(Self::Indented),
            "json" => Ok(Self::Lines),
            source => match Template::parse(source, Functions::Docker) {
                Ok(template) => Ok(Self::Template(Box::new(template))),
                Err(error) => Err(Exit::with(64, format!("template parsing error: {error}"))),
            },
        }
    }

    /// Takes one document in: as Go type `kind` first, as plain JSON when that does not fit the template.
    pub(crate) fn add(
        &self,
        kind: &'static str,
        document: Value,
        found: &mut Vec<Value>,
        text: &mut String,
    ) -> Outcome {
        if let Self::Template(template) = self {
            let done = match template.execute(&typed(kind, &document)) {
                Ok(done) => done,
                // volumes and contexts exist for docker only as their type
                Err(error) if matches!(kind, "volume.Volume" | "context.Context") => {
                    return Err(Exit::error(format!("template parsing error: {error}")));
                }
                Err(_) => {
                    let raw = wharf_template::Value::from_json(&document);
                    let strict = template.as_ref().clone().strict();
                    strict.execute(&raw).map_err(|error| Exit::error(format!("template parsing error: {error}")))?
                }
            };
            text.push_str(&done);
            text.push('\n');
        }
        found.push(document);
        Ok(())
    }

    pub(crate) fn print(&self, found: &[Value], text: &str) {
        match self {
            Self::Template(_) if text.is_empty() => output::out("\n"),
            Self::Template(_) => output::out(text),
            Self::Indented if found.is_empty() => output::out("[]\n"),
            Self::Indented => output::line(&json::pretty(&Value::Array(found.to_vec()), "    ")),
            Self::Lines => output::line(&Value::Array(found.to_vec()).to_string()),
        }
    }
}
