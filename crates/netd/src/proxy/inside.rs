//! Streams led inside the container's own network namespace, over its `lo`: packets of 64 KiB that pass no pair of links, no
//! bridge and no firewall. The container still sees who it would see over the bridge, the machine's address there.
//!
//! ```text
//!   our socket, made inside: mark M, from the machine's address ── lo ──► the container's address and port
//!   the container's answer   inherits M (tcp_fwmark_accept) ── rule: M → table M: the machine's address is local ── lo ──► us
//! ```
//!
//! What is not marked goes where it always went: the container reaches the machine over its interface. A process of the
//! container that marks its own packets (which takes a capability) reaches only itself by it.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use wharf_netlink::{Batch, LinkName, Socket};

/// On packets of ours inside, and the number of the routing table for the answers.
const MARK: u32 = 0x7768_6672;

/// Bytes of a packet over `lo`.
const PACKET: u32 = 256 << 10;

/// A container's namespace, with the addresses that streams come from there.
pub(super) struct Room {
    netns: OwnedFd,
    home: OwnedFd,
    ways: Vec<Way>,
}

/// One family.
struct Way {
    source: IpAddr,
    /// Rule and route are there.
    ready: bool,
}

impl Room {
    pub(super) fn new(netns: OwnedFd, sources: Vec<IpAddr>) -> Result<Self, Errno> {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        let home = rustix::fs::open("/proc/thread-self/ns/net", flags, rustix::fs::Mode::empty())?;
        let ways = sources.into_iter().map(|source| Way { source, ready: false }).collect();
        Ok(Self { netns, home, ways })
    }

    /// Begins to connect from inside; `None` where that is not possible.
    pub(super) fn connect(&mut self, target: SocketAddr) -> Option<OwnedFd> {
        let index = self.ways.iter().position(|way| way.source.is_ipv4() == target.is_ipv4())?;
        let way = &mut self.ways[index];
        let begun = within(&self.netns, &self.home, || {
            if !way.ready {
                prepare(way.source)?;
                way.ready = true;
            }
            begin(way.source, target)
        });
        match begun {
            Ok(socket) => Some(socket),
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => None,
            Err(_) => {
                self.close(target);
                None
            }
        }
    }

    /// It is of no use for targets of this family.
    pub(super) fn close(&mut self, target: SocketAddr) {
        self.ways.retain(|way| way.source.is_ipv4() != target.is_ipv4());
    }
}

/// Runs `f` inside; it must be short.
fn within<T>(netns: &OwnedFd, home: &OwnedFd, f: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    struct Back<'a>(&'a OwnedFd);
    impl Drop for Back<'_> {
        fn drop(&mut self) {
            if enter(self.0).is_err() {
                // going on would let us work in a container's network
                std::process::abort();
            }
        }
    }
    enter(netns)?;
    let _back = Back(home);
    f()
}

fn enter(netns: &OwnedFd) -> Result<(), Errno> {
    move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))
}

/// Makes the namespace lead marked packets for `source` to us.
fn prepare(source: IpAddr) -> Result<(), Errno> {
    let refused = |error: wharf_netlink::Error| error.errno().unwrap_or(Errno::IO);
    let mut batch = Batch::new();
    batch.add_mark_rule(source, MARK, MARK).add_own_address_route(source, MARK);
    let mut socket = Socket::route().map_err(refused)?;
    socket.run(&batch).map_err(refused)?;
    // faster still, where the kernel can: what goes over `lo` meets no network card that would have to cut it up
    let _ = socket.run(Batch::new().set_largest_packet(LinkName::Name("lo"), PACKET));
    // the answers of a socket, and those where there is none
    let reflect = if source.is_ipv4() { "ipv4" } else { "ipv6" };
    for setting in ["/proc/sys/net/ipv4/tcp_fwmark_accept", &format!("/proc/sys/net/{reflect}/fwmark_reflect")] {
        std::fs::write(setting, "1").map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    }
    Ok(())
}

fn begin(source: IpAddr, target: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    wharf_sys::net::speak_as(&socket, SocketAddr::new(source, 0), MARK)?;
    match connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}
