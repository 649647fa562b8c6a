//! What the daemon was told about networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::{Subnet, ipam};

/// Whose rules let packets in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Firewall {
    /// One nftables table of our own.
    #[default]
    Nftables,
    /// Docker's chains, in the tables that `iptables` shows.
    Iptables,
    /// None of ours: containers reach no further than the machine, published ports go through the proxy only.
    Off,
}

impl Firewall {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
            Self::Off => "none",
        }
    }
}

/// What the daemon was told about networks.
#[derive(Debug, Clone)]
pub struct Config {
    /// The default bridge.
    pub bridge: DefaultBridge,
    /// Switch on forwarding between interfaces.
    pub ip_forward: bool,
    /// Give what leaves the default bridge the host's address.
    pub ip_masq: bool,
    /// Whether containers on the default bridge may talk to each other.
    pub icc: bool,
    /// Where ports are published that name no address.
    pub host_binding: Option<IpAddr>,
    /// Ports for those who ask for any.
    pub publish_range: RangeInclusive<u16>,
    /// Pools that subnets are taken from: (pool, prefix of each subnet).
    pub pools: Vec<(Subnet, u8)>,
    /// How many namespaces are kept ready.
    pub ready_namespaces: usize,
    /// How packets are let in and out.
    pub firewall: Firewall,
    /// Rules for IPv6 too.
    pub ip6_firewall: bool,
    /// Lead what the firewall does not to published ports (loopback of some firewalls, IPv6 to containers without it).
    pub userland_proxy: bool,
    /// Who answers questions for names and holds published ports; `None` for nobody, and ourselves.
    pub name_server: Option<NameServer>,
}

/// The process `wharf-netd`.
#[derive(Debug, Clone)]
pub struct NameServer {
    /// Started when nobody answers at the socket and a container needs names.
    pub executable: PathBuf,
    /// Its socket.
    pub socket: PathBuf,
}

/// The network `bridge`.
#[derive(Debug, Clone)]
pub enum DefaultBridge {
    /// `--bridge=none`: there is none.
    Disabled,
    /// One of ours, or one that was there (`--bridge=br7`).
    Enabled {
        /// Name of the link.
        link: String,
        /// Address of the bridge with the prefix of its subnet (`--bip`); `None` takes the first pool that is free.
        bip: Option<Subnet>,
        /// Addresses are given out of this part only (`--fixed-cidr`).
        fixed_cidr: Option<Subnet>,
        /// Gateway to tell containers instead of the bridge (`--default-gateway`).
        gateway: Option<Ipv4Addr>,
        /// Bytes (`--mtu`); 0 takes 1500.
        mtu: u32,
        /// IPv6 on it (`--ipv6`).
        ipv6: Option<DefaultBridge6>,
    },
}

/// IPv6 on the network `bridge`.
#[derive(Debug, Clone, Default)]
pub struct DefaultBridge6 {
    /// Address of the bridge with the prefix of its subnet (`--bip6`); `None` takes `fixed_cidr`, or a unique local one.
    pub bip: Option<Subnet>,
    /// Addresses are given out of this part only (`--fixed-cidr-v6`).
    pub fixed_cidr: Option<Subnet>,
    /// Gateway to tell containers instead of the bridge (`--default-gateway-v6`).
    pub gateway: Option<Ipv6Addr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bridge: DefaultBridge::Enabled {
                link: "docker0".into(),
                bip: None,
                fixed_cidr: None,
                gateway: None,
                mtu: 0,
                ipv6: None,
            },
            ip_forward: true,
            ip_masq: true,
            icc: true,
            host_binding: None,
            publish_range: 32768..=60999,
            pools: Vec::new(),
            ready_namespaces: 4,
            firewall: Firewall::default(),
            ip6_firewall: true,
            userland_proxy: true,
            name_server: None,
        }
    }
}

impl Config {
    pub(crate) fn pools(&self) -> Vec<(Subnet, u8)> {
        if self.pools.is_empty() { ipam::default_pools() } else { self.pools.clone() }
    }
}
