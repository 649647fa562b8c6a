//! The facade's network operations.

use std::collections::BTreeMap;

use jiff::Timestamp;
use wharf_api::network::EndpointSettings;
use wharf_spec::id::{ContainerId, EndpointId, NetworkId};

use crate::container::handle::Command;
use crate::container::places;
use crate::{Engine, Error, Filters, Inner, Pruned, Result, blocking, list};

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
    /// Only a configuration for others.
    pub config_only: bool,
    /// Whose configuration it has; empty for its own.
    pub config_from: String,
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
    /// Only a configuration for others.
    pub config_only: bool,
    /// With the configuration of another.
    pub config_from: Option<String>,
}

impl Inner {
    fn network(&self, network: &wharf_net::Network) -> Network {
        let pool = |p: &wharf_net::IpamConfig| Pool {
            subnet: p.subnet.to_string(),
            range: p.range.map(|r| r.to_string()).unwrap_or_default(),
            // Docker does not show a gateway that it chose for a subnet it did not
            gateway: p.gateway.filter(|_| p.gateway_given || !p.given).map(|g| g.to_string()).unwrap_or_default(),
            auxiliary: p.aux.iter().map(|(name, address)| (name.clone(), address.to_string())).collect(),
        };
        let on = |e: wharf_net::Endpoint| {
            let name = self.index.get(&e.container).map_or(e.container_name, |h| h.container().name.clone());
            let text = |subnet: Option<wharf_net::Subnet>| subnet.map(|s| s.to_string()).unwrap_or_default();
            let place = NetworkContainer {
                name,
                endpoint: e.id,
                mac: e.mac.map(|m| m.to_string()).unwrap_or_default(),
                ipv4: text(e.ipv4),
                ipv6: text(e.ipv6),
            };
            (e.container, place)
        };
        Network {
            name: network.name.clone(),
            id: network.id.clone(),
            created: Timestamp::from_nanosecond(network.created.into()).unwrap_or_default(),
            scope: "local".into(),
            driver: network.driver.as_str().into(),
            ipv4: network.ipv4,
            ipv6: network.ipv6,
            ipam_driver: network.ipam_driver.clone(),
            ipam_options: network.ipam_options.clone(),
            pools: network.pools.iter().map(pool).collect(),
            internal: network.internal,
            attachable: network.attachable,
            ingress: network.ingress,
            options: network.options.clone(),
            labels: network.labels.clone(),
            config_only: network.config_only,
            config_from: network.config_from.clone(),
            containers: self.networks.endpoints(network).into_iter().map(on).collect(),
        }
    }

    pub(crate) fn network_event(
        &self,
        action: &str,
        id: &NetworkId,
        name: &str,
        driver: &str,
        container: Option<&ContainerId>,
    ) {
        let mut attributes: BTreeMap<String, String> =
            [("name".to_owned(), name.to_owned()), ("type".to_owned(), driver.to_owned())].into();
        attributes.extend(container.map(|c| ("container".to_owned(), c.to_string())));
        self.bus.publish("network", action, id.as_str(), attributes);
    }
}

fn is_predefined(network: &wharf_net::Network) -> bool {
    network.role == wharf_net::NetworkRole::Predefined
}

impl Engine {
    /// Lists networks.
    pub async fn network_list(&self, filters: Filters) -> Result<Vec<Network>> {
        filters.only(&["dangling", "driver", "id", "label", "name", "scope", "type"])?;
        let inner = &self.inner;
        let dangling = filters.boolean("dangling")?;
        for kind in filters.get("type") {
            if !["builtin", "custom"].contains(&kind.as_str()) {
                return Err(Error::InvalidParameter(format!("invalid filter: 'type'='{kind}'")));
            }
        }
        let names = filters.patterns("name");
        let used = |network: &wharf_net::Network| !inner.networks.endpoints(network).is_empty();
        let keep = |n: &wharf_net::Network| {
            names.accept(&n.name)
                && filters.exact("driver", n.driver.as_str())
                && filters.exact("scope", "local")
                && filters.exact("type", if is_predefined(n) { "builtin" } else { "custom" })
                && (filters.get("id").is_empty()
                    || filters.get("id").iter().any(|w| n.id.as_str().starts_with(w.as_str())))
                && filters.labels("label", |name| n.labels.get(name).map(String::as_str))
                && dangling.is_none_or(|wanted| wanted == (!is_predefined(n) && !used(n)))
        };
        Ok(inner.networks.list().iter().filter(|n| keep(n)).map(|n| inner.network(n)).collect())
    }

    /// Everything about one, by name, ID or prefix.
    pub async fn network_inspect(&self, name: &str) -> Result<Network> {
        Ok(self.inner.network(&*self.inner.networks.find(name)?))
    }

    /// What is open on one and why.
    pub async fn network_rules(&self, name: &str) -> Result<wharf_net::Explanation> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        blocking(move || Ok(inner.networks.explain(&name)?)).await
    }

    /// Makes one; answers its ID and a warning (often empty).
    pub async fn network_create(&self, request: CreateNetwork) -> Result<(NetworkId, String)> {
        let pool =
            |p: Pool| wharf_net::PoolRequest { subnet: p.subnet, range: p.range, gateway: p.gateway, aux: p.auxiliary };
        match request.scope.as_str() {
            "" | "local" => {}
            "swarm" => {
                return Err(Error::Forbidden("cannot create a swarm scoped network when swarm is not active".into()));
            }
            other => return Err(Error::InvalidParameter(format!("invalid network scope: {other}"))),
        }
        if request.ingress {
            return Err(Error::Forbidden("Ingress network can only be global scope network".into()));
        }
        let driver = if request.driver.is_empty() { "bridge".to_owned() } else { request.driver.clone() };
        let (name, config_only) = (request.name.clone(), request.config_only);
        let mut options = request.options;
        // the daemon's options are for networks that say themselves what they are
        let defaults = self.inner.config.network.options.get(&driver);
        for (name, value) in defaults.into_iter().flatten().filter(|_| request.config_from.is_none()) {
            options.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let wish = wharf_net::NetworkRequest {
            name: request.name,
            driver: request.driver,
            internal: request.internal,
            attachable: request.attachable,
            ingress: request.ingress,
            ipv4: request.ipv4,
            ipv6: request.ipv6,
            ipam_driver: request.ipam_driver,
            ipam_options: request.ipam_options,
            pools: request.pools.into_iter().map(pool).collect(),
            options,
            labels: request.labels,
            config_only: request.config_only,
            config_from: request.config_from,
        };
        let inner = self.inner.clone();
        let made = blocking(move || Ok(inner.networks.create(&wish)?)).await?;
        let driver = if config_only { "null" } else { &driver };
        self.inner.network_event("create", &made.id, &name, driver, None);
        Ok((made.id, made.warning))
    }

    /// Removes one that has no endpoints.
    pub async fn network_remove(&self, name: &str) -> Result<()> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        let gone = blocking(move || Ok(inner.networks.remove(&name)?)).await?;
        self.inner.network_event("destroy", &gone.id, &gone.name, gone.driver.as_str(), None);
        Ok(())
    }

    /// Adds an interface to a container, which may run.
    pub async fn network_connect(&self, network: &str, container: &str, endpoint: EndpointSettings) -> Result<()> {
        let handle = self.inner.index.resolve(container)?;
        let found = self.inner.networks.find(network)?;
        let snapshot = handle.container();
        if snapshot.network.networks.contains_key(&found.name) {
            return Err(Error::Forbidden(format!(
                "endpoint with name {} already exists in network {}",
                snapshot.name, found.name
            )));
        }
        places::may_join(&found, &snapshot.host_config, &endpoint)?;
        handle.ask(|reply| Command::Networks(found.name.clone(), Some(Box::new(endpoint)), reply)).await?;
        self.inner.network_event("connect", &found.id, &found.name, found.driver.as_str(), Some(&handle.id));
        Ok(())
    }

    /// Takes it away again.
    pub async fn network_disconnect(&self, network: &str, container: &str, force: bool) -> Result<()> {
        let handle = match self.inner.index.resolve(container) {
            Ok(handle) => handle,
            Err(_) if force => {
                self.inner.networks.find(network)?;
                return Err(Error::NotFound(format!("endpoint {container} not found")));
            }
            Err(error) => return Err(error),
        };
        let found = self.inner.networks.find(network)?;
        let snapshot = handle.container();
        if !snapshot.network.networks.contains_key(&found.name) {
            return Err(Error::Forbidden(format!(
                "container {} is not connected to network {}",
                handle.id, found.name
            )));
        }
        if matches!(found.driver, wharf_net::Driver::Host) {
            return Err(Error::Forbidden(
                "container cannot be disconnected from host network - container must be removed".into(),
            ));
        }
        handle.ask(|reply| Command::Networks(found.name.clone(), None, reply)).await?;
        self.inner.network_event("disconnect", &found.id, &found.name, found.driver.as_str(), Some(&handle.id));
        Ok(())
    }

    /// Removes all that nobody uses.
    pub async fn network_prune(&self, filters: Filters) -> Result<Pruned> {
        filters.only(&["label", "label!", "until"])?;
        let until = list::until(&filters)?.map(|at| at.as_nanosecond());
        let inner = self.inner.clone();
        blocking(move || {
            let mut pruned = Pruned::default();
            for network in inner.networks.list() {
                let label = |name: &str| network.labels.get(name).map(String::as_str);
                let declared =
                    inner.index.all().iter().any(|h| h.container().network.networks.contains_key(&network.name));
                let wanted = !is_predefined(&network)
                    && !network.config_only
                    && !declared
                    && until.is_none_or(|u| i128::from(network.created) < u)
                    && filters.labels("label", label)
                    && (filters.get("label!").is_empty() || !filters.labels("label!", label));
                if wanted && inner.networks.remove(network.id.as_str()).is_ok() {
                    inner.network_event("destroy", &network.id, &network.name, network.driver.as_str(), None);
                    pruned.deleted.push(network.name.clone());
                }
            }
            Ok(pruned)
        })
        .await
    }
}
