//! The rules of runtime-spec 1.2 that the types cannot hold, section by section.

use std::collections::BTreeSet;
use std::path::Path;

use super::{DeviceType, Hook, Hooks, IdMapping, Linux, LinuxResources, Mount, NamespaceType, Process, Root, Spec};
use crate::seccomp::{Action, LinuxSeccomp};

/// A property that breaks a rule of the specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ValidationError {
    /// The property, as a JSON path (`process.cwd`, `mounts[2].destination`).
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

type Check = Result<(), ValidationError>;

fn broken(field: impl Into<String>, reason: impl Into<String>) -> Check {
    Err(ValidationError { field: field.into(), reason: reason.into() })
}

fn ensure(holds: bool, field: &str, reason: &str) -> Check {
    if holds { Ok(()) } else { broken(field, reason) }
}

/// Checks a document for a Linux container; the first broken rule is returned.
pub fn validate(spec: &Spec) -> Result<(), ValidationError> {
    version(&spec.oci_version)?;
    root(spec.root.as_ref())?;
    for (index, mount) in spec.mounts.iter().enumerate() {
        mount_entry(mount, index)?;
    }
    match &spec.process {
        Some(process) => validate_process(process)?,
        None => return broken("process", "required"),
    }
    if let Some(given) = &spec.hooks {
        hooks(given)?;
    }
    ensure(!spec.annotations.contains_key(""), "annotations", "a key is empty")?;
    let linux = spec.linux.clone().unwrap_or_default();
    names(spec, &linux)?;
    validate_linux(&linux)
}

/// Section "Specification version": SemVer 2.0.0, major version 1.
fn version(text: &str) -> Check {
    ensure(!text.is_empty(), "ociVersion", "required")?;
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<Option<u64>> = core.split('.').map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [Some(1), Some(_), Some(_)] => Ok(()),
        [Some(_), Some(_), Some(_)] => broken("ociVersion", format!("unsupported version {text:?}, expected 1.x.y")),
        _ => broken("ociVersion", format!("{text:?} is no SemVer 2.0.0 version")),
    }
}

/// Section "Root".
fn root(root: Option<&Root>) -> Check {
    match root {
        None => broken("root", "required"),
        Some(root) => ensure(!root.path.as_os_str().is_empty(), "root.path", "required"),
    }
}

/// Section "Mounts".
fn mount_entry(mount: &Mount, index: usize) -> Check {
    let field = |name: &str| format!("mounts[{index}].{name}");
    ensure(!mount.destination.as_os_str().is_empty(), &field("destination"), "required")?;
    let mapped = (mount.uid_mappings.is_empty(), mount.gid_mappings.is_empty());
    ensure(mapped.0 == mapped.1, &field("uidMappings"), "must be given together with gidMappings")?;
    let bind =
        mount.kind.as_deref() == Some("bind") || mount.options.iter().any(|word| word == "bind" || word == "rbind");
    ensure(!bind || mount.source.is_some(), &field("source"), "required by a bind mount")?;
    if !mapped.0 {
        ensure(bind, &field("uidMappings"), "only bind mounts can be id-mapped")?;
        mappings(&mount.uid_mappings, &field("uidMappings"))?;
        mappings(&mount.gid_mappings, &field("gidMappings"))?;
    }
    Ok(())
}

fn mappings(list: &[IdMapping], field: &str) -> Check {
    for (index, mapping) in list.iter().enumerate() {
        let fits = |first: u32| mapping.size > 0 && first.checked_add(mapping.size - 1).is_some();
        let whole = fits(mapping.container_id) && fits(mapping.host_id);
        ensure(whole, &format!("{field}[{index}].size"), "must be positive and stay within 32 bits")?;
    }
    Ok(())
}

/// Section "Process"; also checks the document that `exec --process` takes.
pub fn validate_process(process: &Process) -> Result<(), ValidationError> {
    ensure(!process.args.is_empty(), "process.args", "must not be empty")?;
    ensure(process.args.iter().all(|arg| !arg.contains('\0')), "process.args", "an argument contains a NUL byte")?;
    ensure(!process.cwd.as_os_str().is_empty(), "process.cwd", "required")?;
    ensure(process.cwd.is_absolute(), "process.cwd", "must be an absolute path")?;
    for (index, entry) in process.env.iter().enumerate() {
        let field = format!("process.env[{index}]");
        ensure(!entry.contains('\0'), &field, "contains a NUL byte")?;
        ensure(entry.find('=').is_some_and(|at| at > 0), &field, "must have the form KEY=value")?;
    }
    let mut seen = BTreeSet::new();
    for (index, limit) in process.rlimits.iter().enumerate() {
        let field = format!("process.rlimits[{index}]");
        let known = RLIMITS.contains(&limit.kind.as_str());
        ensure(known, &format!("{field}.type"), &format!("unknown resource limit {:?}", limit.kind))?;
        ensure(seen.insert(&limit.kind), &format!("{field}.type"), &format!("{} is given twice", limit.kind))?;
        ensure(limit.soft <= limit.hard, &format!("{field}.soft"), "must not exceed the hard limit")?;
    }
    let score = process.oom_score_adj.unwrap_or(0);
    ensure((-1000..=1000).contains(&score), "process.oomScoreAdj", "must lie between -1000 and 1000")?;
    if let Some(scheduler) = &process.scheduler {
        let policy = scheduler.policy.as_str();
        let field = "process.scheduler.policy";
        ensure(POLICIES.contains(&policy), field, &format!("unknown policy {policy:?}"))?;
        let nice = scheduler.nice.unwrap_or(0);
        ensure((-20..=19).contains(&nice), "process.scheduler.nice", "must lie between -20 and 19")?;
        let realtime = matches!(policy, "SCHED_FIFO" | "SCHED_RR");
        let priority = scheduler.priority.unwrap_or(0);
        ensure(realtime || priority == 0, "process.scheduler.priority", "only SCHED_FIFO and SCHED_RR have one")?;
        let deadline = scheduler.runtime.or(scheduler.deadline).or(scheduler.period).unwrap_or(0);
        let allowed = deadline == 0 || policy == "SCHED_DEADLINE";
        ensure(allowed, "process.scheduler.runtime", "only SCHED_DEADLINE has runtime, deadline and period")?;
    }
    if let Some(io) = &process.io_priority {
        let known = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"].contains(&io.class.as_str());
        ensure(known, "process.ioPriority.class", &format!("unknown class {:?}", io.class))?;
        ensure((0..=7).contains(&io.priority), "process.ioPriority.priority", "must lie between 0 and 7")?;
    }
    Ok(())
}

const RLIMITS: [&str; 16] = [
    "RLIMIT_AS",
    "RLIMIT_CORE",
    "RLIMIT_CPU",
    "RLIMIT_DATA",
    "RLIMIT_FSIZE",
    "RLIMIT_LOCKS",
    "RLIMIT_MEMLOCK",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_NOFILE",
    "RLIMIT_NPROC",
    "RLIMIT_RSS",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
    "RLIMIT_SIGPENDING",
    "RLIMIT_STACK",
];

const POLICIES: [&str; 7] =
    ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"];

/// Section "POSIX-platform Hooks".
fn hooks(hooks: &Hooks) -> Check {
    let lists: [(&str, &[Hook]); 6] = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (name, list) in lists {
        for (index, hook) in list.iter().enumerate() {
            let field = format!("hooks.{name}[{index}]");
            ensure(hook.path.is_absolute(), &format!("{field}.path"), "must be an absolute path")?;
            ensure(hook.timeout.is_none_or(|time| time > 0), &format!("{field}.timeout"), "must be greater than zero")?;
        }
    }
    Ok(())
}

/// Sections "Hostname" and "Domainname": both belong to a UTS namespace.
fn names(spec: &Spec, linux: &Linux) -> Check {
    let uts = linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceType::Uts);
    for (field, name) in [("hostname", &spec.hostname), ("domainname", &spec.domainname)] {
        let name = name.as_deref().unwrap_or_default();
        ensure(name.is_empty() || uts, field, &format!("unable to set {field} without a private UTS namespace"))?;
        ensure(name.len() <= 64, field, "longer than 64 bytes")?;
    }
    Ok(())
}

fn validate_linux(linux: &Linux) -> Check {
    namespaces(linux)?;
    devices(linux)?;
    sysctls(linux)?;
    let mount = has(linux, NamespaceType::Mount);
    for (name, list) in [("maskedPaths", &linux.masked_paths), ("readonlyPaths", &linux.readonly_paths)] {
        let field = format!("linux.{name}");
        ensure(list.iter().all(|path| path.is_absolute()), &field, "must be absolute paths")?;
        ensure(list.is_empty() || mount, &field, "unable to restrict sys entries without a private MNT namespace")?;
    }
    if let Some(word) = &linux.rootfs_propagation {
        let known = ["", "private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"];
        ensure(known.contains(&word.as_str()), "linux.rootfsPropagation", &format!("unknown value {word:?}"))?;
    }
    if let Some(personality) = &linux.personality {
        let known = ["LINUX", "LINUX32"].contains(&personality.domain.as_str());
        ensure(known, "linux.personality.domain", &format!("unknown domain {:?}", personality.domain))?;
        ensure(personality.flags.is_empty(), "linux.personality.flags", "no flag is specified")?;
    }
    if let Some(id) = linux.intel_rdt.as_ref().and_then(|rdt| rdt.clos_id.as_deref()) {
        let sound = !id.is_empty() && id != "." && id != ".." && !id.contains('/');
        ensure(sound, "linux.intelRdt.closID", "must be the name of one folder")?;
    }
    for (name, device) in &linux.net_devices {
        let sound = |name: &str| {
            !name.is_empty() && name.len() < 16 && !name.contains(['/', ' ', ':']) && name != "." && name != ".."
        };
        let fine = sound(name) && device.name.as_deref().is_none_or(sound);
        ensure(fine, &format!("linux.netDevices.{name}"), "invalid interface name")?;
        ensure(has(linux, NamespaceType::Network), "linux.netDevices", "need a private NET namespace")?;
    }
    if let Some(given) = &linux.resources {
        resources(given)?;
    }
    match &linux.seccomp {
        Some(filter) => seccomp(filter),
        None => Ok(()),
    }
}

fn has(linux: &Linux, kind: NamespaceType) -> bool {
    linux.namespaces.iter().any(|namespace| namespace.kind == kind)
}

/// Sections "Namespaces", "User namespace mappings" and "Offset for Time Namespace".
fn namespaces(linux: &Linux) -> Check {
    let mut seen = BTreeSet::new();
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        let field = format!("linux.namespaces[{index}]");
        let once = seen.insert(namespace.kind);
        ensure(once, &format!("{field}.type"), &format!("{} is given twice", namespace.kind.as_str()))?;
        let absolute = namespace.path.as_deref().is_none_or(|path| path.is_absolute() || path == Path::new(""));
        ensure(absolute, &format!("{field}.path"), "must be an absolute path")?;
    }
    mappings(&linux.uid_mappings, "linux.uidMappings")?;
    mappings(&linux.gid_mappings, "linux.gidMappings")?;
    let mapped = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
    let user = linux.namespaces.iter().find(|namespace| namespace.kind == NamespaceType::User);
    let fresh = user.is_some_and(|user| user.path.as_deref().is_none_or(|path| path == Path::new("")));
    ensure(!mapped || user.is_some(), "linux.uidMappings", "user namespace mappings without a user namespace")?;
    ensure(!fresh || !linux.uid_mappings.is_empty(), "linux.uidMappings", "required by a new user namespace")?;
    ensure(!fresh || !linux.gid_mappings.is_empty(), "linux.gidMappings", "required by a new user namespace")?;
    for (clock, offset) in &linux.time_offsets {
        let field = format!("linux.timeOffsets.{clock}");
        ensure(["monotonic", "boottime"].contains(&clock.as_str()), &field, "unknown clock")?;
        ensure(offset.nanosecs < 1_000_000_000, &field, "nanoseconds must be less than a second")?;
        ensure(has(linux, NamespaceType::Time), "linux.timeOffsets", "time offsets without a time namespace")?;
    }
    Ok(())
}

/// Section "Devices".
fn devices(linux: &Linux) -> Check {
    for (index, device) in linux.devices.iter().enumerate() {
        let field = format!("linux.devices[{index}]");
        ensure(device.path.is_absolute(), &format!("{field}.path"), "must be an absolute path")?;
        ensure(device.kind != DeviceType::All, &format!("{field}.type"), "must be c, b, u or p")?;
        if device.kind != DeviceType::Fifo {
            let fits = |number: i64| u32::try_from(number).is_ok();
            ensure(fits(device.major), &format!("{field}.major"), "is no device number")?;
            ensure(fits(device.minor), &format!("{field}.minor"), "is no device number")?;
        }
    }
    Ok(())
}

/// Section "Sysctl": only what a namespace of the container holds can be set for it alone.
fn sysctls(linux: &Linux) -> Check {
    for key in linux.sysctl.keys() {
        let field = format!("linux.sysctl.{key}");
        let dotted = key.replace('/', ".");
        ensure(!dotted.split('.').any(str::is_empty), &field, "invalid name")?;
        let ipc = has(linux, NamespaceType::Ipc);
        if IPC_SYSCTLS.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
            ensure(ipc, &field, "is not in a separate kernel namespace (needs a private IPC namespace)")?;
        } else if dotted.starts_with("net.") {
            let network = has(linux, NamespaceType::Network);
            ensure(network, &field, "is not in a separate kernel namespace (needs a private NET namespace)")?;
        } else if dotted == "kernel.domainname" || dotted == "kernel.hostname" {
            let uts = has(linux, NamespaceType::Uts) && dotted == "kernel.domainname";
            ensure(uts, &field, "is not in a separate kernel namespace (hostname has a property of its own)")?;
        } else if !dotted.starts_with("user.") || !has(linux, NamespaceType::User) {
            return broken(field, "is not in a separate kernel namespace");
        }
    }
    Ok(())
}

const IPC_SYSCTLS: [&str; 11] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "kernel.auto_msgmni",
    "kernel.msg_next_id",
    "kernel.sem_next_id",
];

/// Section "Control groups".
fn resources(resources: &LinuxResources) -> Check {
    let at = |name: &str| format!("linux.resources.{name}");
    for (index, rule) in resources.devices.iter().enumerate() {
        let field = at(&format!("devices[{index}]"));
        let letters = rule.access.chars().all(|letter| "rwm".contains(letter));
        ensure(letters, &format!("{field}.access"), "has letters other than r, w, m")?;
        ensure(rule.kind != DeviceType::Fifo, &format!("{field}.type"), "a FIFO is no device")?;
    }
    if let Some(memory) = &resources.memory {
        let swappiness = memory.swappiness.unwrap_or(0);
        ensure(swappiness <= 100, &at("memory.swappiness"), "must lie between 0 and 100")?;
        let (limit, swap) = (memory.limit.unwrap_or(0), memory.swap.unwrap_or(0));
        ensure(
            limit <= 0 || swap <= 0 || swap >= limit,
            &at("memory.swap"),
            "memory+swap limit should be >= memory limit",
        )?;
    }
    if let Some(io) = &resources.block_io {
        let weights = io.weight.iter().chain(io.weight_device.iter().flat_map(|device| &device.weight));
        let leaves = io.leaf_weight.iter().chain(io.weight_device.iter().flat_map(|device| &device.leaf_weight));
        let sound = weights.chain(leaves).all(|weight| *weight == 0 || (10..=1000).contains(weight));
        ensure(sound, &at("blockIO.weight"), "must lie between 10 and 1000")?;
    }
    for (index, limit) in resources.hugepage_limits.iter().enumerate() {
        let field = at(&format!("hugepageLimits[{index}].pageSize"));
        let digits = limit.page_size.trim_end_matches("KB").trim_end_matches("MB").trim_end_matches("GB");
        let number =
            !digits.is_empty() && digits != limit.page_size && digits.bytes().all(|byte| byte.is_ascii_digit());
        ensure(number && !digits.starts_with('0'), &field, &format!("invalid page size {:?}", limit.page_size))?;
    }
    for file in resources.unified.keys() {
        let sound = !file.contains('/') && file.contains('.');
        ensure(sound, &at("unified"), &format!("{file:?} is no file name of a controller"))?;
    }
    Ok(())
}

/// Section "Seccomp".
fn seccomp(filter: &LinuxSeccomp) -> Check {
    ensure(
        filter.default_action != Action::Notify,
        "linux.seccomp.defaultAction",
        "SCMP_ACT_NOTIFY cannot be the default: the agent could never be reached",
    )?;
    let mut notifies = false;
    for (index, rule) in filter.syscalls.iter().enumerate() {
        let field = format!("linux.seccomp.syscalls[{index}]");
        ensure(!rule.names.is_empty(), &format!("{field}.names"), "must not be empty")?;
        ensure(rule.args.iter().all(|arg| arg.index < 6), &format!("{field}.args"), "a system call has six arguments")?;
        let errno = rule.errno_ret.is_none() || matches!(rule.action, Action::Errno | Action::Trace);
        ensure(errno, &format!("{field}.errnoRet"), "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take an errno")?;
        if rule.action == Action::Notify {
            notifies = true;
            let write = rule.names.iter().any(|name| name == "write");
            ensure(!write, &field, "SCMP_ACT_NOTIFY cannot be used for the write syscall")?;
        }
    }
    let listener = filter.listener_path.as_deref().is_some_and(|path| path != Path::new(""));
    ensure(!notifies || listener, "linux.seccomp.listenerPath", "required by SCMP_ACT_NOTIFY")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sound document with one property replaced, and what is said about it.
    fn check(pointer: &str, value: serde_json::Value, expect: &str) {
        let mut document = serde_json::json!({
            "ociVersion": "1.2.0",
            "root": {"path": "rootfs"},
            "process": {"user": {}, "args": ["sh"], "env": ["A=b"], "cwd": "/", "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}],
                        "scheduler": {"policy": "SCHED_OTHER"}, "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 1}, "oomScoreAdj": 0},
            "hostname": "h",
            "mounts": [{"destination": "/m", "source": "/x", "options": ["rbind"]}],
            "hooks": {"prestart": [{"path": "/bin/true", "timeout": 1}]},
            "linux": {
                "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "uts"}, {"type": "ipc"}, {"type": "network"}],
                "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}],
                "sysctl": {"net.ipv4.ip_forward": "1"},
                "maskedPaths": ["/proc/kcore"],
                "uidMappings": [], "timeOffsets": {}, "rootfsPropagation": "slave",
                "resources": {"memory": {"limit": 100, "swap": 200}, "blockIO": {"weight": 10},
                              "hugepageLimits": [{"pageSize": "2MB", "limit": 1}], "unified": {"memory.high": "1"}},
                "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}
            }
        });
        if !pointer.is_empty() {
            *document.pointer_mut(pointer).expect("a property of the document above") = value;
        }
        let spec: Spec = serde_json::from_value(document).expect("types hold");
        assert_eq!(validate(&spec).map_or_else(|error| error.to_string(), |()| "ok".to_owned()), expect, "{pointer}");
    }

    #[test]
    fn each_rule_names_its_property() {
        use serde_json::json;
        check("", json!(null), "ok");
        check("/ociVersion", json!("1.3.0+dev"), "ok");
        check("/ociVersion", json!("2.0.0"), "ociVersion: unsupported version \"2.0.0\", expected 1.x.y");
        check("/ociVersion", json!("1.2"), "ociVersion: \"1.2\" is no SemVer 2.0.0 version");
        check("/root/path", json!(""), "root.path: required");
        check("/root", json!(null), "root: required");
        check("/process", json!(null), "process: required");
        check("/process/args", json!([]), "process.args: must not be empty");
        check("/process/cwd", json!("x"), "process.cwd: must be an absolute path");
        check("/process/env/0", json!("=x"), "process.env[0]: must have the form KEY=value");
        check("/process/rlimits/0/soft", json!(3), "process.rlimits[0].soft: must not exceed the hard limit");
        check("/process/rlimits/0/type", json!("NOFILE"), "process.rlimits[0].type: unknown resource limit \"NOFILE\"");
        check("/process/oomScoreAdj", json!(1001), "process.oomScoreAdj: must lie between -1000 and 1000");
        check("/process/scheduler/policy", json!("X"), "process.scheduler.policy: unknown policy \"X\"");
        check("/process/ioPriority/priority", json!(8), "process.ioPriority.priority: must lie between 0 and 7");
        check("/mounts/0/destination", json!(""), "mounts[0].destination: required");
        check("/mounts/0/source", json!(null), "mounts[0].source: required by a bind mount");
        check("/hooks/prestart/0/path", json!("true"), "hooks.prestart[0].path: must be an absolute path");
        check("/hooks/prestart/0/timeout", json!(0), "hooks.prestart[0].timeout: must be greater than zero");
        check("/linux/namespaces/4/type", json!("pid"), "linux.namespaces[4].type: pid is given twice");
        check(
            "/linux/namespaces/2/type",
            json!("cgroup"),
            "hostname: unable to set hostname without a private UTS namespace",
        );
        check("/linux/namespaces/4/type", json!("user"), "linux.uidMappings: required by a new user namespace");
        check(
            "/linux/uidMappings",
            json!([{"containerID": 0, "hostID": 1, "size": 0}]),
            "linux.uidMappings[0].size: must be positive and stay within 32 bits",
        );
        check(
            "/linux/timeOffsets",
            json!({"boottime": {"secs": 1}}),
            "linux.timeOffsets: time offsets without a time namespace",
        );
        check("/linux/devices/0/type", json!("a"), "linux.devices[0].type: must be c, b, u or p");
        check(
            "/linux/sysctl",
            json!({"vm.swappiness": "1"}),
            "linux.sysctl.vm.swappiness: is not in a separate kernel namespace",
        );
        check("/linux/maskedPaths/0", json!("x"), "linux.maskedPaths: must be absolute paths");
        check("/linux/rootfsPropagation", json!("x"), "linux.rootfsPropagation: unknown value \"x\"");
        check(
            "/linux/resources/memory/swap",
            json!(50),
            "linux.resources.memory.swap: memory+swap limit should be >= memory limit",
        );
        check(
            "/linux/resources/blockIO/weight",
            json!(9),
            "linux.resources.blockIO.weight: must lie between 10 and 1000",
        );
        check(
            "/linux/resources/hugepageLimits/0/pageSize",
            json!("2M"),
            "linux.resources.hugepageLimits[0].pageSize: invalid page size \"2M\"",
        );
        check(
            "/linux/resources/unified",
            json!({"../x": ""}),
            "linux.resources.unified: \"../x\" is no file name of a controller",
        );
        check("/linux/seccomp/syscalls/0/names", json!([]), "linux.seccomp.syscalls[0].names: must not be empty");
        check(
            "/linux/seccomp/syscalls/0/action",
            json!("SCMP_ACT_NOTIFY"),
            "linux.seccomp.listenerPath: required by SCMP_ACT_NOTIFY",
        );
    }

    #[test]
    fn what_go_writes_is_read_and_written_back() {
        let text = r#"{"ociVersion":"1.2.0","process":{"user":{"uid":0,"gid":0},"args":["sh"],"cwd":"/"},"root":{"path":"rootfs"},"mounts":[{"destination":"/proc","type":"proc","source":"proc"}],"linux":{"resources":{"devices":[{"allow":false,"access":"rwm"}]},"namespaces":[{"type":"pid"}]}}"#;
        let spec: Spec = serde_json::from_str(text).expect("a document of Docker");
        assert_eq!(serde_json::to_string(&spec).expect("no map with other than text keys"), text);
        let nulls = r#"{"ociVersion":"1.2.0","mounts":null,"hooks":null,"annotations":null,"linux":{"namespaces":null},"unknown":1}"#;
        assert!(serde_json::from_str::<Spec>(nulls).is_ok());
    }
}
