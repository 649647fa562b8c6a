//! Capabilities, seccomp, `--security-opt` and sysctls.

use std::collections::BTreeMap;

use wharf_api::container::HostConfig;
use wharf_spec::capability::{Capability, CapabilitySet, DOCKER_DEFAULT};
use wharf_spec::runtime::{Arch, LinuxSeccomp};
use wharf_spec::seccomp::{Conditions, Profile};

use super::{Ground, is_host};
use crate::{Error, Result};

/// Paths that are hidden from containers that are not privileged.
pub(crate) const MASKED: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// Paths that they can only read.
pub(crate) const READONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// `--security-opt`, parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) no_new_privileges: Option<bool>,
    /// JSON of a profile, `unconfined`, `builtin`; `None`: the daemon's.
    pub(crate) seccomp: Option<String>,
    pub(crate) apparmor: Option<String>,
    pub(crate) system_paths_unconfined: bool,
}

impl Options {
    pub(crate) fn parse(list: &[String]) -> Result<Options> {
        let mut options = Options::default();
        for option in list {
            let invalid = || Error::InvalidParameter(format!("invalid --security-opt 2: {option:?}"));
            if option == "no-new-privileges" {
                options.no_new_privileges = Some(true);
                continue;
            }
            if option == "disable" {
                continue;
            }
            let (key, value) = option
                .split_once('=')
                .or_else(|| option.split_once(':'))
                .ok_or_else(|| Error::System(format!("invalid --security-opt 1: {option:?}")))?;
            match key {
                "label" => {}
                "apparmor" => options.apparmor = Some(value.to_owned()),
                "seccomp" => options.seccomp = Some(value.to_owned()),
                "no-new-privileges" => options.no_new_privileges = Some(value.parse().map_err(|_| invalid())?),
                "systempaths" if value == "unconfined" => options.system_paths_unconfined = true,
                "writable-cgroups" => {}
                _ => return Err(invalid()),
            }
        }
        Ok(options)
    }
}

/// Docker's default set with `--cap-add` and `--cap-drop`; all when privileged.
pub(crate) fn capabilities(host: &HostConfig) -> Result<CapabilitySet> {
    let (add_all, add) = named(host.cap_add.as_ref().map(|w| w.0.as_slice()).unwrap_or_default(), "add")?;
    let (drop_all, drop) = named(host.cap_drop.as_ref().map(|w| w.0.as_slice()).unwrap_or_default(), "drop")?;
    if host.privileged {
        return Ok(CapabilitySet::ALL);
    }
    Ok(match (add_all, drop_all) {
        (true, true) => add,
        (true, false) => CapabilitySet::ALL.difference(drop),
        (false, true) => add,
        (false, false) => DOCKER_DEFAULT.difference(drop).union(add),
    })
}

/// `ALL` or names with or without `CAP_`, any case.
fn named(names: &[String], what: &str) -> Result<(bool, CapabilitySet)> {
    let mut all = false;
    let mut set = CapabilitySet::EMPTY;
    for name in names {
        let upper = name.to_ascii_uppercase();
        if upper == "ALL" || upper == "CAP_ALL" {
            all = true;
            continue;
        }
        let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        let capability: Capability = full.parse().map_err(|_| {
            Error::InvalidParameter(format!(
                "invalid Cap{}: unknown capability: {full:?}",
                if what == "add" { "Add" } else { "Drop" }
            ))
        })?;
        set = set.with(capability);
    }
    Ok((all, set))
}

/// The filter: none when privileged or unconfined.
pub(super) fn seccomp(host: &HostConfig, options: &Options, ground: &Ground) -> Result<Option<LinuxSeccomp>> {
    let choice = options.seccomp.as_deref().unwrap_or(&ground.seccomp_profile);
    // privileged containers have a filter only when one is named
    if choice == "unconfined" || host.privileged && options.seccomp.is_none() {
        return Ok(None);
    }
    let profile = match choice {
        "" | "builtin" | "default" => Profile::docker_default(),
        json => serde_json::from_str(json)
            .map_err(|e| Error::InvalidParameter(format!("Decoding seccomp profile failed: {e}")))?,
    };
    let conditions = Conditions {
        arch: Arch::NATIVE,
        capabilities: capabilities(host)?.intersection(ground.available),
        kernel: ground.kernel,
    };
    let filter = profile.resolve(&conditions).map_err(|e| Error::InvalidParameter(e.to_string()))?;
    Ok(Some(filter))
}

/// The user's kernel parameters. Docker's defaults (ping and low ports without privileges) are not among them: every namespace that
/// [`wharf_net`] makes has them, and to look them up again would cost the more the more containers there are.
pub(super) fn sysctls(host: &HostConfig) -> Result<BTreeMap<String, String>> {
    let mut list = BTreeMap::new();
    for (key, value) in host.sysctls.iter().flatten() {
        check_sysctl(host, key)?;
        list.insert(key.clone(), value.clone());
    }
    Ok(list)
}

/// Only parameters of a namespace that the container has for itself may be set.
fn check_sysctl(host: &HostConfig, key: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::InvalidParameter(format!("sysctl '{key}' {why}")));
    let ipc = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    if key.contains('/') || key.contains("..") {
        return refuse("is not whitelisted");
    }
    if key.starts_with("net.") {
        return if is_host(&host.network_mode) { refuse("not allowed in host network namespace") } else { Ok(()) };
    }
    if ipc.contains(&key) || key.starts_with("fs.mqueue.") {
        return if is_host(&host.ipc_mode) { refuse("not allowed in host ipc namespace") } else { Ok(()) };
    }
    if matches!(key, "kernel.domainname" | "kernel.hostname") {
        return if is_host(&host.uts_mode) { refuse("not allowed in host uts namespace") } else { Ok(()) };
    }
    refuse("is not whitelisted")
}
