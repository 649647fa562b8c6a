//! [`Plan`]: everything about a container decided before any process exists, as the launching side needs it.
//!
//! Paths are C strings already, options are flag words, the seccomp filter is finished BPF. A plan is serialisable (postcard),
//! because the daemon makes it and the keeper executes it.

mod build;
mod devices;
mod mounts;
pub(crate) mod options;
mod process;

use crate::seccomp::Program;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::PathBuf;
use wharf_spec::runtime::NamespaceType;

pub use build::{plan, plan_exec};

/// What the planner must know beyond the document.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// The container's ID: for hooks and the key ring's name.
    pub id: String,
    /// The bundle's folder: relative paths of the document start here; hooks are told.
    pub bundle: PathBuf,
    /// The root file system instead of the document's `root.path`.
    pub root: Option<Root>,
    /// What the document cannot say about its bind mounts, by destination.
    pub origins: BTreeMap<PathBuf, Origin>,
    /// The container's own cgroup, for mounts of type `cgroup`.
    pub cgroup: CgroupView,
    /// Keep the caller's session key ring.
    pub no_new_keyring: bool,
    /// The launching side has no rights outside its own user namespace: no `setgroups` in a new one, device nodes are bound.
    pub rootless: bool,
}

/// Where a bind mount really comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// An overlay, mounted for this, instead of the source.
    pub overlay: Option<Overlay>,
    /// A path below the source: no symbolic link leads out of it, whoever changes what when.
    pub subpath: Option<CString>,
}

/// The root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// An existing folder, bound onto itself.
    Dir(CString),
    /// An overlay mounted inside the container's own mount namespace.
    Overlay(Overlay),
}

/// An overlay mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// Folders, uppermost first.
    pub lower: Vec<CString>,
    /// The writable folder and its work folder (same file system); read-only without.
    pub upper: Option<(CString, CString)>,
    /// Further options (`volatile`, `userxattr`, `metacopy=on` …), each with its value.
    pub options: Vec<(CString, Option<CString>)>,
    /// Shown as the mount's source.
    pub source: CString,
}

impl Overlay {
    /// A writable overlay with Docker's options.
    ///
    /// # Errors
    /// When a path contains a NUL byte.
    pub fn new(lower: &[PathBuf], upper: PathBuf, work: PathBuf) -> Result<Overlay, crate::Error> {
        let lower = lower.iter().map(options::c_path).collect::<Result<_, _>>()?;
        let upper = Some((options::c_path(&upper)?, options::c_path(&work)?));
        Ok(Overlay { lower, upper, options: Vec::new(), source: c"overlay".into() })
    }
}

/// The container's own cgroup as the host sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupView {
    /// v1 controllers; empty on a pure v2 host.
    pub v1: Vec<V1Controller>,
    /// The cgroup v2 folder of the container: pure v2 hosts. (In hybrid ones it is not shown to containers.)
    pub v2: Option<PathBuf>,
}

/// One v1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Controller {
    /// Folder name under `/sys/fs/cgroup` (`memory`, `cpu,cpuacct`, `systemd`).
    pub name: String,
    /// The container's folder on the host.
    pub dir: PathBuf,
}

/// A container, decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The container's ID.
    pub id: CString,
    /// The bundle, for hooks.
    pub bundle: CString,
    /// The document's annotations, for hooks.
    pub annotations: Vec<(String, String)>,
    /// Namespaces made and joined.
    pub namespaces: Namespaces,
    /// Mappings of a new user namespace.
    pub id_maps: Option<IdMaps>,
    /// Text for `timens_offsets`; empty without a new time namespace.
    pub time_offsets: Vec<u8>,
    /// Name of a new session key ring.
    pub keyring: Option<CString>,
    /// Host name.
    pub hostname: Option<CString>,
    /// NIS domain name.
    pub domainname: Option<CString>,
    /// Bring the loopback interface of the new network namespace up.
    pub loopback_up: bool,
    /// Files under `/proc/sys` (relative) and what is written to them.
    pub sysctls: Vec<(CString, Vec<u8>)>,
    /// Propagation that every mount gets at first, with whether recursively (`linux.rootfsPropagation`).
    pub propagation: (Propagation, bool),
    /// Whether that was asked for: then the new root gets it as well at the end.
    pub propagation_asked: bool,
    /// The root; `None` without a mount namespace of one's own: the process stays where it is.
    pub root: Option<Root>,
    /// Whether the root is made read-only at the end.
    pub root_readonly: bool,
    /// Mounts in order.
    pub mounts: Vec<MountStep>,
    /// File systems that become read-only at last, after what lies in them was made.
    pub late_readonly: Vec<CString>,
    /// Whether `/dev` is populated (it is not when the user brings one by bind mount).
    pub setup_dev: bool,
    /// Device nodes.
    pub devices: Vec<DeviceNode>,
    /// Devices are bound from the host instead of made (`mknod` is impossible in a user namespace).
    pub bind_devices: bool,
    /// Hidden paths.
    pub masked: Vec<CString>,
    /// Read-only paths.
    pub readonly: Vec<CString>,
    /// Execution domain (`personality(2)`).
    pub personality: Option<u32>,
    /// NUMA policy: mode with flags, node bits.
    pub memory_policy: Option<(u32, Vec<u64>)>,
    /// Hooks.
    pub hooks: HooksPlan,
    /// The process.
    pub process: ProcessPlan,
}

/// A process joining a running container, decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecPlan {
    /// Kinds of namespaces that are entered (those that the container does not share with us).
    pub namespaces: Vec<NamespaceType>,
    /// Whether one of them is a user namespace: then user and group 0 are taken in it first.
    pub user_namespace: bool,
    /// Name of the session key ring to join.
    pub keyring: Option<CString>,
    /// Execution domain.
    pub personality: Option<u32>,
    /// CPUs before the cgroup is joined, as bits; none is unchanged.
    pub affinity_initial: Option<Vec<u64>>,
    /// CPUs after the cgroup was joined.
    pub affinity_final: Option<Vec<u64>>,
    /// The process.
    pub process: ProcessPlan,
}

/// Namespaces of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Kinds made anew.
    pub new: Vec<NamespaceType>,
    /// Kinds joined.
    pub join: Vec<JoinNamespace>,
}

impl Namespaces {
    /// Whether `kind` is made anew.
    pub fn makes(&self, kind: NamespaceType) -> bool {
        self.new.contains(&kind)
    }

    /// Whether `kind` is joined.
    pub fn joins(&self, kind: NamespaceType) -> bool {
        self.join.iter().any(|join| join.kind == kind)
    }
}

/// A namespace joined by path. A descriptor of the same kind in the launch's descriptors takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinNamespace {
    /// Its kind.
    pub kind: NamespaceType,
    /// The namespace file.
    pub path: CString,
}

/// Texts for `uid_map` and `gid_map`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// Lines of `uid_map`.
    pub uid: Vec<u8>,
    /// Lines of `gid_map`.
    pub gid: Vec<u8>,
    /// Write `deny` to `setgroups` first (an unprivileged writer must).
    pub deny_setgroups: bool,
}

/// How mount events travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// Both ways.
    Shared,
    /// Inwards.
    Slave,
    /// Not at all.
    Private,
    /// Not at all, and cannot be bound.
    Unbindable,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountStep {
    /// Absolute path inside the container; made when missing.
    pub target: CString,
    /// What is mounted.
    pub source: MountSource,
    /// Attributes set on the mount.
    pub set: u64,
    /// Attributes cleared.
    pub clear: u64,
    /// Attributes set on the whole tree.
    pub set_recursive: u64,
    /// Attributes cleared on the whole tree.
    pub clear_recursive: u64,
    /// Changes of propagation in order, each with whether recursively.
    pub propagation: Vec<(Propagation, bool)>,
    /// Mapping of an id-mapped mount, with whether recursively.
    pub idmap: Option<(IdMaps, bool)>,
    /// Copy what is at the target into the new file system first.
    pub copy_up: bool,
    /// The target must be an ordinary folder, no symlink anywhere (`/proc`, `/sys`).
    pub strict_target: bool,
    /// The target may lie in a proc file system (one of the few safe files there).
    pub allow_in_proc: bool,
    /// Of a bind or an overlay, the part below this path.
    pub subpath: Option<CString>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A folder or file of the host.
    Bind {
        /// Absolute path.
        path: CString,
        /// With the mounts below it.
        recursive: bool,
    },
    /// A new instance of a file system.
    Filesystem {
        /// Its type.
        kind: CString,
        /// Its source (`tmpfs`, a device …).
        source: CString,
        /// Options, each with its value.
        options: Vec<(CString, Option<CString>)>,
        /// Bytes of permission of the folder made for it.
        directory_mode: u32,
    },
    /// An overlay, read-only as a rule.
    Overlay(Overlay),
    /// Only the attributes of the mount that is there already change.
    Remount,
    /// A symbolic link rather than a mount (`cpu -> cpu,cpuacct` among v1 controllers).
    Link {
        /// Its content.
        content: CString,
    },
}

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNode {
    /// Absolute path inside the container.
    pub path: CString,
    /// `S_IFCHR`, `S_IFBLK` or `S_IFIFO` with the permission bits.
    pub mode: u32,
    /// Device number.
    pub device: u64,
    /// Owner inside the container.
    pub uid: u32,
    /// Group inside the container.
    pub gid: u32,
}

/// Hooks by the moment they run at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HooksPlan {
    /// Runtime namespaces, after the namespaces were made.
    pub prestart: Vec<HookPlan>,
    /// The same moment.
    pub create_runtime: Vec<HookPlan>,
    /// Container namespaces, before `pivot_root`.
    pub create_container: Vec<HookPlan>,
    /// Container namespaces, before the program.
    pub start_container: Vec<HookPlan>,
    /// Runtime namespaces, after the program started.
    pub poststart: Vec<HookPlan>,
    /// Runtime namespaces, after the container was deleted (by whoever deletes it).
    pub poststop: Vec<HookPlan>,
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookPlan {
    /// Absolute path.
    pub path: CString,
    /// Arguments, name first.
    pub argv: Vec<CString>,
    /// Whole environment.
    pub env: Vec<CString>,
    /// Milliseconds until it is killed.
    pub timeout: Option<u64>,
}

/// The process of a container or of an exec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPlan {
    /// Arguments; the first is looked up in `PATH` inside the container when it has no slash.
    pub argv: Vec<CString>,
    /// Environment.
    pub env: Vec<CString>,
    /// Whether `HOME` is taken from the container's user database, the environment having none.
    pub set_home: bool,
    /// Folders of `PATH`, from the environment.
    pub path: Vec<CString>,
    /// Working directory.
    pub cwd: CString,
    /// Whether a missing working directory is made.
    pub make_cwd: bool,
    /// A pseudo terminal, with columns and rows when known.
    pub terminal: Option<Option<(u16, u16)>>,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Whether `setgroups` is called at all (it is denied in some user namespaces).
    pub set_groups: bool,
    /// File mode creation mask; `0o022` when the document has none.
    pub umask: u32,
    /// Capabilities; all sets empty when the document has none.
    pub capabilities: Capabilities,
    /// `no_new_privs`
    pub no_new_privs: bool,
    /// Resource limits: number, soft, hard.
    pub rlimits: Vec<(u32, u64, u64)>,
    /// `oom_score_adj`
    pub oom_score_adj: Option<i32>,
    /// Scheduling.
    pub scheduler: Option<SchedulerPlan>,
    /// I/O priority: class, priority.
    pub io_priority: Option<(u32, u32)>,
    /// AppArmor profile taken at exec.
    pub apparmor: Option<CString>,
    /// SELinux label taken at exec.
    pub selinux: Option<CString>,
    /// System call filter.
    pub seccomp: Option<SeccompPlan>,
}

/// Arguments of `sched_setattr(2)`; times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerPlan {
    /// `SCHED_*`
    pub policy: u32,
    /// `SCHED_FLAG_*`
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Real-time priority.
    pub priority: u32,
    /// Deadline class.
    pub runtime: u64,
    /// Deadline class.
    pub deadline: u64,
    /// Deadline class.
    pub period: u64,
}

/// Bits of the five sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Bounding.
    pub bounding: u64,
    /// Effective.
    pub effective: u64,
    /// Inheritable.
    pub inheritable: u64,
    /// Permitted.
    pub permitted: u64,
    /// Ambient.
    pub ambient: u64,
}

/// A finished filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompPlan {
    /// The program.
    pub program: Program,
    /// `SECCOMP_FILTER_FLAG_*`
    pub flags: u32,
    /// The agent's socket and the metadata for it, when a rule notifies.
    pub listener: Option<(CString, String)>,
}
