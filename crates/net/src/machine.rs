//! The machine around our networks: its routes, links, switches, clock and random bytes.

use std::time::{SystemTime, UNIX_EPOCH};

use wharf_netlink::{Link, LinkName, Route, Socket};

use crate::{Result, Subnet};

/// Switches a setting on unless it is.
pub(crate) fn switch_on(key: &str) -> Result<()> {
    let on = std::fs::read_to_string(format!("/proc/sys/{key}")).is_ok_and(|value| value.trim() == "1");
    if on { Ok(()) } else { crate::sysctl::write(key, "1") }
}

/// Where the machine's routes lead, without defaults.
pub(crate) fn host_routes(socket: &mut Socket) -> Result<Vec<(Subnet, String)>> {
    const MAIN: u32 = 254;
    const UNICAST: u8 = 1;
    let routes = socket.routes()?;
    let links = socket.links()?;
    let name = |r: &Route| links.iter().find(|l| Some(l.index) == r.link).map_or_else(String::new, |l| l.name.clone());
    let ours = |r: &&Route| r.table == MAIN && r.kind == UNICAST && r.to.1 > 0;
    Ok(routes.iter().filter(ours).filter_map(|r| Some((Subnet::new(r.to.0, r.to.1)?, name(r)))).collect())
}

/// The global addresses of the machine's links.
pub(crate) fn host_links(socket: &mut Socket) -> Result<Vec<(String, Subnet)>> {
    const GLOBAL: u8 = 0;
    let links = socket.links()?;
    let addresses = socket.addresses()?;
    let named = |a: &wharf_netlink::Address| {
        let link = links.iter().find(|l| l.index == a.link)?;
        Some((link.name.clone(), Subnet::new(a.address, a.prefix)?))
    };
    Ok(addresses.iter().filter(|a| a.scope == GLOBAL).filter_map(named).collect())
}

/// The MTU of the link that leads out: more than it takes would be cut to pieces or lost.
pub(crate) fn way_out_mtu(socket: &mut Socket) -> Result<u32> {
    const ETHERNET: u32 = 1500;
    let default = socket.routes()?.into_iter().find(|r| r.to.1 == 0 && r.gateway.is_some() && r.link.is_some());
    let link: Option<Link> = match default.and_then(|r| r.link) {
        Some(index) => socket.link(LinkName::Index(index))?,
        None => None,
    };
    Ok(link.map_or(ETHERNET, |l| l.mtu.min(ETHERNET)))
}

pub(crate) fn random(bytes: &mut [u8]) {
    let got = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty());
    // up to 256 bytes never come short once the kernel's source is seeded
    assert_eq!(got, Ok(bytes.len()), "getrandom of {} bytes", bytes.len());
}

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
