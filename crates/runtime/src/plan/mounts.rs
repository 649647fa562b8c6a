//! Planning of mounts: the document's list becomes steps. What may lie over `/proc` is decided here (CVE-2019-16884).

use super::devices::clean;
use super::options::{MountOptions, c_path, c_text};
use super::{CgroupView, IdMaps, MountSource, MountStep, PlanOptions};
use crate::Error;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use wharf_spec::runtime::{IdMapping, Mount, NamespaceType, Spec};

/// Files under `/proc` that may be covered: they only report, no process is confined by what they say.
const SAFE_IN_PROC: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// File systems that ignore or refuse a security context among their options.
const NO_CONTEXT: [&str; 4] = ["proc", "sysfs", "cgroup", "cgroup2"];

/// All mounts of the document in order.
pub(super) fn steps(spec: &Spec, options: &PlanOptions) -> Result<Vec<MountStep>, Error> {
    let mut steps = Vec::with_capacity(spec.mounts.len() + 8);
    for (i, mount) in spec.mounts.iter().enumerate() {
        let field = format!("mounts[{i}]");
        let target = clean(&mount.destination, &format!("{field}.destination"))?;
        let words = MountOptions::parse(&mount.options);
        let kind = mount.kind.as_deref().unwrap_or_default();
        if matches!(kind, "cgroup" | "cgroup2") && words.bind.is_none() {
            cgroup(&mut steps, spec, &options.cgroup, &target, &words)?;
            continue;
        }
        steps.push(step(spec, options, mount, &target, words, &field)?);
    }
    Ok(steps)
}

fn step(
    spec: &Spec,
    options: &PlanOptions,
    mount: &Mount,
    target: &Path,
    words: MountOptions,
    field: &str,
) -> Result<MountStep, Error> {
    let kind = mount.kind.as_deref().unwrap_or_default();
    let in_proc = target.starts_with("/proc");
    let bind = words.bind.or((kind == "bind").then_some(false));
    let is_proc = kind == "proc" && bind.is_none();
    if in_proc && target == Path::new("/proc") && !is_proc && bind.is_none() && !words.remount {
        return Err(Error::invalid(field, format!("{target:?} cannot be mounted because it is not of type proc")));
    }
    let safe = SAFE_IN_PROC.iter().any(|path| target == Path::new(path));
    if in_proc && target != Path::new("/proc") && !safe {
        return Err(Error::invalid(field, format!("{target:?} cannot be mounted because it is inside /proc")));
    }
    let idmap = idmap(spec, mount, &words, options, field)?;
    let mut base = base(target, &words)?;
    base.idmap = idmap;
    base.copy_up = words.copy_up && kind == "tmpfs";
    base.strict_target = matches!(kind, "proc" | "sysfs") && bind.is_none();
    base.allow_in_proc = safe || is_proc || (bind.is_some() && target == Path::new("/proc"));
    let origin = options.origins.get(&mount.destination).cloned().unwrap_or_default();
    base.subpath = origin.subpath;
    base.source = match (words.remount, bind) {
        (true, _) => MountSource::Remount,
        (false, Some(recursive)) => match origin.overlay {
            Some(overlay) => MountSource::Overlay(overlay),
            None => MountSource::Bind { path: source_path(mount, options, field)?, recursive },
        },
        (false, None) => filesystem(spec, mount, kind, words, field)?,
    };
    Ok(base)
}

/// Takes the read-only attribute from file systems that are still to be filled (`/dev`, and a tmpfs that other mounts' targets
/// are made in), and returns their targets.
pub(super) fn postpone_readonly(steps: &mut [MountStep]) -> Vec<CString> {
    let mut late = Vec::new();
    for step in steps {
        let MountSource::Filesystem { kind, options, .. } = &mut step.source else { continue };
        let fills = kind.as_c_str() == c"tmpfs" || step.target.as_c_str() == c"/dev";
        if fills && step.set & wharf_sys::mount::attr::RDONLY != 0 {
            step.set &= !wharf_sys::mount::attr::RDONLY;
            options.retain(|(key, _)| key.as_c_str() != c"ro");
            late.push(step.target.clone());
        }
    }
    late
}

/// A step with the attributes of `words`, of no source yet.
fn base(target: &Path, words: &MountOptions) -> Result<MountStep, Error> {
    Ok(MountStep {
        target: c_path(target)?,
        source: MountSource::Remount,
        set: words.set,
        clear: words.clear,
        set_recursive: words.set_recursive,
        clear_recursive: words.clear_recursive,
        propagation: words.propagation.clone(),
        idmap: None,
        copy_up: false,
        strict_target: false,
        allow_in_proc: false,
        subpath: None,
    })
}

fn source_path(mount: &Mount, options: &PlanOptions, field: &str) -> Result<CString, Error> {
    let source = mount.source.as_deref().filter(|path| !path.as_os_str().is_empty());
    let source = source.ok_or_else(|| Error::invalid(format!("{field}.source"), "a bind mount needs a source"))?;
    // relative ones start at the bundle (OCI runtime spec, "Mounts")
    let path: PathBuf = if source.is_absolute() { source.into() } else { options.bundle.join(source) };
    c_path(path)
}

fn filesystem(spec: &Spec, mount: &Mount, kind: &str, words: MountOptions, field: &str) -> Result<MountSource, Error> {
    if kind.is_empty() || kind == "none" {
        return Err(Error::invalid(format!("{field}.type"), "a mount that is no bind mount needs a type"));
    }
    let mut list: Vec<(CString, Option<CString>)> = Vec::new();
    for flag in &words.superblock {
        list.push((c_text(field, *flag)?, None));
    }
    let mut directory_mode = 0o755;
    for (key, value) in &words.data {
        if key == "mode" && kind == "tmpfs" {
            directory_mode = value.as_deref().and_then(|v| u32::from_str_radix(v, 8).ok()).unwrap_or(directory_mode);
        }
        let value = value.as_deref().map(|value| c_text(field, value)).transpose()?;
        list.push((c_text(field, key.as_str())?, value));
    }
    let label = spec.linux.as_ref().and_then(|linux| linux.mount_label.as_deref()).filter(|label| !label.is_empty());
    if let Some(label) = label.filter(|_| !NO_CONTEXT.contains(&kind)) {
        list.push((c"context".into(), Some(c_text("linux.mountLabel", label)?)));
    }
    let source = mount.source.as_deref().filter(|s| !s.as_os_str().is_empty()).unwrap_or(Path::new(kind));
    Ok(MountSource::Filesystem { kind: c_text(field, kind)?, source: c_path(source)?, options: list, directory_mode })
}

fn idmap(
    spec: &Spec,
    mount: &Mount,
    words: &MountOptions,
    options: &PlanOptions,
    field: &str,
) -> Result<Option<(IdMaps, bool)>, Error> {
    let asked = words.idmap.is_some() || !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    if !asked {
        return Ok(None);
    }
    if words.bind.is_none() && mount.kind.as_deref() != Some("bind") {
        return Err(Error::invalid(field, "only bind mounts can be id-mapped"));
    }
    let linux = spec.linux.as_ref();
    let own = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    let (uid, gid): (&[IdMapping], &[IdMapping]) = match (own, linux) {
        (true, _) => (&mount.uid_mappings, &mount.gid_mappings),
        (false, Some(linux)) => (&linux.uid_mappings, &linux.gid_mappings),
        (false, None) => (&[], &[]),
    };
    if uid.is_empty() || gid.is_empty() {
        return Err(Error::invalid(field, "an id-mapped mount needs both uidMappings and gidMappings"));
    }
    Ok(Some((id_maps(uid, gid, options.rootless), words.idmap == Some(true))))
}

/// The texts for `uid_map` and `gid_map`.
pub(super) fn id_maps(uid: &[IdMapping], gid: &[IdMapping], deny_setgroups: bool) -> IdMaps {
    let text = |list: &[IdMapping]| {
        let line = |m: &IdMapping| format!("{} {} {}\n", m.container_id, m.host_id, m.size);
        list.iter().map(line).collect::<String>().into_bytes()
    };
    IdMaps { uid: text(uid), gid: text(gid), deny_setgroups }
}

/// A mount of type `cgroup`: one file system on v2; on v1 a tmpfs with the container's own folder of each hierarchy in it.
fn cgroup(
    steps: &mut Vec<MountStep>,
    spec: &Spec,
    view: &CgroupView,
    target: &Path,
    words: &MountOptions,
) -> Result<(), Error> {
    if view.v1.is_empty() {
        steps.push(MountStep { source: cgroup2(spec, view), ..base(target, words)? });
        return Ok(());
    }
    let tmpfs = MountSource::Filesystem {
        kind: c"tmpfs".into(),
        source: c"tmpfs".into(),
        options: vec![(c"mode".into(), Some(c"755".into()))],
        directory_mode: 0o755,
    };
    let mut outer = MountStep { source: tmpfs, ..base(target, words)? };
    // the folder itself stays writable for its owner, as runc leaves it; the hierarchies in it are what the options are for
    outer.set &= !wharf_sys::mount::attr::RDONLY;
    steps.push(outer);
    for controller in &view.v1 {
        let source = MountSource::Bind { path: c_path(&controller.dir)?, recursive: false };
        let place = target.join(&controller.name);
        let mut step = MountStep { source, ..base(&place, words)? };
        step.set |= wharf_sys::mount::attr::NOSUID | wharf_sys::mount::attr::NODEV | wharf_sys::mount::attr::NOEXEC;
        steps.push(step);
        if controller.name.contains(',') {
            for alias in controller.name.split(',') {
                let source = MountSource::Link { content: c_text("cgroup", controller.name.as_str())? };
                steps.push(MountStep { source, ..base(&target.join(alias), &MountOptions::default())? });
            }
        }
    }
    Ok(())
}

fn cgroup2(spec: &Spec, view: &CgroupView) -> MountSource {
    let namespaces = spec.linux.as_ref().map(|linux| linux.namespaces.as_slice()).unwrap_or_default();
    let has = |kind| namespaces.iter().any(|ns| ns.kind == kind);
    // without a cgroup namespace of its own a user namespace may not mount the file system, but may bind what is there
    if has(NamespaceType::User) && !has(NamespaceType::Cgroup) {
        let path = view.v2.as_ref().and_then(|dir| c_path(dir).ok()).unwrap_or_else(|| c"/sys/fs/cgroup".into());
        return MountSource::Bind { path, recursive: true };
    }
    MountSource::Filesystem {
        kind: c"cgroup2".into(),
        source: c"cgroup".into(),
        options: Vec::new(),
        directory_mode: 0o755,
    }
}
