//! Device nodes of a container and what its cgroup lets it do with devices.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use wharf_api::container::{DeviceMapping, HostConfig};
use wharf_cgroup::{Access, DeviceKind, DeviceRule, OCI_DEFAULT_DEVICES};
use wharf_spec::runtime::{DeviceType, LinuxDevice};

use crate::{Error, Result};

/// Nodes beyond those that every container has: all of the host's when privileged, else the declared ones.
pub(super) fn nodes(host: &HostConfig) -> Result<Vec<LinuxDevice>> {
    if host.privileged {
        let mut list = Vec::new();
        collect(Path::new("/dev"), Path::new("/dev"), &mut list);
        let declared = mappings(host)?.into_iter().map(|(node, _)| node);
        list.extend(declared);
        return Ok(list);
    }
    Ok(mappings(host)?.into_iter().map(|(node, _)| node).collect())
}

/// The rules of the container's cgroup. Empty: everything is allowed (privileged).
pub(crate) fn rules(host: &HostConfig) -> Result<Vec<DeviceRule>> {
    if host.privileged {
        return Ok(Vec::new());
    }
    let deny_all = DeviceRule { allow: false, kind: DeviceKind::All, major: None, minor: None, access: Access::ALL };
    let mut rules = vec![deny_all];
    rules.extend(OCI_DEFAULT_DEVICES.iter().cloned());
    rules.extend(mappings(host)?.into_iter().map(|(_, rule)| rule));
    for text in host.resources.device_cgroup_rules.iter().flatten() {
        rules.push(
            rule(text)
                .ok_or_else(|| Error::InvalidParameter(format!("invalid device cgroup rule format: '{text}'")))?,
        );
    }
    Ok(rules)
}

/// `c 1:* rwm`
fn rule(text: &str) -> Option<DeviceRule> {
    let mut words = text.split_ascii_whitespace();
    let kind = match words.next()? {
        "a" => DeviceKind::All,
        "b" => DeviceKind::Block,
        "c" => DeviceKind::Char,
        _ => return None,
    };
    let (major, minor) = words.next()?.split_once(':')?;
    let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
    let access = words.next().filter(|a| !a.is_empty() && a.len() <= 3)?;
    let done = words.next().is_none();
    done.then_some(DeviceRule {
        allow: true,
        kind,
        major: number(major)?,
        minor: number(minor)?,
        access: Access::parse(access)?,
    })
}

fn mappings(host: &HostConfig) -> Result<Vec<(LinuxDevice, DeviceRule)>> {
    let mut list = Vec::new();
    for DeviceMapping { path_on_host, path_in_container, cgroup_permissions } in host.resources.devices.iter().flatten()
    {
        let target = if path_in_container.is_empty() { path_on_host } else { path_in_container };
        let access = Access::parse(cgroup_permissions)
            .ok_or_else(|| Error::InvalidParameter(format!("invalid device mode: {cgroup_permissions}")))?;
        let gather = |why: &dyn std::fmt::Display| {
            Error::System(format!(
                "error gathering device information while adding custom device {path_on_host:?}: {why}"
            ))
        };
        let source = fs::canonicalize(path_on_host).map_err(|e| {
            if e.kind() == std::io::ErrorKind::NotFound { gather(&"no such file or directory") } else { gather(&e) }
        })?;
        let mut found = Vec::new();
        if source.is_dir() {
            collect(&source, Path::new(target), &mut found);
        } else {
            found.extend(node(&source, Path::new(target)));
        }
        if found.is_empty() {
            return Err(gather(&"not a device node"));
        }
        list.extend(found.into_iter().map(|node| {
            let rule = allow(&node, access);
            (node, rule)
        }));
    }
    Ok(list)
}

fn allow(node: &LinuxDevice, access: Access) -> DeviceRule {
    let kind = if node.kind == DeviceType::Block { DeviceKind::Block } else { DeviceKind::Char };
    let number = |n: i64| u32::try_from(n).ok();
    DeviceRule { allow: true, kind, major: number(node.major), minor: number(node.minor), access }
}

/// Every device below `folder`, shown below `target`. Terminals, shared memory and the like are the container's own.
fn collect(folder: &Path, target: &Path, list: &mut Vec<LinuxDevice>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let (source, target) = (entry.path(), target.join(&name));
        let Ok(kind) = entry.file_type() else { continue };
        let own = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"];
        if kind.is_dir() && !own.iter().any(|o| name == *o) {
            collect(&source, &target, list);
        } else if (kind.is_char_device() || kind.is_block_device()) && !own.iter().any(|o| name == *o) {
            list.extend(node(&source, &target));
        }
    }
}

fn node(source: &Path, target: &Path) -> Option<LinuxDevice> {
    let meta = fs::metadata(source).ok()?;
    let kind = match meta.file_type() {
        t if t.is_char_device() => DeviceType::Char,
        t if t.is_block_device() => DeviceType::Block,
        _ => return None,
    };
    let device = meta.rdev();
    Some(LinuxDevice {
        path: PathBuf::from(target),
        kind,
        major: rustix::fs::major(device).into(),
        minor: rustix::fs::minor(device).into(),
        file_mode: Some(meta.mode() & 0o7777),
        uid: Some(meta.uid()),
        gid: Some(meta.gid()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_iso_07_device_cgroup_rules() {
        let check = |text: &str, expect: bool| assert_eq!(rule(text).is_some(), expect, "{text}");
        check("c 1:3 rwm", true);
        check("a *:* rwm", true);
        check("b 8:* r", true);
        for bad in ["", "c", "c 1:3", "x 1:3 r", "c 1 r", "c 1:3 x", "c 1:3 rwm more", "c -1:3 r"] {
            check(bad, false);
        }
    }
}
