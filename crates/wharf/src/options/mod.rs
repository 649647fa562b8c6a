//! Values of flags: text in, checked values or docker's sentence out.

pub(crate) mod create;
pub(crate) mod device;
pub(crate) mod mount;
pub(crate) mod network;
pub(crate) mod port;
pub(crate) mod units;

use std::fs;

use serde_json::{Map, Value, json};

use crate::go;

/// `--filter name=value`
pub(crate) fn parse_filter(text: &str) -> Result<Option<(String, String)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.split_once('=') {
        Some((name, value)) => Ok(Some((name.trim().to_lowercase(), value.trim().to_owned()))),
        None => Err("bad format of filter (expected name=value)".into()),
    }
}

/// All filters as the API's JSON; nothing when there are none.
pub(crate) fn filters(values: &[&str]) -> Option<String> {
    let mut out: std::collections::BTreeMap<String, Map<String, Value>> = std::collections::BTreeMap::new();
    for (name, value) in values.iter().filter_map(|text| parse_filter(text).ok().flatten()) {
        out.entry(name).or_default().insert(value, Value::Bool(true));
    }
    let sorted = out.into_iter().map(|(name, values)| {
        let values: std::collections::BTreeMap<String, Value> = values.into_iter().collect();
        (name, json!(values))
    });
    let sorted: Map<String, Value> = sorted.collect();
    (!sorted.is_empty()).then(|| Value::Object(sorted).to_string())
}

/// `-e NAME[=value]`
pub(crate) fn parse_env(text: &str) -> Result<Option<String>, String> {
    if text.starts_with('=') || text.is_empty() {
        return Err(format!("invalid environment variable: {text}"));
    }
    if text.contains('=') {
        return Ok(Some(text.to_owned()));
    }
    Ok(Some(match std::env::var(text) {
        Ok(value) => format!("{text}={value}"),
        Err(_) => text.to_owned(),
    }))
}

/// `-l NAME[=value]`
pub(crate) fn check_label(text: &str) -> Result<(), String> {
    let name = text.split('=').next().unwrap_or_default();
    let bare = name.trim_start_matches([' ', '\t', '\n']);
    if name.is_empty() {
        return Err(format!("invalid label '{text}': empty name"));
    }
    if bare != name {
        return Err(format!("invalid label '{text}': whitespace in name"));
    }
    Ok(())
}

/// `key=value` pairs as an object, in the order of the keys; a missing `=` gives an empty value.
pub(crate) fn pairs<S: AsRef<str>>(values: &[S]) -> Value {
    let pairs = values.iter().map(|text| {
        let (key, value) = text.as_ref().split_once('=').unwrap_or((text.as_ref(), ""));
        (key.to_owned(), value.to_owned())
    });
    json!(pairs.collect::<std::collections::BTreeMap<_, _>>())
}

/// `--add-host name:address`
pub(crate) fn parse_extra_host(text: &str) -> Result<String, String> {
    let (name, address) = match text.split_once('=') {
        Some((name, address)) if !name.contains(':') || name.starts_with('[') => (name, address),
        _ => text.split_once(':').unwrap_or(("", "")),
    };
    if name.is_empty() {
        return Err(format!("bad format for add-host: {}", go::quote(text)));
    }
    let bare = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
    if bare != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {}", go::quote(bare)));
    }
    Ok(format!("{name}:{bare}"))
}

/// `-a STREAM`
pub(crate) fn parse_attach(text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    if matches!(lower.as_str(), "stdin" | "stdout" | "stderr") {
        return Ok(lower);
    }
    Err("valid streams are STDIN, STDOUT and STDERR".into())
}

/// `--dns`
pub(crate) fn parse_ip(text: &str) -> Result<String, String> {
    match text.trim().parse::<std::net::IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(format!("IP address is not correctly formatted: {text}")),
    }
}

/// `--dns-search`
pub(crate) fn parse_dns_search(text: &str) -> Result<String, String> {
    let domain = text.trim_matches(' ');
    if domain == "." {
        return Ok(domain.to_owned());
    }
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let trimmed = domain.strip_suffix('.').unwrap_or(domain);
    if trimmed.len() < 255 && trimmed.chars().any(|c| c.is_ascii_alphabetic()) && trimmed.split('.').all(part) {
        return Ok(domain.to_owned());
    }
    Err(format!("{text} is not a valid domain"))
}

/// `--link name[:alias]`
pub(crate) fn check_link(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty string specified for links".into());
    }
    if text.split(':').count() > 2 {
        return Err(format!("bad format for links: {text}"));
    }
    Ok(())
}

/// `--ulimit name=soft[:hard]`
pub(crate) fn parse_ulimit(text: &str) -> Result<(String, i64, i64), String> {
    const NAMES: [&str; 16] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let Some((name, limits)) = text.split_once('=') else { return Err(format!("invalid ulimit argument: {text}")) };
    if !NAMES.contains(&name) || name == "as" {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let parts: Vec<&str> = limits.split(':').collect();
    if parts.len() > 2 {
        return Err(format!("too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"));
    }
    let number = |text: &str| {
        text.parse::<i64>().map_err(|_| format!("strconv.ParseInt: parsing {}: invalid syntax", go::quote(text)))
    };
    let soft = number(parts[0])?;
    let hard = parts.get(1).map_or(Ok(soft), |text| number(text))?;
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
    }
    Ok((name.to_owned(), soft, hard))
}

/// `--sysctl name=value`: only what lives in a namespace.
pub(crate) fn check_sysctl(text: &str) -> Result<(), String> {
    const NAMES: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let name = text.split_once('=').map_or("", |(name, _)| name);
    if NAMES.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.") {
        return Ok(());
    }
    Err(format!("sysctl '{text}' is not allowed"))
}

/// `--restart name[:count]`
pub(crate) fn parse_restart(text: &str) -> Result<Value, String> {
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => {
            let count = count
                .parse::<i64>()
                .map_err(|_| "invalid restart policy format: maximum retry count must be an integer")?;
            (name, count)
        }
        None => (text, 0),
    };
    if name.is_empty() && text.contains(':') {
        return Err("invalid restart policy format: no policy provided before colon".into());
    }
    Ok(json!({"Name": name, "MaximumRetryCount": count}))
}

/// Lines of a file of variables or labels: comments and blank lines left out; a name alone is looked up with `find`.
pub(crate) fn read_pairs(path: &str, find: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>, String> {
    let text = fs::read(path).map_err(|error| go::path_error("open", path, &error))?;
    let text = String::from_utf8(text).map_err(|_| format!("invalid utf8 bytes in file {path}"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (line, None),
        };
        let name = if value.is_some() { name } else { name.trim_end() };
        if name.contains([' ', '\t']) {
            return Err(format!("invalid env file ({path}): variable '{name}' contains whitespaces"));
        }
        if name.is_empty() {
            return Err(format!("invalid env file ({path}): no variable name on line '{line}'"));
        }
        match value {
            Some(value) => out.push(format!("{name}={value}")),
            None => out.extend(find(name)),
        }
    }
    Ok(out)
}
