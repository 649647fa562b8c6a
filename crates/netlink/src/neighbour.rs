//! Who has which address on a link, and behind which port a MAC is (`RTM_*NEIGH`).

use std::net::IpAddr;

use crate::Batch;
use crate::address::family;
use crate::attribute::{Writer, ip_bytes};
use crate::batch::CREATE_REPLACE;

const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const AF_BRIDGE: u8 = 7;

/// An entry of a neighbour table or of a bridge's (or vxlan's) forwarding table.
#[derive(Debug, Clone, Copy)]
pub struct Neighbour {
    /// Number of the link.
    pub link: u32,
    /// Address of the neighbour; with `forwarding` the remote end of a vxlan, or `None`.
    pub address: Option<IpAddr>,
    /// Its MAC.
    pub mac: [u8; 6],
    /// An entry of the forwarding table.
    pub forwarding: bool,
    /// Never ages.
    pub permanent: bool,
}

impl Batch {
    /// Writes an entry, new or instead of the old one.
    pub fn add_neighbour(&mut self, new: &Neighbour) -> &mut Self {
        self.push(RTM_NEWNEIGH, CREATE_REPLACE, format_args!("add neighbour on link {}", new.link), |w| body(w, new))
    }

    /// Removes an entry.
    pub fn del_neighbour(&mut self, old: &Neighbour) -> &mut Self {
        self.push(RTM_DELNEIGH, 0, format_args!("delete neighbour on link {}", old.link), |w| body(w, old))
    }
}

fn body(w: &mut Writer, entry: &Neighbour) {
    const SELF: u8 = 2;
    const MASTER: u8 = 4;
    const REACHABLE: u16 = 2;
    const STALE: u16 = 4;
    const PERMANENT: u16 = 0x80;
    let (af, flags) = match (entry.forwarding, entry.address) {
        (true, Some(_)) => (AF_BRIDGE, SELF),
        (true, None) => (AF_BRIDGE, MASTER),
        (false, Some(address)) => (family(address), 0),
        (false, None) => (0, 0),
    };
    let state = match (entry.permanent, entry.forwarding) {
        (true, _) => PERMANENT,
        (false, true) => REACHABLE,
        (false, false) => STALE,
    };
    w.raw(&[af, 0, 0, 0]);
    w.raw(&entry.link.to_ne_bytes());
    w.raw(&state.to_ne_bytes());
    w.raw(&[flags, 0]);
    if let Some(address) = entry.address {
        w.attribute(NDA_DST, &ip_bytes(address));
    }
    w.attribute(NDA_LLADDR, &entry.mac);
}
