//! Routing by a packet's mark (`RTM_NEWRULE`), and routes that make an address this machine's for such packets only.

use std::net::IpAddr;

use rustix::io::Errno;

use crate::Batch;
use crate::address::family;
use crate::attribute::ip_bytes;
use crate::batch::CREATE_EXCLUSIVE;

const RTM_NEWROUTE: u16 = 24;
const RTM_NEWRULE: u16 = 32;

const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_TABLE: u16 = 15;

/// The number stands in an attribute.
const LONG_TABLE: u8 = 252;
const TO_TABLE: u8 = 1;
const STATIC: u8 = 4;
const SCOPE_HOST: u8 = 254;
const LOCAL: u8 = 2;
const LOOPBACK: u32 = 1;

impl Batch {
    /// Packets that carry `mark` look into `table` before any other but the kernel's own. Of the family of `like`; one that
    /// is there already stays.
    pub fn add_mark_rule(&mut self, like: IpAddr, mark: u32, table: u32) -> &mut Self {
        self.push(RTM_NEWRULE, CREATE_EXCLUSIVE, format_args!("add a rule for mark {mark:#x}"), |w| {
            w.raw(&[family(like), 0, 0, 0, LONG_TABLE, 0, 0, TO_TABLE, 0, 0, 0, 0]);
            w.u32(FRA_PRIORITY, 1);
            w.u32(FRA_FWMARK, mark);
            w.u32(FRA_TABLE, table);
        })
        .tolerate(&[Errno::EXIST])
    }

    /// For who looks into `table`, `address` is our own, behind `lo`. One that is there already stays.
    pub fn add_own_address_route(&mut self, address: IpAddr, table: u32) -> &mut Self {
        let bytes = ip_bytes(address);
        let bits = if address.is_ipv4() { 32 } else { 128 };
        self.push(RTM_NEWROUTE, CREATE_EXCLUSIVE, format_args!("add local route `{address}`"), |w| {
            w.raw(&[family(address), bits, 0, 0, LONG_TABLE, STATIC, SCOPE_HOST, LOCAL, 0, 0, 0, 0]);
            w.attribute(RTA_DST, &bytes);
            w.u32(RTA_OIF, LOOPBACK);
            w.u32(RTA_TABLE, table);
        })
        .tolerate(&[Errno::EXIST])
    }
}
