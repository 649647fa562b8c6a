//! What the daemon says to us, and our answers. Version 1; additive only: a newer daemon talks to an older process.
//!
//! ```text
//!   SEQPACKET, one message each way, postcard:
//!     Put(Sandbox)  + 2 descriptors (UDP socket, TCP listener)   new, or again with fresh sockets
//!     Put(Sandbox)  + 0 descriptors                              names changed, sockets stay
//!     Drop{container}                                            nothing when it is unknown
//!     List                                                       → Sandboxes
//!     Publish{container, forwards} + one bound socket each       published ports, added to those that are there
//!     Publish{container, forwards} + 0 descriptors               the same ports lead elsewhere, sockets stay
//!     Unpublish{container}                                       closes them; nothing when it is unknown
//!     Published                                                  → Published
//!     Inside{container, sources} + 1 network namespace                its streams are led inside it from now on
//! ```

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Longest message: a thousand aliases of 63 octets fit.
pub(crate) const LONGEST: usize = 128 * 1024;

/// A question of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Names and sockets of a container.
    Put(Sandbox),
    /// It has ended.
    Drop {
        /// Which.
        container: String,
    },
    /// Whom do you know?
    List,
    /// Ports of a container.
    Publish {
        /// Whose.
        container: String,
        /// What leads where.
        forwards: Vec<Forward>,
    },
    /// Its ports are free again.
    Unpublish {
        /// Whose.
        container: String,
    },
    /// Whose ports do you hold?
    Published,
    /// Streams of its ports are to be led inside its namespace.
    Inside {
        /// Whose.
        container: String,
        /// Who the streams come from, as the container sees it: the machine's addresses on the container's network.
        sources: Vec<IpAddr>,
    },
}

/// Our answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It is so.
    Done,
    /// Identifiers of containers.
    Sandboxes(Vec<String>),
    /// It is not so.
    Refused(String),
    /// Containers, and how many ports of each are held.
    Published(Vec<(String, u32)>),
}

/// A transport that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP, as a stream.
    Sctp,
}

/// A published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Transport.
    pub transport: Transport,
    /// What its socket is bound to.
    pub listen: SocketAddr,
    /// Where it leads; `None` only keeps the port from being taken by somebody else.
    pub target: Option<SocketAddr>,
}

/// A container that asks, and that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Its identifier.
    pub container: String,
    /// Its places on networks.
    pub places: Vec<Place>,
    /// Who answers everything else; empty for nobody (internal networks).
    pub resolvers: Vec<SocketAddr>,
}

/// A place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Identifier of the network.
    pub network: String,
    /// Its name.
    pub network_name: String,
    /// Addresses there.
    pub addresses: Vec<IpAddr>,
    /// Names there, the first being the one that answers a reverse question.
    pub names: Vec<String>,
    /// Names there that only this container knows.
    pub aliases: Vec<Alias>,
}

/// A name of another container that only one knows (`--link other:alias`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The private name.
    pub alias: String,
    /// A name of the other.
    pub target: String,
}
