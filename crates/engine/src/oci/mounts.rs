//! The `mounts` of the document: what every container has, the files of `/etc`, and what the user wants.

use std::path::PathBuf;

use wharf_api::container::HostConfig;
use wharf_spec::runtime::{IdMapping, Mount};

use super::process::INIT;
use super::{Ground, is_host};
use crate::container::mounts::clean;
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
    let mut last: Vec<Mount> = etc(host, ground);
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

fn etc(host: &HostConfig, ground: &Ground) -> Vec<Mount> {
    // a read-only container cannot write these either
    let access = if host.readonly_rootfs { "ro" } else { "rw" };
    let files = [
        ("/etc/resolv.conf", &ground.files.resolv_conf),
        ("/etc/hostname", &ground.files.hostname),
        ("/etc/hosts", &ground.files.hosts),
    ];
    files
        .into_iter()
        .filter(|(_, path)| !path.as_os_str().is_empty())
        .map(|(target, path)| mount(target, "bind", &path.to_string_lossy(), &["rbind", "rprivate", access]))
        .collect()
}

fn user_mounts(host: &HostConfig, ground: &Ground) -> Result<Vec<Mount>> {
    let mut list = Vec::new();
    for (target, options) in host.tmpfs.iter().flatten() {
        list.push(tmpfs(&clean(target), options)?);
    }
    for point in &ground.mounts {
        match point.kind {
            MountKind::Tmpfs => list.push(tmpfs_of(point)?),
            MountKind::Bind | MountKind::Volume | MountKind::Image => {
                list.push(bind(point, ground.owners.get(&point.destination))?);
            }
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
            return Err(Error::System(format!("invalid tmpfs option {name:?}")));
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
fn tmpfs_of(point: &MountPoint) -> Result<Mount> {
    let declared = point.declared.as_deref();
    let mut options = Vec::new();
    if !point.rw {
        options.push("ro".to_owned());
    }
    if let Some(wanted) = declared.and_then(|m| m.tmpfs_options.as_ref()) {
        if wanted.size_bytes != 0 {
            options.push(format!("size={}", wanted.size_bytes));
        }
        if wanted.mode != 0 {
            options.push(format!("mode={:o}", wanted.mode));
        }
        options.extend(wanted.options.iter().flatten().map(|pair| pair.join("=")));
    }
    tmpfs(&point.destination, &options.join(","))
}

/// A bind, a volume or an image. `owner`: whose the source is on the host, when that is to be mapped.
fn bind(point: &MountPoint, owner: Option<&(u32, u32)>) -> Result<Mount> {
    let declared = point.declared.as_deref().and_then(|m| m.bind_options.as_ref());
    let is = |flag: fn(&wharf_api::container::BindOptions) -> bool| declared.is_some_and(flag);
    let conflict = |what: &str| Err(Error::System(format!("mount options conflict: {what}")));
    if is(|b| b.read_only_non_recursive) && point.rw {
        return conflict("!ReadOnly && BindOptions.ReadOnlyNonRecursive");
    }
    if is(|b| b.read_only_force_recursive) && point.rw {
        return conflict("!ReadOnly && BindOptions.ReadOnlyForceRecursive");
    }
    if is(|b| b.read_only_non_recursive) && is(|b| b.read_only_force_recursive) {
        return conflict("ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive");
    }
    let recursive = !is(|b| b.non_recursive);
    let mut options = vec![if recursive { "rbind" } else { "bind" }.to_owned()];
    if !point.rw {
        // `ro` alone would leave mounts below the source writable
        let deep = recursive && !is(|b| b.read_only_non_recursive);
        options.push(if deep { "rro" } else { "ro" }.to_owned());
    }
    let propagation = if point.propagation.is_empty() { "rprivate" } else { &point.propagation };
    options.push(propagation.to_owned());
    let mut bind = mount(&point.destination, "bind", &point.source, &[]);
    bind.source = Some(PathBuf::from(&point.source));
    if !point.destination.starts_with('/') {
        bind.destination = PathBuf::from("/").join(&point.destination);
    }
    bind.options = options;
    if let (Some(map), Some((uid, gid))) = (declared.and_then(|b| b.id_map.as_ref()), owner) {
        bind.uid_mappings = swap(*uid, map.uid.unwrap_or(*uid));
        bind.gid_mappings = swap(*gid, map.gid.unwrap_or(*gid));
    }
    Ok(bind)
}

/// The mapping in which `there` (on the disk) is `here` (inside), and the other way round; everybody else stays the same.
fn swap(there: u32, here: u32) -> Vec<IdMapping> {
    // the last number means nobody
    const END: u32 = u32::MAX;
    let (low, high) = (there.min(here), there.max(here));
    let ranges = if low == high {
        vec![(0, 0, END)]
    } else {
        vec![
            (0, 0, low),
            (low, high, 1),
            (low + 1, low + 1, high - low - 1),
            (high, low, 1),
            (high.saturating_add(1), high.saturating_add(1), END.saturating_sub(high.saturating_add(1))),
        ]
    };
    let some = ranges.into_iter().filter(|(.., size)| *size > 0);
    some.map(|(container_id, host_id, size)| IdMapping { container_id, host_id, size }).collect()
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
