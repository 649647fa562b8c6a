//! Routes (`RTM_*ROUTE`).

use std::net::IpAddr;

use crate::address::family;
use crate::attribute::{Message, Writer, attributes, ip, ip_bytes, u32_at};
use crate::batch::CREATE_REPLACE;
use crate::{Batch, Result, Socket};

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_TABLE: u16 = 15;

const MAIN: u8 = 254;
const STATIC: u8 = 4;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const UNICAST: u8 = 1;

/// A route to make in the main table.
#[derive(Debug, Clone, Copy)]
pub struct NewRoute {
    /// Network and bits; `0.0.0.0/0` or `::/0` for the default.
    pub to: (IpAddr, u8),
    /// Next hop; `None` for what is on the link itself.
    pub gateway: Option<IpAddr>,
    /// Number of the link.
    pub link: Option<u32>,
    /// Lower wins; `None` is the kernel's default.
    pub metric: Option<u32>,
}

/// A route as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Network and bits.
    pub to: (IpAddr, u8),
    /// Next hop.
    pub gateway: Option<IpAddr>,
    /// Number of the link.
    pub link: Option<u32>,
    /// Table number; 254 is the main one.
    pub table: u32,
    /// Unicast, local, broadcast … (`rtm_type`); 1 is unicast.
    pub kind: u8,
}

impl Batch {
    /// Makes a route, or replaces that with the same destination and metric.
    pub fn add_route(&mut self, new: &NewRoute) -> &mut Self {
        self.push(RTM_NEWROUTE, CREATE_REPLACE, format_args!("add route `{}/{}`", new.to.0, new.to.1), |w| body(w, new))
    }

    /// Removes a route.
    pub fn del_route(&mut self, old: &NewRoute) -> &mut Self {
        self.push(RTM_DELROUTE, 0, format_args!("delete route `{}/{}`", old.to.0, old.to.1), |w| body(w, old))
    }
}

impl Socket {
    /// All routes of all tables.
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        self.list("list routes", RTM_GETROUTE, &[0; 12], parse)
    }
}

fn body(w: &mut Writer, new: &NewRoute) {
    let scope = if new.gateway.is_some() { SCOPE_UNIVERSE } else { SCOPE_LINK };
    w.raw(&[family(new.to.0), new.to.1, 0, 0, MAIN, STATIC, scope, UNICAST, 0, 0, 0, 0]);
    if new.to.1 > 0 {
        w.attribute(RTA_DST, &ip_bytes(new.to.0));
    }
    if let Some(gateway) = new.gateway {
        w.attribute(RTA_GATEWAY, &ip_bytes(gateway));
    }
    if let Some(link) = new.link {
        w.u32(RTA_OIF, link);
    }
    if let Some(metric) = new.metric {
        w.u32(RTA_PRIORITY, metric);
    }
}

fn parse(message: &Message<'_>) -> Option<Route> {
    if message.kind != RTM_NEWROUTE {
        return None;
    }
    let head = message.body.get(..12)?;
    let any = match head[0] {
        2 => IpAddr::from([0; 4]),
        10 => IpAddr::from([0; 16]),
        _ => return None,
    };
    let mut route = Route { to: (any, head[1]), gateway: None, link: None, table: u32::from(head[4]), kind: head[7] };
    for (kind, payload) in attributes(&message.body[12..]) {
        match kind {
            RTA_DST => route.to.0 = ip(payload)?,
            RTA_GATEWAY => route.gateway = ip(payload),
            RTA_OIF => route.link = u32_at(payload, 0),
            RTA_TABLE => route.table = u32_at(payload, 0)?,
            _ => {}
        }
    }
    Some(route)
}
