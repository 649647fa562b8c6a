//! Names for containers: sockets at 127.0.0.11 in their namespaces, handed to `wharf-netd`, which answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use rustix::io::Errno;
use wharf_netd::{Client, Place};
use wharf_netlink::Socket;
use wharf_netlink::nft::{
    Base, Chain, Expression as E, Family, Hook, MetaKey, NatKind, Operator, PayloadBase, Register, Table, Transaction,
};

use crate::inner::Inner;
use crate::world::World;
use crate::{Attach, ContainerId, Error, Netns, Network, NetworkRole, Result, Sandbox};

/// Where containers ask.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

const TABLE: Table<'static> = Table { family: Family::Ip, name: "wharf_dns" };
const PORT: u16 = 53;
/// For machines that name none, as in Docker.
const DEFAULT_RESOLVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4)];

/// Whether names work on a network: on all that a user made.
pub(crate) fn has_names(network: &Network) -> bool {
    network.role == NetworkRole::User
}

impl Inner {
    /// Gives a container its resolver.
    pub(crate) fn serve_names(&self, netns: &Netns, container: &ContainerId, sandbox: &Sandbox) -> Result<()> {
        let Some(client) = &self.names else { return Ok(()) };
        let (udp, tcp) = netns.within(sockets)?;
        let known = self.world().known(container, sandbox);
        client.put(known, Some((&udp, &tcp))).map_err(Error::Names)
    }

    /// `wharf-netd` has died: another one is told everything.
    fn serve_everybody(&self) {
        let everybody: Vec<_> = {
            let world = self.world();
            let served = world.sandboxes.iter().filter(|(_, sandbox)| sandbox.dns);
            served.map(|(id, sandbox)| (id.clone(), sandbox.clone(), world.rooms.get(id).map(Netns::again))).collect()
        };
        for (container, sandbox, netns) in everybody {
            let served = match netns {
                Some(Ok(netns)) => self.serve_names(&netns, &container, &sandbox),
                Some(Err(error)) => Err(error),
                None => continue,
            };
            if let Err(error) = served {
                tracing::error!(%container, %error, "names of other containers are not known to it");
            }
            // one that ended meanwhile must not stay there
            if !self.world().sandboxes.contains_key(&container) {
                self.forget_names(&container, &sandbox);
            }
        }
    }

    /// The container has other places now.
    pub(crate) fn rename(&self, container: &ContainerId, sandbox: &Sandbox) {
        let Some(client) = self.names.as_ref().filter(|_| sandbox.dns) else { return };
        let known = self.world().known(container, sandbox);
        if let Err(error) = client.put(known, None) {
            tracing::error!(%container, %error, "its names are not as declared");
        }
    }

    /// The container has ended.
    pub(crate) fn forget_names(&self, container: &ContainerId, sandbox: &Sandbox) {
        let Some(client) = self.names.as_ref().filter(|_| sandbox.dns) else { return };
        if let Err(error) = client.drop(container.as_str()) {
            tracing::error!(%container, %error, "its names are still known");
        }
    }

    /// Who is known to `wharf-netd`, now that the daemon is back.
    pub(crate) fn known_to_netd(&self) -> Vec<String> {
        let listed = self.names.as_ref().map(Client::list).transpose();
        listed.ok().flatten().unwrap_or_default()
    }
}

/// Heals as soon as the process dies, as long as the world lives.
pub(crate) fn guard(inner: &Arc<Inner>) {
    let Some(client) = &inner.names else { return };
    let inner = Arc::downgrade(inner);
    client.on_end(move || {
        let Some(inner) = inner.upgrade() else { return };
        tracing::warn!("wharf-netd has died; starting another");
        inner.hold_everybody();
        inner.serve_everybody();
    });
}

impl World {
    /// What `wharf-netd` should know of a container.
    fn known(&self, container: &ContainerId, sandbox: &Sandbox) -> wharf_netd::Sandbox {
        let network = |id| self.networks.get(id);
        let places = sandbox.endpoints.iter().filter(|e| network(&e.network).is_some_and(|n| has_names(n)));
        let places = places.map(|e| Place {
            network: e.network.to_string(),
            network_name: e.network_name.clone(),
            addresses: [e.ipv4, e.ipv6].into_iter().flatten().map(|a| a.address).collect(),
            names: e.dns_names.clone(),
            aliases: e
                .links
                .iter()
                .map(|(target, alias)| wharf_netd::Alias { alias: alias.clone(), target: target.clone() })
                .collect(),
        });
        let outside = sandbox.endpoints.iter().any(|e| network(&e.network).is_some_and(|n| !n.internal));
        let resolvers = match (outside, sandbox.resolvers.as_slice()) {
            (false, _) => Vec::new(),
            (true, []) => machine_resolvers(),
            (true, given) => given.iter().map(|ip| SocketAddr::new(*ip, PORT)).collect(),
        };
        wharf_netd::Sandbox { container: container.to_string(), places: places.collect(), resolvers }
    }
}

/// What of a wish concerns names.
pub(crate) fn wished(sandbox: &mut Sandbox, wish: &Attach) {
    sandbox.resolvers.clone_from(&wish.resolvers);
}

/// Who answers on this machine.
fn machine_resolvers() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let found = resolvers(&text);
    if found.is_empty() { DEFAULT_RESOLVERS.map(|ip| SocketAddr::new(ip.into(), PORT)).to_vec() } else { found }
}

fn resolvers(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = lines.filter_map(|rest| rest.trim().parse::<IpAddr>().ok());
    // a machine that is itself a container asks at our own address: there it is somebody else's
    addresses.map(|ip| SocketAddr::new(ip, PORT)).take(3).collect()
}

/// Runs inside: the two sockets, and the way to them from port 53, which stays free for the container.
fn sockets() -> Result<(UdpSocket, TcpListener)> {
    let failed = |op: &'static str| move |source| Error::System { op: op.into(), source };
    let udp = UdpSocket::bind((ADDRESS, 0)).map_err(failed("bind UDP 127.0.0.11"))?;
    let tcp = TcpListener::bind((ADDRESS, 0)).map_err(failed("bind TCP 127.0.0.11"))?;
    let ports = [
        (17u8, udp.local_addr().map_err(failed("getsockname"))?.port()),
        (6u8, tcp.local_addr().map_err(failed("getsockname"))?.port()),
    ];
    let mut socket = Socket::netfilter()?;
    // removing what is not there would be simpler, but closing the socket waits until the kernel has freed all that was
    // removed: a grace period of RCU, ten times as long as everything else here
    let made = socket.commit(rules(Transaction::new().create_table(TABLE), &ports));
    match made {
        // an earlier resolver's, or the container made one to be in our way
        Err(error) if error.errno() == Some(Errno::EXIST) => {
            let mut again = Transaction::new();
            socket.commit(rules(again.add_table(TABLE).del_table(TABLE).add_table(TABLE), &ports))?;
        }
        other => other?,
    }
    Ok((udp, tcp))
}

/// Questions to port 53 of our address go to the sockets: (protocol, port) each.
fn rules<'a>(change: &'a mut Transaction, ports: &[(u8, u16)]) -> &'a Transaction {
    let base = Base { kind: "nat", hook: Hook::Output, priority: -100, drop_by_default: false };
    change.add_chain(TABLE, &Chain { name: "output", base: Some(base) });
    let word = Register::word;
    for (protocol, port) in ports {
        let destination = E::Payload { base: PayloadBase::Network, offset: 16, length: 4, to: word(0) };
        let destination_port = E::Payload { base: PayloadBase::Transport, offset: 2, length: 2, to: word(0) };
        let nat = E::Nat {
            kind: NatKind::Destination,
            family: Family::Ip.number(),
            address: Some(word(0)),
            port: Some(word(1)),
            last_port: None,
        };
        let rule = [
            destination,
            E::Compare(word(0), Operator::Eq, &ADDRESS.octets()),
            E::Meta(MetaKey::Protocol, word(0)),
            E::Compare(word(0), Operator::Eq, std::slice::from_ref(protocol)),
            destination_port,
            E::Compare(word(0), Operator::Eq, &PORT.to_be_bytes()),
            E::Immediate(word(0), &ADDRESS.octets()),
            E::Immediate(word(1), &port.to_be_bytes()),
            nat,
        ];
        change.add_rule(TABLE, "output", "embedded DNS", &rule);
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_of_the_machine() {
        let text = "# x\nsearch a b\nnameserver 10.0.0.1\n nameserver\t::1 \nnameserver zz\noptions ndots:2\n";
        let found: Vec<String> = resolvers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.1:53", "[::1]:53"]);
    }
}
