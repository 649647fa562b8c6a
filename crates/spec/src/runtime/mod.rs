//! The OCI runtime document (`config.json`), runtime-spec 1.2: every property of the Linux platform under its own name.
//!
//! ```text
//! Spec ─┬─ process   what runs: user, args, env, cwd, capabilities, rlimits …   (process.rs)
//!       ├─ root, mounts, hooks, hostname, annotations                           (here)
//!       └─ linux     namespaces, devices, cgroup path, seccomp …                (linux.rs)
//!             └─ resources  what it may use                                     (resources.rs)
//! State, Features: what the runtime answers                                     (state.rs, features.rs)
//! validate()     : the rules of the specification that types cannot hold        (validate.rs)
//! ```
//!
//! Reading is lenient where the specification asks for it (unknown properties are ignored, `null` counts as absent);
//! writing leaves out whatever is empty, as Go's `omitempty` does.

mod features;
mod linux;
mod process;
mod resources;
mod state;
mod validate;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

pub use features::*;
pub use linux::*;
pub use process::*;
pub use resources::*;
pub use state::*;
pub use validate::{ValidationError, validate, validate_process};

pub use crate::seccomp::{Action, Arch, LinuxSeccomp, Operator, SeccompArg, SyscallRule};

/// The version of the specification that this document type follows.
pub const OCI_VERSION: &str = "1.2.1";

/// `null` counts as an absent property (Go writes `null` for a nil slice or map).
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}

/// The whole document (`config.json`, section "Configuration").
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// SemVer 2.0.0 version of the specification that the bundle complies with.
    pub oci_version: String,
    /// The container process; required by the time of `start`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root file system; required on Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// Host name inside the UTS namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// NIS domain name inside the UTS namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Mounts beyond the root, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub mounts: Vec<Mount>,
    /// Programs run at points of the life cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// Arbitrary metadata.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// Linux specific configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
    /// Other platforms' sections, kept as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solaris: Option<serde_json::Value>,
    /// Other platforms' sections, kept as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<serde_json::Value>,
    /// Other platforms' sections, kept as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm: Option<serde_json::Value>,
    /// Other platforms' sections, kept as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zos: Option<serde_json::Value>,
}

/// The container's root file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Root {
    /// Absolute, or relative to the bundle.
    pub path: PathBuf,
    /// Read-only inside the container.
    #[serde(skip_serializing_if = "is_false")]
    pub readonly: bool,
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Path inside the container; absolute (relative ones are taken from `/`).
    pub destination: PathBuf,
    /// File system type; absent or `none` with `bind`/`rbind` among the options.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Device name or, for a bind mount, a host path (absolute or relative to the bundle).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,
    /// Mount options as in `fstab`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub options: Vec<String>,
    /// User ID mappings of an id-mapped mount.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ID mappings of an id-mapped mount.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub gid_mappings: Vec<IdMapping>,
}

/// Programs run at points of the life cycle (section "POSIX-platform Hooks").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Deprecated: runtime namespace, after the namespaces exist and before `pivot_root`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub prestart: Vec<Hook>,
    /// Runtime namespace, right after `prestart`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub create_runtime: Vec<Hook>,
    /// Container namespace (path resolves in the runtime's), before `pivot_root`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub create_container: Vec<Hook>,
    /// Container namespace, during `start`, before the user's process.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub start_container: Vec<Hook>,
    /// Runtime namespace, after the user's process has started.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub poststart: Vec<Hook>,
    /// Runtime namespace, after the container is deleted.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub poststop: Vec<Hook>,
}

/// One hook program; it gets the container's [`State`] on its standard input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// Absolute path of the program.
    pub path: PathBuf,
    /// Like `execv`'s argv, argv\[0\] included.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub args: Vec<String>,
    /// `KEY=value` strings; the whole environment of the program.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// Seconds until the hook is aborted; greater than zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}
