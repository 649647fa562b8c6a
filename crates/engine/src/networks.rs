//! The facade's network operations.

use std::collections::BTreeMap;

use jiff::Timestamp;
use wharf_api::network::EndpointSettings;
use wharf_spec::id::{ContainerId, EndpointId, NetworkId};

use crate::{Engine, Filters, Pruned, Result, pending};

/// A network as it is at one moment.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its identifier.
    pub id: NetworkId,
    /// When.
    pub created: Timestamp,
    /// `local`.
    pub scope: String,
    /// `bridge`, `host`, `null` …
    pub driver: String,
    /// IPv4 is on.
    pub ipv4: bool,
    /// IPv6 is on.
    pub ipv6: bool,
    /// Address management driver; `default`.
    pub ipam_driver: String,
    /// Its options; `None` shows `null`.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Address pools.
    pub pools: Vec<Pool>,
    /// No way out.
    pub internal: bool,
    /// Swarm only.
    pub attachable: bool,
    /// Swarm only.
    pub ingress: bool,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Running containers on it.
    pub containers: BTreeMap<ContainerId, NetworkContainer>,
}

/// A pool of addresses, texts as given.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    /// CIDR.
    pub subnet: String,
    /// CIDR to take addresses from; empty: the subnet.
    pub range: String,
    /// Gateway; empty: the first address.
    pub gateway: String,
    /// Name to reserved address.
    pub auxiliary: BTreeMap<String, String>,
}

/// A container on a network.
#[derive(Debug, Clone)]
pub struct NetworkContainer {
    /// Its name.
    pub name: String,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// MAC address.
    pub mac: String,
    /// IPv4 address with prefix length.
    pub ipv4: String,
    /// IPv6 address with prefix length; may be empty.
    pub ipv6: String,
}

/// `POST /networks/create`.
#[derive(Debug, Clone, Default)]
pub struct CreateNetwork {
    /// Name.
    pub name: String,
    /// Driver; `bridge` when empty.
    pub driver: String,
    /// Scope.
    pub scope: String,
    /// No way out.
    pub internal: bool,
    /// Swarm only.
    pub attachable: bool,
    /// Swarm only.
    pub ingress: bool,
    /// IPv4; `None`: yes.
    pub ipv4: Option<bool>,
    /// IPv6.
    pub ipv6: Option<bool>,
    /// Address management driver.
    pub ipam_driver: String,
    /// Its options.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Pools; one is chosen when there is none.
    pub pools: Vec<Pool>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// Lists networks.
    pub async fn network_list(&self, filters: Filters) -> Result<Vec<Network>> {
        drop(filters);
        pending("networks")
    }

    /// Everything about one, by name, ID or prefix.
    pub async fn network_inspect(&self, name: &str) -> Result<Network> {
        pending(name)
    }

    /// Makes one; answers its ID and a warning (often empty).
    pub async fn network_create(&self, request: CreateNetwork) -> Result<(NetworkId, String)> {
        drop(request);
        pending("network create")
    }

    /// Removes one that has no endpoints.
    pub async fn network_remove(&self, name: &str) -> Result<()> {
        pending(name)
    }

    /// Adds an interface to a container, which may run.
    pub async fn network_connect(&self, network: &str, container: &str, endpoint: EndpointSettings) -> Result<()> {
        drop(endpoint);
        let _ = container;
        pending(network)
    }

    /// Takes it away again.
    pub async fn network_disconnect(&self, network: &str, container: &str, force: bool) -> Result<()> {
        let _ = (container, force);
        pending(network)
    }

    /// Removes all that nobody uses.
    pub async fn network_prune(&self, filters: Filters) -> Result<Pruned> {
        drop(filters);
        pending("prune")
    }
}
