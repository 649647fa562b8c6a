//! The bridge driver: the link of a network, and the pair of links of an endpoint.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use wharf_netlink::{Batch, BridgePort, Kind, LinkName, Neighbour, NewAddress, NewLink, NewRoute, SetLink, Socket};

use crate::sysctl::{self, ignore_missing};
use crate::{BridgeOptions, Endpoint, Error, GatewayMode, Mac, Netns, Network, Result, Subnet};

/// Makes the link of a network as declared, whatever is there. Runs in the machine's namespace; may be repeated.
pub(crate) fn ensure(socket: &mut Socket, network: &Network, options: &BridgeOptions) -> Result<()> {
    let name = LinkName::Name(&options.link);
    let index = match socket.link(name)? {
        Some(link) if link.kind != "bridge" => {
            let text = format!("interface {} is there and not a bridge (it is {:?})", options.link, link.kind);
            return Err(Error::Conflict(text));
        }
        Some(link) => link.index,
        None if options.foreign => {
            let text = format!("bridge device with non default name {} must be created manually", options.link);
            return Err(Error::Conflict(text));
        }
        None => make(socket, network, options)?,
    };
    sysctls(network, options)?;
    let wanted: Vec<Subnet> = own_addresses(network, options).collect();
    let mut batch = Batch::new();
    for address in &wanted {
        batch.add_address(&address_on(index, *address));
    }
    let global = |scope: u8| scope == 0;
    for found in socket.addresses()?.into_iter().filter(|a| a.link == index && global(a.scope) && !options.foreign) {
        let Some(subnet) = Subnet::new(found.address, found.prefix) else { continue };
        if !wanted.contains(&subnet) {
            batch.del_address(&address_on(index, subnet)).tolerate(&[Errno::ADDRNOTAVAIL]);
        }
    }
    batch.set_link(LinkName::Index(index), &SetLink { up: Some(true), ..SetLink::default() });
    Ok(socket.run(&batch)?)
}

fn make(socket: &mut Socket, network: &Network, options: &BridgeOptions) -> Result<u32> {
    let mac = network.pools.iter().filter_map(|p| p.gateway).map(mac_of).next();
    let link = NewLink {
        name: &options.link,
        kind: Kind::Bridge,
        // without one of its own a bridge takes the lowest of its ports, and changes it when they come and go
        mac: mac.map(|m| m.0),
        mtu: (options.mtu > 0).then_some(options.mtu),
        ..NewLink::default()
    };
    socket.run(Batch::new().add_link(&link))?;
    let made = socket.link(LinkName::Name(&options.link))?;
    made.map(|l| l.index).ok_or_else(|| Error::Conflict(format!("interface {} was removed meanwhile", options.link)))
}

fn sysctls(network: &Network, options: &BridgeOptions) -> Result<()> {
    // a port published on loopback is reached by rewriting 127.0.0.1; the firewall keeps containers away from it
    sysctl::write(&format!("net/ipv4/conf/{}/route_localnet", options.link), "1")?;
    if !options.icc {
        // ports cannot see each other; the bridge answers for them and routes, so that the firewall decides
        sysctl::write(&format!("net/ipv4/conf/{}/proxy_arp_pvlan", options.link), "1")?;
        // otherwise it answers after a random part of a second
        sysctl::write(&format!("net/ipv4/neigh/{}/proxy_delay", options.link), "0")?;
        sysctl::write(&format!("net/ipv4/conf/{}/send_redirects", options.link), "0")?;
    }
    if network.ipv6 {
        sysctl::write(&format!("net/ipv6/conf/{}/disable_ipv6", options.link), "0").or_else(ignore_missing)?;
        sysctl::write(&format!("net/ipv6/conf/{}/accept_ra", options.link), "0").or_else(ignore_missing)?;
        // until it has found out that nobody has its link-local address, it asks for no neighbour
        sysctl::write(&format!("net/ipv6/conf/{}/accept_dad", options.link), "0").or_else(ignore_missing)?;
        sysctl::write("net/ipv6/conf/default/forwarding", "1").or_else(ignore_missing)?;
        sysctl::write("net/ipv6/conf/all/forwarding", "1").or_else(ignore_missing)?;
    }
    Ok(())
}

/// Takes the addresses off the link of a network that is gone, and with them its routes: the subnet is free at once, while
/// the link itself takes the kernel a while.
pub(crate) fn vacate(socket: &mut Socket, network: &Network, options: &BridgeOptions) -> Result<()> {
    let Some(link) = socket.link(LinkName::Name(&options.link))? else { return Ok(()) };
    let mut batch = Batch::new();
    for address in network.pools.iter().filter_map(gateway_of) {
        batch.del_address(&address_on(link.index, address)).tolerate(&[Errno::ADDRNOTAVAIL]);
    }
    Ok(socket.run(&batch)?)
}

/// Removes the link of a network.
pub(crate) fn remove(socket: &mut Socket, options: &BridgeOptions) -> Result<()> {
    if options.foreign {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.del_link(LinkName::Name(&options.link)).tolerate(&[Errno::NODEV]);
    Ok(socket.run(&batch)?)
}

/// How an endpoint's interface is made.
#[derive(Debug)]
pub(crate) struct Plug<'a> {
    pub(crate) endpoint: &'a Endpoint,
    /// Number of the interface inside.
    pub(crate) index: u32,
    pub(crate) mtu: u32,
    pub(crate) ipv6: bool,
    /// The endpoint is the way out, per family.
    pub(crate) default_route: (bool, bool),
}

impl Plug<'_> {
    /// Address and route, once the interface is there.
    pub(crate) fn configure(&self, batch: &mut Batch) {
        let own = [self.endpoint.ipv4, self.endpoint.ipv6].into_iter().flatten();
        for address in own.chain(self.endpoint.link_local.iter().copied()) {
            batch.add_address(&address_on(self.index, address));
        }
        for (wanted, v4) in [(self.default_route.0, true), (self.default_route.1, false)] {
            if wanted {
                batch.add_route(&default_route(self.endpoint, v4, Some(self.index)));
            }
        }
    }
}

/// Makes the pair, one end in the container with everything it needs, the other in the bridge.
///
/// The pair is made from inside, because only there its number can be chosen: address and route follow in the same datagram.
pub(crate) fn plug(
    host: &mut Socket,
    home: BorrowedFd<'_>,
    netns: &Netns,
    options: &BridgeOptions,
    plug: &Plug<'_>,
) -> Result<()> {
    let mtu = (plug.mtu > 0).then_some(plug.mtu);
    let peer = NewLink { name: &plug.endpoint.host_interface, mtu, netns: Some(home.as_fd()), ..NewLink::default() };
    let mut batch = Batch::new();
    batch.add_link(&NewLink {
        name: &plug.endpoint.interface,
        kind: Kind::Veth(Box::new(peer)),
        mac: plug.endpoint.mac.map(|m| m.0),
        mtu,
        index: Some(plug.index),
        up: true,
        ..NewLink::default()
    });
    if plug.ipv6 {
        // between the two, because an address is refused while IPv6 is off
        netns.with_socket(|inside| Ok(inside.run(&batch)?))?;
        netns.within(|| ipv6_on(&plug.endpoint.interface))?;
        batch = Batch::new();
    }
    plug.configure(&mut batch);
    netns.with_socket(|inside| Ok(inside.run(&batch)?))?;
    // a port of a bridge speaks no IPv6 itself: without this the kernel would go through the routes of all other ports
    let port = format!("net/ipv6/conf/{}/disable_ipv6", plug.endpoint.host_interface);
    sysctl::write(&port, "1").or_else(ignore_missing)?;
    join(host, &plug.endpoint.host_interface, plug.endpoint.mac, options)?;
    netns.with_socket(|inside| Ok(inside.run(Batch::new().settle_link(LinkName::Index(plug.index)))?))
}

/// Makes the host's end a port of the bridge, and returns when frames pass.
pub(crate) fn join(host: &mut Socket, name: &str, mac: Option<Mac>, options: &BridgeOptions) -> Result<()> {
    let bridge = host.link(LinkName::Name(&options.link))?;
    let bridge = bridge.ok_or_else(|| Error::Conflict(format!("bridge {} is gone", options.link)))?;
    let name = LinkName::Name(name);
    let mut batch = Batch::new();
    batch.set_link(name, &SetLink { master: Some(bridge.index), up: Some(true), ..SetLink::default() });
    // hairpin: with `bridge-nf-call-iptables` a container that uses its own published port gets its frame back
    let port = BridgePort { isolated: (!options.icc).then_some(true), hairpin: Some(true) };
    batch.set_bridge_port(name, port);
    host.run(&batch)?;
    // asking for the link also settles it
    let port = host.link(name)?.ok_or_else(|| Error::Conflict(format!("interface {name} is gone")))?;
    let mut batch = Batch::new();
    batch.settle_link(LinkName::Index(bridge.index));
    if let Some(mac) = mac {
        // the one that had this address before may not be quite gone: frames are for the new one from now on; a port that does
        // not forward yet (on a slow machine) is refused the entry, and learns the address with the first frame
        let entry = Neighbour { link: port.index, address: None, mac: mac.0, forwarding: true, permanent: false };
        batch.add_neighbour(&entry).tolerate(&[Errno::PERM]);
    }
    Ok(host.run(&batch)?)
}

/// Switches IPv6 on for one interface; the calling thread is inside.
pub(crate) fn ipv6_on(interface: &str) -> Result<()> {
    sysctl::write(&format!("net/ipv6/conf/{interface}/accept_ra"), "0").or_else(ignore_missing)?;
    sysctl::write(&format!("net/ipv6/conf/{interface}/accept_dad"), "0").or_else(ignore_missing)?;
    sysctl::write(&format!("net/ipv6/conf/{interface}/disable_ipv6"), "0").or_else(ignore_missing)
}

/// Removes the host's end (and with it the other).
pub(crate) fn unplug(host: &mut Socket, name: &str) -> Result<()> {
    let mut batch = Batch::new();
    batch.del_link(LinkName::Name(name)).tolerate(&[Errno::NODEV]);
    Ok(host.run(&batch)?)
}

/// The default route of one family over an endpoint: by its gateway, or straight over the link.
pub(crate) fn default_route(way: &Endpoint, v4: bool, link: Option<u32>) -> NewRoute {
    let any = if v4 { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    NewRoute { to: (any, 0), gateway: if v4 { way.gateway } else { way.gateway6 }, link, metric: None }
}

/// `02:42` and the end of the address.
pub(crate) fn mac_of(address: IpAddr) -> Mac {
    match address {
        IpAddr::V4(v4) => Mac::of(v4),
        IpAddr::V6(v6) => Mac::of_v6(v6),
    }
}

/// The machine's addresses on a network.
pub(crate) fn own_addresses<'a>(network: &'a Network, options: &'a BridgeOptions) -> impl Iterator<Item = Subnet> + 'a {
    let own = |p: &&crate::IpamConfig| {
        let mode = if p.subnet.is_ipv4() { options.mode4 } else { options.mode6 };
        mode != GatewayMode::Isolated && !(options.inhibit4 && p.subnet.is_ipv4())
    };
    network.pools.iter().filter(own).filter_map(gateway_of)
}

fn gateway_of(pool: &crate::IpamConfig) -> Option<Subnet> {
    Subnet::new(pool.gateway?, pool.subnet.prefix)
}

fn address_on(link: u32, subnet: Subnet) -> NewAddress {
    let broadcast = (subnet.is_ipv4() && subnet.prefix < 31).then(|| subnet.last());
    NewAddress { link, address: subnet.address, prefix: subnet.prefix, broadcast }
}
