//! Rows of networks, volumes, contexts, search results and the space that everything takes.

use serde_json::Value as Json;
use wharf_template::Value;

use super::{Headings, ellipsis, join_labels, labels, row, short_id, with_labels};
use crate::{human, json};

/// Headings of `network ls`.
pub(crate) const NETWORK_HEADINGS: Headings = &[
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("IPv4", "IPV4"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("CreatedAt", "CREATED AT"),
];
/// The table of `network ls`.
pub(crate) const NETWORK_TABLE: &str = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";

/// One network.
pub(crate) fn network(document: &Json, truncate: bool) -> Value {
    let id = json::text(document, "Id");
    let labels = labels(document);
    let truth = |key: &str| Value::text(json::truth(document, key).to_string());
    let fields = vec![
        ("ID", Value::text(if truncate { short_id(id) } else { id })),
        ("Name", Value::text(json::text(document, "Name"))),
        ("Driver", Value::text(json::text(document, "Driver"))),
        ("Scope", Value::text(json::text(document, "Scope"))),
        ("IPv4", truth("EnableIPv4")),
        ("IPv6", truth("EnableIPv6")),
        ("Internal", truth("Internal")),
        ("Labels", Value::text(join_labels(&labels))),
        ("CreatedAt", Value::text(super::schema::go_time(json::text(document, "Created")))),
    ];
    with_labels(row("*network.networkContext", fields), labels)
}

/// Headings of `volume ls`.
pub(crate) const VOLUME_HEADINGS: Headings = &[
    ("Name", "VOLUME NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("Availability", "AVAILABILITY"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Size", "SIZE"),
    ("Group", "GROUP"),
    ("Status", "STATUS"),
];
/// The table of `volume ls`.
pub(crate) const VOLUME_TABLE: &str = "table {{.Driver}}\t{{.Name}}";

/// One volume.
pub(crate) fn volume(document: &Json) -> Value {
    let labels = labels(document);
    let usage = document.get("UsageData").filter(|usage| !usage.is_null());
    let (links, size) = match usage {
        Some(usage) => (json::int(usage, "RefCount").to_string(), human::size(json::int(usage, "Size") as f64)),
        None => ("N/A".to_owned(), "N/A".to_owned()),
    };
    let fields = vec![
        ("Name", Value::text(json::text(document, "Name"))),
        ("Driver", Value::text(json::text(document, "Driver"))),
        ("Scope", Value::text(json::text(document, "Scope"))),
        ("Mountpoint", Value::text(json::text(document, "Mountpoint"))),
        ("Labels", Value::text(join_labels(&labels))),
        ("Links", Value::text(links)),
        ("Size", Value::text(size)),
        ("Availability", Value::text("N/A")),
        ("Group", Value::text("N/A")),
        ("Status", Value::text("N/A")),
    ];
    with_labels(row("*formatter.volumeContext", fields), labels)
}

/// Headings of `plugin ls`.
pub(crate) const PLUGIN_HEADINGS: Headings = &[
    ("ID", "ID"),
    ("Name", "NAME"),
    ("Description", "DESCRIPTION"),
    ("Enabled", "ENABLED"),
    ("PluginReference", "PLUGIN REFERENCE"),
];
/// The table of `plugin ls`.
pub(crate) const PLUGIN_TABLE: &str = "table {{.ID}}\t{{.Name}}\t{{.Description}}\t{{.Enabled}}";

/// One managed plugin.
pub(crate) fn plugin(document: &Json, truncate: bool) -> Value {
    let id = json::text(document, "Id");
    let config = document.get("Config").unwrap_or(&Json::Null);
    let description = json::text(config, "Description").replace(['\n', '\r'], " ");
    let fields = vec![
        ("ID", Value::text(if truncate { short_id(id) } else { id })),
        ("Name", Value::text(json::text(document, "Name"))),
        ("Description", Value::text(if truncate { ellipsis(&description, 45) } else { description })),
        ("Enabled", Value::text(json::truth(document, "Enabled").to_string())),
        ("PluginReference", Value::text(json::text(document, "PluginReference"))),
    ];
    row("*plugin.pluginContext", fields)
}

/// Headings of `context ls`.
pub(crate) const CONTEXT_HEADINGS: Headings =
    &[("Name", "NAME"), ("Description", "DESCRIPTION"), ("DockerEndpoint", "DOCKER ENDPOINT"), ("Error", "ERROR")];
/// The table of `context ls`.
pub(crate) const CONTEXT_TABLE: &str =
    "table {{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}";

/// Headings of `search`.
pub(crate) const SEARCH_HEADINGS: Headings =
    &[("Name", "NAME"), ("Description", "DESCRIPTION"), ("StarCount", "STARS"), ("IsOfficial", "OFFICIAL")];
/// The table of `search`.
pub(crate) const SEARCH_TABLE: &str = "table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";

/// One search result.
pub(crate) fn search(document: &Json, truncate: bool, json_format: bool) -> Value {
    let description = json::text(document, "description").replace(['\n', '\r'], " ");
    let description = if truncate { ellipsis(&description, 45) } else { description };
    let official = json::truth(document, "is_official");
    let official = match (official, json_format) {
        (true, true) => "true",
        (false, true) => "false",
        (true, false) => "[OK]",
        (false, false) => "",
    };
    let fields = vec![
        ("Name", Value::text(json::text(document, "name"))),
        ("Description", Value::text(description)),
        ("StarCount", Value::text(json::int(document, "star_count").to_string())),
        ("IsOfficial", Value::text(official)),
        ("IsAutomated", Value::text(if json_format { "false" } else { "" })),
    ];
    row("*search.searchContext", fields)
}

/// Headings of `system df`.
pub(crate) const USAGE_HEADINGS: Headings = &[
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
];
/// The table of `system df`.
pub(crate) const USAGE_TABLE: &str = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";

/// Headings of `diff`.
pub(crate) const DIFF_HEADINGS: Headings = &[("Type", "CHANGE TYPE"), ("Path", "PATH")];
