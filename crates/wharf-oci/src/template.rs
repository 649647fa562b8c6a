//! `spec`: a document to begin with.

use std::path::Path;

use wharf_spec::runtime::{
    IdMapping, Linux, LinuxCapabilities, LinuxDeviceCgroup, LinuxNamespace, LinuxResources, Mount, NamespaceType,
    OCI_VERSION, Process, Rlimit, Root, Spec,
};

use crate::args::{Flag, Parsed, switch, value};
use crate::context::Context;
use crate::error::Error;
use crate::output::pretty;
use crate::state::write_atomically;

pub(crate) const FLAGS: &[Flag] = &[
    value("bundle", "path to the root of the bundle directory").short('b'),
    switch("rootless", "generate a configuration for a rootless container"),
];

/// `spec`.
pub(crate) fn spec(_: &Context, args: &Parsed) -> Result<u8, Error> {
    let path = Path::new(args.value("bundle").filter(|path| !path.is_empty()).unwrap_or(".")).join("config.json");
    if path.exists() {
        return Err(Error::State("File config.json exists. Remove it first".to_owned()));
    }
    let mut document = example();
    if args.is_set("rootless") {
        make_rootless(&mut document);
    }
    write_atomically(&path, pretty(&document, "\t").as_bytes(), 0o644)?;
    Ok(0)
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn example() -> Spec {
    let capabilities = texts(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    Spec {
        oci_version: OCI_VERSION.to_owned(),
        process: Some(Process {
            terminal: true,
            args: texts(&["sh"]),
            env: texts(&["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]),
            cwd: "/".into(),
            capabilities: Some(LinuxCapabilities {
                bounding: capabilities.clone(),
                effective: capabilities.clone(),
                permitted: capabilities,
                ..LinuxCapabilities::default()
            }),
            rlimits: vec![Rlimit { kind: "RLIMIT_NOFILE".to_owned(), hard: 1024, soft: 1024 }],
            no_new_privileges: true,
            ..Process::default()
        }),
        root: Some(Root { path: "rootfs".into(), readonly: true }),
        hostname: Some("wharf".to_owned()),
        mounts: mounts(),
        linux: Some(Linux {
            resources: Some(LinuxResources {
                devices: vec![LinuxDeviceCgroup { access: "rwm".to_owned(), ..LinuxDeviceCgroup::default() }],
                ..LinuxResources::default()
            }),
            namespaces: [
                NamespaceType::Pid,
                NamespaceType::Network,
                NamespaceType::Ipc,
                NamespaceType::Uts,
                NamespaceType::Mount,
                NamespaceType::Cgroup,
            ]
            .map(|kind| LinuxNamespace { kind, path: None })
            .to_vec(),
            masked_paths: MASKED.iter().map(Into::into).collect(),
            readonly_paths: READONLY.iter().map(Into::into).collect(),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/proc/scsi",
];

const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: Some(kind.to_owned()),
        source: Some(source.into()),
        options: texts(options),
        ..Mount::default()
    }
}

fn mounts() -> Vec<Mount> {
    let quiet = ["nosuid", "noexec", "nodev"];
    vec![
        mount("/proc", "proc", "proc", &[]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", "shm", &[quiet.as_slice(), &["mode=1777", "size=65536k"]].concat()),
        mount("/dev/mqueue", "mqueue", "mqueue", &quiet),
        mount("/sys", "sysfs", "sysfs", &[quiet.as_slice(), &["ro"]].concat()),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &[quiet.as_slice(), &["relatime", "ro"]].concat()),
    ]
}

/// What a user without rights can have: a user namespace with one ID, no network of its own, no resources.
fn make_rootless(document: &mut Spec) {
    let linux = document.linux.get_or_insert_default();
    linux.namespaces.retain(|namespace| namespace.kind != NamespaceType::Network);
    linux.namespaces.push(LinuxNamespace { kind: NamespaceType::User, path: None });
    let map = |host_id| vec![IdMapping { container_id: 0, host_id, size: 1 }];
    linux.uid_mappings = map(rustix::process::geteuid().as_raw());
    linux.gid_mappings = map(rustix::process::getegid().as_raw());
    linux.resources = None;
    for mount in &mut document.mounts {
        // IDs that the namespace does not have
        mount.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
        if mount.destination == Path::new("/sys") {
            // a sysfs of one's own needs a network namespace of one's own
            mount.kind = Some("none".to_owned());
            mount.source = Some("/sys".into());
            mount.options = texts(&["rbind", "nosuid", "noexec", "nodev", "ro"]);
        }
    }
    document.mounts.retain(|mount| mount.destination != Path::new("/sys/fs/cgroup"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_spec::runtime::validate;

    #[test]
    fn the_examples_are_sound() {
        let mut document = example();
        assert_eq!(validate(&document), Ok(()));
        make_rootless(&mut document);
        assert_eq!(validate(&document), Ok(()));
    }
}
