//! The options of the local driver (`volume create -o`), checked; and the names of volumes.

use std::collections::BTreeMap;

use crate::row::Foreign;
use crate::{Error, Result};

/// What the options ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A folder.
    Folder,
    /// A limit of so many bytes.
    Sized(u64),
    /// A mount.
    Foreign(Foreign),
}

/// Checks the options of the volume `name`.
pub(crate) fn parse(name: &str, options: Option<&BTreeMap<String, String>>) -> Result<Wish> {
    let empty = BTreeMap::new();
    let options = options.unwrap_or(&empty);
    let invalid = |why: String| Error::Invalid(format!("create {name}: {why}"));
    if let Some(key) = options.keys().find(|key| !matches!(key.as_str(), "type" | "device" | "o" | "size")) {
        return Err(invalid(format!("invalid option: {key:?}")));
    }
    let size = options
        .get("size")
        .map(|text| bytes(text).filter(|size| *size > 0).ok_or_else(|| invalid(format!("invalid size: '{text}'"))));
    let size = size.transpose()?;
    let get = |key: &str| options.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let needs: [(&str, &[&str]); 3] = [("device", &["type"]), ("type", &["device"]), ("o", &["device", "type"])];
    for (given, needed) in needs {
        if let Some(missing) = needed.iter().find(|key| get(given).is_some() && get(key).is_none()) {
            return Err(invalid(format!("missing required option: {missing:?}")));
        }
    }
    let (Some(kind), Some(device)) = (get("type"), get("device")) else {
        return Ok(size.map_or(Wish::Folder, Wish::Sized));
    };
    let mut words = get("o").unwrap_or_default().to_owned();
    match size {
        Some(size) if kind == "tmpfs" => {
            let comma = if words.is_empty() { "" } else { "," };
            words = format!("{words}{comma}size={size}");
        }
        Some(_) => return Err(invalid(format!("option \"size\" limits folders and tmpfs, not type {kind:?}"))),
        None => {}
    }
    Ok(Wish::Foreign(Foreign { kind: kind.into(), device: device.into(), options: words }))
}

/// `10G`, `512m`, `1.5gib`, `4096`: bytes, with binary suffixes.
pub fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let split = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, suffix) = lower.split_at(split);
    let number: f64 = number.parse().ok()?;
    let suffix = suffix.trim_start();
    let power = match suffix.trim_end_matches("ib").trim_end_matches('b') {
        "" if !suffix.starts_with('i') => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let size = number * 1024_f64.powi(power);
    (size.is_finite() && size < 9e18).then_some(size as u64)
}

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]+`
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.len() == 1 {
        return Err(Error::Invalid(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
    if is_name(name) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "create {name}: {name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are \
         allowed. If you intended to pass a host directory, use absolute path"
    )))
}

/// Whether a volume may have the name. 255 bytes is what a folder's name may have.
pub(crate) fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() > 1
        && bytes.len() <= 255
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &[(&str, &str)], expect: &str) {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let got = match parse("v1", Some(&options)) {
            Ok(Wish::Folder) => "folder".to_owned(),
            Ok(Wish::Sized(size)) => size.to_string(),
            Ok(Wish::Foreign(f)) => format!("{} {} {}", f.kind, f.device, f.options),
            Err(e) => e.to_string(),
        };
        assert_eq!(got, expect, "{options:?}");
    }

    #[test]
    fn r_vol_01_options_of_the_local_driver() {
        check(&[], "folder");
        check(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "uid=1")], "tmpfs tmpfs uid=1");
        check(&[("type", "tmpfs"), ("device", "tmpfs"), ("size", "1m")], "tmpfs tmpfs size=1048576");
        check(&[("type", "tmpfs")], "create v1: missing required option: \"device\"");
        check(&[("device", "/x")], "create v1: missing required option: \"type\"");
        check(&[("o", "bind")], "create v1: missing required option: \"device\"");
        check(&[("foo", "x")], "create v1: invalid option: \"foo\"");
        check(&[("size", "10G")], "10737418240");
        check(&[("size", "1.5 MiB")], "1572864");
        for bad in ["xx", "", "-1", "1x", "1ib", "0", "1e400", "999999999p"] {
            check(&[("size", bad)], &format!("create v1: invalid size: '{bad}'"));
        }
    }
}
