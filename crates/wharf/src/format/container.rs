//! Rows of `ps` and `stats`.

use serde_json::Value as Json;
use wharf_spec::reference::Reference;
use wharf_template::{Value, quote};

use super::{Headings, ellipsis, join_labels, labels, ports, row, short_id, with_labels};
use crate::{human, json};

/// Headings of `ps`.
pub(crate) const HEADINGS: Headings = &[
    ("ID", "CONTAINER ID"),
    ("Names", "NAMES"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Ports", "PORTS"),
    ("State", "STATE"),
    ("Status", "STATUS"),
    ("Size", "SIZE"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
];

/// The plain table.
pub(crate) const TABLE: &str =
    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

/// One line of `ps`.
pub(crate) fn container(document: &Json, truncate: bool) -> Value {
    let id = json::text(document, "Id");
    let created = json::int(document, "Created");
    let command = json::text(document, "Command");
    let command = if truncate { ellipsis(command, 20) } else { command.to_owned() };
    let labels = labels(document);
    let mounts: Vec<String> = json::list(document, "Mounts").iter().map(|mount| mount_name(mount, truncate)).collect();
    let local = json::list(document, "Mounts").iter().filter(|mount| json::text(mount, "Driver") == "local").count();
    let mut networks: Vec<&str> = match document.get("NetworkSettings") {
        Some(settings) => json::entries(settings, "Networks").into_iter().map(|(name, _)| name).collect(),
        None => Vec::new(),
    };
    networks.sort_unstable();
    let fields = vec![
        ("ID", Value::text(if truncate { short_id(id) } else { id })),
        ("Names", Value::text(names(document, truncate))),
        ("Image", Value::text(image(document, truncate))),
        ("Command", Value::text(quote(&command))),
        ("CreatedAt", Value::text(human::local_time(created))),
        ("RunningFor", Value::text(format!("{} ago", human::duration(human::now() - created)))),
        ("Ports", Value::text(ports::display(json::list(document, "Ports")))),
        ("State", Value::text(json::text(document, "State"))),
        ("Status", Value::text(json::text(document, "Status"))),
        ("Size", Value::text(sizes(document))),
        ("Labels", Value::text(join_labels(&labels))),
        ("Mounts", Value::text(mounts.join(","))),
        ("LocalVolumes", Value::text(local.to_string())),
        ("Networks", Value::text(networks.join(","))),
        ("Platform", platform(document)),
    ];
    with_labels(row("*formatter.ContainerContext", fields), labels)
}

/// The platform of the image's manifest, where the engine tells it.
fn platform(document: &Json) -> Value {
    let platform = document.get("ImageManifestDescriptor").and_then(|descriptor| descriptor.get("platform"));
    match platform.filter(|platform| platform.is_object()) {
        Some(platform) => Value::from_json(platform),
        None => Value::Struct(std::rc::Rc::new(wharf_template::Struct {
            kind: "*v1.Platform",
            nil: true,
            escaped: false,
            fields: Vec::new(),
        })),
    }
}

fn mount_name(mount: &Json, truncate: bool) -> String {
    let name = json::text(mount, "Name");
    let name = if name.is_empty() { json::text(mount, "Source") } else { name };
    if truncate { ellipsis(name, 15) } else { name.to_owned() }
}

fn names(document: &Json, truncate: bool) -> String {
    let names: Vec<&str> =
        json::strings(document, "Names").into_iter().map(|name| name.strip_prefix('/').unwrap_or(name)).collect();
    if truncate && let Some(own) = names.iter().find(|name| !name.contains('/')) {
        return (*own).to_owned();
    }
    names.join(",")
}

fn image(document: &Json, truncate: bool) -> String {
    let image = json::text(document, "Image");
    if image.is_empty() {
        return "<no image>".into();
    }
    if !truncate {
        return image.to_owned();
    }
    let short = short_id(json::text(document, "ImageID"));
    if short == short_id(image) {
        return short.to_owned();
    }
    match Reference::parse(image) {
        Ok(reference) if reference.tag().is_some() => {
            let tag = reference.tag().unwrap_or_default();
            format!("{}:{tag}", reference.familiar_name())
        }
        Ok(reference) if reference.digest().is_some() => reference.familiar_name(),
        _ => image.to_owned(),
    }
}

fn sizes(document: &Json) -> String {
    let own = human::size3(json::int(document, "SizeRw") as f64);
    match json::int(document, "SizeRootFs") {
        total if total > 0 => format!("{own} (virtual {})", human::size3(total as f64)),
        _ => own,
    }
}

/// Headings of `stats`.
pub(crate) const STATS_HEADINGS: Headings = &[
    ("Container", "CONTAINER"),
    ("Name", "NAME"),
    ("ID", "CONTAINER ID"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];

/// The table of `stats`.
pub(crate) const STATS_TABLE: &str =
    "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

/// One line of `stats` for the container that the user called `given`; `None` before the first figures.
pub(crate) fn stats(given: &str, document: Option<&Json>, truncate: bool) -> Value {
    let Some(document) = document else {
        let fields = vec![
            ("Container", Value::text(given)),
            ("Name", Value::text("--")),
            ("ID", Value::text("--")),
            ("CPUPerc", Value::text("--")),
            ("MemUsage", Value::text("-- / --")),
            ("MemPerc", Value::text("--")),
            ("NetIO", Value::text("--")),
            ("BlockIO", Value::text("--")),
            ("PIDs", Value::text("--")),
        ];
        return row("*container.statsContext", fields);
    };
    let null = Json::Null;
    let at = |key: &str| document.get(key).unwrap_or(&null);
    let memory = at("memory_stats");
    let used = memory_used(memory);
    let limit = json::uint(memory, "limit") as f64;
    let percent = if limit > 0.0 { used / limit * 100.0 } else { 0.0 };
    let (received, sent) = network(document);
    let (read, written) = block(document);
    let id = json::text(document, "id");
    let name = json::text(document, "name");
    let fields = vec![
        ("Container", Value::text(given)),
        ("Name", Value::text(name.strip_prefix('/').unwrap_or(name))),
        ("ID", Value::text(if truncate { short_id(id) } else { id })),
        ("CPUPerc", Value::text(format!("{:.2}%", cpu(at("precpu_stats"), at("cpu_stats"))))),
        ("MemUsage", Value::text(format!("{} / {}", human::binary_size(used), human::binary_size(limit)))),
        ("MemPerc", Value::text(format!("{percent:.2}%"))),
        ("NetIO", Value::text(format!("{} / {}", human::size3(received), human::size3(sent)))),
        ("BlockIO", Value::text(format!("{} / {}", human::size3(read), human::size3(written)))),
        ("PIDs", Value::text(json::uint(at("pids_stats"), "current").to_string())),
    ];
    row("*container.statsContext", fields)
}

/// What is used without the page cache that can go at any time.
fn memory_used(memory: &Json) -> f64 {
    let usage = json::uint(memory, "usage");
    let cache = match memory.get("stats") {
        Some(stats) if stats.get("total_inactive_file").is_some() => json::uint(stats, "total_inactive_file"),
        Some(stats) => json::uint(stats, "inactive_file"),
        None => 0,
    };
    (if cache < usage { usage - cache } else { usage }) as f64
}

fn cpu(before: &Json, now: &Json) -> f64 {
    let total = |stats: &Json| stats.get("cpu_usage").map_or(0, |usage| json::uint(usage, "total_usage")) as f64;
    let used = total(now) - total(before);
    let system = json::uint(now, "system_cpu_usage") as f64 - json::uint(before, "system_cpu_usage") as f64;
    let online = match json::uint(now, "online_cpus") {
        0 => now.get("cpu_usage").map_or(0, |usage| json::list(usage, "percpu_usage").len()) as f64,
        online => online as f64,
    };
    if system > 0.0 && used > 0.0 { used / system * online * 100.0 } else { 0.0 }
}

fn network(document: &Json) -> (f64, f64) {
    let networks = json::entries(document, "networks");
    let sum = |key: &str| networks.iter().map(|(_, one)| json::uint(one, key) as f64).sum();
    (sum("rx_bytes"), sum("tx_bytes"))
}

fn block(document: &Json) -> (f64, f64) {
    let null = Json::Null;
    let entries = json::list(document.get("blkio_stats").unwrap_or(&null), "io_service_bytes_recursive");
    let sum = |letter: char| {
        let matching = entries.iter().filter(|one| json::text(one, "op").to_lowercase().starts_with(letter));
        matching.map(|one| json::uint(one, "value") as f64).sum()
    };
    (sum('r'), sum('w'))
}
