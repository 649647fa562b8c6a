//! What the daemon decides once, at start.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

pub use wharf_net::Firewall;
use wharf_net::Subnet;

use crate::runtimes::Runtime;

/// Settings of an engine. Paths are absolute.
#[derive(Debug, Clone)]
pub struct Config {
    /// What survives a reboot; `/var/lib/wharf`.
    pub data_root: PathBuf,
    /// What does not; `/run/wharf`.
    pub exec_root: PathBuf,
    /// What `info` warns of about the addresses that the API is reached at.
    pub api_warnings: Vec<String>,
    /// Where the control groups are mounted; `/sys/fs/cgroup`.
    pub cgroup_root: PathBuf,
    /// Parent control group of containers that name none; `/docker`.
    pub cgroup_parent: String,
    /// The keeper's executable (`wharf-shim`).
    pub shim: PathBuf,
    /// The process that answers questions for names (`wharf-netd`); empty: names of containers are not resolved.
    pub netd: PathBuf,
    /// `--add-runtime`: other OCI runtimes by name.
    pub runtimes: BTreeMap<String, Runtime>,
    /// `--default-runtime`: runtime of containers that name none; `runc` is ours.
    pub default_runtime: String,
    /// `overlay2`, `vfs` …; `None` chooses.
    pub storage_driver: Option<String>,
    /// Log driver of containers that name none; `json-file`.
    pub log_driver: String,
    /// Its options.
    pub log_opts: BTreeMap<String, String>,
    /// Name of the default bridge; `docker0`, or `none`.
    pub bridge: String,
    /// `--bip`: the bridge's own address, CIDR.
    pub bip: Option<String>,
    /// `--mtu` of the default bridge; `None` is 1500.
    pub mtu: Option<u32>,
    /// How packets get in and out.
    pub gate: Gate,
    /// Everything else about networks.
    pub network: NetworkConfig,
    /// `--dns`, `--dns-search`, `--dns-opt`.
    pub dns: Dns,
    /// `--default-ulimit`: name to (soft, hard).
    pub default_ulimits: BTreeMap<String, (i64, i64)>,
    /// `--default-shm-size` in bytes.
    pub default_shm_size: u64,
    /// `--init`: run an init in containers that do not say.
    pub init: bool,
    /// `--seccomp-profile`: JSON of a profile instead of the built-in one; `unconfined` for none.
    pub seccomp_profile: Option<String>,
    /// `--no-new-privileges`.
    pub no_new_privileges: bool,
    /// `--default-cgroupns-mode`: `host` or `private`; `None`: private on v2, host on v1 as Docker does.
    pub cgroupns_mode: Option<String>,
    /// `--default-ipc-mode`; `private`.
    pub ipc_mode: String,
    /// `--shutdown-timeout` in seconds.
    pub shutdown_timeout: u32,
    /// `--label`s of the engine.
    pub labels: Vec<String>,
    /// `--insecure-registry`.
    pub insecure_registries: Vec<String>,
    /// `--registry-mirror`.
    pub registry_mirrors: Vec<String>,
    /// `--default-registry`: stands in for Docker Hub; a domain.
    pub default_registry: Option<String>,
    /// `--max-concurrent-downloads`: layers.
    pub max_concurrent_downloads: usize,
    /// `--max-concurrent-uploads`: layers.
    pub max_concurrent_uploads: usize,
    /// `--max-download-attempts` of each layer.
    pub max_download_attempts: u32,
    /// `--http-proxy`; empty for none.
    pub http_proxy: String,
    /// `--https-proxy`; empty for none.
    pub https_proxy: String,
    /// `--no-proxy`: hosts and networks that are reached directly.
    pub no_proxy: String,
    /// `--debug`.
    pub debug: bool,
    /// `--experimental`.
    pub experimental: bool,
    /// The program's version.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// When it was built (RFC 3339).
    pub build_time: String,
}

/// How packets get in and out of containers.
#[derive(Debug, Clone)]
pub struct Gate {
    /// `--firewall-backend`, `--iptables`.
    pub firewall: Firewall,
    /// `--ip6tables`: rules for IPv6 too.
    pub ip6: bool,
    /// `--ip-masq` of the default bridge.
    pub masquerade: bool,
    /// `--ip-forward`: switch on forwarding on this machine.
    pub forward: bool,
    /// `--userland-proxy`.
    pub proxy: bool,
    /// `--publish-range`: ports for those who ask for any; `None` takes the machine's ephemeral ports, as Docker does.
    pub publish_range: Option<RangeInclusive<u16>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            firewall: Firewall::default(),
            ip6: true,
            masquerade: true,
            forward: true,
            proxy: true,
            publish_range: None,
        }
    }
}

/// Settings of the default bridge and of networks that say nothing else.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// `--bip6`: the bridge's own IPv6 address.
    pub bip6: Option<Subnet>,
    /// `--fixed-cidr`: addresses are given out of this part only.
    pub fixed_cidr: Option<Subnet>,
    /// `--fixed-cidr-v6`.
    pub fixed_cidr_v6: Option<Subnet>,
    /// `--default-gateway`: what containers are told instead of the bridge.
    pub gateway: Option<Ipv4Addr>,
    /// `--default-gateway-v6`.
    pub gateway_v6: Option<Ipv6Addr>,
    /// `--icc`: containers on the default bridge may talk to each other.
    pub icc: bool,
    /// `--ip`: where ports are published that name no address.
    pub host_binding: Option<IpAddr>,
    /// `--ipv6`: the default bridge has it.
    pub ipv6: bool,
    /// `--default-address-pool`: subnets of this size are taken from these.
    pub pools: Vec<(Subnet, u8)>,
    /// `--default-network-opt`: options of networks by driver.
    pub options: BTreeMap<String, BTreeMap<String, String>>,
    /// `--host-gateway-ip`.
    pub host_gateway_ips: Vec<IpAddr>,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            bip6: None,
            fixed_cidr: None,
            fixed_cidr_v6: None,
            gateway: None,
            gateway_v6: None,
            icc: true,
            host_binding: None,
            ipv6: false,
            pools: Vec::new(),
            options: BTreeMap::new(),
            host_gateway_ips: Vec::new(),
        }
    }
}

/// Name service settings that containers inherit.
#[derive(Debug, Clone, Default)]
pub struct Dns {
    /// Servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// resolv.conf options.
    pub options: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_root: "/var/lib/wharf".into(),
            exec_root: "/run/wharf".into(),
            api_warnings: Vec::new(),
            cgroup_root: "/sys/fs/cgroup".into(),
            cgroup_parent: "/docker".into(),
            shim: "wharf-shim".into(),
            netd: "wharf-netd".into(),
            runtimes: BTreeMap::new(),
            default_runtime: crate::runtimes::DEFAULT_RUNTIME.into(),
            storage_driver: None,
            log_driver: "json-file".into(),
            log_opts: BTreeMap::new(),
            bridge: "docker0".into(),
            bip: None,
            mtu: None,
            gate: Gate::default(),
            network: NetworkConfig::default(),
            dns: Dns::default(),
            default_ulimits: BTreeMap::new(),
            default_shm_size: 64 * 1024 * 1024,
            init: false,
            seccomp_profile: None,
            no_new_privileges: false,
            cgroupns_mode: None,
            ipc_mode: "private".into(),
            shutdown_timeout: 15,
            labels: Vec::new(),
            insecure_registries: Vec::new(),
            registry_mirrors: Vec::new(),
            default_registry: None,
            max_concurrent_downloads: 3,
            max_concurrent_uploads: 5,
            max_download_attempts: 5,
            http_proxy: String::new(),
            https_proxy: String::new(),
            no_proxy: String::new(),
            debug: false,
            experimental: false,
            version: env!("CARGO_PKG_VERSION").into(),
            commit: String::new(),
            build_time: String::new(),
        }
    }
}
