//! `State`: what the runtime says of a container to hooks, to `state` and to a seccomp agent (section "Runtime").

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::or_default;

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerStatus {
    /// `create` is under way.
    #[default]
    Creating,
    /// The user's process waits for `start`.
    Created,
    /// The user's process runs.
    Running,
    /// Frozen; not in the specification, runtimes agree on the word.
    Paused,
    /// The user's process has ended.
    Stopped,
}

impl ContainerStatus {
    /// The word in the specification.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// State of a container, as hooks get it on their standard input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Version of the specification.
    pub oci_version: String,
    /// The container's ID.
    pub id: String,
    /// Where it is in its life.
    pub status: ContainerStatus,
    /// Process ID as the host sees it; 0 when stopped.
    #[serde(skip_serializing_if = "is_zero")]
    pub pid: i32,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// The specification's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
}

fn is_zero(value: &i32) -> bool {
    *value == 0
}

/// Sent to a seccomp agent together with the descriptors (section "The Container Process State").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerProcessState {
    /// Version of the specification.
    pub oci_version: String,
    /// Names of the descriptors sent along (`seccompFd`).
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub fds: Vec<String>,
    /// Process ID of the filtered process as the host sees it.
    pub pid: i32,
    /// `listenerMetadata` of the filter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// State of the container.
    pub state: State,
}
