//! `update`: other limits for a running container.

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;
use wharf_spec::runtime::{ContainerStatus, LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use crate::args::{Flag, Parsed, value};
use crate::context::Context;
use crate::error::Error;
use crate::lifecycle::cgroup_of;
use crate::state::{Folder, read_document};

pub(crate) const FLAGS: &[Flag] = &[
    value("resources", "path to the file containing the resources to update or '-' to read from the standard input")
        .short('r'),
    value("blkio-weight", "per cgroup weight, range is from 10 to 1000"),
    value("cpu-period", "CPU CFS period to be used for hardcapping (in usecs)"),
    value("cpu-quota", "CPU CFS hardcap limit (in usecs)"),
    value("cpu-burst", "CPU CFS hardcap burst limit (in usecs)"),
    value("cpu-share", "CPU shares (relative weight vs. other containers)"),
    value("cpu-rt-period", "CPU realtime period to be used for hardcapping (in usecs)"),
    value("cpu-rt-runtime", "CPU realtime hardcap limit (in usecs)"),
    value("cpuset-cpus", "CPU(s) to use"),
    value("cpuset-mems", "Memory node(s) to use"),
    value("cpu-idle", "set cgroup SCHED_IDLE or not, 0: default behavior, 1: SCHED_IDLE"),
    value("kernel-memory", "obsolete; does nothing"),
    value("kernel-memory-tcp", "kernel memory limit for TCP buffers"),
    value("memory", "memory limit (in bytes)"),
    value("memory-reservation", "memory reservation or soft limit (in bytes)"),
    value("memory-swap", "total memory usage (memory + swap); '-1' is unlimited swap"),
    value("pids-limit", "maximum number of pids allowed in the container"),
    value("l3-cache-schema", "Intel RDT/CAT L3 cache schema"),
    value("mem-bw-schema", "Intel RDT/MBA memory bandwidth schema"),
];

/// `update`.
pub(crate) fn update(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let folder = Folder::new(&context.root, context.only_id(args, "update")?)?;
    let saved = folder.load()?;
    if folder.status(&saved)? == ContainerStatus::Stopped {
        return Err(Error::NotRunning);
    }
    if args.value("l3-cache-schema").or(args.value("mem-bw-schema")).is_some() {
        return Err(Error::Unsupported("Intel RDT"));
    }
    let resources = match args.value("resources") {
        Some(path) => from_document(path)?,
        None => from_options(args)?,
    };
    cgroup_of(&saved)?.update(&wharf_runtime::limits_without_devices(&resources))?;
    remember(&folder, &resources)
}

fn from_document(path: &str) -> Result<LinuxResources, Error> {
    let mut text = Vec::new();
    if path == "-" {
        let read = std::io::stdin().read_to_end(&mut text);
        read.map_err(|source| Error::file("read", "/dev/stdin", source))?;
    } else {
        text = read_document(&PathBuf::from(path))?;
    }
    serde_json::from_slice(&text).map_err(|error| Error::Json { path: PathBuf::from(path), reason: error.to_string() })
}

fn from_options(args: &Parsed) -> Result<LinuxResources, Error> {
    Ok(LinuxResources {
        memory: Some(LinuxMemory {
            limit: bytes(args, "memory")?,
            reservation: bytes(args, "memory-reservation")?,
            swap: bytes(args, "memory-swap")?,
            kernel_tcp: bytes(args, "kernel-memory-tcp")?,
            ..LinuxMemory::default()
        }),
        cpu: Some(LinuxCpu {
            shares: args.number("cpu-share")?,
            quota: args.number("cpu-quota")?,
            burst: args.number("cpu-burst")?,
            period: args.number("cpu-period")?,
            realtime_runtime: args.number("cpu-rt-runtime")?,
            realtime_period: args.number("cpu-rt-period")?,
            cpus: args.value("cpuset-cpus").map(str::to_owned),
            mems: args.value("cpuset-mems").map(str::to_owned),
            idle: args.number("cpu-idle")?,
        }),
        pids: args.number("pids-limit")?.map(|limit| LinuxPids { limit }),
        block_io: args
            .number("blkio-weight")?
            .map(|weight| LinuxBlockIo { weight: Some(weight), ..LinuxBlockIo::default() }),
        ..LinuxResources::default()
    })
}

fn bytes(args: &Parsed, name: &'static str) -> Result<Option<i64>, Error> {
    let parse = |text: &str| {
        parse_bytes(text).ok_or_else(|| Error::Usage(format!("invalid value for {name}: invalid size: '{text}'")))
    };
    args.value(name).map(parse).transpose()
}

/// `-1`, `4096`, `64k`, `1.5GiB`: powers of 1024, any case.
fn parse_bytes(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let number: f64 = digits.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    Some((number * 1024f64.powi(power)) as i64)
}

/// Writes the new limits into the document that `create` has kept.
fn remember(folder: &Folder, changed: &LinuxResources) -> Result<u8, Error> {
    let mut spec = folder.load_spec()?;
    let linux = spec.linux.get_or_insert_default();
    let as_json = |resources: &LinuxResources| serde_json::to_value(resources).unwrap_or_default();
    let mut all = as_json(&linux.resources.take().unwrap_or_default());
    merge(&mut all, as_json(changed));
    linux.resources = serde_json::from_value(all).ok();
    let text = serde_json::to_vec(&spec)
        .map_err(|error| Error::Json { path: "config.json".into(), reason: error.to_string() })?;
    folder.save_spec(&text)?;
    Ok(0)
}

/// Objects key by key, everything else replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            ("-1", Some(-1)),
            ("4096", Some(4096)),
            ("64k", Some(65_536)),
            ("1.5GiB", Some(1_610_612_736)),
            ("2MB", Some(2_097_152)),
            ("-2", None),
            ("x", None),
            ("1q", None),
        ];
        for (text, size) in cases {
            assert_eq!(parse_bytes(text), size, "{text}");
        }
    }

    #[test]
    fn what_is_not_changed_stays() {
        let mut all = serde_json::json!({"memory": {"limit": 1, "swap": 2}, "pids": {"limit": 3}});
        merge(&mut all, serde_json::json!({"memory": {"limit": 9}, "cpu": {"shares": 5}}));
        let expect = serde_json::json!({"memory": {"limit": 9, "swap": 2}, "pids": {"limit": 3}, "cpu": {"shares": 5}});
        assert_eq!(all, expect);
    }
}
