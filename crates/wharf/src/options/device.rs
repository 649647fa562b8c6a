//! `--device`, `--gpus`, block device limits.

use serde_json::{Value, json};

use super::units::parse_bytes;
use crate::go;

/// `--device` as a mapping, or `Err` with docker's sentence.
pub(crate) fn parse_device(text: &str) -> Result<Value, String> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 || parts.is_empty() {
        return Err(format!("bad format for path: {text}"));
    }
    let is_mode = |mode: &str| !mode.is_empty() && mode.chars().all(|c| "rwm".contains(c));
    let host = parts[0];
    let (mut inside, mut mode) = ("", "rwm");
    if let Some(second) = parts.get(1) {
        if is_mode(second) { mode = second } else { inside = second }
    }
    if let Some(third) = parts.get(2) {
        if !is_mode(third) {
            return Err(format!("bad mode specified: {third}"));
        }
        mode = third;
    }
    if inside.is_empty() {
        inside = host;
    }
    let absolute = |path: &str| path.starts_with('/');
    if !absolute(inside) {
        return Err(format!("{inside} is not an absolute path"));
    }
    Ok(json!({"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": mode}))
}

/// Whether a device is named the CDI way (`vendor.com/class=name`).
pub(crate) fn is_cdi(text: &str) -> bool {
    let Some((kind, name)) = text.split_once('=') else { return false };
    let Some((vendor, class)) = kind.split_once('/') else { return false };
    let word = |text: &str, extra: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    word(vendor, "_-.") && word(class, "_-") && word(name, "_-.:")
}

/// `--device-cgroup-rule`
pub(crate) fn check_rule(text: &str) -> Result<(), String> {
    let number = |text: &str| text == "*" || !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split(' ').collect();
    let valid = match parts.as_slice() {
        [kind, numbers, mode] => {
            matches!(*kind, "a" | "b" | "c")
                && numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
                && (1..=3).contains(&mode.len())
                && mode.chars().all(|c| "rwm".contains(c))
        }
        _ => false,
    };
    if valid { Ok(()) } else { Err(format!("invalid device cgroup format '{text}'")) }
}

/// `--blkio-weight-device`
pub(crate) fn parse_weight(text: &str) -> Result<Value, String> {
    let Some((path, weight)) = text.split_once(':').filter(|(path, _)| !path.is_empty()) else {
        return Err(format!("bad format: {text}"));
    };
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    let weight: u16 = weight.parse().map_err(|_| format!("invalid weight for device: {text}"))?;
    if weight > 0 && !(10..=1000).contains(&weight) {
        return Err(format!("invalid weight for device: {text}"));
    }
    Ok(json!({"Path": path, "Weight": weight}))
}

/// `--device-{read,write}-{bps,iops}`; `bytes` tells whether units are allowed.
pub(crate) fn parse_rate(text: &str, bytes: bool) -> Result<Value, String> {
    let Some((path, rate)) = text.split_once(':').filter(|(path, _)| !path.is_empty()) else {
        return Err(format!("bad format: {text}"));
    };
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    let rate =
        if bytes { parse_bytes(rate).ok().filter(|rate| *rate >= 0) } else { rate.parse::<u32>().ok().map(i64::from) };
    let unit = if bytes { "[<unit>]" } else { "" };
    let more = if bytes { ". Unit is optional and can be kb, mb, or gb" } else { "" };
    match rate {
        Some(rate) => Ok(json!({"Path": path, "Rate": rate})),
        None => Err(format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>{unit}. Number must be a positive integer{more}"
        )),
    }
}

/// `--gpus`
pub(crate) fn parse_gpus(text: &str) -> Result<Value, String> {
    let (mut driver, mut count, mut ids) = (String::new(), None, Value::Null);
    let (mut capabilities, mut options) = (Vec::new(), std::collections::BTreeMap::new());
    let mut seen: Vec<String> = Vec::new();
    for field in go::csv(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (field.clone(), None),
        };
        if seen.contains(&key) {
            return Err(format!("gpu request key '{key}' can be specified only once"));
        }
        seen.push(key.clone());
        let Some(value) = value else {
            count = Some(gpu_count(&key)?);
            continue;
        };
        match key.as_str() {
            "driver" => driver = value,
            "count" => count = Some(gpu_count(&value)?),
            "device" => ids = json!(value.split(',').collect::<Vec<_>>()),
            "capabilities" => capabilities = value.split(',').map(str::to_owned).collect(),
            "options" => {
                for pair in go::csv(&value)? {
                    let (key, value) = pair.split_once('=').unwrap_or((&pair, ""));
                    options.insert(key.to_owned(), value.to_owned());
                }
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    if !seen.iter().any(|key| key == "count") && count.is_none() && ids.is_null() {
        count = Some(1);
    }
    if !capabilities.iter().any(|capability: &String| capability == "gpu") {
        capabilities.push("gpu".into());
    }
    Ok(json!({
        "Driver": driver, "Count": count.unwrap_or(0), "DeviceIDs": ids, "Capabilities": [capabilities], "Options": options,
    }))
}

fn gpu_count(text: &str) -> Result<i64, String> {
    if text == "all" {
        return Ok(-1);
    }
    text.parse().map_err(|_| {
        let why = format!("strconv.Atoi: parsing {}: invalid syntax", go::quote(text));
        if text.is_empty() {
            why
        } else {
            format!("invalid count ({text}): value must be either \"all\" or an integer: {why}")
        }
    })
}
