//! The networks that are always there: `bridge`, `host` and `none`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use wharf_state::Db;

use crate::networks::{World, random};
use crate::{
    BridgeOptions, Config, DefaultBridge, Driver, Error, IpamConfig, Network, NetworkId, NetworkRole, Options, Result,
    Subnet, create, ipam, rows,
};

/// Puts them into the world as the configuration says; identifiers and subnet stay what they were.
pub(crate) fn ensure(
    world: &mut World,
    config: &Config,
    way_out_mtu: u32,
    routes: &[(Subnet, String)],
    db: &Db,
) -> Result<()> {
    for (name, driver) in [("host", Driver::Host), ("none", Driver::None)] {
        if world.find(name).is_err() {
            keep(world, plain(name, driver), db)?;
        }
    }
    let old = world.networks.values().find(|n| n.name == "bridge").cloned();
    let DefaultBridge::Enabled { link, bip, fixed_cidr, gateway, mtu } = &config.bridge else {
        if let Some(old) = old {
            rows::delete_network(db, &old.id)?;
            world.networks.remove(&old.id);
            world.pools.remove(&old.id);
        }
        return Ok(());
    };
    let link = create::link_name(link)?;
    let subnet = match (bip, old.as_ref().and_then(|n| n.pools.first())) {
        (Some(bip), _) => *bip,
        (None, Some(pool)) => Subnet { address: pool.gateway.unwrap_or(pool.subnet.address), ..pool.subnet },
        (None, None) => choose(world, config, routes, &link)?,
    };
    let mut pool = create::chosen(subnet.network());
    if subnet != subnet.network() {
        pool.gateway = Some(subnet.address);
    }
    pool.range = match fixed_cidr {
        Some(range) if !pool.subnet.covers(range) => {
            let text = format!("fixed-cidr {range} is not within the subnet {} of the bridge", pool.subnet);
            return Err(Error::Invalid(text));
        }
        range => range.map(|r| r.network()),
    };
    pool = with_gateway(pool, *gateway)?;
    let mtu = if *mtu > 0 { *mtu } else { way_out_mtu };
    let network = bridge(old.as_deref(), link, pool, mtu, config);
    if old.as_deref() == Some(&network) {
        return Ok(());
    }
    keep(world, network, db)
}

fn with_gateway(mut pool: IpamConfig, gateway: Option<Ipv4Addr>) -> Result<IpamConfig> {
    if let Some(gateway) = gateway {
        if !pool.subnet.contains(gateway.into()) {
            return Err(Error::Invalid(format!("default gateway {gateway} is not within the subnet {}", pool.subnet)));
        }
        pool.aux.insert("DefaultGatewayIPv4".into(), gateway.into());
    }
    Ok(pool)
}

fn choose(world: &World, config: &Config, routes: &[(Subnet, String)], link: &str) -> Result<Subnet> {
    let pools = if config.pools.is_empty() { ipam::default_pools() } else { config.pools.clone() };
    let others = routes.iter().filter(|(_, name)| name != link).map(|(route, _)| *route);
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
        created: crate::networks::now(),
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
    }
}

fn bridge(old: Option<&Network>, link: String, pool: IpamConfig, mtu: u32, config: &Config) -> Network {
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
        pools: vec![pool],
        options,
        bridge: Some(BridgeOptions {
            // a bridge by another name than ours belongs to whoever made it
            foreign: link != "docker0",
            link,
            mtu,
            icc: config.icc,
            masquerade: config.ip_masq,
            host_binding: config.host_binding,
            prefix: "eth".into(),
        }),
        ..plain("bridge", Driver::Bridge)
    }
}
