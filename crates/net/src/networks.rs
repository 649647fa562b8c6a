//! The world: all networks, endpoints and published ports of this machine, and the operations on them.
//!
//! Locks, in the order in which they are taken: `topology` (networks come and go) → `wall` → `world` (rows in memory,
//! never held across a call of the kernel). Route sockets are taken from a pool for one batch each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use wharf_netlink::{Link, LinkName, Route, Socket};
use wharf_state::Db;

use crate::attach::step;
use crate::firewall::{self, Hole, Published, State};
use crate::graves::Graves;
use crate::ipam::Pool;
use crate::netns::{self, lock};
use crate::publish::Ports;
use crate::rows::Reservation;
use crate::wall::{Change, Settings, Wall, legacy_tables};
use crate::{
    ContainerId, Created, Driver, Endpoint, Error, Netns, Network, NetworkId, NetworkRequest, NetworkRole, Result,
    Sandbox, Subnet, bridge, create, ipam, predefined, rows,
};

/// Whose rules let packets in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Firewall {
    /// One nftables table of our own.
    #[default]
    Nftables,
    /// Docker's chains, in the tables that `iptables` shows.
    Iptables,
    /// None of ours: containers reach no further than the machine, published ports go through the proxy only.
    Off,
}

impl Firewall {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
            Self::Off => "none",
        }
    }
}

/// What the daemon was told about networks.
#[derive(Debug, Clone)]
pub struct Config {
    /// The default bridge.
    pub bridge: DefaultBridge,
    /// Switch on forwarding between interfaces.
    pub ip_forward: bool,
    /// Give what leaves the default bridge the host's address.
    pub ip_masq: bool,
    /// Whether containers on the default bridge may talk to each other.
    pub icc: bool,
    /// Where ports are published that name no address.
    pub host_binding: Option<IpAddr>,
    /// Ports for those who ask for any.
    pub publish_range: RangeInclusive<u16>,
    /// Pools that subnets are taken from: (pool, prefix of each subnet).
    pub pools: Vec<(Subnet, u8)>,
    /// How many namespaces are kept ready.
    pub ready_namespaces: usize,
    /// How packets are let in and out.
    pub firewall: Firewall,
    /// Rules for IPv6 too.
    pub ip6_firewall: bool,
    /// Lead what the firewall does not to published ports (loopback of some firewalls, IPv6 to containers without it).
    pub userland_proxy: bool,
    /// Who answers questions for names and holds published ports; `None` for nobody, and ourselves.
    pub name_server: Option<NameServer>,
}

/// The process `wharf-netd`.
#[derive(Debug, Clone)]
pub struct NameServer {
    /// Started when nobody answers at the socket and a container needs names.
    pub executable: PathBuf,
    /// Its socket.
    pub socket: PathBuf,
}

/// The network `bridge`.
#[derive(Debug, Clone)]
pub enum DefaultBridge {
    /// `--bridge=none`: there is none.
    Disabled,
    /// One of ours, or one that was there (`--bridge=br7`).
    Enabled {
        /// Name of the link.
        link: String,
        /// Address of the bridge with the prefix of its subnet (`--bip`); `None` takes the first pool that is free.
        bip: Option<Subnet>,
        /// Addresses are given out of this part only (`--fixed-cidr`).
        fixed_cidr: Option<Subnet>,
        /// Gateway to tell containers instead of the bridge (`--default-gateway`).
        gateway: Option<Ipv4Addr>,
        /// Bytes (`--mtu`); 0 takes 1500.
        mtu: u32,
        /// IPv6 on it (`--ipv6`).
        ipv6: Option<DefaultBridge6>,
    },
}

/// IPv6 on the network `bridge`.
#[derive(Debug, Clone, Default)]
pub struct DefaultBridge6 {
    /// Address of the bridge with the prefix of its subnet (`--bip6`); `None` takes `fixed_cidr`, or a unique local one.
    pub bip: Option<Subnet>,
    /// Addresses are given out of this part only (`--fixed-cidr-v6`).
    pub fixed_cidr: Option<Subnet>,
    /// Gateway to tell containers instead of the bridge (`--default-gateway-v6`).
    pub gateway: Option<Ipv6Addr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bridge: DefaultBridge::Enabled {
                link: "docker0".into(),
                bip: None,
                fixed_cidr: None,
                gateway: None,
                mtu: 0,
                ipv6: None,
            },
            ip_forward: true,
            ip_masq: true,
            icc: true,
            host_binding: None,
            publish_range: 32768..=60999,
            pools: Vec::new(),
            ready_namespaces: 4,
            firewall: Firewall::default(),
            ip6_firewall: true,
            userland_proxy: true,
            name_server: None,
        }
    }
}

/// A container that runs, as found when the daemon starts.
#[derive(Debug)]
pub struct Live {
    /// Which.
    pub container: ContainerId,
    /// Its namespace (`/proc/<pid>/ns/net`).
    pub netns: Netns,
}

/// All networks of this machine. Cheap to clone; every method may be called from any thread, and blocks it for as long as
/// the kernel takes (well below a millisecond each, except [`Networks::open`]).
#[derive(Debug, Clone)]
pub struct Networks {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) db: Db,
    /// The machine's own namespace.
    pub(crate) home: OwnedFd,
    pub(crate) mtu: u32,
    pub(crate) ipv6: bool,
    pub(crate) names: Option<wharf_netd::Client>,
    namespaces: netns::Pool,
    graves: Graves,
    routes: Mutex<Vec<Socket>>,
    pub(crate) topology: Mutex<()>,
    pub(crate) wall: Mutex<Wall>,
    pub(crate) world: Mutex<World>,
}

/// The rows in memory.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) networks: HashMap<NetworkId, Arc<Network>>,
    pub(crate) pools: HashMap<NetworkId, Vec<Pool>>,
    pub(crate) sandboxes: HashMap<ContainerId, Sandbox>,
    /// Namespaces of containers that run and that we may have to enter again.
    pub(crate) rooms: HashMap<ContainerId, Netns>,
    pub(crate) reservations: Vec<Reservation>,
    pub(crate) ports: Ports,
    unique_local: Option<Ipv6Addr>,
}

impl World {
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Network>> {
        let missing = || Error::NotFound(format!("network {name}"));
        if let Some(network) = self.networks.values().find(|n| n.name == name || n.id.as_str() == name) {
            return Ok(network.clone());
        }
        let mut by_prefix = self.networks.values().filter(|n| !name.is_empty() && n.id.as_str().starts_with(name));
        match (by_prefix.next(), by_prefix.next()) {
            (Some(network), None) => Ok(network.clone()),
            (Some(_), Some(_)) => {
                Err(Error::Invalid(format!("network {name} is ambiguous (2 matches found based on ID prefix)")))
            }
            _ => Err(missing()),
        }
    }

    pub(crate) fn insert(&mut self, network: Network) {
        let pools = network.pools.iter().map(Pool::new).collect();
        self.pools.insert(network.id.clone(), pools);
        self.networks.insert(network.id.clone(), Arc::new(network));
    }

    pub(crate) fn on(&self, network: &NetworkId) -> impl Iterator<Item = &Endpoint> {
        self.sandboxes.values().flat_map(|s| &s.endpoints).filter(move |e| e.network == *network)
    }

    /// What the firewall should look like.
    pub(crate) fn declared(&self) -> State {
        let mut bridges: Vec<_> = self.networks.values().filter_map(|n| firewall_bridge(n)).collect();
        bridges.sort_by(|a, b| a.link.cmp(&b.link));
        let ports = self.sandboxes.values().flat_map(published).collect();
        State { bridges, ports, holes: self.holes() }
    }

    /// Every hole that a link opens between two containers that run.
    pub(crate) fn holes(&self) -> Vec<Hole> {
        let mut holes = Vec::new();
        for sandbox in self.sandboxes.values() {
            for link in &sandbox.links {
                let Some(source) = self.sandboxes.get(&link.source) else { continue };
                holes.extend(holes_between(sandbox, source));
            }
        }
        holes.sort();
        holes.dedup();
        holes
    }
}

/// Where two containers share a network, the receiver may use the exposed ports of the source.
fn holes_between<'a>(receiver: &'a Sandbox, source: &'a Sandbox) -> impl Iterator<Item = Hole> + 'a {
    receiver.endpoints.iter().flat_map(move |from| {
        let same = source.endpoints.iter().filter(move |to| to.network == from.network);
        same.filter_map(move |to| Some((from.ipv4?.address, to.ipv4?.address))).flat_map(move |(from, to)| {
            source.exposed.iter().map(move |(port, protocol)| Hole { from, to, protocol: *protocol, port: *port })
        })
    })
}

/// Where published ports of a container lead, per family: its first endpoint that is the way out.
pub(crate) fn targets(sandbox: &Sandbox) -> (Option<IpAddr>, Option<IpAddr>) {
    let way = |v4: bool| {
        let usable = sandbox.endpoints.iter().filter_map(|e| {
            let address = if v4 { e.ipv4 } else { e.ipv6 };
            address.filter(|_| !e.host_interface.is_empty()).map(|a| (e.gw_priority, a.address))
        });
        // the first of the highest priority
        usable.fold(None::<(i64, IpAddr)>, |best, e| if best.is_none_or(|b| e.0 > b.0) { Some(e) } else { best })
    };
    (way(true).map(|w| w.1), way(false).map(|w| w.1))
}

/// The published ports of a container with where they lead.
pub(crate) fn published(sandbox: &Sandbox) -> Vec<Published> {
    let (v4, v6) = targets(sandbox);
    let target = |ip: IpAddr| if ip.is_ipv4() { v4 } else { v6.or(v4) };
    let ports = sandbox.ports.iter();
    ports.filter_map(|b| target(b.host_ip).map(|target| Published { binding: *b, target })).collect()
}

pub(crate) fn firewall_bridge(network: &Network) -> Option<firewall::Bridge> {
    let options = network.bridge.as_ref()?;
    Some(firewall::Bridge {
        link: options.link.clone(),
        subnets: network.pools.iter().map(|p| p.subnet).collect(),
        icc: options.icc,
        internal: network.internal,
        masquerade: options.masquerade,
        modes: (options.mode4, options.mode6),
    })
}

impl Networks {
    /// Reads the rows, makes bridges and firewall as declared (whatever is left from before), and fills the pool of namespaces.
    ///
    /// Call [`Networks::reconcile`] next, with the containers that run.
    pub fn open(config: Config, db: Db) -> Result<Self> {
        let kept = rows::load(&db)?;
        let mut route = Socket::route()?;
        let mtu = way_out_mtu(&mut route)?;
        let mut world = World {
            reservations: kept.reservations,
            unique_local: kept.unique_local,
            sandboxes: kept.sandboxes.into_iter().collect(),
            ..World::default()
        };
        for network in kept.networks {
            world.insert(network);
        }
        let unique_local = world.unique_local(&db)?;
        let facts =
            predefined::Facts { mtu, routes: host_routes(&mut route)?, links: host_links(&mut route)?, unique_local };
        predefined::ensure(&mut world, &config, &facts, &db)?;
        world.hold_what_is_kept(config.userland_proxy);
        if config.ip_forward {
            switch_on("net/ipv4/ip_forward")?;
        }
        for network in world.networks.values() {
            let Some(options) = &network.bridge else { continue };
            if let Err(error) = bridge::ensure(&mut route, network, options) {
                // one broken network must not keep the others from working
                tracing::error!(network = network.name, %error, "bridge is not as declared");
            }
        }
        let settings = Settings { ipv6: config.ip6_firewall, proxy: config.userland_proxy };
        let wall = Wall::open(config.firewall, settings, &world.declared())?;
        let legacy = legacy_tables();
        if !legacy.is_empty() {
            let tables = legacy.join(", ");
            tracing::warn!(
                tables,
                "packets also pass rules of the old packet filter: what those drop is not reachable"
            );
        }
        let inner = Inner {
            home: netns::open("/proc/thread-self/ns/net")?,
            mtu,
            ipv6: std::path::Path::new("/proc/sys/net/ipv6").exists(),
            names: config.name_server.clone().map(|n| wharf_netd::Client::new(n.executable, n.socket)),
            namespaces: netns::Pool::start(config.ready_namespaces)?,
            graves: Graves::start(db.clone(), kept.graves)?,
            routes: Mutex::new(vec![route]),
            topology: Mutex::new(()),
            wall: Mutex::new(wall),
            world: Mutex::new(world),
            config,
            db,
        };
        let networks = Self { inner: Arc::new(inner) };
        crate::guard::start(&networks.inner)?;
        crate::heal::start(&networks.inner)?;
        crate::dns::guard(&networks.inner);
        Ok(networks)
    }

    /// A fresh namespace with `lo` up, and low ports and ping open to everybody in it. Taken from the pool when one is ready.
    pub fn namespace(&self) -> Result<Netns> {
        self.inner.namespaces.take()
    }

    /// All networks, by name.
    pub fn list(&self) -> Vec<Arc<Network>> {
        let mut all: Vec<_> = self.inner.world().networks.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The network called so: full name, full identifier, or a prefix of one identifier only.
    pub fn find(&self, name: &str) -> Result<Arc<Network>> {
        self.inner.world().find(name)
    }

    /// A container that may run has another name now: others find it by that one.
    pub fn rename(&self, container: &ContainerId, old: &str, new: &str) {
        let inner = &*self.inner;
        let sandbox = {
            let mut world = inner.world();
            let Some(sandbox) = world.sandboxes.get_mut(container) else { return };
            for endpoint in &mut sandbox.endpoints {
                endpoint.container_name = new.to_owned();
                if let Some(name) = endpoint.dns_names.iter_mut().find(|name| *name == old) {
                    *name = new.to_owned();
                }
            }
            sandbox.clone()
        };
        inner.rename(container, &sandbox);
        rows::put_sandbox(&inner.db, container, &sandbox);
    }

    /// Who is on a network.
    pub fn endpoints(&self, network: &Network) -> Vec<Endpoint> {
        self.inner.world().on(&network.id).cloned().collect()
    }

    /// What a container has now.
    pub fn sandbox(&self, container: &ContainerId) -> Option<Sandbox> {
        self.inner.world().sandboxes.get(container).cloned()
    }

    /// Makes a network.
    pub fn create(&self, request: &NetworkRequest) -> Result<Created> {
        let inner = &self.inner;
        let _alone = lock(&inner.topology);
        let routes = inner.with_route(host_routes)?;
        let id = NetworkId::generate(|bytes| random(bytes));
        let mut network = {
            let mut world = inner.world();
            let unique_local = world.unique_local(&inner.db)?;
            let pools = inner.config.pools();
            let mut networks: Vec<&Network> = world.networks.values().map(|n| &**n).collect();
            networks.sort_by_key(|n| n.created);
            let facts = create::World { networks, routes: &routes, pools: &pools, unique_local, mtu: inner.mtu };
            create::plan(request, id, now(), &facts)?
        };
        if let Some(parent) = &network.parent {
            network.parent_ours = inner.with_route(|route| Ok(route.link(LinkName::Name(parent))?.is_none()))?;
        }
        // intent before effect: after a crash from here on the next start makes what is missing
        rows::put_network(&inner.db, &network)?;
        let made = step("net.create.after_row").and_then(|()| inner.bring_up(&network));
        if let Err(error) = made {
            rows::delete_network(&inner.db, &network.id)?;
            return Err(error);
        }
        Ok(Created { id: network.id, warning: String::new() })
    }

    /// Removes a network nobody is on.
    pub fn remove(&self, name: &str) -> Result<Arc<Network>> {
        let inner = &self.inner;
        let _alone = lock(&inner.topology);
        let network = inner.world().find(name)?;
        if network.role == NetworkRole::Predefined {
            let text = format!("{} is a pre-defined network and cannot be removed", network.name);
            return Err(Error::Forbidden(text));
        }
        {
            let mut world = inner.world();
            let mut active: Vec<_> = world.on(&network.id).map(|e| (e.container_name.clone(), e.id.clone())).collect();
            active.sort();
            if !active.is_empty() {
                let list: Vec<_> =
                    active.iter().map(|(name, id)| format!("name:{name:?} id:\"{}\"", id.short())).collect();
                return Err(Error::Forbidden(format!(
                    "error while removing network: network {} has active endpoints ({})",
                    network.name,
                    list.join(", ")
                )));
            }
            if network.config_only && world.networks.values().any(|n| n.config_from == network.name) {
                return Err(Error::Forbidden(format!(
                    "error while removing network: configuration network {:?} is in use",
                    network.name
                )));
            }
            // nobody finds it from here on
            world.networks.remove(&network.id);
        }
        // the row last: after a crash before that the network is there again, whole
        inner.leave_firewall(&network);
        // a name that we made up is never wanted again; one that the user chose may be, at once
        let link = network.bridge.as_ref().filter(|b| !b.foreign).map(|b| b.link.as_str());
        let later = link.filter(|link| *link == create::link_of(&network.id));
        if later.is_none() {
            inner.remove_link(&network);
        }
        step("net.remove.before_row")?;
        rows::bury_network(&inner.db, &network.id, later)?;
        if let (Some(link), Some(options)) = (later, &network.bridge) {
            if let Err(error) = inner.with_route(|route| bridge::vacate(route, &network, options)) {
                tracing::warn!(network = network.name, %error, "its subnet is free when its link is gone");
            }
            inner.graves.bury(link);
        }
        Ok(network)
    }
}

impl Inner {
    pub(crate) fn world(&self) -> std::sync::MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Runs `f` with a route socket of the machine's namespace.
    pub(crate) fn with_route<T>(&self, f: impl FnOnce(&mut Socket) -> Result<T>) -> Result<T> {
        let ready = lock(&self.routes).pop();
        let mut socket = match ready {
            Some(socket) => socket,
            None => Socket::route()?,
        };
        let result = f(&mut socket);
        lock(&self.routes).push(socket);
        result
    }

    /// Link, firewall, memory: the network is there for everybody afterwards. On failure nothing is left.
    fn bring_up(&self, network: &Network) -> Result<()> {
        if let Some(options) = &network.bridge {
            let made = self.with_route(|route| bridge::ensure(route, network, options));
            if let Err(error) = made {
                let _ = self.with_route(|route| bridge::remove(route, options));
                return Err(error);
            }
        }
        if matches!(network.driver, Driver::Macvlan | Driver::Ipvlan) {
            self.with_route(|route| crate::macvlan::prepare(route, network))?;
        }
        if let Err(error) = step("net.create.after_link") {
            self.remove_link(network);
            return Err(error);
        }
        let mut wall = lock(&self.wall);
        self.world().insert(network.clone());
        let Some(rules) = firewall_bridge(network) else { return Ok(()) };
        let change = Change { bridge_comes: Some(&rules), ..Change::default() };
        let result = wall.change(&change, || self.world().declared());
        drop(wall);
        if result.is_err() {
            self.take_down(network);
        }
        result
    }

    /// The opposite. What does not work is logged: the network is gone for the user already.
    fn take_down(&self, network: &Network) {
        self.leave_firewall(network);
        self.remove_link(network);
    }

    fn leave_firewall(&self, network: &Network) {
        let mut wall = lock(&self.wall);
        {
            let mut world = self.world();
            world.networks.remove(&network.id);
            world.pools.remove(&network.id);
        }
        if let Some(rules) = firewall_bridge(network) {
            let change = Change { bridge_goes: Some(&rules), ..Change::default() };
            if let Err(error) = wall.change(&change, || self.world().declared()) {
                tracing::error!(network = network.name, %error, "firewall keeps rules of a removed network");
            }
        }
    }

    fn remove_link(&self, network: &Network) {
        if let Some(options) = &network.bridge
            && let Err(error) = self.with_route(|route| bridge::remove(route, options))
        {
            tracing::error!(network = network.name, %error, "link of a removed network stays");
        }
        let other = |n: &Arc<Network>| n.id != network.id && n.parent.is_some() && n.parent == network.parent;
        if network.parent_ours
            && !self.world().networks.values().any(other)
            && let Err(error) = self.with_route(|route| crate::macvlan::remove(route, network))
        {
            tracing::error!(network = network.name, %error, "link of a removed network stays");
        }
    }
}

impl World {
    /// Marks every address and port that rows say is in use.
    fn hold_what_is_kept(&mut self, proxy: bool) {
        for r in &self.reservations {
            hold(&mut self.pools, &r.network, r.address, &r.container);
        }
        for (container, sandbox) in &self.sandboxes {
            for e in &sandbox.endpoints {
                for address in [e.ipv4, e.ipv6].into_iter().flatten() {
                    hold(&mut self.pools, &e.network, address.address, container);
                }
            }
            self.ports.adopt(&sandbox.ports, proxy);
        }
    }

    /// The prefix of our IPv6 networks (RFC 4193): drawn once, kept for ever.
    fn unique_local(&mut self, db: &Db) -> Result<Ipv6Addr> {
        if let Some(prefix) = self.unique_local {
            return Ok(prefix);
        }
        let mut bytes = [0; 16];
        random(&mut bytes[1..6]);
        bytes[0] = 0xfd;
        let prefix = Ipv6Addr::from(bytes);
        rows::put_unique_local(db, prefix)?;
        self.unique_local = Some(prefix);
        Ok(prefix)
    }
}

fn hold(pools: &mut HashMap<NetworkId, Vec<Pool>>, network: &NetworkId, address: IpAddr, container: &ContainerId) {
    let pool = pools.get_mut(network).and_then(|p| p.iter_mut().find(|p| p.subnet().contains(address)));
    if let Some(pool) = pool
        && let Err(error) = pool.take_static(address, container)
    {
        tracing::warn!(%address, %container, %error, "an address has two owners");
    }
}

impl Config {
    fn pools(&self) -> Vec<(Subnet, u8)> {
        if self.pools.is_empty() { ipam::default_pools() } else { self.pools.clone() }
    }
}

/// Switches a setting on unless it is.
fn switch_on(key: &str) -> Result<()> {
    let on = std::fs::read_to_string(format!("/proc/sys/{key}")).is_ok_and(|value| value.trim() == "1");
    if on { Ok(()) } else { crate::sysctl::write(key, "1") }
}

/// Where the machine's routes lead, without defaults.
fn host_routes(socket: &mut Socket) -> Result<Vec<(Subnet, String)>> {
    const MAIN: u32 = 254;
    const UNICAST: u8 = 1;
    let routes = socket.routes()?;
    let links = socket.links()?;
    let name = |r: &Route| links.iter().find(|l| Some(l.index) == r.link).map_or_else(String::new, |l| l.name.clone());
    let ours = |r: &&Route| r.table == MAIN && r.kind == UNICAST && r.to.1 > 0;
    Ok(routes.iter().filter(ours).filter_map(|r| Some((Subnet::new(r.to.0, r.to.1)?, name(r)))).collect())
}

/// The global addresses of the machine's links.
fn host_links(socket: &mut Socket) -> Result<Vec<(String, Subnet)>> {
    const GLOBAL: u8 = 0;
    let links = socket.links()?;
    let addresses = socket.addresses()?;
    let named = |a: &wharf_netlink::Address| {
        let link = links.iter().find(|l| l.index == a.link)?;
        Some((link.name.clone(), Subnet::new(a.address, a.prefix)?))
    };
    Ok(addresses.iter().filter(|a| a.scope == GLOBAL).filter_map(named).collect())
}

/// The MTU of the link that leads out: more than it takes would be cut to pieces or lost.
fn way_out_mtu(socket: &mut Socket) -> Result<u32> {
    const ETHERNET: u32 = 1500;
    let default = socket.routes()?.into_iter().find(|r| r.to.1 == 0 && r.gateway.is_some() && r.link.is_some());
    let link: Option<Link> = match default.and_then(|r| r.link) {
        Some(index) => socket.link(LinkName::Index(index))?,
        None => None,
    };
    Ok(link.map_or(ETHERNET, |l| l.mtu.min(ETHERNET)))
}

pub(crate) fn random(bytes: &mut [u8]) {
    let got = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty());
    // up to 256 bytes never come short once the kernel's source is seeded
    assert_eq!(got, Ok(bytes.len()), "getrandom of {} bytes", bytes.len());
}

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
