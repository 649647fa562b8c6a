//! Images, their history, and the messages of progress streams.

use std::collections::BTreeMap;

use serde_json::Value;
use wharf_api::go::Any;
use wharf_api::image::{self, Deleted, History, Message, Metadata, RootFs, Summary};
use wharf_api::inspect::GraphDriver;
use wharf_engine::{HistoryItem, Image, ImageDeleted, ImageSummary, Progress};
use wharf_spec::image::RunConfig;
use wharf_spec::reference::Reference;

use crate::time::{NEVER, rfc3339_or_never};
use crate::version::{ApiVersion, before};

/// One row of `GET /images/json`; `shared` is -1 when not asked for.
pub(crate) fn summary(row: &ImageSummary, shared: i64, version: ApiVersion) -> Summary {
    let mut row = usage(row, shared, version);
    if before(version, 51) {
        row.containers = -1;
    }
    if !before(version, 43) {
        row.repo_tags.get_or_insert_default();
        row.repo_digests.get_or_insert_default();
    } else if row.repo_tags.is_none() && row.repo_digests.is_none() {
        row.repo_tags = Some(vec!["<none>:<none>".into()]);
        row.repo_digests = Some(vec!["<none>@<none>".into()]);
    }
    row
}

/// One image of `GET /system/df`; `shared` is -1 when not computed.
pub(crate) fn usage(row: &ImageSummary, shared: i64, version: ApiVersion) -> Summary {
    let image = &row.image;
    let size = i64::try_from(image.size).unwrap_or(i64::MAX);
    let names = |list: &[Reference]| (!list.is_empty()).then(|| list.iter().map(Reference::familiar).collect());
    Summary {
        containers: i64::try_from(row.containers).unwrap_or(i64::MAX),
        created: image.created,
        id: image.id.to_string(),
        labels: image.labels.clone(),
        parent_id: image.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        repo_digests: names(&image.digests),
        repo_tags: names(&image.tags),
        shared_size: shared,
        size,
        virtual_size: if before(version, 44) { size } else { 0 },
    }
}

/// `GET /images/{name}/json`.
pub(crate) fn inspect(image: &Image, version: ApiVersion) -> image::Inspect {
    let config = &image.config;
    let comment = config.history.last().and_then(|step| step.comment.clone());
    let container_config = before(version, 45).then(|| {
        let recorded = config.container_config.clone().map(serde_json::from_value);
        recorded.and_then(Result::ok).unwrap_or_default()
    });
    image::Inspect {
        id: image.id.to_string(),
        repo_tags: image.tags.clone(),
        repo_digests: image.digests.clone(),
        parent: image.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        comment: config.comment.clone().filter(|text| !text.is_empty()).or(comment).unwrap_or_default(),
        created: config.created.clone().unwrap_or_else(|| NEVER.into()),
        container: if before(version, 45) { config.container.clone().unwrap_or_default() } else { String::new() },
        container_config,
        docker_version: config.docker_version.clone().unwrap_or_default(),
        author: config.author.clone().unwrap_or_default(),
        config: Some(run_config(&config.config.clone().unwrap_or_default(), version)),
        architecture: config.architecture.clone(),
        variant: config.variant.clone().unwrap_or_default(),
        os: config.os.clone(),
        os_version: config.os_version.clone().unwrap_or_default(),
        size: image.size,
        virtual_size: if before(version, 44) { image.size } else { 0 },
        graph_driver: GraphDriver { data: Some(image.graph.clone()), name: image.driver.clone() },
        root_fs: RootFs { kind: "layers".into(), layers: Some(image.layers.iter().map(ToString::to_string).collect()) },
        metadata: Metadata { last_tag_time: rfc3339_or_never(image.last_tagged) },
    }
}

/// The `Config` of an inspected image: keys in alphabetical order, until v1.49 with those of containers.
fn run_config(config: &RunConfig, version: ApiVersion) -> BTreeMap<String, Any> {
    let Ok(Value::Object(known)) = serde_json::to_value(config) else { return BTreeMap::new() };
    let mut keys: BTreeMap<String, Any> = known.into_iter().map(|(key, value)| (key, Any(value))).collect();
    for key in ["Hostname", "Domainname", "Image"] {
        container_key(&mut keys, key, Value::String(String::new()), version);
    }
    for key in ["AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"] {
        container_key(&mut keys, key, Value::Bool(false), version);
    }
    keys
}

fn container_key(keys: &mut BTreeMap<String, Any>, key: &str, zero: Value, version: ApiVersion) {
    if before(version, 50) {
        keys.entry(key.to_owned()).or_insert(Any(zero));
    } else {
        keys.remove(key);
    }
}

/// One step of a history.
pub(crate) fn step(item: HistoryItem) -> History {
    History {
        comment: item.comment,
        created: item.created.map_or(0, jiff::Timestamp::as_second),
        created_by: item.created_by,
        id: item.id.map_or_else(|| "<missing>".into(), |id| id.to_string()),
        size: item.size,
        tags: (!item.tags.is_empty()).then_some(item.tags),
    }
}

/// One line of a removal.
pub(crate) fn deleted(gone: ImageDeleted) -> Deleted {
    match gone {
        ImageDeleted::Untagged(name) => Deleted { untagged: name, ..Deleted::default() },
        ImageDeleted::Deleted(id) => Deleted { deleted: id, ..Deleted::default() },
    }
}

/// One message of a progress stream.
pub(crate) fn message(progress: Progress) -> Message {
    match progress {
        Progress::Stream(text) => Message { stream: text, ..Message::default() },
        Progress::Status { status, id, detail } => {
            let bar = detail.map(|(current, total)| bar(current, total)).unwrap_or_default();
            let detail = detail.map(|(current, total)| image::ProgressDetail {
                current: i64::try_from(current).unwrap_or(i64::MAX),
                total: total.map_or(0, |total| i64::try_from(total).unwrap_or(i64::MAX)),
                start: 0,
            });
            // an item of an object without figures shows an empty detail
            let detail = detail.or_else(|| id.is_some().then(image::ProgressDetail::default));
            Message { status, id: id.unwrap_or_default(), progress: bar, progress_detail: detail, ..Message::default() }
        }
        Progress::Heading { status, id } => Message { status, id, ..Message::default() },
        Progress::Pushed { tag, digest, size } => {
            let aux = serde_json::json!({"Tag": tag, "Digest": digest.to_string(), "Size": size});
            let detail = Some(image::ProgressDetail::default());
            Message { progress_detail: detail, aux: Some(Any(aux)), ..Message::default() }
        }
        Progress::Error(error) => {
            let message = error.to_string();
            let error_detail = Some(image::ErrorDetail { message: message.clone(), code: 0 });
            Message { error_detail, error: message, ..Message::default() }
        }
    }
}

/// Docker's bar of 50 characters with the sizes.
fn bar(current: u64, total: Option<u64>) -> String {
    let now = human(current);
    let Some(total) = total.filter(|total| *total > 0) else { return format!("{now:>8}") };
    let percent = (u128::from(current) * 100 / u128::from(total) / 2).min(50);
    let filled = usize::try_from(percent).unwrap_or(50);
    let arrow = format!("{}>", "=".repeat(filled));
    let gap = " ".repeat(50_usize.saturating_sub(filled));
    format!("[{arrow}{gap}] {now:>8}/{}", human(total))
}

/// Decimal units with four significant digits, as Docker's `units.HumanSize`.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    // precise enough for four digits
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value >= 1000.0 { 0 } else { 3 - (value.max(1.0).log10() as usize).min(3) };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let check = |bytes: u64, expect: &str| assert_eq!(human(bytes), expect);
        check(0, "0B");
        check(999, "999B");
        check(1_984_172, "1.984MB");
        check(32_768, "32.77kB");
        check(2_000_000_000, "2GB");
    }

    #[test]
    fn bars() {
        assert_eq!(bar(0, None), "      0B");
        assert_eq!(bar(1000, Some(2000)), format!("[{}>{}]      1kB/2kB", "=".repeat(25), " ".repeat(25)));
        assert_eq!(bar(2000, Some(2000)), format!("[{}>]      2kB/2kB", "=".repeat(50)));
    }

    #[test]
    fn messages_are_dockers() {
        let check = |progress: Progress, expect: &str| {
            assert_eq!(serde_json::to_string(&message(progress)).expect("plain data"), expect);
        };
        check(Progress::Stream("Loaded image: a:b\n".into()), r#"{"stream":"Loaded image: a:b\n"}"#);
        check(Progress::Status { status: "sha256:0".into(), id: None, detail: None }, r#"{"status":"sha256:0"}"#);
        check(
            Progress::Error(wharf_engine::Error::System("no space".into())),
            r#"{"errorDetail":{"message":"no space"},"error":"no space"}"#,
        );
    }
}
