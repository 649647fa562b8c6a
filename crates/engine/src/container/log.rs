//! Where a container's output goes: the declared log options, parsed for its keeper.

use std::collections::BTreeMap;
use std::path::PathBuf;

use regex_lite::Regex;
use wharf_api::container::{Config, LogConfig as Declared};
use wharf_logs::{LogConfig, Rotation};
use wharf_spec::id::ContainerId;

use crate::{Error, Result, pattern};

/// The keeper's log configuration.
pub(crate) fn config(
    declared: &Declared,
    path: PathBuf,
    id: &ContainerId,
    name: &str,
    config: &Config,
) -> Result<LogConfig> {
    if declared.kind == "none" {
        return Ok(LogConfig::None);
    }
    let option = |key: &str| declared.config.as_ref().and_then(|c| c.get(key)).map(String::as_str).unwrap_or_default();
    let local = declared.kind == "local";
    let usual = if local { Rotation::LOCAL } else { Rotation::default() };
    let max_size = match option("max-size") {
        "" => usual.max_size,
        "-1" => None,
        text => Some(size(text).ok_or_else(|| Error::InvalidParameter(format!("invalid value for max-size: {text}")))?),
    };
    let max_file = match option("max-file") {
        "" => usual.max_file,
        text => match text.parse::<u32>() {
            Ok(n) if n >= 1 => n,
            _ => return Err(Error::InvalidParameter("max-file cannot be less than 1".into())),
        },
    };
    if max_file > 1 && max_size.is_none() {
        return Err(Error::InvalidParameter("max-file cannot be used with no max-size".into()));
    }
    let compress = match option("compress") {
        "" => usual.compress,
        "false" | "0" => false,
        "true" | "1" => true,
        text => return Err(Error::InvalidParameter(format!("invalid value for compress: {text}"))),
    };
    let rotation = Rotation { max_size, max_file, compress };
    if local {
        return Ok(LogConfig::Local { path: path.with_file_name("local-logs").join("container.log"), rotation });
    }
    let mut attrs = BTreeMap::new();
    for key in option("labels").split(',').filter(|k| !k.is_empty()) {
        if let Some(value) = config.labels.as_ref().and_then(|l| l.get(key)) {
            attrs.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(pattern) = expression(option("labels-regex"))? {
        let matching = config.labels.iter().flatten().filter(|(key, _)| pattern.is_match(key));
        attrs.extend(matching.map(|(key, value)| (key.clone(), value.clone())));
    }
    let variables = || config.env.iter().flatten().filter_map(|e| e.split_once('='));
    for key in option("env").split(',').filter(|k| !k.is_empty()) {
        if let Some((_, value)) = variables().find(|(k, _)| *k == key) {
            attrs.insert(key.to_owned(), value.to_owned());
        }
    }
    if let Some(pattern) = expression(option("env-regex"))? {
        attrs.extend(variables().filter(|(k, _)| pattern.is_match(k)).map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
    match option("tag") {
        "" => {}
        tag => _ = attrs.insert("tag".into(), expand(tag, id, name, config)),
    }
    Ok(LogConfig::JsonFile { path, rotation, attrs: attrs.into_iter().collect() })
}

/// The value of an option that is a regular expression.
fn expression(text: &str) -> Result<Option<Regex>> {
    let parse = || {
        pattern::compile(text).map_err(|why| {
            Error::System(format!("failed to create task for container: failed to initialize logging driver: {why}"))
        })
    };
    (!text.is_empty()).then(parse).transpose()
}

/// The fields of Docker's log tags.
fn expand(tag: &str, id: &ContainerId, name: &str, config: &Config) -> String {
    let fields = [
        ("{{.ID}}", id.short()),
        ("{{.FullID}}", id.as_str()),
        ("{{.Name}}", name),
        ("{{.ImageName}}", &config.image),
        ("{{.DaemonName}}", "docker"),
    ];
    fields.iter().fold(tag.to_owned(), |text, (field, value)| text.replace(field, value))
}

/// `10m`, `1g`, `500k`, `1.5mb`, plain bytes: powers of 1000, as Docker reads log sizes (and only those).
fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix("ib").or_else(|| text.strip_suffix('b')).unwrap_or(&text);
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = match unit.trim() {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * unit;
    (1.0..1e18).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |text: &str, expect: Option<u64>| assert_eq!(size(text), expect, "{text}");
        check("10m", Some(10_000_000));
        check("1.5k", Some(1500));
        check("2GB", Some(2_000_000_000));
        check("100", Some(100));
        for bad in ["", "x", "-1", "1x", "0", "1..2"] {
            check(bad, None);
        }
    }
}
