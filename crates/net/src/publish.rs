//! Which host port a wish for one gets: table of what is published, ranges, and a bound socket as the proof that it is free.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt};

use crate::port::{PortBinding, PortRequest, Protocol};
use crate::{Error, Result};

/// Everything that is published on this machine. A socket is bound for each, so that no other program takes the port.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    held: BTreeMap<(Protocol, u16), Vec<Held>>,
    /// Where the search for any port goes on: a port just given back is not given out at once.
    next: u16,
}

#[derive(Debug)]
struct Held {
    address: IpAddr,
    /// `None` where the kernel has no such transport.
    _socket: Option<OwnedFd>,
}

/// How wishes are met that leave something open.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) range: RangeInclusive<u16>,
    pub(crate) default_ip: Option<IpAddr>,
    /// The container has IPv6, or the machine has: publish on `[::]` too.
    pub(crate) ipv6: bool,
}

impl Ports {
    /// Takes all ports of a container, or none. Ranges of the same length are matched one to one by the caller.
    pub(crate) fn take(&mut self, wishes: &[PortRequest], policy: &Policy) -> Result<Vec<PortBinding>> {
        let mut taken = Vec::with_capacity(wishes.len());
        for wish in wishes {
            match self.take_one(wish, policy) {
                Ok(bindings) => taken.extend(bindings),
                Err(error) => {
                    self.give_back(&taken);
                    return Err(error);
                }
            }
        }
        Ok(taken)
    }

    fn take_one(&mut self, wish: &PortRequest, policy: &Policy) -> Result<Vec<PortBinding>> {
        let addresses = match wish.host_ip.or(policy.default_ip) {
            None if policy.ipv6 => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            None => vec![Ipv4Addr::UNSPECIFIED.into()],
            Some(address) => vec![address],
        };
        let range = wish.host_port.clone().unwrap_or_else(|| policy.range.clone());
        let exact = range.start() == range.end();
        let mut last = None;
        for port in self.candidates(&range, wish.host_port.is_none()) {
            match self.hold(wish.protocol, &addresses, port) {
                Ok(()) => {
                    if wish.host_port.is_none() {
                        self.next = port.checked_add(1).unwrap_or(0);
                    }
                    let binding = |host_ip| PortBinding {
                        container_port: wish.container_port,
                        protocol: wish.protocol,
                        host_ip,
                        host_port: port,
                    };
                    return Ok(addresses.into_iter().map(binding).collect());
                }
                Err(error) if exact => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::Conflict("all ports are allocated".into())))
    }

    /// The ports of a range in the order in which they are tried.
    fn candidates(&self, range: &RangeInclusive<u16>, any: bool) -> impl Iterator<Item = u16> + use<> {
        let start = if any && range.contains(&self.next) { self.next } else { *range.start() };
        (start..=*range.end()).chain(*range.start()..start)
    }

    fn hold(&mut self, protocol: Protocol, addresses: &[IpAddr], port: u16) -> Result<()> {
        let there = self.held.get(&(protocol, port)).map_or(&[][..], Vec::as_slice);
        for address in addresses {
            if there.iter().any(|h| clash(h.address, *address)) {
                let host = SocketAddr::new(*address, port);
                return Err(Error::Conflict(format!("Bind for {host} failed: port is already allocated")));
            }
        }
        let mut sockets = Vec::new();
        if let [v4, v6] = addresses {
            // every address of both families: one socket stands for both
            if let Ok(socket) = reserve(protocol, *v6, port, false) {
                sockets = vec![Held { address: *v6, _socket: socket }, Held { address: *v4, _socket: None }];
            }
        }
        let left = if sockets.is_empty() { addresses } else { &[] };
        for address in left {
            match reserve(protocol, *address, port, true) {
                Ok(socket) => sockets.push(Held { address: *address, _socket: socket }),
                // no IPv6 on this machine: nobody can take that port away
                Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if address.is_ipv6() && address.is_unspecified() => {
                    sockets.push(Held { address: *address, _socket: None });
                }
                Err(errno) => return Err(refused(protocol, SocketAddr::new(*address, port), errno)),
            }
        }
        self.held.entry((protocol, port)).or_default().extend(sockets);
        Ok(())
    }

    /// Lets ports go.
    pub(crate) fn give_back(&mut self, bindings: &[PortBinding]) {
        for binding in bindings {
            let key = (binding.protocol, binding.host_port);
            if let Some(list) = self.held.get_mut(&key) {
                list.retain(|h| h.address != binding.host_ip);
                if list.is_empty() {
                    self.held.remove(&key);
                }
            }
        }
    }

    /// Takes ports that a running container has from before; a program that took one meanwhile only costs the proof.
    pub(crate) fn adopt(&mut self, bindings: &[PortBinding]) {
        for b in bindings {
            let socket = reserve(b.protocol, b.host_ip, b.host_port, true).ok().flatten();
            let list = self.held.entry((b.protocol, b.host_port)).or_default();
            list.retain(|h| h.address != b.host_ip);
            list.push(Held { address: b.host_ip, _socket: socket });
        }
    }
}

/// Whether two addresses cannot both have the same port.
fn clash(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4() && (a == b || a.is_unspecified() || b.is_unspecified())
}

fn refused(protocol: Protocol, host: SocketAddr, errno: Errno) -> Error {
    let why = match errno {
        Errno::ADDRINUSE => "address already in use".to_owned(),
        Errno::ADDRNOTAVAIL => "cannot assign requested address".to_owned(),
        _ => std::io::Error::from(errno).to_string(),
    };
    Error::Conflict(format!("failed to bind host port {host}/{}: {why}", protocol.as_str()))
}

/// A bound socket that never listens: the port is ours, and what arrives is rewritten before it gets here.
fn reserve(protocol: Protocol, address: IpAddr, port: u16, only_v6: bool) -> Result<Option<OwnedFd>, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let socket = match socket_with(family, kind, SocketFlags::CLOEXEC, Some(number)) {
        Ok(socket) => socket,
        Err(Errno::PROTONOSUPPORT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, only_v6)?;
    }
    bind(&socket, &SocketAddr::new(address, port))?;
    Ok(Some(socket))
}
