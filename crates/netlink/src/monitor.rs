//! Broadcasts of the kernel: links that went, and changes of the firewall by anybody.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, netlink};

use crate::attribute::{Message, attributes, messages, text};
use crate::link::{Link, parse_body};
use crate::socket::{open, receive};
use crate::{Error, Result};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A link went.
    LinkGone(Link),
    /// A link is there or changed.
    Link(Link),
    /// A table, chain, rule, set or element went.
    RulesGone {
        /// Name of its table.
        table: String,
        /// Whose doing it was ([`crate::Socket::port`]).
        port: u32,
    },
    /// Broadcasts were lost: anything may have happened.
    Unknown,
}

/// A listener. Belongs to the namespace in which it was opened.
#[derive(Debug)]
pub struct Monitor {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Listens for links.
    pub fn links() -> Result<Self> {
        const GROUP_LINK: u32 = 1;
        Ok(Self { fd: open(None, GROUP_LINK)?, buffer: vec![0; 32 * 1024] })
    }

    /// Listens for changes of nftables.
    pub fn rules() -> Result<Self> {
        const GROUP_NFTABLES: u32 = 7;
        let fd = open(Some(netlink::NETFILTER), 0)?;
        wharf_sys::netlink::join(&fd, GROUP_NFTABLES)
            .map_err(|errno| Error::Socket { op: "netlink join group", errno })?;
        Ok(Self { fd, buffer: vec![0; 64 * 1024] })
    }

    /// What happened since the last call; empty if nothing. Never waits: poll the descriptor.
    pub fn changes(&mut self) -> Result<Vec<Change>> {
        let mut found = Vec::new();
        loop {
            match receive(self.fd.as_fd(), &mut self.buffer, RecvFlags::DONTWAIT) {
                Ok(None) => return Ok(found),
                Ok(Some(length)) => {
                    found.extend(messages(&self.buffer[..length]).filter_map(|m| change(&m)));
                }
                Err(Error::Malformed(_) | Error::Socket { errno: Errno::NOBUFS, .. }) => found.push(Change::Unknown),
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn change(message: &Message<'_>) -> Option<Change> {
    let (kind, body) = (message.kind, message.body);
    const RTM_NEWLINK: u16 = 16;
    const RTM_DELLINK: u16 = 17;
    const NFTABLES: u16 = 10;
    // a bridge's view of one of its ports: that it left says nothing about the link
    const AF_BRIDGE: u8 = 7;
    match kind {
        RTM_NEWLINK | RTM_DELLINK if body.first() == Some(&AF_BRIDGE) => None,
        RTM_NEWLINK => parse_body(body).map(Change::Link),
        RTM_DELLINK => parse_body(body).map(Change::LinkGone),
        _ if kind >> 8 == NFTABLES && crate::nft::is_removal(kind & 0xff) => {
            // in every such message the table's name is the first attribute
            let name = attributes(body.get(4..)?).find(|(kind, _)| *kind == 1);
            name.map(|(_, name)| Change::RulesGone { table: text(name), port: message.port })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_broadcast_is_survived(kind: u16, body in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = change(&Message { kind, flags: 0, sequence: 0, port: 0, body: &body });
        }
    }
}
