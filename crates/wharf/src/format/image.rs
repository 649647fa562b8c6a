//! Rows of `images` and `history`.

use serde_json::Value as Json;
use wharf_spec::reference::Reference;
use wharf_template::Value;

use super::{Headings, ellipsis, row, short_id};
use crate::{human, json};

/// Headings of `images`.
pub(crate) const HEADINGS: Headings = &[
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
];

/// The plain table.
pub(crate) const TABLE: &str = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
/// With `--digests`.
pub(crate) const TABLE_DIGEST: &str =
    "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

const NONE: &str = "<none>";

/// How much digests matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digests {
    /// Nobody asked.
    Hidden,
    /// The template mentions them.
    Mentioned,
    /// `--digests`: every one has its line.
    Rows,
}

/// The lines of one image: one per name.
pub(crate) fn image(document: &Json, truncate: bool, digests: Digests) -> Vec<Value> {
    let line = |repository: &str, tag: &str, digest: &str| one(document, truncate, repository, tag, digest);
    let parse = |names: Vec<&str>| -> Vec<Reference> {
        names
            .into_iter()
            .filter(|name| !name.starts_with(NONE))
            .filter_map(|name| Reference::parse(name).ok())
            .collect()
    };
    let tags = parse(json::strings(document, "RepoTags"));
    let pinned = parse(json::strings(document, "RepoDigests"));
    if tags.is_empty() && pinned.is_empty() {
        return vec![line(NONE, NONE, NONE)];
    }
    let mut names: Vec<String> = Vec::new();
    for reference in tags.iter().chain(&pinned) {
        let name = reference.familiar_name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut out = Vec::new();
    for name in &names {
        let own_tags: Vec<&str> =
            tags.iter().filter(|reference| reference.familiar_name() == *name).filter_map(Reference::tag).collect();
        let own_digests: Vec<String> = pinned
            .iter()
            .filter(|reference| reference.familiar_name() == *name)
            .filter_map(|reference| Some(reference.digest()?.to_string()))
            .collect();
        if digests == Digests::Hidden {
            // several digests of one name are one line
            if own_tags.is_empty() {
                out.push(line(name, NONE, if own_digests.is_empty() { NONE } else { "" }));
            }
            out.extend(own_tags.iter().map(|tag| line(name, tag, NONE)));
            continue;
        }
        if own_tags.is_empty() && digests == Digests::Rows {
            out.extend(own_digests.iter().map(|digest| line(name, NONE, digest)));
        } else if own_tags.is_empty() {
            out.push(line(name, NONE, ""));
        }
        for tag in own_tags {
            if own_digests.is_empty() {
                out.push(line(name, tag, NONE));
            }
            out.extend(own_digests.iter().map(|digest| line(name, tag, digest)));
        }
    }
    out
}

fn one(document: &Json, truncate: bool, repository: &str, tag: &str, digest: &str) -> Value {
    let id = json::text(document, "Id");
    let created = json::int(document, "Created");
    let size = |key: &str| match json::int(document, key) {
        value if value >= 0 && document.get(key).is_some() => human::size(value as f64),
        _ => "N/A".to_owned(),
    };
    let total = json::int(document, "Size");
    let shared = document.get("SharedSize").and_then(Json::as_i64).unwrap_or(-1);
    let unique = if shared >= 0 { human::size((total - shared) as f64) } else { "N/A".into() };
    let containers = match document.get("Containers").and_then(Json::as_i64) {
        Some(count) if count >= 0 => count.to_string(),
        _ => "N/A".into(),
    };
    let fields = vec![
        ("ID", Value::text(if truncate { short_id(id) } else { id })),
        ("Repository", Value::text(repository)),
        ("Tag", Value::text(tag)),
        ("Digest", Value::text(digest)),
        ("CreatedSince", Value::text(if created <= 0 { "N/A".into() } else { human::ago(created) })),
        ("CreatedAt", Value::text(if created <= 0 { "N/A".into() } else { human::local_time(created) })),
        ("Size", Value::text(human::size3(total as f64))),
        ("Containers", Value::text(containers)),
        ("VirtualSize", Value::text(human::size(total as f64))),
        ("SharedSize", Value::text(size("SharedSize"))),
        ("UniqueSize", Value::text(unique)),
    ];
    row("*formatter.imageContext", fields)
}

/// Headings of `history`.
pub(crate) const HISTORY_HEADINGS: Headings = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

/// The table of `history` for people.
pub(crate) const HISTORY_TABLE: &str = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
/// With `--human=false`.
pub(crate) const HISTORY_TABLE_PLAIN: &str = "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

/// One line of `history`.
pub(crate) fn history(document: &Json, truncate: bool, human: bool) -> Value {
    let id = json::text(document, "Id");
    let created = json::int(document, "Created");
    let by = json::text(document, "CreatedBy").replace('\t', " ");
    let by = if truncate { ellipsis(&by, 45) } else { by };
    let size = json::int(document, "Size");
    let at = rfc3339(created);
    let since = if !human {
        at.clone()
    } else if created <= 0 {
        "N/A".into()
    } else {
        human::ago(created)
    };
    let fields = vec![
        ("ID", Value::text(if truncate { short_id(id) } else { id })),
        ("CreatedAt", Value::text(at)),
        ("CreatedSince", Value::text(since)),
        ("CreatedBy", Value::text(by)),
        ("Size", Value::text(if human { human::size3(size as f64) } else { size.to_string() })),
        ("Comment", Value::text(json::text(document, "Comment"))),
    ];
    row("*formatter.historyContext", fields)
}

fn rfc3339(seconds: i64) -> String {
    let Ok(moment) = jiff::Timestamp::from_second(seconds) else { return String::new() };
    let text = moment.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    match text.strip_suffix("+00:00") {
        Some(utc) => format!("{utc}Z"),
        None => text,
    }
}
