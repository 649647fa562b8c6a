//! The networks that are always there: `bridge`, `host` and `none`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use wharf_state::Db;

use crate::machine::random;
use crate::world::World;
use crate::{
    BridgeOptions, Config, DefaultBridge, Driver, Error, IpamConfig, Network, NetworkId, NetworkRole, Options, Result,
    Subnet, create, ipam, rows,
};

/// What is there already on the machine.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Of the link that leads out.
    pub(crate) mtu: u32,
    /// Destinations, each with the name of its link.
    pub(crate) routes: Vec<(Subnet, String)>,
    /// Addresses of links.
    pub(crate) links: Vec<(String, Subnet)>,
    /// First 48 bits of our own IPv6 subnets.
    pub(crate) unique_local: Ipv6Addr,
}

/// Puts them into the world as the configuration says; identifiers and subnet stay what they were.
pub(crate) fn ensure(world: &mut World, config: &Config, facts: &Facts, db: &Db) -> Result<()> {
    for (name, driver) in [("host", Driver::Host), ("none", Driver::None)] {
        if world.find(name).is_err() {
            keep(world, plain(name, driver), db)?;
        }
    }
    let old = world.networks.values().find(|n| n.name == "bridge").cloned();
    let DefaultBridge::Enabled { link, bip, fixed_cidr, gateway, mtu, ipv6 } = &config.bridge else {
        if let Some(old) = old {
            rows::delete_network(db, &old.id)?;
            world.networks.remove(&old.id);
            world.pools.remove(&old.id);
        }
        return Ok(());
    };
    let link = create::link_name(link)?;
    let before = |v4: bool| old.iter().flat_map(|n| &n.pools).find(move |p| p.subnet.is_ipv4() == v4);
    // the address of a bridge that somebody else made is the one that it has
    let there = facts.links.iter().find(|(name, a)| *name == link && link != OURS && a.is_ipv4()).map(|(_, a)| *a);
    let subnet = match (bip.or(there), before(true)) {
        (Some(bip), _) => bip,
        (None, Some(pool)) => Subnet { address: pool.gateway.unwrap_or(pool.subnet.address), ..pool.subnet },
        (None, None) => choose(world, config, facts, &link)?,
    };
    let mut pools = vec![pool(subnet, *fixed_cidr, gateway.map(IpAddr::from))?];
    if let Some(six) = ipv6 {
        let subnet = match (six.bip.or(six.fixed_cidr), before(false)) {
            (Some(given), _) => given,
            (None, Some(pool)) => Subnet { address: pool.gateway.unwrap_or(pool.subnet.address), ..pool.subnet },
            (None, None) => {
                let ours: Vec<_> = Subnet::new(facts.unique_local.into(), 48).into_iter().map(|s| (s, 64)).collect();
                let taken: Vec<_> = world.networks.values().flat_map(|n| n.pools.iter().map(|p| p.subnet)).collect();
                ipam::free_subnet(&ours, &taken)
                    .ok_or_else(|| Error::Conflict("no IPv6 subnet is free for the default bridge".into()))?
            }
        };
        let part = six.fixed_cidr.filter(|_| six.bip.is_some());
        pools.push(pool(subnet, part, six.gateway.map(IpAddr::from))?);
    }
    let mtu = if *mtu > 0 { *mtu } else { facts.mtu };
    let network = bridge(old.as_deref(), link, pools, mtu, config);
    if old.as_deref() == Some(&network) {
        return Ok(());
    }
    keep(world, network, db)
}

/// The pool of a subnet that is written as the address of the bridge in it.
fn pool(bip: Subnet, part: Option<Subnet>, gateway: Option<IpAddr>) -> Result<IpamConfig> {
    let mut pool = create::chosen(bip.network());
    if bip != bip.network() {
        pool.gateway = Some(bip.address);
    }
    if let Some(part) = part {
        if !pool.subnet.covers(&part) {
            let text = format!("fixed-cidr {part} is not within the subnet {} of the bridge", pool.subnet);
            return Err(Error::Invalid(text));
        }
        pool.range = Some(part.network());
    }
    if let Some(gateway) = gateway {
        if !pool.subnet.contains(gateway) {
            return Err(Error::Invalid(format!("default gateway {gateway} is not within the subnet {}", pool.subnet)));
        }
        let name = if gateway.is_ipv4() { "DefaultGatewayIPv4" } else { "DefaultGatewayIPv6" };
        pool.aux.insert(name.into(), gateway);
    }
    Ok(pool)
}

/// The bridge that we make ourselves.
const OURS: &str = "docker0";

fn choose(world: &World, config: &Config, facts: &Facts, link: &str) -> Result<Subnet> {
    let pools = if config.pools.is_empty() { ipam::default_pools() } else { config.pools.clone() };
    let others = facts.routes.iter().filter(|(_, name)| name != link).map(|(route, _)| *route);
    let taken: Vec<_> = world.networks.values().flat_map(|n| n.pools.iter().map(|p| p.subnet)).chain(others).collect();
    ipam::free_subnet(&pools, &taken)
        .ok_or_else(|| Error::Conflict("no address pool is free for the default bridge".into()))
}

fn keep(world: &mut World, network: Network, db: &Db) -> Result<()> {
    rows::put_network(db, &network)?;
    world.insert(network);
    Ok(())
}

fn plain(name: &str, driver: Driver) -> Network {
    Network {
        id: NetworkId::generate(|bytes| random(bytes)),
        name: name.into(),
        created: crate::machine::now(),
        role: NetworkRole::Predefined,
        driver,
        internal: false,
        attachable: false,
        ingress: false,
        ipv4: true,
        ipv6: false,
        ipam_driver: "default".into(),
        ipam_options: None,
        pools: Vec::new(),
        options: Options::new(),
        labels: BTreeMap::new(),
        bridge: None,
        parent: None,
        parent_ours: false,
        config_only: false,
        config_from: String::new(),
    }
}

fn bridge(old: Option<&Network>, link: String, pools: Vec<IpamConfig>, mtu: u32, config: &Config) -> Network {
    let host_binding = config.host_binding.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
    let options = [
        ("default_bridge", "true".to_owned()),
        ("enable_icc", config.icc.to_string()),
        ("enable_ip_masquerade", config.ip_masq.to_string()),
        ("host_binding_ipv4", host_binding),
        ("name", link.clone()),
    ];
    let mut options: Options =
        options.into_iter().map(|(name, value)| (format!("com.docker.network.bridge.{name}"), value)).collect();
    options.insert("com.docker.network.driver.mtu".into(), mtu.to_string());
    let fresh = plain("bridge", Driver::Bridge);
    Network {
        id: old.map_or(fresh.id, |n| n.id.clone()),
        created: old.map_or(fresh.created, |n| n.created),
        ipv6: pools.iter().any(|p| !p.subnet.is_ipv4()),
        pools,
        options,
        bridge: Some(BridgeOptions {
            // a bridge by another name than ours belongs to whoever made it
            foreign: link != OURS,
            link,
            mtu,
            icc: config.icc,
            masquerade: config.ip_masq,
            host_binding: config.host_binding,
            prefix: "eth".into(),
            mode4: Default::default(),
            mode6: Default::default(),
            inhibit4: false,
        }),
        ..plain("bridge", Driver::Bridge)
    }
}
