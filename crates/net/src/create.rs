//! A wish for a network, validated into a [`Network`]. Pure: what is there already comes in as an argument.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::address::{from_bits, to_bits};
use crate::network::PoolRequest;
use crate::{
    BridgeOptions, Driver, Error, GatewayMode, IpamConfig, Network, NetworkId, NetworkRequest, NetworkRole, Options,
    Result, Subnet, ipam,
};

const NAME: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
const MTU: &str = "com.docker.network.driver.mtu";
const INHIBIT4: &str = "com.docker.network.bridge.inhibit_ipv4";
const MODE4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
const MODE6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
const PREFIX: &str = "com.docker.network.container_iface_prefix";
/// What network names may be called that nobody may create.
const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

/// What is there already.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub(crate) networks: Vec<&'a Network>,
    /// Destinations of the machine's own routes, without the default, each with the name of its link.
    pub(crate) routes: &'a [(Subnet, String)],
    /// Where subnets are taken from.
    pub(crate) pools: &'a [(Subnet, u8)],
    /// First 48 bits of the subnets of IPv6 networks that name none.
    pub(crate) unique_local: Ipv6Addr,
    /// For those who set none.
    pub(crate) mtu: u32,
}

/// Decides everything about a new network.
pub(crate) fn plan(request: &NetworkRequest, id: NetworkId, created: i64, world: &World<'_>) -> Result<Network> {
    if request.name.trim().is_empty() {
        return Err(Error::Invalid("invalid name: name is empty".into()));
    }
    if PREDEFINED.contains(&request.name.as_str()) {
        return Err(Error::Forbidden(format!("operation is not permitted on predefined {} network ", request.name)));
    }
    if request.config_only && request.config_from.is_some() {
        return Err(Error::Forbidden("a configuration network cannot depend on another configuration network".into()));
    }
    if request.config_only && (request.internal || request.attachable || request.ingress) {
        return Err(Error::Forbidden(
            "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.".into(),
        ));
    }
    let driver = driver(&request.driver)?;
    if !matches!(request.ipam_driver.as_str(), "" | "default") {
        return Err(Error::NotFound(format!("plugin \"{}\"", request.ipam_driver)));
    }
    let (ipv4, ipv6) = (request.ipv4.unwrap_or(true), request.ipv6.unwrap_or(false));
    if !ipv4 && !ipv6 {
        return Err(Error::Invalid("IPv4 or IPv6 must be enabled".into()));
    }
    if world.networks.iter().any(|n| n.name == request.name) {
        return Err(Error::Conflict(format!("network with name {} already exists", request.name)));
    }
    let with_configuration;
    let request = match &request.config_from {
        Some(from) => {
            with_configuration = configured(request, from, world)?;
            &with_configuration
        }
        None => request,
    };
    let given = request.pools.iter().map(pool).collect::<Result<Vec<_>, _>>();
    let given = given.map_err(|line| Error::Invalid(format!("invalid network config:\n{line}")))?;
    if request.config_only {
        return Ok(configuration(request, given, id, created));
    }
    let shares_wire = matches!(driver, Driver::Macvlan | Driver::Ipvlan);
    let mut pools = pools(given, (ipv4, ipv6), shares_wire, world)?;
    let bridge = match driver {
        Driver::Bridge => Some(bridge_options(&request.options, &id, request.internal, world)?),
        _ => None,
    };
    if let Some(options) = &bridge {
        for pool in &mut pools {
            let mode = if pool.subnet.is_ipv4() { options.mode4 } else { options.mode6 };
            if mode == GatewayMode::Isolated && !pool.gateway_given {
                pool.gateway = None;
            }
        }
    }
    let parent = request.options.get("parent").filter(|p| shares_wire && !p.is_empty()).cloned();
    if let Some(other) = world.networks.iter().find(|n| parent.is_some() && n.parent == parent && n.driver != driver) {
        let text = format!("network {} is already using parent interface {}", other.id, parent.unwrap_or_default());
        return Err(Error::Forbidden(text));
    }
    if shares_wire {
        crate::macvlan::check_options(driver, &request.options)?;
    }
    Ok(Network {
        id,
        name: request.name.clone(),
        created,
        role: NetworkRole::User,
        driver,
        internal: request.internal || (shares_wire && parent.is_none()),
        attachable: request.attachable,
        ingress: request.ingress,
        ipv4,
        ipv6,
        ipam_driver: "default".into(),
        ipam_options: request.ipam_options.clone(),
        pools,
        options: request.options.clone(),
        labels: request.labels.clone(),
        bridge,
        parent_ours: shares_wire && parent.is_none(),
        parent,
        config_only: false,
        config_from: request.config_from.clone().unwrap_or_default(),
    })
}

/// A network that is only a configuration for others. What it says is looked at closely when one of those is made.
fn configuration(request: &NetworkRequest, given: Vec<IpamConfig>, id: NetworkId, created: i64) -> Network {
    Network {
        id,
        name: request.name.clone(),
        created,
        role: NetworkRole::User,
        driver: Driver::None,
        internal: false,
        attachable: false,
        ingress: false,
        ipv4: request.ipv4.unwrap_or(true),
        ipv6: request.ipv6.unwrap_or(false),
        ipam_driver: "default".into(),
        ipam_options: request.ipam_options.clone(),
        pools: given,
        options: request.options.clone(),
        labels: request.labels.clone(),
        bridge: None,
        parent: None,
        parent_ours: false,
        config_only: true,
        config_from: String::new(),
    }
}

/// The wish with the configuration of another network in the places that it must leave empty.
fn configured(request: &NetworkRequest, from: &str, world: &World<'_>) -> Result<NetworkRequest> {
    let source = world.networks.iter().find(|n| n.config_only && (n.name == from || n.id.as_str() == from));
    let source = source.ok_or_else(|| Error::NotFound(format!("configuration network \"{from}\" does not exist")))?;
    let depends = "if the network depends on a configuration network";
    if !request.options.is_empty() {
        return Err(Error::Forbidden(format!("network driver options are not supported {depends}")));
    }
    let families = request.ipv4 == Some(false) || request.ipv6 == Some(true);
    let ipam = !request.pools.is_empty() || request.ipam_options.as_ref().is_some_and(|o| !o.is_empty());
    if families || ipam || !request.labels.is_empty() {
        return Err(Error::Forbidden(format!("user specified configurations are not supported {depends}")));
    }
    let text = |value: Option<String>| value.unwrap_or_default();
    let pool = |p: &IpamConfig| PoolRequest {
        subnet: p.subnet.to_string(),
        range: text(p.range.map(|r| r.to_string())),
        gateway: text(p.gateway.map(|g| g.to_string())),
        aux: p.aux.iter().map(|(name, address)| (name.clone(), address.to_string())).collect(),
    };
    Ok(NetworkRequest {
        ipv4: Some(source.ipv4),
        ipv6: Some(source.ipv6),
        ipam_options: source.ipam_options.clone(),
        pools: source.pools.iter().map(pool).collect(),
        options: source.options.clone(),
        labels: source.labels.clone(),
        config_from: Some(source.name.clone()),
        ..request.clone()
    })
}

fn driver(name: &str) -> Result<Driver> {
    match name {
        "" | "bridge" => Ok(Driver::Bridge),
        "macvlan" => Ok(Driver::Macvlan),
        "host" | "null" => Err(Error::Forbidden(format!("only one instance of \"{name}\" network is allowed"))),
        "ipvlan" => Ok(Driver::Ipvlan),
        "overlay" => Err(Error::Unsupported(
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again."
                .into(),
        )),
        _ => Err(Error::NotFound(format!("plugin \"{name}\""))),
    }
}

fn pool(request: &PoolRequest) -> Result<IpamConfig, String> {
    let cidr = |what: &str, text: &str| {
        text.parse::<Subnet>().map_err(|_| format!("invalid {what} {text}: invalid CIDR block notation"))
    };
    let subnet = cidr("subnet", &request.subnet)?;
    if subnet != subnet.network() {
        return Err(format!("invalid subnet {subnet}: it should be {}", subnet.network()));
    }
    let range = match request.range.as_str() {
        "" => None,
        text => {
            let range = cidr("ip-range", text)?;
            if !subnet.covers(&range) {
                return Err(format!("invalid ip-range {range}: parent subnet {subnet} doesn't contain ip-range"));
            }
            if range != range.network() {
                return Err(format!("invalid ip-range {range}: it should be {}", range.network()));
            }
            Some(range)
        }
    };
    let address = |what: &str, text: &str, shown: &str| -> Result<IpAddr, String> {
        let address = text.parse().map_err(|_| format!("invalid {what} {shown}: invalid address"))?;
        if !subnet.contains(address) {
            return Err(format!("invalid {what} {shown}: parent subnet {subnet} doesn't contain this address"));
        }
        Ok(address)
    };
    let gateway = match request.gateway.as_str() {
        "" => None,
        text => Some(address("gateway", text, text)?),
    };
    let aux = request
        .aux
        .iter()
        .map(|(name, text)| Ok((name.clone(), address("auxiliary address", text, name)?)))
        .collect::<Result<BTreeMap<_, _>, String>>()?;
    Ok(IpamConfig { subnet, range, gateway_given: gateway.is_some(), gateway, aux, given: true })
}

/// The pools of a network: those given, checked, and one for each family that has none.
fn pools(
    given: Vec<IpamConfig>,
    (ipv4, ipv6): (bool, bool),
    shares_wire: bool,
    world: &World<'_>,
) -> Result<Vec<IpamConfig>> {
    let others = world.networks.iter().filter(|n| !n.config_only);
    let taken: Vec<Subnet> = others.flat_map(|n| n.pools.iter().map(|p| p.subnet)).collect();
    let mut pools: Vec<IpamConfig> = Vec::new();
    for mut pool in given {
        let v4 = pool.subnet.is_ipv4();
        if (v4 && !ipv4) || (!v4 && !ipv6) {
            continue;
        }
        if pools.iter().any(|p| p.subnet.is_ipv4() == v4) {
            return Err(Error::Forbidden("bridge driver doesn't support multiple subnets".into()));
        }
        if taken.iter().any(|t| t.overlaps(&pool.subnet)) {
            let text = "invalid pool request: Pool overlaps with other one on this address space";
            return Err(Error::Forbidden(text.into()));
        }
        // a route as narrow as the subnet or narrower would lose its traffic to the new bridge
        // (a network on a wire has no link of the machine's with its subnet: there the route is the parent's own)
        let hidden = world.routes.iter().find(|(route, _)| !shares_wire && pool.subnet.covers(route));
        if let Some((route, link)) = hidden {
            let text = format!("invalid pool request: subnet {} hides the route to {route} on {link}", pool.subnet);
            return Err(Error::Forbidden(text));
        }
        pool.gateway = pool.gateway.or_else(|| first_free(&pool));
        pools.push(pool);
    }
    if ipv4 && !pools.iter().any(|p| p.subnet.is_ipv4()) {
        let avoid: Vec<Subnet> = taken.iter().copied().chain(world.routes.iter().map(|(route, _)| *route)).collect();
        let subnet = ipam::free_subnet(world.pools, &avoid)
            .ok_or_else(|| Error::Invalid("all predefined address pools have been fully subnetted".into()))?;
        // behind what was given, before what is chosen for IPv6
        pools.push(chosen(subnet));
    }
    if ipv6 && !pools.iter().any(|p| !p.subnet.is_ipv4()) {
        let unique_local = Subnet::new(world.unique_local.into(), 48).into_iter().map(|s| (s, 64)).collect::<Vec<_>>();
        let subnet = ipam::free_subnet(&unique_local, &taken)
            .ok_or_else(|| Error::Invalid("all predefined address pools have been fully subnetted".into()))?;
        pools.push(chosen(subnet));
    }
    Ok(pools)
}

/// A pool of a subnet that we chose.
pub(crate) fn chosen(subnet: Subnet) -> IpamConfig {
    let mut pool =
        IpamConfig { subnet, range: None, gateway: None, aux: BTreeMap::new(), given: false, gateway_given: false };
    pool.gateway = first_free(&pool);
    pool
}

/// The gateway of a pool that names none: the first address of the range (of the subnet, without one).
fn first_free(pool: &IpamConfig) -> Option<IpAddr> {
    let from = pool.range.unwrap_or(pool.subnet);
    let mut bits = to_bits(from.network().address);
    let last = to_bits(from.last());
    if bits == to_bits(pool.subnet.address) && last > bits {
        bits += 1;
    }
    while pool.aux.values().any(|a| to_bits(*a) == bits) && bits < last {
        bits += 1;
    }
    Some(from_bits(from.address, bits))
}

fn bridge_options(options: &Options, id: &NetworkId, internal: bool, world: &World<'_>) -> Result<BridgeOptions> {
    let bool_of = |name: &str, default: bool| match options.get(name) {
        None => Ok(default),
        Some(text) => go_bool(text).ok_or_else(|| {
            Error::Invalid(format!(
                "failed to parse {name} value: {text} (strconv.ParseBool: parsing \"{text}\": invalid syntax)"
            ))
        }),
    };
    let mtu = match options.get(MTU) {
        None => world.mtu,
        Some(text) => {
            let number: i64 = text.parse().map_err(|_| {
                Error::Invalid(format!(
                    "failed to parse {MTU} value: {text} (strconv.Atoi: parsing \"{text}\": invalid syntax)"
                ))
            })?;
            // what an Ethernet frame can carry at the least (RFC 791: 68 octets) and a bridge at the most; 0 is the default
            u32::try_from(number)
                .ok()
                .filter(|n| *n == 0 || (68..=65_535).contains(n))
                .map(|n| if n == 0 { world.mtu } else { n })
                .ok_or_else(|| Error::Invalid(format!("invalid MTU number: {text}")))?
        }
    };
    let mode = |name: &str| match options.get(name).map(String::as_str) {
        None | Some("" | "nat") => Ok(GatewayMode::Nat),
        Some("isolated") if internal => Ok(GatewayMode::Isolated),
        Some("isolated") => {
            Err(Error::Invalid("gateway mode 'isolated' can only be used for an internal network".into()))
        }
        Some("nat-unprotected") => Ok(GatewayMode::NatUnprotected),
        Some("routed") => Ok(GatewayMode::Routed),
        Some(text) => {
            Err(Error::Invalid(format!("failed to parse {name} value: {text} (unknown gateway mode {text})")))
        }
    };
    let host_binding = match options.get(HOST_BINDING) {
        None => None,
        Some(text) => Some(
            text.parse()
                .map_err(|_| Error::Invalid(format!("failed to parse {HOST_BINDING} value: {text} (nil ip)")))?,
        ),
    };
    let link = match options.get(NAME) {
        None => link_of(id),
        Some(name) => link_name(name)?,
    };
    let same = world.networks.iter().find(|n| n.bridge.as_ref().is_some_and(|b| b.link == link));
    if let Some(other) = same {
        return Err(Error::Forbidden(format!(
            "cannot create network {id} ({link}): conflicts with network {} ({link}): networks have same bridge name",
            other.id
        )));
    }
    let prefix = match options.get(PREFIX) {
        None => "eth".to_owned(),
        // a digit is appended, and the whole must be a name of a link
        Some(name) => link_name(name)
            .ok()
            .filter(|n| n.len() <= 12)
            .ok_or_else(|| Error::Invalid(format!("invalid {PREFIX} value: {name}")))?,
    };
    Ok(BridgeOptions {
        link,
        mtu,
        icc: bool_of(ICC, true)?,
        masquerade: bool_of(MASQUERADE, true)?,
        host_binding,
        prefix,
        foreign: false,
        mode4: mode(MODE4)?,
        mode6: mode(MODE6)?,
        inhibit4: bool_of(INHIBIT4, false)?,
    })
}

/// The name we make up for the link of a network.
pub(crate) fn link_of(id: &NetworkId) -> String {
    format!("br-{}", id.short())
}

/// A name that the kernel takes for a link.
pub(crate) fn link_name(name: &str) -> Result<String> {
    let good = !name.is_empty()
        && name.len() <= 15
        && !matches!(name, "." | "..")
        && name.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b'/' | b':' | b'%'));
    good.then(|| name.to_owned()).ok_or_else(|| Error::Invalid(format!("invalid interface name: {name:?}")))
}

/// What Go's `strconv.ParseBool` takes.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_plan(request: &NetworkRequest, networks: Vec<&Network>) -> Result<Network> {
        let routes = [
            ("10.50.0.0/16".parse().unwrap(), "eth0".to_owned()),
            ("172.17.0.0/16".parse().unwrap(), "docker0".to_owned()),
        ];
        let world = World {
            networks,
            routes: &routes,
            pools: &ipam::default_pools(),
            unique_local: "fd11:2233:4455::".parse().unwrap(),
            mtu: 1500,
        };
        plan(request, NetworkId::from_bytes([0xab; 32]), 1, &world)
    }

    fn request(name: &str, subnet: &str) -> NetworkRequest {
        let pools = if subnet.is_empty() {
            Vec::new()
        } else {
            vec![PoolRequest { subnet: subnet.into(), ..PoolRequest::default() }]
        };
        NetworkRequest { name: name.into(), pools, ..NetworkRequest::default() }
    }

    #[test]
    fn r_net_04_a_subnet_is_chosen() {
        let first = try_plan(&request("a", ""), vec![]).unwrap();
        assert_eq!(first.pools[0].subnet.to_string(), "172.18.0.0/16");
        assert_eq!(first.pools[0].gateway.unwrap().to_string(), "172.18.0.1");
        assert_eq!(first.bridge.as_ref().unwrap().link, "br-abababababab");
        let second = try_plan(&NetworkRequest { ipv6: Some(true), ..request("b", "") }, vec![&first]);
        // the same id: a bridge of that name is there
        assert!(second.unwrap_err().to_string().contains("networks have same bridge name"));
    }

    #[test]
    fn r_net_16_ipv6_gets_a_unique_local_subnet() {
        let network = try_plan(&NetworkRequest { ipv6: Some(true), ..request("b", "") }, vec![]).unwrap();
        assert_eq!(network.pools[1].subnet.to_string(), "fd11:2233:4455::/64");
        assert_eq!(network.pools[1].gateway.unwrap().to_string(), "fd11:2233:4455::1");
    }

    #[test]
    fn r_net_04_gateway_comes_from_the_range() {
        let mut r = request("a", "10.77.0.0/24");
        r.pools[0].range = "10.77.0.128/25".into();
        r.pools[0].aux.insert("r".into(), "10.77.0.128".into());
        assert_eq!(try_plan(&r, vec![]).unwrap().pools[0].gateway.unwrap().to_string(), "10.77.0.129");
    }

    #[test]
    fn r_net_04_refusals_are_dockers() {
        let refused = |r: &NetworkRequest| try_plan(r, vec![]).unwrap_err().to_string();
        let say = |subnet: &str, range: &str, gateway: &str| {
            let mut r = request("x", subnet);
            r.pools = vec![PoolRequest {
                subnet: subnet.into(),
                range: range.into(),
                gateway: gateway.into(),
                aux: BTreeMap::new(),
            }];
            refused(&r)
        };
        let line = |text: &str| format!("invalid network config:\n{text}");
        assert_eq!(say("1.2.3", "", ""), line("invalid subnet 1.2.3: invalid CIDR block notation"));
        assert_eq!(say("10.77.0.5/24", "", ""), line("invalid subnet 10.77.0.5/24: it should be 10.77.0.0/24"));
        assert_eq!(
            say("10.77.0.0/24", "", "10.78.0.1"),
            line("invalid gateway 10.78.0.1: parent subnet 10.77.0.0/24 doesn't contain this address")
        );
        assert_eq!(say("10.77.0.0/24", "", "zz"), line("invalid gateway zz: invalid address"));
        assert_eq!(
            say("10.77.0.0/24", "10.78.0.0/25", ""),
            line("invalid ip-range 10.78.0.0/25: parent subnet 10.77.0.0/24 doesn't contain ip-range")
        );
        assert_eq!(say("", "", "10.0.0.1"), line("invalid subnet : invalid CIDR block notation"));
        assert_eq!(refused(&request("bridge", "")), "operation is not permitted on predefined bridge network ");
        assert_eq!(refused(&request(" ", "")), "invalid name: name is empty");
        assert!(say("10.50.0.0/16", "", "").contains("hides the route to 10.50.0.0/16 on eth0"));
        assert!(say("10.0.0.0/8", "", "").contains("hides the route to 10.50.0.0/16 on eth0"));
        let there = try_plan(&request("x", "10.51.0.0/16"), vec![]).unwrap();
        assert_eq!(
            try_plan(&request("y", "10.51.9.0/24"), vec![&there]).unwrap_err().to_string(),
            "invalid pool request: Pool overlaps with other one on this address space"
        );
        assert_eq!(
            try_plan(&request("x", ""), vec![&there]).unwrap_err().to_string(),
            "network with name x already exists"
        );
        let option = |name: &str, value: &str| {
            let mut r = request("x", "");
            r.options.insert(name.into(), value.into());
            refused(&r)
        };
        assert_eq!(
            option(ICC, "zz"),
            "failed to parse com.docker.network.bridge.enable_icc value: zz (strconv.ParseBool: parsing \"zz\": invalid syntax)"
        );
        assert!(option(NAME, "a/b").contains("invalid interface name"));
        assert!(option(NAME, "0123456789abcdef").contains("invalid interface name"));
    }
}
