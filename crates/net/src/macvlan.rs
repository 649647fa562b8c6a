//! The macvlan and ipvlan drivers: an endpoint is a sub-interface of a parent on the machine, on the same wire, with a MAC of
//! its own (macvlan) or under that of the parent (ipvlan).
//!
//! A parent may be an interface (`eth0`), a VLAN of one (`eth0.50`, made when it is missing and removed with the network), or
//! missing: then a dummy of the network's own connects its endpoints with each other and nobody else.

use std::os::fd::AsFd;

use rustix::io::Errno;
use wharf_netlink::{Batch, IpvlanFlag, IpvlanMode, Kind, LinkName, MacvlanMode, NewLink, SetLink, Socket};

use crate::bridge::Plug;
use crate::{Driver, Error, Netns, Network, Options, Result};

/// Whether the options are ones that the driver knows.
pub(crate) fn check_options(driver: Driver, options: &Options) -> Result<()> {
    match driver {
        Driver::Ipvlan => ipvlan_mode(options).and_then(|_| ipvlan_flag(options)).map(drop),
        _ => macvlan_mode(options).map(drop),
    }
}

fn macvlan_mode(options: &Options) -> Result<MacvlanMode> {
    match options.get("macvlan_mode").map(String::as_str) {
        None | Some("" | "bridge") => Ok(MacvlanMode::Bridge),
        Some("private") => Ok(MacvlanMode::Private),
        Some("vepa") => Ok(MacvlanMode::Vepa),
        Some("passthru") => Ok(MacvlanMode::Passthru),
        Some(other) => Err(Error::Invalid(format!(
            "requested macvlan mode '{other}' is not valid, 'bridge' mode is the macvlan driver default"
        ))),
    }
}

fn ipvlan_mode(options: &Options) -> Result<IpvlanMode> {
    match options.get("ipvlan_mode").map(String::as_str) {
        None | Some("" | "l2") => Ok(IpvlanMode::L2),
        Some("l3") => Ok(IpvlanMode::L3),
        Some("l3s") => Ok(IpvlanMode::L3s),
        Some(other) => Err(Error::Invalid(format!(
            "requested ipvlan mode '{other}' is not valid, 'l2' mode is the ipvlan driver default"
        ))),
    }
}

fn ipvlan_flag(options: &Options) -> Result<IpvlanFlag> {
    match options.get("ipvlan_flag").map(String::as_str) {
        None | Some("" | "bridge") => Ok(IpvlanFlag::Bridge),
        Some("private") => Ok(IpvlanFlag::Private),
        Some("vepa") => Ok(IpvlanFlag::Vepa),
        Some(other) => Err(Error::Invalid(format!(
            "requested ipvlan flag '{other}' is not valid, 'bridge' is the ipvlan driver default"
        ))),
    }
}

/// Whether the network knows no neighbours: everything is led to the parent, and no gateway is asked for.
pub(crate) fn is_routed(network: &Network) -> bool {
    network.driver == Driver::Ipvlan && matches!(ipvlan_mode(&network.options), Ok(IpvlanMode::L3 | IpvlanMode::L3s))
}

fn kind(network: &Network, parent: u32) -> Result<Kind<'static>> {
    Ok(match network.driver {
        Driver::Ipvlan => {
            Kind::Ipvlan { parent, mode: ipvlan_mode(&network.options)?, flag: ipvlan_flag(&network.options)? }
        }
        _ => Kind::Macvlan { parent, mode: macvlan_mode(&network.options)? },
    })
}

/// The name of the dummy that stands for a parent.
fn dummy(network: &Network) -> String {
    format!("dm-{}", network.id.short())
}

fn parent_name(network: &Network) -> String {
    network.parent.clone().unwrap_or_else(|| dummy(network))
}

/// Makes sure of the parent, and that this kernel has the driver: a sub-interface is made and removed at once.
pub(crate) fn prepare(socket: &mut Socket, network: &Network) -> Result<()> {
    let index = parent(socket, network)?;
    let probe = format!("wp-{}", network.id.short());
    let link = NewLink { name: &probe, kind: kind(network, index)?, ..NewLink::default() };
    let made = socket.run(Batch::new().add_link(&link));
    if let Err(error) = made {
        remove(socket, network)?;
        return Err(match error.errno() {
            Some(Errno::OPNOTSUPP) => Error::Unsupported(format!(
                "operation not supported: this kernel has no {} driver",
                network.driver.as_str()
            )),
            Some(Errno::BUSY) => {
                let parent = parent_name(network);
                Error::Conflict(format!("parent interface {parent} is used by another kind of network"))
            }
            _ => error.into(),
        });
    }
    let mut batch = Batch::new();
    batch.del_link(LinkName::Name(&probe)).tolerate(&[Errno::NODEV]);
    Ok(socket.run(&batch)?)
}

fn parent(socket: &mut Socket, network: &Network) -> Result<u32> {
    let name = parent_name(network);
    let name = name.as_str();
    if let Some(link) = socket.link(LinkName::Name(name))? {
        return Ok(link.index);
    }
    let kind = if network.parent.is_none() {
        Kind::Dummy
    } else {
        let wrong = || Error::Invalid(format!("invalid subinterface vlan name {name}, example formatting is eth0.10"));
        let (trunk, id) = name.rsplit_once('.').ok_or_else(wrong)?;
        let id: u16 = id.parse().ok().filter(|id| (1..=4094).contains(id)).ok_or_else(wrong)?;
        let none = || Error::Invalid(format!("-o parent interface was not found on the host: {trunk}"));
        let trunk = socket.link(LinkName::Name(trunk))?.ok_or_else(none)?;
        Kind::Vlan { parent: trunk.index, id }
    };
    socket.run(Batch::new().add_link(&NewLink { name, kind, up: true, ..NewLink::default() })).map_err(
        |error| match (error.errno(), network.parent.is_some()) {
            (Some(Errno::OPNOTSUPP), true) => {
                Error::Unsupported("operation not supported: this kernel has no 802.1q driver".into())
            }
            (Some(Errno::OPNOTSUPP), false) => Error::Unsupported(format!(
                "operation not supported: this kernel has no dummy interfaces, which {} networks without -o parent= need",
                network.driver.as_str()
            )),
            _ => error.into(),
        },
    )?;
    let made = socket.link(LinkName::Name(name))?;
    made.map(|l| l.index).ok_or_else(|| Error::Conflict(format!("interface {name} was removed meanwhile")))
}

/// Removes a parent that was made for this network.
pub(crate) fn remove(socket: &mut Socket, network: &Network) -> Result<()> {
    let name = parent_name(network);
    let Some(link) = socket.link(LinkName::Name(&name))? else { return Ok(()) };
    if !network.parent_ours || !matches!(link.kind.as_str(), "dummy" | "vlan") {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.del_link(LinkName::Index(link.index)).tolerate(&[Errno::NODEV]);
    Ok(socket.run(&batch)?)
}

/// Makes the sub-interface straight in the container, then gives it name, address and route.
pub(crate) fn plug(host: &mut Socket, netns: &Netns, network: &Network, plug: &Plug<'_>) -> Result<()> {
    let parent = parent(host, network)?;
    // kernels before 6.12 look for the new link's name and number among those of the machine, and refuse what is there
    let name = format!("wm-{}", plug.endpoint.id.as_str().get(..12).unwrap_or_default());
    let mut batch = Batch::new();
    batch.add_link(&NewLink {
        name: &name,
        kind: kind(network, parent)?,
        mac: plug.endpoint.mac.map(|m| m.0),
        netns: Some(netns.as_fd()),
        ..NewLink::default()
    });
    host.run(&batch)?;
    let index = netns.with_socket(|inside| {
        let made = inside.link(LinkName::Name(&name))?;
        let index = made.map(|l| l.index).ok_or_else(|| Error::Conflict(format!("interface {name} was removed")))?;
        let rename = SetLink { name: Some(&plug.endpoint.interface), ..SetLink::default() };
        if let Err(error) = inside.run(Batch::new().set_link(LinkName::Index(index), &rename)) {
            // whoever undoes knows it by its final name only
            inside.run(Batch::new().del_link(LinkName::Index(index)))?;
            return Err(error.into());
        }
        Ok(index)
    })?;
    if plug.ipv6 {
        netns.within(|| crate::bridge::ipv6_on(&plug.endpoint.interface))?;
    }
    let mut batch = Batch::new();
    batch.set_link(LinkName::Index(index), &SetLink { up: Some(true), ..SetLink::default() });
    Plug { index, ..*plug }.configure(&mut batch);
    netns.with_socket(|inside| Ok(inside.run(&batch)?))
}
