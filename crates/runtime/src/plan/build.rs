//! [`plan`] and [`plan_exec`]: the document becomes a plan.

use super::devices::clean;
use super::options::{c_path, c_text, c_texts, propagation};
use super::{
    ExecPlan, HookPlan, HooksPlan, IdMaps, JoinNamespace, Namespaces, Plan, PlanOptions, Propagation, Root, devices,
    mounts, process,
};
use crate::Error;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use wharf_spec::runtime::{Hook, Hooks, Linux, NamespaceType, Process, Spec};

/// Decides everything about the container that `spec` describes. Pure: looks at no file.
///
/// # Errors
/// What of the document is wrong or not supported.
pub fn plan(spec: &Spec, options: &PlanOptions) -> Result<Plan, Error> {
    let no_linux = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&no_linux);
    let document = spec.process.as_ref().ok_or_else(|| Error::invalid("process", "is missing"))?;
    refuse_unsupported(linux)?;
    let namespaces = namespaces(linux)?;
    let id_maps = id_maps(linux, &namespaces, options)?;
    let deny = id_maps.as_ref().is_some_and(|maps| maps.deny_setgroups);
    let user_namespace = id_maps.is_some() || namespaces.joins(NamespaceType::User);
    let mut mounts = mounts::steps(spec, options)?;
    let late_readonly = mounts::postpone_readonly(&mut mounts);
    let setup_dev = !spec.mounts.iter().any(is_bind_over_dev);
    let asked = linux.rootfs_propagation.as_deref().filter(|word| !word.is_empty());
    let start = match asked {
        None => (Propagation::Slave, true),
        Some(word) => propagation(word)
            .ok_or_else(|| Error::invalid("linux.rootfsPropagation", format!("unknown propagation {word:?}")))?,
    };
    Ok(Plan {
        id: c_text("id", options.id.as_str())?,
        bundle: c_path(&options.bundle)?,
        annotations: spec.annotations.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        loopback_up: namespaces.makes(NamespaceType::Network),
        time_offsets: time_offsets(linux, &namespaces)?,
        keyring: keyring(options)?,
        hostname: name(spec.hostname.as_deref(), "hostname", &namespaces)?,
        domainname: name(spec.domainname.as_deref(), "domainname", &namespaces)?,
        sysctls: sysctls(spec, linux, &namespaces)?,
        propagation: start,
        propagation_asked: asked.is_some(),
        root: Some(root(spec, options)?),
        root_readonly: spec.root.as_ref().is_some_and(|root| root.readonly),
        mounts,
        late_readonly,
        setup_dev,
        devices: devices::nodes(&linux.devices, setup_dev)?,
        bind_devices: user_namespace || options.rootless,
        masked: paths("linux.maskedPaths", &linux.masked_paths)?,
        readonly: paths("linux.readonlyPaths", &linux.readonly_paths)?,
        personality: linux.personality.as_ref().map(process::personality).transpose()?,
        memory_policy: linux.memory_policy.as_ref().map(process::memory_policy).transpose()?,
        hooks: hooks(spec.hooks.as_ref())?,
        process: process::process(document, linux.seccomp.as_ref(), !deny)?,
        namespaces,
        id_maps,
    })
}

/// Decides about a process joining the container that `spec` described.
///
/// # Errors
/// What of the process is wrong or not supported.
pub fn plan_exec(spec: &Spec, process: &Process, options: &PlanOptions) -> Result<ExecPlan, Error> {
    let no_linux = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&no_linux);
    let namespaces = namespaces(linux)?;
    let kinds = namespaces.new.iter().copied().chain(namespaces.join.iter().map(|join| join.kind)).collect::<Vec<_>>();
    let user_namespace = kinds.contains(&NamespaceType::User);
    let affinity = process.exec_cpu_affinity.as_ref();
    let bits = |text: Option<&String>| text.map(|text| process::list_bits("process.execCPUAffinity", text)).transpose();
    let mut plan = process::process(process, linux.seccomp.as_ref(), !(user_namespace && options.rootless))?;
    plan.make_cwd = false;
    Ok(ExecPlan {
        namespaces: kinds,
        user_namespace,
        keyring: keyring(options)?,
        personality: linux.personality.as_ref().map(process::personality).transpose()?,
        affinity_initial: bits(affinity.and_then(|affinity| affinity.initial.as_ref()))?,
        affinity_final: bits(affinity.and_then(|affinity| affinity.last.as_ref()))?,
        process: plan,
    })
}

fn refuse_unsupported(linux: &Linux) -> Result<(), Error> {
    if !linux.net_devices.is_empty() {
        return Err(Error::unsupported("linux.netDevices", "moving network devices is not supported"));
    }
    if linux.intel_rdt.is_some() {
        return Err(Error::unsupported("linux.intelRdt", "no resource director support"));
    }
    Ok(())
}

fn namespaces(linux: &Linux) -> Result<Namespaces, Error> {
    let mut out = Namespaces::default();
    for ns in &linux.namespaces {
        if out.makes(ns.kind) || out.joins(ns.kind) {
            let reason = format!("malformed spec file: duplicated ns {:?}", ns.kind.as_str());
            return Err(Error::invalid("linux.namespaces", reason));
        }
        match ns.path.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            None => out.new.push(ns.kind),
            Some(path) if path.is_absolute() => {
                out.join.push(JoinNamespace { kind: ns.kind, path: c_path(path)? });
            }
            Some(path) => return Err(Error::invalid("linux.namespaces", format!("{path:?} is not an absolute path"))),
        }
    }
    if !out.makes(NamespaceType::Mount) && !out.joins(NamespaceType::Mount) {
        return Err(Error::unsupported(
            "linux.namespaces",
            "a container without a mount namespace has no root of its own",
        ));
    }
    Ok(out)
}

fn id_maps(linux: &Linux, namespaces: &Namespaces, options: &PlanOptions) -> Result<Option<IdMaps>, Error> {
    // the kernel's limit of lines in one map
    const MAX_EXTENTS: usize = 340;
    if !namespaces.makes(NamespaceType::User) {
        let given = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
        if given && !namespaces.joins(NamespaceType::User) {
            return Err(Error::invalid("linux.uidMappings", "mappings need a user namespace"));
        }
        return Ok(None);
    }
    for (list, field) in [(&linux.uid_mappings, "linux.uidMappings"), (&linux.gid_mappings, "linux.gidMappings")] {
        if list.is_empty() {
            return Err(Error::invalid(field, "a new user namespace needs mappings"));
        }
        if list.len() > MAX_EXTENTS {
            return Err(Error::invalid(field, format!("the kernel takes at most {MAX_EXTENTS} mappings")));
        }
    }
    Ok(Some(mounts::id_maps(&linux.uid_mappings, &linux.gid_mappings, options.rootless)))
}

fn time_offsets(linux: &Linux, namespaces: &Namespaces) -> Result<Vec<u8>, Error> {
    if linux.time_offsets.is_empty() {
        return Ok(Vec::new());
    }
    if !namespaces.makes(NamespaceType::Time) {
        return Err(Error::invalid("linux.timeOffsets", "offsets need a new time namespace"));
    }
    let mut text = String::new();
    for (clock, offset) in &linux.time_offsets {
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return Err(Error::invalid("linux.timeOffsets", format!("clock {clock:?} has no offset")));
        }
        text.push_str(&format!("{clock} {} {}\n", offset.secs, offset.nanosecs));
    }
    Ok(text.into_bytes())
}

fn keyring(options: &PlanOptions) -> Result<Option<CString>, Error> {
    if options.no_new_keyring { Ok(None) } else { c_text("id", format!("_ses.{}", options.id)).map(Some) }
}

fn name(value: Option<&str>, field: &str, namespaces: &Namespaces) -> Result<Option<CString>, Error> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    if !namespaces.makes(NamespaceType::Uts) && !namespaces.joins(NamespaceType::Uts) {
        return Err(Error::invalid(field, format!("unable to set {field} without a private UTS namespace")));
    }
    if value.len() > 64 {
        return Err(Error::invalid(field, "longer than 64 bytes"));
    }
    c_text(field, value).map(Some)
}

fn root(spec: &Spec, options: &PlanOptions) -> Result<Root, Error> {
    if let Some(root) = &options.root {
        return Ok(root.clone());
    }
    let root = spec.root.as_ref().ok_or_else(|| Error::invalid("root", "is missing"))?;
    if root.path.as_os_str().is_empty() {
        return Err(Error::invalid("root.path", "must not be empty"));
    }
    let path: PathBuf = if root.path.is_absolute() { root.path.clone() } else { options.bundle.join(&root.path) };
    Ok(Root::Dir(c_path(path)?))
}

fn is_bind_over_dev(mount: &wharf_spec::runtime::Mount) -> bool {
    let bind =
        mount.kind.as_deref() == Some("bind") || mount.options.iter().any(|word| word == "bind" || word == "rbind");
    bind && clean(&mount.destination, "").is_ok_and(|path| path == Path::new("/dev"))
}

fn paths(field: &str, list: &[PathBuf]) -> Result<Vec<CString>, Error> {
    let one = |path: &PathBuf| {
        if !path.is_absolute() {
            return Err(Error::invalid(field, format!("{path:?} is not an absolute path")));
        }
        c_path(clean(path, field)?)
    };
    list.iter().map(one).collect()
}

/// Kernel parameters of the IPC namespace under `kernel.`.
const IPC_SYSCTLS: [&str; 8] = ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"];

fn sysctls(spec: &Spec, linux: &Linux, namespaces: &Namespaces) -> Result<Vec<(CString, Vec<u8>)>, Error> {
    let has = |kind| namespaces.makes(kind) || namespaces.joins(kind);
    let mut out = Vec::with_capacity(linux.sysctl.len());
    for (name, value) in &linux.sysctl {
        let path = sysctl_path(name);
        let refuse = |reason: String| Err(Error::invalid("linux.sysctl", reason));
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refuse(format!("malformed name {name:?}"));
        }
        let allowed = match path.split_once('/').unwrap_or((&path, "")) {
            ("net", _) => has(NamespaceType::Network),
            ("fs", rest) => rest.starts_with("mqueue/") && has(NamespaceType::Ipc),
            ("kernel", "domainname") => {
                has(NamespaceType::Uts) && spec.domainname.as_deref().unwrap_or_default().is_empty()
            }
            ("kernel", "hostname") => return refuse(format!("sysctl {name:?} conflicts with the hostname property")),
            ("kernel", rest) => IPC_SYSCTLS.contains(&rest) && has(NamespaceType::Ipc),
            ("user", _) => has(NamespaceType::User),
            _ => false,
        };
        if !allowed {
            return refuse(format!("sysctl {name:?} is not in a separate kernel namespace"));
        }
        out.push((c_text("linux.sysctl", path)?, value.clone().into_bytes()));
    }
    Ok(out)
}

/// `net.ipv4.conf.eth0/1.forwarding` and `net/ipv4/conf/eth0.1/forwarding` are the same: the first separator decides.
fn sysctl_path(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name.as_bytes()[at] == b'.' => name
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
        _ => name.to_owned(),
    }
}

fn hooks(hooks: Option<&Hooks>) -> Result<HooksPlan, Error> {
    let Some(hooks) = hooks else { return Ok(HooksPlan::default()) };
    let list = |name: &str, list: &[Hook]| list.iter().map(|hook| one_hook(name, hook)).collect::<Result<Vec<_>, _>>();
    Ok(HooksPlan {
        prestart: list("prestart", &hooks.prestart)?,
        create_runtime: list("createRuntime", &hooks.create_runtime)?,
        create_container: list("createContainer", &hooks.create_container)?,
        start_container: list("startContainer", &hooks.start_container)?,
        poststart: list("poststart", &hooks.poststart)?,
        poststop: list("poststop", &hooks.poststop)?,
    })
}

fn one_hook(name: &str, hook: &Hook) -> Result<HookPlan, Error> {
    let field = format!("hooks.{name}");
    if !hook.path.is_absolute() {
        return Err(Error::invalid(field, format!("{:?} is not an absolute path", hook.path)));
    }
    let timeout = match hook.timeout {
        None => None,
        Some(seconds) if seconds > 0 => Some(seconds as u64 * 1000),
        Some(_) => return Err(Error::invalid(field, "timeout must be greater than zero")),
    };
    let path = c_path(&hook.path)?;
    let argv = if hook.args.is_empty() { vec![path.clone()] } else { c_texts(&field, &hook.args)? };
    Ok(HookPlan { path, argv, env: c_texts(&field, &hook.env)?, timeout })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_sysctl_names() {
        let check = |input: &str, expect: &str| assert_eq!(sysctl_path(input), expect);
        check("net.ipv4.ip_forward", "net/ipv4/ip_forward");
        check("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding");
        check("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding");
    }
}
