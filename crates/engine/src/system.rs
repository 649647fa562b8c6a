//! The facade's operations on the engine itself: version, info, disk usage, events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::{DiskUsage, Engine, Filters, Result, pending};

/// `GET /version`; API versions belong to the edge.
#[derive(Debug, Clone)]
pub struct Version {
    /// Version of the program.
    pub version: String,
    /// Commit.
    pub commit: String,
    /// Build time, RFC 3339.
    pub build_time: String,
    /// `linux`.
    pub os: String,
    /// `amd64` …
    pub arch: String,
    /// `uname -r`.
    pub kernel: String,
    /// Experimental features are on.
    pub experimental: bool,
}

/// `GET /info`, as far as it is not constant.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Info {
    /// A UUID, kept in the data root.
    pub id: String,
    pub containers: usize,
    pub running: usize,
    pub paused: usize,
    pub stopped: usize,
    pub images: usize,
    pub driver: String,
    /// `Backing Filesystem` → `extfs` …
    pub driver_status: Vec<(String, String)>,
    pub logging_driver: String,
    pub cgroup_driver: String,
    /// `1` or `2`.
    pub cgroup_version: String,
    pub log_plugins: Vec<String>,
    pub network_plugins: Vec<String>,
    pub volume_plugins: Vec<String>,
    pub memory_limit: bool,
    pub swap_limit: bool,
    pub cpu_cfs_period: bool,
    pub cpu_cfs_quota: bool,
    pub cpu_shares: bool,
    pub cpuset: bool,
    pub pids_limit: bool,
    pub oom_kill_disable: bool,
    pub ipv4_forwarding: bool,
    pub debug: bool,
    pub file_descriptors: usize,
    /// Tasks of the engine (Docker's goroutines).
    pub tasks: usize,
    pub event_listeners: usize,
    pub system_time: Timestamp,
    pub kernel: String,
    pub operating_system: String,
    pub os_version: String,
    pub os_type: String,
    /// `x86_64` …
    pub architecture: String,
    pub cpus: usize,
    pub memory_total: u64,
    pub data_root: String,
    pub http_proxy: String,
    pub https_proxy: String,
    pub no_proxy: String,
    pub name: String,
    pub labels: Vec<String>,
    pub experimental: bool,
    pub version: String,
    /// Name to path.
    pub runtimes: BTreeMap<String, String>,
    pub default_runtime: String,
    /// `name=seccomp,profile=builtin` …
    pub security_options: Vec<String>,
    pub insecure_registries: Vec<String>,
    pub registry_mirrors: Vec<String>,
    pub cdi_spec_dirs: Vec<String>,
    pub init_binary: String,
    pub firewall_driver: String,
    pub warnings: Vec<String>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `container`, `image`, `network`, `volume`, `daemon` …
    pub kind: &'static str,
    /// `create`, `start`, `exec_create: sh` …
    pub action: String,
    /// To whom: identifier or name.
    pub actor: String,
    /// Name, image, labels, exit code …
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: Timestamp,
}

/// Arguments of events.
#[derive(Debug, Clone, Default)]
pub struct EventsOptions {
    /// From here on, as far as remembered.
    pub since: Option<Timestamp>,
    /// End here.
    pub until: Option<Timestamp>,
    /// Docker's filters.
    pub filters: Filters,
}

/// Which kinds of objects `df` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DiskUsageTypes {
    pub images: bool,
    pub containers: bool,
    pub volumes: bool,
    pub build_cache: bool,
}

impl Engine {
    /// Version of the engine.
    pub fn version(&self) -> Version {
        let config = self.config();
        let uname = rustix::system::uname();
        Version {
            version: config.version.clone(),
            commit: config.commit.clone(),
            build_time: config.build_time.clone(),
            os: "linux".into(),
            arch: wharf_spec::platform::Platform::host().architecture.to_string(),
            kernel: uname.release().to_string_lossy().into_owned(),
            experimental: config.experimental,
        }
    }

    /// The engine and its machine.
    pub async fn info(&self) -> Result<Info> {
        pending("info")
    }

    /// What takes how much of the disk.
    pub async fn disk_usage(&self, types: DiskUsageTypes) -> Result<DiskUsage> {
        let _ = types;
        pending("df")
    }

    /// What happened and happens; the channel closes at `until` or when the engine closes.
    pub async fn events(&self, options: EventsOptions) -> Result<mpsc::Receiver<Event>> {
        drop(options);
        pending("events")
    }
}
