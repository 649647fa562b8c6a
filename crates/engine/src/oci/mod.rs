//! Config and HostConfig to the OCI document, as dockerd makes it: pure, everything else comes in as [`Ground`].
//!
//! ```text
//!   process   args, environment, user, limits                (process.rs)
//!   mounts    /proc /dev /sys …, files of /etc, the user's   (mounts.rs)
//!   security  capabilities, seccomp, --security-opt, sysctls (security.rs)
//!   devices   --device, --device-cgroup-rule, --privileged   (devices.rs)
//!   limits    Resources → cgroup limits, with Docker's checks (limits.rs)
//! ```

pub(crate) mod devices;
pub(crate) mod limits;
mod mounts;
pub(crate) mod process;
pub(crate) mod security;

use std::collections::BTreeMap;
use std::path::PathBuf;

use wharf_api::container::{Config, HostConfig};
use wharf_spec::capability::CapabilitySet;
use wharf_spec::runtime::{Linux, LinuxNamespace, NamespaceType, OCI_VERSION, Root, Spec};

use crate::Result;
use crate::container::snapshot::{Files, MountPoint};
use crate::users::User;

/// What the generation needs beyond the declaration.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// Host name inside; empty: that of the host (UTS mode host).
    pub(crate) hostname: String,
    /// Program and arguments.
    pub(crate) args: Vec<String>,
    /// Who runs it.
    pub(crate) user: User,
    /// Files bound over those in `/etc`.
    pub(crate) files: Files,
    /// What legacy links say about their sources; the user's own variables come over it.
    pub(crate) link_env: Vec<String>,
    /// The user's mounts.
    pub(crate) mounts: Vec<MountPoint>,
    /// Control group, below each hierarchy's mount point.
    pub(crate) cgroup: String,
    /// Namespaces that are joined: those of another container.
    pub(crate) join: Join,
    /// Memory shared with other containers, on the host; `None`: a file system of its own.
    pub(crate) shm: Option<PathBuf>,
    /// Capabilities that we have ourselves and can give.
    pub(crate) available: CapabilitySet,
    /// Kernel release, for the seccomp profile's conditions.
    pub(crate) kernel: (u32, u32),
    /// The daemon's seccomp profile: JSON, `unconfined`, or empty for the built-in one.
    pub(crate) seccomp_profile: String,
    /// `--no-new-privileges` of the daemon.
    pub(crate) no_new_privileges: bool,
    /// `--default-ulimit`.
    pub(crate) ulimits: Vec<(String, i64, i64)>,
    /// Default of `--shm-size` in bytes.
    pub(crate) shm_size: u64,
    /// `/sbin/docker-init` on the host, when one shall run as first process.
    pub(crate) init: Option<PathBuf>,
    /// User and group that own the sources of id-mapped binds, by destination.
    pub(crate) owners: BTreeMap<String, (u32, u32)>,
}

/// Namespaces of another container, by path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Join {
    pub(crate) pid: Option<PathBuf>,
    pub(crate) ipc: Option<PathBuf>,
    pub(crate) net: Option<PathBuf>,
}

/// The whole document. Devices and limits are the cgroup's and not in it; the root comes from the storage driver.
pub(crate) fn spec(config: &Config, host: &HostConfig, ground: &Ground) -> Result<Spec> {
    let security = security::Options::parse(host.security_opt.as_deref().unwrap_or_default())?;
    let linux = Linux {
        namespaces: namespaces(host, ground),
        sysctl: security::sysctls(host)?,
        cgroups_path: Some(ground.cgroup.clone()),
        devices: devices::nodes(host)?,
        seccomp: security::seccomp(host, &security, ground)?,
        rootfs_propagation: mounts::root_propagation(&ground.mounts),
        masked_paths: host.masked_paths.iter().flatten().map(PathBuf::from).collect(),
        readonly_paths: host.readonly_paths.iter().flatten().map(PathBuf::from).collect(),
        ..Linux::default()
    };
    Ok(Spec {
        oci_version: OCI_VERSION.into(),
        process: Some(process::process(config, host, ground, &security)?),
        root: Some(Root { path: "rootfs".into(), readonly: host.readonly_rootfs }),
        hostname: Some(ground.hostname.clone()).filter(|name| !name.is_empty()),
        domainname: Some(config.domainname.clone()).filter(|name| !name.is_empty()),
        mounts: mounts::mounts(host, ground)?,
        annotations: host.annotations.clone().unwrap_or_default(),
        linux: Some(linux),
        ..Spec::default()
    })
}

/// Is this namespace mode the host's?
fn is_host(mode: &str) -> bool {
    mode == "host"
}

fn namespaces(host: &HostConfig, ground: &Ground) -> Vec<LinuxNamespace> {
    let mut list = vec![(NamespaceType::Mount, None)];
    if !is_host(&host.network_mode) {
        list.push((NamespaceType::Network, ground.join.net.clone()));
    }
    if !is_host(&host.uts_mode) {
        list.push((NamespaceType::Uts, None));
    }
    if !is_host(&host.pid_mode) {
        list.push((NamespaceType::Pid, ground.join.pid.clone()));
    }
    if !is_host(&host.ipc_mode) {
        list.push((NamespaceType::Ipc, ground.join.ipc.clone()));
    }
    if host.cgroupns_mode == "private" {
        list.push((NamespaceType::Cgroup, None));
    }
    list.into_iter().map(|(kind, path)| LinuxNamespace { kind, path }).collect()
}

#[cfg(test)]
mod tests;
