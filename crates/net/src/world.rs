//! The rows in memory, and what follows from them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use wharf_state::Db;

use crate::firewall::{Bridge, Hole, Published, State};
use crate::ipam::Pool;
use crate::machine::random;
use crate::publish::Ports;
use crate::rows::{self, Reservation};
use crate::{ContainerId, Endpoint, Error, Netns, Network, NetworkId, Result, Sandbox};

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
    pub(crate) unique_local: Option<Ipv6Addr>,
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

    /// The machine's addresses on the networks that published ports of a container lead to.
    pub(crate) fn hosts_of_targets(&self, sandbox: &Sandbox) -> Vec<IpAddr> {
        let host = |v4: bool| {
            let network = self.networks.get(&target_endpoint(sandbox, v4)?.network)?;
            let mut own = crate::bridge::own_addresses(network, network.bridge.as_ref()?);
            own.find(|a| a.is_ipv4() == v4).map(|a| a.address)
        };
        [host(true), host(false)].into_iter().flatten().collect()
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

    /// Marks every address and port that rows say is in use.
    pub(crate) fn hold_what_is_kept(&mut self, proxy: bool) {
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
    pub(crate) fn unique_local(&mut self, db: &Db) -> Result<Ipv6Addr> {
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

/// Where two containers share a network, the receiver may use the exposed ports of the source.
fn holes_between<'a>(receiver: &'a Sandbox, source: &'a Sandbox) -> impl Iterator<Item = Hole> + 'a {
    receiver.endpoints.iter().flat_map(move |from| {
        let same = source.endpoints.iter().filter(move |to| to.network == from.network);
        same.filter_map(move |to| Some((from.ipv4?.address, to.ipv4?.address))).flat_map(move |(from, to)| {
            source.exposed.iter().map(move |(port, protocol)| Hole { from, to, protocol: *protocol, port: *port })
        })
    })
}

/// Where published ports of a container lead, per family.
pub(crate) fn targets(sandbox: &Sandbox) -> (Option<IpAddr>, Option<IpAddr>) {
    let v4 = target_endpoint(sandbox, true).and_then(|e| e.ipv4);
    let v6 = target_endpoint(sandbox, false).and_then(|e| e.ipv6);
    (v4.map(|a| a.address), v6.map(|a| a.address))
}

/// The endpoint that published ports of a container lead to: the first of the highest priority that has an address.
fn target_endpoint(sandbox: &Sandbox, v4: bool) -> Option<&Endpoint> {
    let has = |e: &&Endpoint| !e.host_interface.is_empty() && if v4 { e.ipv4.is_some() } else { e.ipv6.is_some() };
    let usable = sandbox.endpoints.iter().filter(has);
    usable.fold(None, |best, e| if best.is_none_or(|b| e.gw_priority > b.gw_priority) { Some(e) } else { best })
}

/// The published ports of a container with where they lead.
pub(crate) fn published(sandbox: &Sandbox) -> Vec<Published> {
    let (v4, v6) = targets(sandbox);
    let target = |ip: IpAddr| if ip.is_ipv4() { v4 } else { v6.or(v4) };
    let ports = sandbox.ports.iter();
    ports.filter_map(|b| target(b.host_ip).map(|target| Published { binding: *b, target })).collect()
}

pub(crate) fn firewall_bridge(network: &Network) -> Option<Bridge> {
    let options = network.bridge.as_ref()?;
    Some(Bridge {
        link: options.link.clone(),
        subnets: network.pools.iter().map(|p| p.subnet).collect(),
        icc: options.icc,
        internal: network.internal,
        masquerade: options.masquerade,
        modes: (options.mode4, options.mode6),
    })
}

fn hold(pools: &mut HashMap<NetworkId, Vec<Pool>>, network: &NetworkId, address: IpAddr, container: &ContainerId) {
    let pool = pools.get_mut(network).and_then(|p| p.iter_mut().find(|p| p.subnet().contains(address)));
    if let Some(pool) = pool
        && let Err(error) = pool.take_static(address, container)
    {
        tracing::warn!(%address, %container, %error, "an address has two owners");
    }
}
