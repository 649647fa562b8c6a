//! `linux`: namespaces, devices, cgroup path, paths to hide (section "Linux Container Configuration").

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{LinuxResources, is_false, or_default};
use crate::seccomp::LinuxSeccomp;

/// Linux specific configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// User ID mappings of a new user namespace.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ID mappings of a new user namespace.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub gid_mappings: Vec<IdMapping>,
    /// Kernel parameters set inside the container's namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub sysctl: BTreeMap<String, String>,
    /// What the container may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<LinuxResources>,
    /// Path of the cgroup: absolute (under the mount point), relative (the runtime chooses where), or
    /// `slice:prefix:name` with the systemd driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroups_path: Option<String>,
    /// Namespaces that are made or joined; those not listed are inherited.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub namespaces: Vec<LinuxNamespace>,
    /// Device nodes that must exist in the container.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub devices: Vec<LinuxDevice>,
    /// Network devices moved into the container (by host name; from 1.3).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub net_devices: BTreeMap<String, NetDevice>,
    /// System call filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<LinuxSeccomp>,
    /// Propagation of the root mount: `shared`, `slave`, `private`, `unbindable` and their `r…` forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs_propagation: Option<String>,
    /// Paths hidden from the container.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub masked_paths: Vec<PathBuf>,
    /// Paths made read-only.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub readonly_paths: Vec<PathBuf>,
    /// SELinux context of the mounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_label: Option<String>,
    /// Intel resource director.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<IntelRdt>,
    /// NUMA memory policy (from 1.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicy>,
    /// Execution domain (`personality(2)`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personality: Option<Personality>,
    /// Offsets of the time namespace's clocks, by clock name (`monotonic`, `boottime`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub time_offsets: BTreeMap<String, TimeOffset>,
}

/// One range of an ID mapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdMapping {
    /// First ID inside the container.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// First ID outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many IDs.
    pub size: u32,
}

/// The kinds of namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceType {
    /// Process IDs.
    Pid,
    /// Network stack.
    Network,
    /// Mount table.
    Mount,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// User and group IDs.
    User,
    /// View of the cgroup tree.
    Cgroup,
    /// Monotonic and boot-time clocks.
    Time,
}

impl NamespaceType {
    /// All kinds, in the order `features` lists them.
    pub const ALL: [Self; 8] =
        [Self::Cgroup, Self::Ipc, Self::Mount, Self::Network, Self::Pid, Self::Time, Self::User, Self::Uts];

    /// The name in the specification.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::Network => "network",
            Self::Mount => "mount",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }

    /// The file name under `/proc/<pid>/ns`.
    pub const fn proc_name(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::Network => "net",
            Self::Mount => "mnt",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }
}

/// One namespace: made anew, or joined by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxNamespace {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: NamespaceType,
    /// An existing namespace file to join; a new namespace when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

/// Kinds of device nodes; `All` only in cgroup rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceType {
    /// Every kind.
    #[default]
    #[serde(rename = "a", alias = "")]
    All,
    /// Block device.
    #[serde(rename = "b")]
    Block,
    /// Character device.
    #[serde(rename = "c")]
    Char,
    /// Unbuffered character device: the same node as [`Self::Char`].
    #[serde(rename = "u")]
    Unbuffered,
    /// FIFO.
    #[serde(rename = "p")]
    Fifo,
}

impl DeviceType {
    /// The letter in the specification.
    pub const fn as_char(self) -> char {
        match self {
            Self::All => 'a',
            Self::Block => 'b',
            Self::Char => 'c',
            Self::Unbuffered => 'u',
            Self::Fifo => 'p',
        }
    }
}

/// A device node that must exist in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LinuxDevice {
    /// Path inside the container.
    pub path: PathBuf,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: DeviceType,
    /// Major number; absent for a FIFO.
    pub major: i64,
    /// Minor number; absent for a FIFO.
    pub minor: i64,
    /// Permission bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<u32>,
    /// Owner inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}

/// A network device that moves into the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetDevice {
    /// Name inside the container; the host's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Intel resource director settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntelRdt {
    /// Class of service: a folder under `/sys/fs/resctrl`.
    #[serde(rename = "closID", skip_serializing_if = "Option::is_none")]
    pub clos_id: Option<String>,
    /// Schemata lines.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub schemata: Vec<String>,
    /// L3 cache schema line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_schema: Option<String>,
    /// Memory bandwidth schema line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_schema: Option<String>,
    /// Cache monitoring.
    #[serde(rename = "enableCMT", skip_serializing_if = "is_false")]
    pub enable_cmt: bool,
    /// Memory bandwidth monitoring.
    #[serde(rename = "enableMBM", skip_serializing_if = "is_false")]
    pub enable_mbm: bool,
    /// Monitoring group (from 1.3).
    #[serde(skip_serializing_if = "is_false")]
    pub enable_monitoring: bool,
}

/// NUMA memory policy (`set_mempolicy(2)`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryPolicy {
    /// `MPOL_…`.
    pub mode: String,
    /// Node list.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nodes: String,
    /// `MPOL_F_…` names.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub flags: Vec<String>,
}

/// Execution domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Personality {
    /// `LINUX` or `LINUX32`.
    pub domain: String,
    /// Additional flags; none are specified.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub flags: Vec<String>,
}

/// Offset of one clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeOffset {
    /// Whole seconds.
    pub secs: i64,
    /// Nanoseconds.
    pub nanosecs: u32,
}
