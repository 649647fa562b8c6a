//! What a firewall is to let through: the same words for every back end.

use std::net::IpAddr;

use crate::port::{PortBinding, Protocol};
use crate::{GatewayMode, Subnet};

pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;

/// What the administrator decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Rules for IPv6 too.
    pub(crate) ipv6: bool,
    /// What the firewall does not lead to published ports, the proxy does.
    pub(crate) proxy: bool,
}

/// What the firewall knows about a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) link: String,
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) icc: bool,
    pub(crate) internal: bool,
    pub(crate) masquerade: bool,
    /// IPv4 and IPv6.
    pub(crate) modes: (GatewayMode, GatewayMode),
}

impl Bridge {
    pub(crate) fn mode(&self, v4: bool) -> GatewayMode {
        if v4 { self.modes.0 } else { self.modes.1 }
    }

    /// Whether what leaves gets the machine's address.
    pub(crate) fn masquerades(&self, v4: bool) -> bool {
        let translated = matches!(self.mode(v4), GatewayMode::Nat | GatewayMode::NatUnprotected);
        self.masquerade && !self.internal && translated
    }
}

/// A published port and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) binding: PortBinding,
    pub(crate) target: IpAddr,
}

/// A hole between two containers of a network where containers may not talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hole {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
}

/// All that is declared.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) bridges: Vec<Bridge>,
    pub(crate) ports: Vec<Published>,
    pub(crate) holes: Vec<Hole>,
}
