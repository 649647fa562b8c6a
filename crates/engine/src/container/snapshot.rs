//! What readers see of a container: an immutable picture, replaced as a whole at every change.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wharf_api::container::{Config, HostConfig};
use wharf_spec::id::{ContainerId, EndpointId, ImageId, NetworkId, SandboxId};

use super::state::State;

/// A container as it is at one moment.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its identifier.
    pub id: ContainerId,
    /// Its name, without Docker's leading slash.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// The program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The user's declaration with what the image adds.
    pub config: Arc<Config>,
    /// The user's declaration about the host's side.
    pub host_config: Arc<HostConfig>,
    /// Where it is in its life.
    pub state: State,
    /// The image.
    pub image: ImageId,
    /// The name under which the image was asked for.
    pub image_name: String,
    /// `linux`.
    pub platform: String,
    /// Storage driver.
    pub driver: String,
    /// Docker's `GraphDriver.Data`.
    pub graph: BTreeMap<String, String>,
    /// How often the restart policy has started it again.
    pub restart_count: u32,
    /// Mounts in the order of their destination.
    pub mounts: Arc<Vec<MountPoint>>,
    /// Its files on the host.
    pub files: Files,
    /// Networks, addresses and ports.
    pub network: Arc<NetworkSettings>,
    /// Identifiers of execs that run or ran in it and can still be inspected.
    pub execs: Vec<String>,
    /// AppArmor profile; empty where the kernel has none.
    pub apparmor_profile: String,
    /// Sources of legacy links.
    pub links: Vec<LinkTo>,
    /// Health check, where there is one.
    pub health: Option<Arc<Health>>,
}

/// The source of a link, under the name that the receiver has for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTo {
    /// Whose ports and environment.
    pub source: ContainerId,
    /// The receiver's name for it.
    pub alias: String,
}

/// The files that the engine keeps for a container; empty until they exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// `/etc/hostname`.
    pub hostname: PathBuf,
    /// `/etc/hosts`.
    pub hosts: PathBuf,
    /// The log; empty when the driver writes no file.
    pub log: PathBuf,
}

/// One entry of `Mounts`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MountPoint {
    /// What kind.
    pub kind: MountKind,
    /// Name of the volume; empty for others.
    pub name: String,
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub destination: String,
    /// Volume driver; empty for others.
    pub driver: String,
    /// The mode text of `-v` (`ro`, `z,ro` …).
    pub mode: String,
    /// Writable.
    pub rw: bool,
    /// Propagation; empty for volumes.
    pub propagation: String,
    /// Of a mount of an image: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageId>,
    /// The `--mount` it comes from: what has no place above. It goes along with `--volumes-from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Arc<wharf_api::container::Mount>>,
}

/// Kinds of mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A named or anonymous volume.
    Volume,
    /// Memory.
    Tmpfs,
    /// The files of an image.
    Image,
}

impl MountKind {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            MountKind::Bind => "bind",
            MountKind::Volume => "volume",
            MountKind::Tmpfs => "tmpfs",
            MountKind::Image => "image",
        }
    }
}

/// A container's networking.
#[derive(Debug, Clone, Default)]
pub struct NetworkSettings {
    /// The sandbox, while there is one.
    pub sandbox: Option<SandboxId>,
    /// Path of the network namespace (Docker's `SandboxKey`); empty when it does not run.
    pub sandbox_key: String,
    /// Networks by name.
    pub networks: BTreeMap<String, Endpoint>,
    /// `80/tcp` to where it is published; an exposed port that is not published has an empty list (`null` in JSON).
    pub ports: BTreeMap<String, Vec<PortBinding>>,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortBinding {
    /// Host address.
    pub host_ip: String,
    /// Host port.
    pub host_port: String,
}

/// A container on a network. Addresses are empty while it does not run.
#[derive(Debug, Clone, Default)]
pub struct Endpoint {
    /// The network; `None` until first started.
    pub network: Option<NetworkId>,
    /// The endpoint.
    pub endpoint: Option<EndpointId>,
    /// IPv4 address.
    pub ip: String,
    /// Its prefix length.
    pub ip_prefix: u8,
    /// IPv4 gateway.
    pub gateway: String,
    /// IPv6 address.
    pub ip6: String,
    /// Its prefix length.
    pub ip6_prefix: u8,
    /// IPv6 gateway.
    pub gateway6: String,
    /// MAC address.
    pub mac: String,
    /// `--network-alias`.
    pub aliases: Vec<String>,
    /// Names under which the embedded DNS answers; empty on the default bridge.
    pub dns_names: Vec<String>,
    /// The user's declaration.
    pub declared: Option<Arc<wharf_api::network::EndpointSettings>>,
}

/// What is known of a container's health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum HealthStatus {
    /// No probe has succeeded, and not too many have failed.
    #[default]
    Starting,
    /// The last probes succeeded.
    Healthy,
    /// Too many in a row failed, or nobody looks any more.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            HealthStatus::Starting => "starting",
            HealthStatus::Healthy => "healthy",
            HealthStatus::Unhealthy => "unhealthy",
        }
    }
}

/// State of a health check.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Health {
    /// What is known.
    pub status: HealthStatus,
    /// How many times in a row it failed.
    pub failing_streak: u32,
    /// The last five probes.
    pub log: Vec<HealthProbe>,
}

/// One run of a health check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HealthProbe {
    /// Begin.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
    /// Exit code.
    pub exit_code: i32,
    /// At most 4096 bytes of output.
    pub output: String,
}

/// Sizes for `ps -s` and `inspect -s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes in the container's own layer.
    pub rw: i64,
    /// Those and the image's.
    pub root_fs: i64,
}
