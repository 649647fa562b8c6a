//! The macvlan driver: an endpoint is a sub-interface of a parent on the machine, with a MAC of its own on the same wire.

use std::os::fd::AsFd;

use wharf_netlink::{Batch, Kind, LinkName, MacvlanMode, NewLink, SetLink, Socket};

use crate::bridge::Plug;
use crate::{Error, Netns, Network, Result};

/// The parent must be there (`eth0`), or be a VLAN of one that is (`eth0.50`), which is made then.
pub(crate) fn check(socket: &mut Socket, network: &Network) -> Result<()> {
    mode(network)?;
    parent(socket, network).map(drop)
}

fn parent(socket: &mut Socket, network: &Network) -> Result<u32> {
    let name = network
        .parent
        .as_deref()
        .ok_or_else(|| Error::Unsupported("macvlan networks without a parent interface are not supported".into()))?;
    if let Some(link) = socket.link(LinkName::Name(name))? {
        return Ok(link.index);
    }
    let missing = || Error::Invalid(format!("parent interface {name} was not found on the host"));
    let (trunk, id) = name.rsplit_once('.').ok_or_else(missing)?;
    let id: u16 = id.parse().ok().filter(|id| (1..=4094).contains(id)).ok_or_else(missing)?;
    let trunk = socket.link(LinkName::Name(trunk))?.ok_or_else(missing)?;
    let kind = Kind::Vlan { parent: trunk.index, id };
    socket.run(Batch::new().add_link(&NewLink { name, kind, up: true, ..NewLink::default() }))?;
    socket.link(LinkName::Name(name))?.map(|l| l.index).ok_or_else(missing)
}

fn mode(network: &Network) -> Result<MacvlanMode> {
    match network.options.get("macvlan_mode").map(String::as_str) {
        None | Some("" | "bridge") => Ok(MacvlanMode::Bridge),
        Some("private") => Ok(MacvlanMode::Private),
        Some("vepa") => Ok(MacvlanMode::Vepa),
        Some("passthru") => Ok(MacvlanMode::Passthru),
        Some(other) => Err(Error::Invalid(format!("unknown macvlan mode: {other}"))),
    }
}

/// Makes the sub-interface straight in the container, then gives it address and route.
pub(crate) fn plug(host: &mut Socket, netns: &Netns, network: &Network, plug: &Plug<'_>) -> Result<()> {
    let kind = Kind::Macvlan { parent: parent(host, network)?, mode: mode(network)? };
    let name = plug.endpoint.interface.as_str();
    let mut batch = Batch::new();
    batch.add_link(&NewLink {
        name,
        kind,
        mac: plug.endpoint.mac.map(|m| m.0),
        index: Some(plug.index),
        netns: Some(netns.as_fd()),
        ..NewLink::default()
    });
    host.run(&batch)?;
    if plug.ipv6 {
        netns.within(|| crate::bridge::ipv6_on(name))?;
    }
    let mut batch = Batch::new();
    batch.set_link(LinkName::Index(plug.index), &SetLink { up: Some(true), ..SetLink::default() });
    plug.configure(&mut batch);
    netns.with_socket(|inside| Ok(inside.run(&batch)?))
}
