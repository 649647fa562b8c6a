//! What can go wrong, by what the caller can do about it. Where Docker has a sentence for it, the message is that sentence.

use std::net::IpAddr;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on networks that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such network, driver or plugin: kind and name.
    #[error("{0} not found")]
    NotFound(String),
    /// A container is not connected to the network it was said to be.
    #[error("container {container} is not connected to network {network}")]
    NotConnected {
        /// The container.
        container: String,
        /// The network.
        network: String,
    },
    /// Name taken, network in use, port in use: the state of the world forbids it.
    #[error("{0}")]
    Conflict(String),
    /// The wish itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// Not allowed on this kind of network (removing a predefined one, for example).
    #[error("{0}")]
    Forbidden(String),
    /// This kernel or this driver cannot.
    #[error("{0}")]
    Unsupported(String),
    /// The address is held by another endpoint.
    #[error("Address already in use")]
    AddressInUse(IpAddr),
    /// The pool has no free address left.
    #[error("no available IPv4 addresses on this network's address pools: {network} ({id})")]
    Exhausted {
        /// Name of the network.
        network: String,
        /// Its identifier.
        id: String,
    },
    /// The kernel refused a change of links, addresses, routes or rules.
    #[error(transparent)]
    Netlink(#[from] wharf_netlink::Error),
    /// The process that answers questions for names did not do what it should.
    #[error(transparent)]
    Names(wharf_netd::Error),
    /// A system call failed.
    #[error("{op}: {source}")]
    System {
        /// Operation and object.
        op: String,
        /// Why.
        source: std::io::Error,
    },
    /// A row could not be read or written.
    #[error(transparent)]
    State(#[from] wharf_state::Error),
    /// A row that this version cannot read.
    #[error("network row {key}: {source}")]
    Corrupt {
        /// Its key.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl Error {
    pub(crate) fn system(op: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> Self {
        let op = op.into();
        move |errno| Self::System { op, source: errno.into() }
    }
}
