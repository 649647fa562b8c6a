//! Opening an engine: folders, lock, database, and the worlds below.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use rustix::fs::{FlockOperation, flock};
use tokio::sync::watch;
use wharf_cgroup::Hierarchy;
use wharf_net::{Config as NetConfig, DefaultBridge, NameServer, Networks};
use wharf_shim::client::Template;
use wharf_spec::capability::CapabilitySet;
use wharf_state::Db;
use wharf_store::{Driver, Store};
use wharf_volume::Volumes;

use crate::container::record::{self, ENGINE};
use crate::container::start::chain;
use crate::oci::limits::Abilities;
use crate::registries::Registries;
use crate::{Config, Error, Inner, Result, blocking, events, exec_registry, fill, index};

/// Opens everything but the containers.
pub(crate) async fn open(config: Config) -> Result<Inner> {
    let template = Template::spawn(&config.shim)
        .await
        .map_err(|e| Error::System(format!("start `{}`: {}", config.shim.display(), chain(&e))))?;
    // after the template has been made: its limit is what containers get. The descriptors of every container are ours to hold
    wharf_sys::rlimit::raise_open_files();
    blocking(move || worlds(config, template)).await
}

fn worlds(config: Config, template: Template) -> Result<Inner> {
    folder(&config.data_root, 0o710)?;
    folder(&config.data_root.join("containers"), 0o710)?;
    folder(&config.exec_root, 0o711)?;
    let lock = lock(&config.data_root)?;
    let migrations = [record::MIGRATIONS, wharf_store::MIGRATIONS, wharf_volume::MIGRATIONS];
    let db = Db::open(&config.data_root.join("state.db"), &migrations)?;
    let driver = config.storage_driver.as_deref().map(str::parse::<Driver>).transpose()?;
    let store = Store::open(&config.data_root, driver, db.clone())?;
    let networks = Networks::open(network_config(&config)?, db.clone())?;
    let volumes =
        Volumes::open(&config.data_root.join("volumes"), db.clone(), wharf_volume::plugin::Plugins::default())?;
    let hierarchy = Hierarchy::detect(&config.cgroup_root).map_err(|e| Error::system("find control groups", e))?;
    let registries = Registries::open(&config)?;
    let abilities = Abilities::probe(&hierarchy);
    Ok(Inner {
        id: identity(&db)?,
        kernel: kernel(),
        capabilities: capabilities(),
        index: index::Index::default(),
        bus: events::Bus::new(),
        execs: exec_registry::Execs::default(),
        closing: watch::channel(false).0,
        live: std::sync::RwLock::new(std::sync::Arc::new(crate::live::Live::of(&config))),
        cleaning: watch::Sender::new(0),
        attach_number: AtomicU64::new(1),
        config,
        db,
        store,
        networks,
        volumes,
        registries,
        hierarchy,
        abilities,
        template,
        _lock: lock,
    })
}

fn folder(path: &Path, mode: u32) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|e| Error::system(format!("mkdir `{}`", path.display()), e))
}

/// One engine per data root: two would not know of each other's containers.
fn lock(data_root: &Path) -> Result<File> {
    let path = data_root.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|e| Error::system(format!("open `{}`", path.display()), e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(Error::Conflict(format!("another engine uses the data root {}", data_root.display())))
        }
        Err(errno) => Err(Error::system(format!("lock `{}`", path.display()), errno)),
    }
}

fn network_config(config: &Config) -> Result<NetConfig> {
    let net = &config.network;
    let bip = config.bip.as_deref().map(str::parse).transpose();
    let bip = bip.map_err(|e| Error::InvalidParameter(format!("bip: {e}")))?;
    let bridge = if config.bridge == "none" {
        DefaultBridge::Disabled
    } else {
        DefaultBridge::Enabled {
            link: config.bridge.clone(),
            bip,
            fixed_cidr: net.fixed_cidr,
            gateway: net.gateway,
            mtu: config.mtu.unwrap_or(0),
            ipv6: net.ipv6.then_some(wharf_net::DefaultBridge6 {
                bip: net.bip6,
                fixed_cidr: net.fixed_cidr_v6,
                gateway: net.gateway_v6,
            }),
        }
    };
    let name_server = (!config.netd.as_os_str().is_empty())
        .then(|| NameServer { executable: config.netd.clone(), socket: config.exec_root.join("netd.sock") });
    let gate = &config.gate;
    Ok(NetConfig {
        bridge,
        ip_forward: gate.forward,
        ip_masq: gate.masquerade,
        firewall: gate.firewall,
        ip6_firewall: gate.ip6,
        userland_proxy: gate.proxy,
        publish_range: gate.publish_range.clone().or_else(ephemeral_ports).unwrap_or(32768..=60999),
        icc: net.icc,
        host_binding: net.host_binding,
        pools: net.pools.clone(),
        name_server,
        ..NetConfig::default()
    })
}

/// What the kernel gives to those who ask for any port.
fn ephemeral_ports() -> Option<std::ops::RangeInclusive<u16>> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ports = text.split_whitespace().filter_map(|p| p.parse().ok());
    Some(ports.next()?..=ports.next()?)
}

/// The engine's own identifier, made at its first start.
fn identity(db: &Db) -> Result<String> {
    if let Some(id) = db.read(|tx| tx.get(ENGINE, "id"))? {
        return Ok(String::from_utf8_lossy(&id).into_owned());
    }
    let mut b = [0_u8; 16];
    fill(&mut b);
    // RFC 9562, version 4
    (b[6], b[8]) = (b[6] & 0x0f | 0x40, b[8] & 0x3f | 0x80);
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    let id = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    let row = id.clone();
    db.write(move |tx| tx.put(ENGINE, "id", row.as_bytes()))?;
    Ok(id)
}

/// The bounding set: what is not in it cannot be given, even to a privileged container.
fn capabilities() -> CapabilitySet {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapBnd:")?.trim(), 16).ok());
    CapabilitySet::ALL.intersection(CapabilitySet::from_bits(bits.unwrap_or(u64::MAX)))
}

fn kernel() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).filter_map(|p| p.parse().ok());
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
