//! The `mounts` of the document: what every container has, the files of `/etc`, and what the user wants.

use std::path::PathBuf;

use wharf_api::container::HostConfig;
use wharf_spec::runtime::Mount;

use super::process::INIT;
use super::{Ground, is_host};
use crate::container::snapshot::{MountKind, MountPoint};
use crate::{Error, Result};

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: Some(kind.into()),
        source: Some(source.into()),
        options: options.iter().map(|o| (*o).to_owned()).collect(),
        ..Mount::default()
    }
}

/// All mounts, in the order in which they are made.
pub(super) fn mounts(host: &HostConfig, ground: &Ground) -> Result<Vec<Mount>> {
    let mut user = user_mounts(host, ground)?;
    let mut list = default_mounts(host, ground);
    // a user's mount on the place of a default one takes its place
    list.retain(|m| !user.iter().any(|u| u.destination == m.destination));
    let mut last: Vec<Mount> = etc(ground);
    last.retain(|m| !user.iter().any(|u| u.destination == m.destination));
    user.append(&mut last);
    // outer ones first; Docker counts the parts of the path
    user.sort_by_key(|m| m.destination.components().count());
    list.append(&mut user);
    if let Some(init) = &ground.init {
        list.push(mount(INIT, "bind", &init.to_string_lossy(), &["bind", "ro", "private"]));
    }
    Ok(list)
}

fn default_mounts(host: &HostConfig, ground: &Ground) -> Vec<Mount> {
    let access = if host.privileged { "rw" } else { "ro" };
    let mut list = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &[access, "nosuid", "noexec", "nodev"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    if is_host(&host.ipc_mode) {
        list.push(mount("/dev/shm", "bind", "/dev/shm", &["rbind", "rprivate"]));
    } else if let Some(shared) = &ground.shm {
        let options = &["rbind", "rprivate", "nosuid", "noexec", "nodev"];
        list.push(mount("/dev/shm", "bind", &shared.to_string_lossy(), options));
    } else if host.ipc_mode != "none" {
        let size = if host.shm_size > 0 { host.shm_size as u64 } else { ground.shm_size };
        let size = format!("size={size}");
        list.push(mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &size]));
    }
    list
}

fn etc(ground: &Ground) -> Vec<Mount> {
    let files = [
        ("/etc/resolv.conf", &ground.files.resolv_conf),
        ("/etc/hostname", &ground.files.hostname),
        ("/etc/hosts", &ground.files.hosts),
    ];
    files
        .into_iter()
        .filter(|(_, path)| !path.as_os_str().is_empty())
        .map(|(target, path)| mount(target, "bind", &path.to_string_lossy(), &["rbind", "rprivate"]))
        .collect()
}

fn user_mounts(host: &HostConfig, ground: &Ground) -> Result<Vec<Mount>> {
    let mut list = Vec::new();
    for (target, options) in host.tmpfs.iter().flatten() {
        list.push(tmpfs(target, options)?);
    }
    for point in &ground.mounts {
        match point.kind {
            MountKind::Tmpfs => list.push(tmpfs_of(host, point)?),
            MountKind::Bind | MountKind::Volume | MountKind::Image => list.push(bind(host, point)),
        }
    }
    Ok(list)
}

/// `--tmpfs /path:options`
fn tmpfs(target: &str, options: &str) -> Result<Mount> {
    let mut list: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
    for option in options.split(',').filter(|o| !o.is_empty()) {
        let name = option.split('=').next().unwrap_or_default();
        let flag = matches!(
            name,
            "exec"
                | "noexec"
                | "suid"
                | "nosuid"
                | "dev"
                | "nodev"
                | "ro"
                | "rw"
                | "sync"
                | "async"
                | "atime"
                | "noatime"
                | "relatime"
                | "norelatime"
                | "strictatime"
                | "diratime"
                | "nodiratime"
                | "mand"
                | "nomand"
                | "remount"
                | "dirsync"
                | "bind"
                | "rbind"
                | "private"
                | "rprivate"
                | "shared"
                | "rshared"
                | "slave"
                | "rslave"
                | "unbindable"
                | "runbindable"
        );
        let value = matches!(name, "size" | "mode" | "uid" | "gid" | "nr_inodes" | "nr_blocks" | "mpol")
            && option.contains('=');
        if !flag && !value {
            return Err(Error::InvalidParameter(format!("invalid tmpfs option {name:?}")));
        }
        let opposite = name.strip_prefix("no").map_or_else(|| format!("no{name}"), str::to_owned);
        list.retain(|o| *o != opposite && *o != name);
        list.push(option.to_owned());
    }
    let mut tmpfs = mount(target, "tmpfs", "tmpfs", &[]);
    tmpfs.options = list;
    if !tmpfs.options.iter().any(|o| o == "tmpcopyup") {
        tmpfs.options.push("tmpcopyup".into());
    }
    Ok(tmpfs)
}

/// `--mount type=tmpfs`
fn tmpfs_of(host: &HostConfig, point: &MountPoint) -> Result<Mount> {
    let declared = host.mounts.iter().flatten().find(|m| m.target == point.destination);
    let mut options = Vec::new();
    if declared.is_some_and(|m| m.read_only) {
        options.push("ro".to_owned());
    }
    if let Some(wanted) = declared.and_then(|m| m.tmpfs_options.as_ref()) {
        if wanted.size_bytes > 0 {
            options.push(format!("size={}", wanted.size_bytes));
        }
        if wanted.mode != 0 {
            options.push(format!("mode={:o}", wanted.mode));
        }
        options.extend(wanted.options.iter().flatten().map(|pair| pair.join("=")));
    }
    tmpfs(&point.destination, &options.join(","))
}

fn bind(host: &HostConfig, point: &MountPoint) -> Mount {
    let declared = host.mounts.iter().flatten().find(|m| m.target == point.destination);
    let bind_options = declared.and_then(|m| m.bind_options.as_ref());
    let recursive = !bind_options.is_some_and(|b| b.non_recursive);
    let mut options = vec![if recursive { "rbind" } else { "bind" }.to_owned()];
    if !point.rw {
        // `ro` alone would leave mounts below the source writable
        let deep = recursive && !bind_options.is_some_and(|b| b.read_only_non_recursive);
        options.push(if deep { "rro" } else { "ro" }.to_owned());
    }
    let propagation = if point.propagation.is_empty() { "rprivate" } else { &point.propagation };
    options.push(propagation.to_owned());
    let mut bind = mount(&point.destination, "bind", &point.source, &[]);
    bind.source = Some(PathBuf::from(&point.source));
    bind.options = options;
    bind
}

/// A bind that shares mounts with the host needs a root that does.
pub(super) fn root_propagation(mounts: &[MountPoint]) -> Option<String> {
    let has = |kinds: &[&str]| mounts.iter().any(|m| kinds.contains(&m.propagation.as_str()));
    if has(&["shared", "rshared"]) {
        Some("shared".into())
    } else if has(&["slave", "rslave"]) {
        Some("rslave".into())
    } else {
        None
    }
}
