//! The facade's operations on the engine itself: version, info, disk usage, events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::container::declare::LOG_DRIVERS;
use crate::container::state::Status;
use crate::runtimes::{DEFAULT_RUNTIME, Runtime};
use crate::{DiskUsage, Engine, Filters, ListOptions, Result, blocking, machine, stats};

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
    pub runtimes: BTreeMap<String, Runtime>,
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
        let inner = &self.inner;
        let (config, live) = (self.config(), self.inner.live());
        let mut info = Info::default();
        for handle in inner.index.all() {
            info.containers += 1;
            match handle.container().state.status {
                Status::Running | Status::Restarting => info.running += 1,
                Status::Paused => info.paused += 1,
                _ => info.stopped += 1,
            }
        }
        let uname = rustix::system::uname();
        let unified = inner.hierarchy.kind() == wharf_cgroup::Kind::V2;
        let can = inner.abilities;
        let release = machine::os_release();
        let text = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let proxy =
            |name: &str| std::env::var(name).or_else(|_| std::env::var(name.to_ascii_lowercase())).unwrap_or_default();
        let mut security = vec!["name=seccomp,profile=builtin".to_owned()];
        if unified {
            security.push("name=cgroupns".into());
        }
        if config.no_new_privileges {
            security.push("name=no-new-privileges".into());
        }
        let root = config.data_root.clone();
        let backing = blocking(move || Ok(machine::file_system(&root))).await?;
        Ok(Info {
            id: inner.id.clone(),
            images: inner.store.catalog().images().len(),
            driver: inner.store.driver().name().into(),
            driver_status: driver_status(inner.store.driver(), backing),
            logging_driver: config.log_driver.clone(),
            cgroup_driver: "cgroupfs".into(),
            cgroup_version: if unified { "2" } else { "1" }.into(),
            log_plugins: text(&LOG_DRIVERS[..1]),
            network_plugins: text(&["bridge", "host", "null"]),
            volume_plugins: self.volume_drivers(),
            memory_limit: can.memory,
            swap_limit: can.swap,
            cpu_cfs_period: can.cpu_quota,
            cpu_cfs_quota: can.cpu_quota,
            cpu_shares: can.cpu_shares,
            cpuset: can.cpuset,
            pids_limit: can.pids,
            oom_kill_disable: can.oom_kill_disable,
            ipv4_forwarding: std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|t| t.trim() == "1"),
            debug: live.debug,
            file_descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            event_listeners: inner.bus.listeners(),
            system_time: Timestamp::now(),
            kernel: uname.release().to_string_lossy().into_owned(),
            operating_system: release.get("PRETTY_NAME").cloned().unwrap_or_else(|| "Linux".into()),
            os_version: release.get("VERSION_ID").cloned().unwrap_or_default(),
            os_type: "linux".into(),
            architecture: uname.machine().to_string_lossy().into_owned(),
            cpus: can.cpus,
            memory_total: stats::memory_total(),
            data_root: config.data_root.to_string_lossy().into_owned(),
            http_proxy: proxy("HTTP_PROXY"),
            https_proxy: proxy("HTTPS_PROXY"),
            no_proxy: proxy("NO_PROXY"),
            name: machine::host_name(),
            labels: live.labels.clone(),
            experimental: config.experimental,
            version: config.version.clone(),
            runtimes: {
                let ours = Runtime { path: "wharf-oci".into(), args: Vec::new() };
                std::iter::once((DEFAULT_RUNTIME.to_owned(), ours)).chain(live.runtimes.clone()).collect()
            },
            default_runtime: live.default_runtime.clone(),
            security_options: security,
            insecure_registries: live.insecure_registries.clone(),
            registry_mirrors: live.registry_mirrors.clone(),
            cdi_spec_dirs: text(&["/etc/cdi", "/var/run/cdi"]),
            init_binary: "docker-init".into(),
            firewall_driver: self.inner.config.gate.firewall.as_str().into(),
            warnings: config.api_warnings.iter().cloned().chain(warnings(&can)).collect(),
            ..info
        })
    }

    /// What takes how much of the disk.
    pub async fn disk_usage(&self, types: DiskUsageTypes) -> Result<DiskUsage> {
        let mut usage = DiskUsage::default();
        if types.images {
            let images = self.image_list(true, Filters::default()).await?;
            let inner = self.inner.clone();
            (usage.layers, usage.images) = blocking(move || {
                let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                let sizes = inner.store.shared_sizes();
                let shared = |id: &wharf_spec::id::ImageId| sizes.get(id).copied().map_or(0, signed);
                let rows = images.into_iter().map(|row| (row.clone(), shared(&row.image.id))).collect();
                // `image prune` takes broken downloads too: they are what images take, and can be had back
                Ok((signed(inner.store.usage().layers + inner.registries.kept()), rows))
            })
            .await?;
        }
        if types.containers {
            usage.containers =
                self.container_list(ListOptions { all: true, size: true, ..ListOptions::default() }).await?;
        }
        if types.volumes {
            usage.volumes = self.volumes_with_usage().await?;
        }
        Ok(usage)
    }

    /// What happened and happens; the channel closes at `until` or when the engine closes.
    pub async fn events(&self, options: EventsOptions) -> Result<mpsc::Receiver<Event>> {
        self.inner.bus.listen(options)
    }
}

/// What the kernel cannot limit, as `info` says it.
fn warnings(can: &crate::oci::limits::Abilities) -> Vec<String> {
    let all = [
        (can.memory, "WARNING: No memory limit support"),
        (can.swap, "WARNING: No swap limit support"),
        (can.cpu_quota, "WARNING: No cpu cfs quota support"),
        (can.cpu_shares, "WARNING: No cpu shares support"),
        (can.cpuset, "WARNING: No cpuset support"),
    ];
    all.into_iter().filter(|(able, _)| !able).map(|(_, text)| text.to_owned()).collect()
}

fn driver_status(driver: wharf_store::Driver, backing: String) -> Vec<(String, String)> {
    let rows: &[(&str, &str)] = match driver {
        wharf_store::Driver::Overlay2 => &[
            ("Supports d_type", "true"),
            ("Using metacopy", "false"),
            ("Native Overlay Diff", "true"),
            ("userxattr", "false"),
        ],
        _ => &[],
    };
    let first = ("Backing Filesystem".to_owned(), backing);
    std::iter::once(first).chain(rows.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))).collect()
}
