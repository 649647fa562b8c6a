//! The world: all networks, endpoints and published ports of this machine, and the operations on them.

use std::sync::{Arc, Mutex};

use wharf_netlink::{LinkName, Socket};
use wharf_state::Db;

use crate::firewall::{Change, Settings, Wall, legacy_tables};
use crate::graves::Graves;
use crate::inner::{Inner, step};
use crate::machine::{host_links, host_routes, now, random, switch_on, way_out_mtu};
use crate::netns::{self, lock};
use crate::world::{World, firewall_bridge};
use crate::{
    Config, ContainerId, Created, Driver, Endpoint, Error, Netns, Network, NetworkId, NetworkRequest, NetworkRole,
    Result, Sandbox, bridge, create, predefined, rows,
};

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
        let proxy = config.userland_proxy && config.name_server.is_some();
        let settings = Settings { ipv6: config.ip6_firewall, proxy };
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
