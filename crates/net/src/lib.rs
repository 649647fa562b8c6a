//! Networks, endpoints, address management, drivers, port maps: Docker's container network model on one machine.
//!
//! ```text
//!   sandbox (a network namespace, held by a descriptor only) ── endpoint (veth, address, MAC) ── network (bridge, subnet)
//! ```
//!
//! [`Networks`] is the whole interface. Its operations are synchronous and idempotent, undo what they did when they
//! fail, and know nothing of a container beyond its identifier and its namespace.
//!
//! | module | owns |
//! | --- | --- |
//! | `networks` | the operations |
//! | `inner` | what they share: locks, sockets, settings |
//! | `world` | rows in memory, and what follows from them |
//! | `create` | a wish for a network, validated into a [`Network`] |
//! | `ipam` | which address of a pool is free |
//! | `bridge` | the bridge driver: links, addresses, routes |
//! | `firewall` | which firewall stands, and changes of it: our one nftables table, or Docker's chains in those of `iptables` |
//! | `explain` | what is open and why, in words |
//! | `dns` | names for containers, answered by `wharf-netd` |
//! | `port` | published ports: forms, ranges, conflicts |
//! | `netns` | namespaces without a name, and a pool of them |

mod address;
mod attach;
mod bridge;
mod config;
mod create;
mod departure;
mod dns;
mod endpoint;
mod error;
mod explain;
mod firewall;
mod graves;
mod guard;
mod heal;
mod inner;
mod ipam;
mod machine;
mod macvlan;
mod netns;
mod network;
mod networks;
mod port;
mod predefined;
mod publish;
mod reconcile;
mod rows;
mod sysctl;
mod world;

pub use address::{Mac, Subnet};
pub use config::{Config, DefaultBridge, DefaultBridge6, Firewall, NameServer};
pub use dns::ADDRESS as DNS_ADDRESS;
pub use endpoint::{Attach, Endpoint, EndpointRequest, Link, Sandbox};
pub use error::{Error, Result};
pub use explain::{Explanation, Fact};
pub use netns::Netns;
pub use network::{
    BridgeOptions, Created, Driver, Family, GatewayMode, IpamConfig, Network, NetworkRequest, NetworkRole, Options,
    PoolRequest,
};
pub use networks::{Live, Networks};
pub use port::{PortBinding, PortRequest, Protocol};
pub use wharf_spec::id::{ContainerId, EndpointId, NetworkId};
