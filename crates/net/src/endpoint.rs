//! An endpoint: a container's place on a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::port::{PortBinding, PortRequest, Protocol};
use crate::{ContainerId, EndpointId, Mac, NetworkId, Options, Subnet};

/// A wish for a place on a network.
#[derive(Debug, Clone, Default)]
pub struct EndpointRequest {
    /// Name or identifier of the network.
    pub network: String,
    /// Static IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Static IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// MAC to use instead of one made from the address.
    pub mac: Option<Mac>,
    /// Names by which others on the network find this container: its name, short identifier, aliases, host name.
    pub dns_names: Vec<String>,
    /// Names that only this container knows (`--link` on networks of users): (name of the other, alias).
    pub links: Vec<(String, String)>,
    /// Further addresses of the interface (`--link-local-ip`).
    pub link_local: Vec<IpAddr>,
    /// Driver options of this endpoint.
    pub options: Options,
    /// The endpoint with the highest is the way out.
    pub gw_priority: i64,
}

/// What a container wants of the network at its start.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    /// Name of the container, for messages.
    pub name: String,
    /// Places, in the order of their interfaces.
    pub endpoints: Vec<EndpointRequest>,
    /// Ports to publish.
    pub ports: Vec<PortRequest>,
    /// Ports the image and the user declare (`EXPOSE`, `--expose`): what links may reach when containers may not talk.
    pub exposed: Vec<(u16, Protocol)>,
    /// Legacy links of the default bridge.
    pub links: Vec<Link>,
    /// Resolvers instead of the machine's (`--dns`), for names that are not ours.
    pub resolvers: Vec<IpAddr>,
}

/// A legacy link: this container may reach the exposed ports of another although containers may not talk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Whom it may reach.
    pub source: ContainerId,
}

/// An endpoint as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Identifier.
    pub id: EndpointId,
    /// Whose it is.
    pub container: ContainerId,
    /// The container's name when it was made.
    pub container_name: String,
    /// Where.
    pub network: NetworkId,
    /// Its name.
    pub network_name: String,
    /// Interface inside the container (`eth0`); empty without one.
    pub interface: String,
    /// Interface on the host (`veth…`); empty without one.
    pub host_interface: String,
    /// Ethernet address.
    pub mac: Option<Mac>,
    /// IPv4 address with the prefix of the subnet.
    pub ipv4: Option<Subnet>,
    /// IPv6 address with the prefix of the subnet.
    pub ipv6: Option<Subnet>,
    /// Way out for IPv4.
    pub gateway: Option<IpAddr>,
    /// Way out for IPv6.
    pub gateway6: Option<IpAddr>,
    /// The way out is the interface itself: there is no gateway to ask.
    #[serde(default)]
    pub routed: bool,
    /// Priority as the way out.
    pub gw_priority: i64,
    /// Names others find it by.
    pub dns_names: Vec<String>,
    /// Names of others that only it knows: (name of the other, alias).
    #[serde(default)]
    pub links: Vec<(String, String)>,
    /// Further addresses.
    #[serde(default)]
    pub link_local: Vec<Subnet>,
}

/// All that a running container has on the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Endpoints, in the order of their interfaces.
    pub endpoints: Vec<Endpoint>,
    /// Published ports.
    pub ports: Vec<PortBinding>,
    /// Exposed ports (for links).
    pub exposed: Vec<(u16, Protocol)>,
    /// Links of this container.
    pub links: Vec<Link>,
    /// There is a resolver at [`crate::DNS_ADDRESS`]: `/etc/resolv.conf` should name it and nobody else.
    #[serde(default)]
    pub dns: bool,
    /// Resolvers instead of the machine's.
    #[serde(default)]
    pub resolvers: Vec<IpAddr>,
}
