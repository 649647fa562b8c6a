//! Which host port a wish for one gets: table of what is published, ranges, and a bound socket as the proof that it is free.
//!
//! The sockets go to `wharf-netd`, which keeps them while this daemon is away; without it they stay here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};

use wharf_netd::{Forward, Transport};

use crate::inner::Inner;
use crate::port::{PortBinding, PortRequest, Protocol};
use crate::{ContainerId, Error, Netns, Result, Sandbox};

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
    /// `None` when another process has it, and where the kernel has no such transport.
    socket: Option<OwnedFd>,
}

/// How wishes are met that leave something open.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) range: RangeInclusive<u16>,
    pub(crate) default_ip: Option<IpAddr>,
    /// The container has IPv6, or the machine has: publish on `[::]` too.
    pub(crate) ipv6: bool,
    /// The sockets will be listened on, which the kernel must be able to.
    pub(crate) proxy: bool,
    /// Families (IPv4, IPv6) whose ports are open at the container's own address instead.
    pub(crate) routed: (bool, bool),
    /// The container's address, for messages.
    pub(crate) target: Option<IpAddr>,
}

/// Accepted connections that wait: what Go's runtime (and so Docker's proxy) has on Linux.
const BACKLOG: i32 = 4096;

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
        let binding = |host_ip, host_port| PortBinding {
            container_port: wish.container_port,
            protocol: wish.protocol,
            host_ip,
            host_port,
        };
        let is_routed = |ip: &IpAddr| if ip.is_ipv4() { policy.routed.0 } else { policy.routed.1 };
        let (routed, addresses): (Vec<_>, Vec<_>) = addresses.into_iter().partition(is_routed);
        let unspecified = |ip: IpAddr| match ip {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut bindings: Vec<_> = routed.into_iter().map(|ip| binding(unspecified(ip), 0)).collect();
        if addresses.is_empty() {
            return Ok(bindings);
        }
        let range = wish.host_port.clone().unwrap_or_else(|| policy.range.clone());
        let exact = range.start() == range.end();
        let mut last = None;
        for port in self.candidates(&range, wish.host_port.is_none()) {
            match self.hold(wish, policy, &addresses, port) {
                Ok(()) => {
                    if wish.host_port.is_none() {
                        self.next = port.checked_add(1).unwrap_or(0);
                    }
                    bindings.extend(addresses.into_iter().map(|ip| binding(ip, port)));
                    return Ok(bindings);
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

    fn hold(&mut self, wish: &PortRequest, policy: &Policy, addresses: &[IpAddr], port: u16) -> Result<()> {
        let protocol = wish.protocol;
        let there = self.held.get(&(protocol, port)).map_or(&[][..], Vec::as_slice);
        for address in addresses {
            if let Some(held) = there.iter().find(|h| clash(h.address, *address)) {
                let text = format!("Bind for {}:{port} failed: port is already allocated", held.address);
                return Err(Error::Conflict(text));
            }
        }
        let mut sockets = Vec::new();
        if let [v4, v6] = addresses {
            // every address of both families: one socket stands for both
            if let Ok(socket) = reserve(protocol, *v6, port, false, policy.proxy) {
                sockets = vec![Held { address: *v6, socket }, Held { address: *v4, socket: None }];
            }
        }
        let left = if sockets.is_empty() { addresses } else { &[] };
        for address in left {
            match reserve(protocol, *address, port, true, policy.proxy) {
                Ok(socket) => sockets.push(Held { address: *address, socket }),
                // no IPv6 on this machine: nobody can take that port away
                Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if address.is_ipv6() && address.is_unspecified() => {
                    sockets.push(Held { address: *address, socket: None });
                }
                Err(errno) => return Err(refused(wish, policy, *address, port, errno)),
            }
        }
        self.held.entry((protocol, port)).or_default().extend(sockets);
        Ok(())
    }

    /// The sockets of ports, for `wharf-netd` to keep, each with what it is bound to.
    fn hand_over(&mut self, bindings: &[PortBinding]) -> Vec<(PortBinding, OwnedFd)> {
        let mut sockets = Vec::with_capacity(bindings.len());
        for b in bindings {
            let list = self.held.get_mut(&(b.protocol, b.host_port)).into_iter().flatten();
            let socket = list.filter(|h| h.address == b.host_ip).find_map(|h| h.socket.take());
            sockets.extend(socket.map(|socket| (*b, socket)));
        }
        sockets
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
    pub(crate) fn adopt(&mut self, bindings: &[PortBinding], proxy: bool) {
        for b in bindings.iter().filter(|b| !b.is_routed()) {
            let socket = reserve(b.protocol, b.host_ip, b.host_port, true, proxy).ok().flatten();
            let list = self.held.entry((b.protocol, b.host_port)).or_default();
            list.retain(|h| h.address != b.host_ip);
            list.push(Held { address: b.host_ip, socket });
        }
    }
}

/// Whether two addresses cannot both have the same port.
fn clash(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4() && (a == b || a.is_unspecified() || b.is_unspecified())
}

fn refused(wish: &PortRequest, policy: &Policy, host: IpAddr, port: u16, errno: Errno) -> Error {
    let protocol = wish.protocol.as_str();
    let why = match errno {
        Errno::ADDRINUSE => "address already in use".to_owned(),
        Errno::ADDRNOTAVAIL => "cannot assign requested address".to_owned(),
        Errno::PROTONOSUPPORT => {
            let host = SocketAddr::new(host, port);
            let text = format!("error starting userland proxy: failed to listen on {host}: protocol not supported");
            return Error::Conflict(text);
        }
        _ => std::io::Error::from(errno).to_string(),
    };
    let target = policy.target.map(|ip| format!("{}:", plain(ip))).unwrap_or_default();
    let host = plain(host);
    let container_port = wish.container_port;
    Error::Conflict(format!("failed to bind host port for {host}:{port}:{target}{container_port}/{protocol}: {why}"))
}

fn plain(ip: IpAddr) -> String {
    if ip.is_ipv4() { ip.to_string() } else { format!("[{ip}]") }
}

/// A bound socket: the port is ours. What arrives is mostly rewritten before it gets here.
fn reserve(
    protocol: Protocol,
    address: IpAddr,
    port: u16,
    only_v6: bool,
    proxy: bool,
) -> Result<Option<OwnedFd>, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let socket = match socket_with(family, kind, SocketFlags::CLOEXEC, Some(number)) {
        Ok(socket) => socket,
        // packets of a transport that only others have can still be led to them
        Err(Errno::PROTONOSUPPORT) if !proxy => return Ok(None),
        Err(errno) => return Err(errno),
    };
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, only_v6)?;
    }
    let listens = proxy && kind == SocketType::STREAM;
    if listens {
        // closed connections of the last one who had the port are no obstacle; whoever listens still is
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &SocketAddr::new(address, port))?;
    if listens {
        listen(&socket, BACKLOG)?;
    }
    Ok(Some(socket))
}

impl Inner {
    /// `wharf-netd` takes the sockets of a container's ports, and leads what the firewall does not.
    pub(crate) fn open_ports(&self, container: &ContainerId, sandbox: &Sandbox, netns: Option<&Netns>) -> Result<()> {
        let Some(client) = self.names.as_ref().filter(|_| !sandbox.ports.is_empty()) else { return Ok(()) };
        let sockets = self.world().ports.hand_over(&sandbox.ports);
        let forwards = |(b, socket)| (self.forward(sandbox, &b), socket);
        let forwards: Vec<_> = sockets.into_iter().map(forwards).collect();
        client.publish(container.as_str(), &forwards).map_err(Error::Names)?;
        self.lead_inside(container, sandbox, netns);
        Ok(())
    }

    /// Streams over loopback may take the short way, through the container's own namespace.
    fn lead_inside(&self, container: &ContainerId, sandbox: &Sandbox, netns: Option<&Netns>) {
        let streams = |b: &PortBinding| b.protocol == Protocol::Tcp && !b.is_routed();
        let (Some(client), Some(netns)) = (&self.names, netns) else { return };
        if !self.config.userland_proxy || !sandbox.ports.iter().any(streams) {
            return;
        }
        let sources = self.world().hosts_of_targets(sandbox);
        if let Err(error) = client.inside(container.as_str(), &sources, netns.as_fd()) {
            // one of an earlier version, or it is gone: then they go over the bridge
            tracing::debug!(%container, %error, "its ports are led over the bridge");
        }
    }

    /// The container has other addresses now.
    pub(crate) fn redirect_ports(&self, container: &ContainerId, sandbox: &Sandbox) {
        let Some(client) = self.names.as_ref().filter(|_| !sandbox.ports.is_empty()) else { return };
        let forwards: Vec<_> =
            sandbox.ports.iter().filter(|b| !b.is_routed()).map(|b| self.forward(sandbox, b)).collect();
        if let Err(error) = client.redirect(container.as_str(), &forwards) {
            tracing::error!(%container, %error, "its ports do not lead where they should");
        }
        let netns = self.world().rooms.get(container).map(Netns::again);
        self.lead_inside(container, sandbox, netns.and_then(Result::ok).as_ref());
    }

    /// The ports of a container are free when this returns.
    pub(crate) fn close_ports(&self, container: &ContainerId, sandbox: &Sandbox) {
        if !sandbox.ports.is_empty() {
            self.close_all_ports(container);
        }
    }

    /// The same, whatever we know of the container.
    pub(crate) fn close_all_ports(&self, container: &ContainerId) {
        let Some(client) = &self.names else { return };
        if let Err(error) = client.unpublish(container.as_str()) {
            tracing::error!(%container, %error, "its ports are still taken");
        }
    }

    /// `wharf-netd` has died, and with it every socket: another one gets new ones.
    pub(crate) fn hold_everybody(&self) {
        let everybody: Vec<_> = {
            let mut world = self.world();
            let with_ports = world.sandboxes.iter().filter(|(_, sandbox)| !sandbox.ports.is_empty());
            let room = |id| world.rooms.get(id).and_then(|netns| netns.again().ok());
            let everybody: Vec<_> = with_ports.map(|(id, s)| (id.clone(), s.clone(), room(id))).collect();
            for (_, sandbox, _) in &everybody {
                world.ports.adopt(&sandbox.ports, self.config.userland_proxy);
            }
            everybody
        };
        for (container, sandbox, netns) in everybody {
            if let Err(error) = self.open_ports(&container, &sandbox, netns.as_ref()) {
                tracing::error!(%container, %error, "its ports are not held");
            }
            // one that ended meanwhile must not keep its ports
            if !self.world().sandboxes.contains_key(&container) {
                self.close_all_ports(&container);
            }
        }
    }

    /// Who has ports at `wharf-netd`, now that the daemon is back.
    pub(crate) fn holders_of_ports(&self) -> Vec<String> {
        let listed = self.names.as_ref().map(wharf_netd::Client::published).transpose();
        listed.ok().flatten().unwrap_or_default().into_iter().map(|(container, _)| container).collect()
    }

    fn forward(&self, sandbox: &Sandbox, binding: &PortBinding) -> Forward {
        let transport = match binding.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
            Protocol::Sctp => Transport::Sctp,
        };
        let (v4, v6) = crate::world::targets(sandbox);
        // a socket of every address of both families serves IPv4 clients too
        let any = binding.host_ip.is_unspecified();
        let address = if binding.host_ip.is_ipv4() || any { v4.or(v6) } else { v6.or(v4) };
        let target = address.filter(|_| self.config.userland_proxy);
        Forward {
            transport,
            listen: SocketAddr::new(binding.host_ip, binding.host_port),
            target: target.map(|ip| SocketAddr::new(ip, binding.container_port)),
        }
    }
}
