//! The world: all networks, endpoints and published ports of this machine, and the operations on them.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use wharf_state::Db;

use crate::{
    Attach, ContainerId, Created, Endpoint, EndpointRequest, Error, Netns, Network, NetworkRequest, Result, Sandbox,
    Subnet,
};

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
    },
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
            },
            ip_forward: true,
            ip_masq: true,
            icc: true,
            host_binding: None,
            publish_range: 32768..=60999,
            pools: Vec::new(),
            ready_namespaces: 4,
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

/// All networks of this machine. Cheap to clone; every method may be called from any thread, and blocks it for as long as the kernel takes
/// (well below a millisecond, except [`Networks::open`]).
#[derive(Debug, Clone)]
pub struct Networks {
    _inner: Arc<()>,
}

impl Networks {
    /// Reads the rows, makes bridges and firewall as declared (whatever is left from before), and fills the pool of namespaces.
    pub fn open(_config: Config, _db: Db) -> Result<Self> {
        Err(Error::Unsupported("networks".into()))
    }

    /// A fresh namespace with `lo` up. Taken from the pool when one is ready.
    pub fn namespace(&self) -> Result<Netns> {
        Err(Error::Unsupported("networks".into()))
    }

    /// All networks, by name.
    pub fn list(&self) -> Vec<Arc<Network>> {
        Vec::new()
    }

    /// The network called so: full name, full identifier, or a prefix of one identifier only.
    pub fn find(&self, name: &str) -> Result<Arc<Network>> {
        Err(Error::NotFound(name.to_owned()))
    }

    /// Makes a network.
    pub fn create(&self, _request: &NetworkRequest) -> Result<Created> {
        Err(Error::Unsupported("networks".into()))
    }

    /// Removes a network nobody is on.
    pub fn remove(&self, name: &str) -> Result<Arc<Network>> {
        Err(Error::NotFound(name.to_owned()))
    }

    /// Gives a starting container everything at once: addresses, interfaces, routes, published ports. All or nothing.
    ///
    /// With an endpoint on `host` or `none` nothing is made in the namespace.
    pub fn attach(&self, _container: &ContainerId, _netns: &Netns, _wish: &Attach) -> Result<Sandbox> {
        Err(Error::Unsupported("networks".into()))
    }

    /// Takes everything back from a container that has ended. Never waits for its interfaces: they go with the namespace.
    /// Does nothing when there is nothing.
    pub fn detach(&self, _container: &ContainerId) -> Result<()> {
        Ok(())
    }

    /// Adds a running container to a network.
    pub fn connect(&self, _container: &ContainerId, _netns: &Netns, _request: &EndpointRequest) -> Result<Endpoint> {
        Err(Error::Unsupported("networks".into()))
    }

    /// Removes a running container from a network.
    pub fn disconnect(&self, _container: &ContainerId, _netns: &Netns, network: &str) -> Result<()> {
        Err(Error::NotFound(network.to_owned()))
    }

    /// Keeps a static address for a container that does not run (at create, or connect to a stopped one), so that nobody gets it meanwhile.
    /// [`Networks::forget`] lets it go.
    pub fn reserve(&self, _container: &ContainerId, _request: &EndpointRequest) -> Result<()> {
        Ok(())
    }

    /// The container is removed: detach, and let reserved addresses go.
    pub fn forget(&self, container: &ContainerId) -> Result<()> {
        self.detach(container)
    }

    /// What a container has now.
    pub fn sandbox(&self, _container: &ContainerId) -> Option<Sandbox> {
        None
    }

    /// Who is on a network.
    pub fn endpoints(&self, _network: &Network) -> Vec<Endpoint> {
        Vec::new()
    }

    /// Makes the world as declared, given who really runs: rows of others go, what is missing comes back.
    pub fn reconcile(&self, _live: &[Live]) -> Result<()> {
        Ok(())
    }
}
