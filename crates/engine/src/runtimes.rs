//! OCI runtimes by name: ours, under the names that clients use by habit, and those that the daemon was given (`--add-runtime`).
//!
//! A container of another runtime differs in three places only: its document lies in a bundle for the runtime to read, the keeper calls
//! the runtime's `create`, `start`, `exec` and `delete`, and its device rules are in the document too, as runtimes replace them.
//! Control groups, networks, mounts, logs, signals, pause and statistics are the same.

use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use wharf_api::container::HostConfig;
use wharf_cgroup::{DeviceKind, DeviceRule};
use wharf_shim::client::encode_plan;
use wharf_shim::protocol::Foreign;
use wharf_spec::runtime::{
    DeviceType, LinuxDeviceCgroup, LinuxResources, NamespaceType, Process, Root as RootPath, Spec,
};

use crate::{Error, Result};

/// The name that our runtime has for clients: what they name by habit.
pub(crate) const DEFAULT_RUNTIME: &str = "runc";
/// Names that mean ours; nobody else's runtime can have them.
pub const RESERVED: &[&str] = &[DEFAULT_RUNTIME, "wharf", "wharf-oci", "io.containerd.runc.v2"];

/// Another OCI runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// Its executable; a name without a slash is looked for in the usual folders.
    pub path: PathBuf,
    /// Arguments before the command.
    pub args: Vec<String>,
}

/// The runtime of that name among `others`, `None` for ours.
///
/// # Errors
/// [`Error::InvalidParameter`] when there is none.
pub(crate) fn find<'a>(others: &'a BTreeMap<String, Runtime>, name: &str) -> Result<Option<&'a Runtime>> {
    if is_ours(name) {
        return Ok(None);
    }
    let unknown = || Error::InvalidParameter(format!("unknown or invalid runtime name: {name}"));
    others.get(name).map(Some).ok_or_else(unknown)
}

/// Whether a name means our runtime.
pub(crate) fn is_ours(name: &str) -> bool {
    name.is_empty() || RESERVED.contains(&name)
}

/// Writes the bundle into `dir` and gives what the keeper needs beyond it.
pub(crate) fn bundle(
    runtime: &Runtime,
    dir: &Path,
    mut spec: Spec,
    root: &wharf_runtime::Root,
    own_network: bool,
    devices: &[DeviceRule],
) -> Result<Foreign> {
    let readonly = spec.root.as_ref().is_some_and(|root| root.readonly);
    spec.root = Some(RootPath { path: dir.join("rootfs"), readonly });
    if let Some(linux) = &mut spec.linux {
        for namespace in linux.namespaces.iter_mut().filter(|n| own_network && n.kind == NamespaceType::Network) {
            namespace.path = Some(dir.join("netns"));
        }
        let resources = linux.resources.get_or_insert_with(LinuxResources::default);
        resources.devices = devices.iter().map(device).collect();
    }
    let text = document(&spec)?;
    let path = dir.join("config.json");
    // it holds the container's environment
    let written = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    written
        .and_then(|mut file| std::io::Write::write_all(&mut file, &text))
        .map_err(|e| Error::system(format!("write `{}`", path.display()), e))?;
    Ok(Foreign { program: runtime.path.clone(), args: runtime.args.clone(), root: encode_plan(root) })
}

/// The document of an exec.
pub(crate) fn process(process: &Process) -> Result<Vec<u8>> {
    document(process)
}

fn document(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::system("encode the OCI document", e))
}

fn device(rule: &DeviceRule) -> LinuxDeviceCgroup {
    LinuxDeviceCgroup {
        allow: rule.allow,
        kind: match rule.kind {
            DeviceKind::All => DeviceType::All,
            DeviceKind::Block => DeviceType::Block,
            DeviceKind::Char => DeviceType::Char,
        },
        major: rule.major.map(i64::from),
        minor: rule.minor.map(i64::from),
        access: rule.access.letters(),
    }
}

/// The rules of a container: what [`HostConfig`] asks for, or everything when it is privileged.
pub(crate) fn device_rules(host: &HostConfig) -> Result<Vec<DeviceRule>> {
    let rules = crate::oci::devices::rules(host)?;
    if !rules.is_empty() {
        return Ok(rules);
    }
    Ok(vec![DeviceRule {
        allow: true,
        kind: DeviceKind::All,
        major: None,
        minor: None,
        access: wharf_cgroup::Access::ALL,
    }])
}
