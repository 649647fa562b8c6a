//! `list`, `ps` and `features`: what is there, and what this runtime can do.

use std::collections::BTreeMap;
use std::path::Path;

use wharf_cgroup::{Hierarchy, Kind};
use wharf_spec::capability::CapabilitySet;
use wharf_spec::runtime::{
    CgroupFeatures, Enabled, Features, LinuxFeatures, MountExtensions, NamespaceType, OCI_VERSION, SeccompFeatures,
};

use crate::args::{Flag, Parsed, switch, value};
use crate::container::CGROUPS;
use crate::context::Context;
use crate::error::Error;
use crate::lifecycle::{Shown, cgroup_of};
use crate::output::{print, print_json};
use crate::state::Folder;

pub(crate) const LIST_FLAGS: &[Flag] = &[
    value("format", "select one of: table or json (default: \"table\")").short('f'),
    switch("quiet", "display only container IDs").short('q'),
];
pub(crate) const PS_FLAGS: &[Flag] = &[value("format", "select one of: table or json (default: \"table\")").short('f')];

enum Format {
    Table,
    Json,
}

fn format(args: &Parsed) -> Result<Format, Error> {
    match args.value("format") {
        None | Some("table" | "") => Ok(Format::Table),
        Some("json") => Ok(Format::Json),
        Some(_) => Err(Error::Usage("invalid format option".to_owned())),
    }
}

/// `list`.
pub(crate) fn list(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let mut containers = Vec::new();
    let entries = match std::fs::read_dir(&context.root) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(Error::file("read folder", &context.root, source)),
    };
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(folder) = Folder::new(&context.root, &name) else { continue };
        match folder.load().and_then(|saved| Shown::new(&folder, saved)) {
            Ok(shown) => containers.push(shown),
            // being created or deleted at this moment
            Err(Error::NotFound) => {}
            Err(error) => context.log.warn(&format!("load container {name}: {error}")),
        }
    }
    containers.sort_by(|a, b| a.id.cmp(&b.id));
    if args.is_set("quiet") {
        print(&containers.iter().map(|shown| format!("{}\n", shown.id)).collect::<String>())?;
        return Ok(0);
    }
    match format(args)? {
        Format::Json if containers.is_empty() => print("null\n")?,
        Format::Json => {
            let text = serde_json::to_string(&containers)
                .map_err(|error| Error::Json { path: context.root.clone(), reason: error.to_string() })?;
            print(&text)?;
        }
        Format::Table => {
            let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
            rows.extend(containers.into_iter().map(|shown| {
                let bundle = shown.bundle.display().to_string();
                [shown.id, shown.pid.to_string(), shown.status.as_str().to_owned(), bundle, shown.created, shown.owner]
            }));
            print(&table(&rows))?;
        }
    }
    Ok(0)
}

/// Columns at least 12 wide with 3 blanks between.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [12; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count() + 3);
        }
    }
    let mut text = String::new();
    for row in rows {
        for (index, (width, cell)) in widths.iter().zip(row).enumerate() {
            let width = if index + 1 == N { 0 } else { *width };
            text.push_str(&format!("{cell:width$}"));
        }
        text.push('\n');
    }
    text
}

/// `ps`.
pub(crate) fn ps(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let Some((id, options)) = args.rest.split_first() else {
        return Err(Error::Usage("wharf-oci: \"ps\" requires a minimum of 1 argument".to_owned()));
    };
    let saved = Folder::new(&context.root, id)?.load()?;
    let pids = cgroup_of(&saved)?.processes()?;
    match format(args)? {
        Format::Json => print(&format!("{}\n", serde_json::json!(pids)))?,
        Format::Table if options.is_empty() => print(&process_table(&pids))?,
        Format::Table => print(&foreign_table(&pids, options)?)?,
    }
    Ok(0)
}

/// The machine's own `ps` with the caller's options; of its lines those with our processes.
fn foreign_table(pids: &[i32], options: &[String]) -> Result<String, Error> {
    let output = std::process::Command::new("ps").args(options).output();
    let output = output.map_err(|source| Error::file("execute", "ps", source))?;
    if !output.status.success() {
        return Err(Error::State(format!("ps: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let heading = lines.next().unwrap_or_default();
    let missing = || Error::State("couldn't find PID field in ps output".to_owned());
    let column = heading.split_whitespace().position(|word| word == "PID").ok_or_else(missing)?;
    let ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse::<i32>().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    Ok(std::iter::once(heading).chain(lines.filter(ours)).map(|line| format!("{line}\n")).collect())
}

/// What `ps -ef` shows, from `/proc` alone: the machine may have no `ps`.
fn process_table(pids: &[i32]) -> String {
    let mut text = "UID          PID    PPID  C STIME TTY          TIME CMD\n".to_owned();
    for pid in pids {
        // a process that has just ended is left out
        if let Some(line) = process_line(*pid) {
            text.push_str(&line);
        }
    }
    text
}

/// `/proc` counts in hundredths of a second on every architecture (`USER_HZ`).
const TICKS: u64 = 100;

fn process_line(pid: i32) -> Option<String> {
    let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).ok();
    let stat = String::from_utf8_lossy(&read("stat")?).into_owned();
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let (head, tail) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let uid: u32 =
        status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()?;
    let user = user_name(uid).unwrap_or_else(|| uid.to_string());
    let seconds = (number(14) + number(15)) / TICKS;
    let uptime = String::from_utf8_lossy(&std::fs::read("/proc/uptime").ok()?).into_owned();
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let age = (uptime as u64).saturating_sub(number(22) / TICKS);
    let usage = (seconds * 100).checked_div(age).unwrap_or(0).min(99);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    let of_day = now.saturating_sub(age) % 86_400;
    let start = format!("{:02}:{:02}", of_day / 3600, of_day / 60 % 60);
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let command = read("cmdline").filter(|bytes| !bytes.is_empty());
    let command = match command {
        Some(bytes) => String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " "),
        None => format!("[{}]", head.split_once('(')?.1),
    };
    let tty = terminal_name(number(7));
    Some(format!("{user:<8} {pid:>7} {:>7} {usage:>2} {start} {tty:<8} {time} {command}\n", number(4)))
}

fn terminal_name(device: u64) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 if minor < 64 => format!("tty{minor}"),
        5 if minor == 1 => "console".to_owned(),
        _ => "?".to_owned(),
    }
}

/// From `/etc/passwd` alone: a static program must not load name service modules.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = text.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()))?;
    line.split(':').next().map(str::to_owned)
}

/// `features`.
pub(crate) fn features(_: &Context, _: &Parsed) -> Result<u8, Error> {
    print_json(&all_features(), "    ")?;
    Ok(0)
}

fn all_features() -> Features {
    let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let on = Some(Enabled { enabled: Some(true) });
    let off = Some(Enabled { enabled: Some(false) });
    let hierarchy = Hierarchy::detect(Path::new(CGROUPS)).ok();
    let rdma = hierarchy.as_ref().is_some_and(|hierarchy| hierarchy.has_controller("rdma"));
    Features {
        oci_version_min: "1.0.0".to_owned(),
        oci_version_max: OCI_VERSION.to_owned(),
        hooks: texts(&["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]),
        mount_options: texts(MOUNT_OPTIONS),
        linux: Some(LinuxFeatures {
            namespaces: NamespaceType::ALL.iter().map(|kind| kind.as_str().to_owned()).collect(),
            capabilities: CapabilitySet::ALL.names(),
            cgroup: Some(CgroupFeatures {
                v1: Some(true),
                v2: Some(true),
                // paths of its form are accepted; units are not asked for
                systemd: Some(false),
                systemd_user: Some(false),
                rdma: Some(rdma),
            }),
            seccomp: Some(SeccompFeatures {
                enabled: Some(true),
                actions: texts(&[
                    "SCMP_ACT_ALLOW",
                    "SCMP_ACT_ERRNO",
                    "SCMP_ACT_KILL",
                    "SCMP_ACT_KILL_PROCESS",
                    "SCMP_ACT_KILL_THREAD",
                    "SCMP_ACT_LOG",
                    "SCMP_ACT_NOTIFY",
                    "SCMP_ACT_TRACE",
                    "SCMP_ACT_TRAP",
                ]),
                operators: texts(&[
                    "SCMP_CMP_EQ",
                    "SCMP_CMP_GE",
                    "SCMP_CMP_GT",
                    "SCMP_CMP_LE",
                    "SCMP_CMP_LT",
                    "SCMP_CMP_MASKED_EQ",
                    "SCMP_CMP_NE",
                ]),
                archs: texts(&[
                    "SCMP_ARCH_AARCH64",
                    "SCMP_ARCH_ARM",
                    "SCMP_ARCH_X32",
                    "SCMP_ARCH_X86",
                    "SCMP_ARCH_X86_64",
                ]),
                known_flags: texts(SECCOMP_FLAGS),
                supported_flags: texts(SECCOMP_FLAGS),
            }),
            apparmor: on.clone(),
            selinux: on.clone(),
            intel_rdt: off.clone(),
            mount_extensions: Some(MountExtensions { idmap: on }),
            net_devices: off,
        }),
        annotations: BTreeMap::from([
            ("org.wharf.oci.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("org.wharf.oci.cgroups".to_owned(), hierarchy.map_or("none", |found| kind_name(found.kind())).to_owned()),
        ]),
        potentially_unsafe_config_annotations: Vec::new(),
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::V1 => "v1",
        Kind::Hybrid => "hybrid",
        Kind::V2 => "v2",
    }
}

const SECCOMP_FLAGS: &[&str] = &[
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

#[rustfmt::skip]
const MOUNT_OPTIONS: &[&str] = &[
    "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "idmap", "iversion", "lazytime", "loud",
    "mand", "noatime", "nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "nomand", "norelatime",
    "nostrictatime", "nosuid", "nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime", "relatime", "remount",
    "rexec", "ridmap", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid",
    "rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime", "rsuid",
    "rsymfollow", "runbindable", "rw", "shared", "silent", "slave", "strictatime", "suid", "symfollow", "sync",
    "tmpcopyup", "unbindable",
];
