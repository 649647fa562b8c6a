//! A network: what was asked for, and the row it became.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{NetworkId, Subnet};

/// Options by name, as given with `-o`.
pub type Options = BTreeMap<String, String>;

/// How endpoints of a network are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A Linux bridge on this machine.
    Bridge,
    /// The machine's own stack.
    Host,
    /// Only `lo`. Docker's name for it is `null`.
    #[serde(rename = "null")]
    None,
    /// Sub-interfaces of a parent with MACs of their own.
    Macvlan,
    /// Sub-interfaces of a parent under its MAC.
    Ipvlan,
}

impl Driver {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "null",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        }
    }
}

/// Who made a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkRole {
    /// `bridge`, `host` and `none`: always there.
    Predefined,
    /// Created by a user.
    User,
}

/// Address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// One address pool of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamConfig {
    /// The subnet.
    pub subnet: Subnet,
    /// Addresses are given out of this part only.
    pub range: Option<Subnet>,
    /// Address of the bridge on the host (or of the router, with macvlan).
    pub gateway: Option<IpAddr>,
    /// Addresses that are never given out, by name.
    pub aux: BTreeMap<String, IpAddr>,
    /// The user named the subnet. Only then may an endpoint ask for an address.
    pub given: bool,
    /// The user named the gateway (shown without a prefix then).
    pub gateway_given: bool,
}

/// How endpoints of one family reach the world beyond their bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayMode {
    /// Over the bridge, with the machine's address.
    #[default]
    Nat,
    /// The same, and whoever outside has a route reaches every port by the container's own address.
    #[serde(rename = "nat-unprotected")]
    NatUnprotected,
    /// Over the bridge, with their own addresses; published ports are open at those, and none is taken on the machine.
    Routed,
    /// Not at all: the bridge itself has no address.
    Isolated,
}

/// What the bridge driver needs to know, parsed from the options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeOptions {
    /// Name of the link.
    pub link: String,
    /// Bytes; 0 lets the kernel choose.
    pub mtu: u32,
    /// Whether endpoints may talk to each other.
    pub icc: bool,
    /// Whether what leaves gets the host's address.
    pub masquerade: bool,
    /// Where ports are published that name no address.
    pub host_binding: Option<IpAddr>,
    /// How interfaces in containers are called, before the number.
    pub prefix: String,
    /// The link was there before us and stays when the network goes.
    pub foreign: bool,
    /// IPv4 beyond the bridge.
    #[serde(default)]
    pub mode4: GatewayMode,
    /// IPv6 beyond the bridge.
    #[serde(default)]
    pub mode6: GatewayMode,
    /// The bridge gets no IPv4 address: somebody else is the gateway.
    #[serde(default)]
    pub inhibit4: bool,
}

/// A network as it is. Immutable; a change makes a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Identifier.
    pub id: NetworkId,
    /// Name; unique.
    pub name: String,
    /// Nanoseconds since 1970.
    pub created: i64,
    /// Predefined or of a user.
    pub role: NetworkRole,
    /// Driver.
    pub driver: Driver,
    /// No way out and none in.
    pub internal: bool,
    /// Manually attachable (a flag that is kept and shown).
    pub attachable: bool,
    /// Ingress flag (kept and shown).
    pub ingress: bool,
    /// Whether there is IPv4 on it.
    pub ipv4: bool,
    /// Whether there is IPv6 on it.
    pub ipv6: bool,
    /// Name of the IPAM driver.
    pub ipam_driver: String,
    /// Options of the IPAM driver; `None` is shown as null.
    pub ipam_options: Option<Options>,
    /// Pools, IPv4 and IPv6.
    pub pools: Vec<IpamConfig>,
    /// Options as given, for the user to see.
    pub options: Options,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// For the bridge driver.
    pub bridge: Option<BridgeOptions>,
    /// For macvlan and ipvlan: parent interface; `None` is a dummy of the network's own.
    pub parent: Option<String>,
    /// The parent was made for this network and goes with it.
    #[serde(default)]
    pub parent_ours: bool,
    /// Nothing but a configuration for other networks: there is nothing of it in the kernel, and nobody can be on it.
    #[serde(default)]
    pub config_only: bool,
    /// Name of the network whose configuration this one has; empty for its own.
    #[serde(default)]
    pub config_from: String,
}

impl BridgeOptions {
    /// How endpoints of a family reach the world.
    pub fn mode(&self, family: Family) -> GatewayMode {
        match family {
            Family::V4 => self.mode4,
            Family::V6 => self.mode6,
        }
    }
}

/// A wish for a network, one field for each of the API's.
#[derive(Debug, Clone, Default)]
pub struct NetworkRequest {
    /// Name.
    pub name: String,
    /// Driver; empty means bridge.
    pub driver: String,
    /// No way out.
    pub internal: bool,
    /// Attachable flag.
    pub attachable: bool,
    /// Ingress flag.
    pub ingress: bool,
    /// `None` is the default (yes).
    pub ipv4: Option<bool>,
    /// `None` is the default (no).
    pub ipv6: Option<bool>,
    /// IPAM driver; empty means `default`.
    pub ipam_driver: String,
    /// IPAM options.
    pub ipam_options: Option<Options>,
    /// Pools: subnet, range, gateway, auxiliary addresses as written.
    pub pools: Vec<PoolRequest>,
    /// Driver options.
    pub options: Options,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Only a configuration for others.
    pub config_only: bool,
    /// Name of the network to take the configuration from.
    pub config_from: Option<String>,
}

/// One entry of `IPAM.Config` as written; empty texts are absent.
#[derive(Debug, Clone, Default)]
pub struct PoolRequest {
    /// Subnet in CIDR notation.
    pub subnet: String,
    /// Range in CIDR notation.
    pub range: String,
    /// Gateway address.
    pub gateway: String,
    /// Auxiliary addresses.
    pub aux: BTreeMap<String, String>,
}

/// The answer to a create.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its identifier.
    pub id: NetworkId,
    /// What the user should know; empty if nothing.
    pub warning: String,
}
