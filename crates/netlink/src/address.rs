//! Addresses of links (`RTM_*ADDR`).

use std::net::IpAddr;

use crate::attribute::{Message, Writer, attributes, ip, ip_bytes, u32_at};
use crate::batch::CREATE_REPLACE;
use crate::{Batch, Result, Socket};

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
/// No duplicate address detection: the address works at once, and we know that nobody else has it.
const NODAD: u32 = 2;

/// An address to give to a link.
#[derive(Debug, Clone, Copy)]
pub struct NewAddress {
    /// Number of the link.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// Bits of its subnet.
    pub prefix: u8,
    /// Last address of an IPv4 subnet.
    pub broadcast: Option<IpAddr>,
}

/// An address as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Number of the link.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// Bits of its subnet.
    pub prefix: u8,
    /// 0 is everywhere, 253 this link only, 254 this host only.
    pub scope: u8,
}

impl Batch {
    /// Gives a link an address; does nothing if it has it.
    pub fn add_address(&mut self, new: &NewAddress) -> &mut Self {
        let label = format!("add address `{}/{}` to link {}", new.address, new.prefix, new.link);
        self.push(RTM_NEWADDR, CREATE_REPLACE, label, |w| body(w, new))
    }

    /// Takes an address from a link.
    pub fn del_address(&mut self, old: &NewAddress) -> &mut Self {
        let label = format!("delete address `{}/{}` of link {}", old.address, old.prefix, old.link);
        self.push(RTM_DELADDR, 0, label, |w| body(w, old))
    }
}

impl Socket {
    /// All addresses of all links.
    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        self.list("list addresses", RTM_GETADDR, &[0; 8], parse)
    }
}

/// `AF_INET` or `AF_INET6`.
pub(crate) fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { 2 } else { 10 }
}

fn body(w: &mut Writer, new: &NewAddress) {
    w.raw(&[family(new.address), new.prefix, 0, 0]);
    w.raw(&new.link.to_ne_bytes());
    let bytes = ip_bytes(new.address);
    w.attribute(IFA_LOCAL, &bytes);
    w.attribute(IFA_ADDRESS, &bytes);
    if let Some(broadcast) = new.broadcast {
        w.attribute(IFA_BROADCAST, &ip_bytes(broadcast));
    }
    if new.address.is_ipv6() {
        w.u32(IFA_FLAGS, NODAD);
    }
}

fn parse(message: &Message<'_>) -> Option<Address> {
    if message.kind != RTM_NEWADDR {
        return None;
    }
    let head = message.body.get(..8)?;
    // the far end of a point-to-point link is in IFA_ADDRESS, our own in IFA_LOCAL
    let mut local = None;
    let mut address = None;
    for (kind, payload) in attributes(&message.body[8..]) {
        match kind {
            IFA_LOCAL => local = ip(payload),
            IFA_ADDRESS => address = ip(payload),
            _ => {}
        }
    }
    Some(Address { link: u32_at(head, 4)?, address: local.or(address)?, prefix: head[1], scope: head[3] })
}
