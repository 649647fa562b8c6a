//! After a start of the daemon: what runs keeps its place, what is missing comes back, what belongs to nobody goes.

use std::collections::HashSet;

use wharf_netlink::LinkName;

use crate::inner::Inner;
use crate::netns::lock;
use crate::networks::{Live, Networks};
use crate::{ContainerId, Endpoint, Netns, Network, Result, Sandbox, bridge};

impl Networks {
    /// Makes the world as declared, given who really runs: rows of others go, what is missing comes back.
    pub fn reconcile(&self, live: &[Live]) -> Result<()> {
        let inner = &*self.inner;
        let running: HashSet<&ContainerId> = live.iter().map(|l| &l.container).collect();
        let ended: Vec<ContainerId> =
            inner.world().sandboxes.keys().filter(|id| !running.contains(id)).cloned().collect();
        for container in &ended {
            self.detach(container)?;
        }
        let known = inner.known_to_netd();
        for container in known.iter().filter(|c| !running.iter().any(|r| r.as_str() == c.as_str())) {
            if let Ok(container) = container.parse() {
                inner.forget_names(&container, &Sandbox { dns: true, ..Sandbox::default() });
            }
        }
        let holders = inner.holders_of_ports();
        for container in holders.iter().filter_map(|c| c.parse::<ContainerId>().ok()) {
            if self.sandbox(&container).is_none_or(|s| s.ports.is_empty()) {
                inner.close_all_ports(&container);
            }
        }
        for Live { container, netns } in live {
            let Some(sandbox) = self.sandbox(container) else { continue };
            let mut repaired = false;
            for endpoint in sandbox.endpoints.iter().filter(|e| !e.interface.is_empty()) {
                let Ok(network) = self.find(endpoint.network.as_str()) else { continue };
                match inner.repair(netns, endpoint, &network) {
                    Ok(done) => repaired |= done,
                    // the others must still get theirs
                    Err(error) => {
                        tracing::error!(%container, network = network.name, %error, "endpoint is not as declared")
                    }
                }
            }
            if repaired {
                inner.reroute(netns, &sandbox)?;
            }
            if holders.iter().any(|h| h == container.as_str()) {
                inner.redirect_ports(container, &sandbox);
            } else if let Err(error) = inner.open_ports(container, &sandbox, Some(netns)) {
                tracing::error!(%container, %error, "its ports are not held");
            }
            if sandbox.dns && known.iter().any(|k| k == container.as_str()) {
                inner.rename(container, &sandbox);
            } else if sandbox.dns
                && let Err(error) = inner.serve_names(netns, container, &sandbox)
            {
                tracing::error!(%container, %error, "names of other containers are not known to it");
            }
            let room = netns.again()?;
            inner.world().rooms.insert(container.clone(), room);
        }
        self.sweep()?;
        let mut wall = lock(&inner.wall);
        let declared = inner.world().declared();
        wall.replace(&declared).map(drop)
    }

    /// Removes links that look like ours and that nobody declares: bridges of removed networks, pairs of starts that did not happen.
    fn sweep(&self) -> Result<()> {
        let inner = &*self.inner;
        let (bridges, pairs): (HashSet<String>, HashSet<String>) = {
            let world = inner.world();
            let bridges = world.networks.values().filter_map(|n| Some(n.bridge.as_ref()?.link.clone())).collect();
            let pairs = world.sandboxes.values().flat_map(|s| &s.endpoints).map(|e| e.host_interface.clone()).collect();
            (bridges, pairs)
        };
        inner.with_route(|host| {
            let links = host.links()?;
            let ours: HashSet<u32> = links.iter().filter(|l| bridges.contains(&l.name)).map(|l| l.index).collect();
            for link in &links {
                let pair = link.kind == "veth" && is_hex(&link.name, "veth", 7) && ours.contains(&link.master);
                if pair && !pairs.contains(&link.name) {
                    bridge::unplug(host, &link.name)?;
                }
            }
            Ok(())
        })
    }
}

impl Inner {
    /// Says whether something had to be done.
    pub(crate) fn repair(&self, netns: &Netns, endpoint: &Endpoint, network: &Network) -> Result<bool> {
        let there = netns.with_socket(|inside| Ok(inside.link(LinkName::Name(&endpoint.interface))?))?;
        if there.is_none() {
            let links = netns.with_socket(|inside| Ok(inside.links()?))?;
            let index = links.iter().map(|l| l.index).max().unwrap_or(1).saturating_add(1);
            self.plug(netns, endpoint, network, index, (false, false))?;
            return Ok(true);
        }
        let Some(options) = &network.bridge else { return Ok(false) };
        self.with_route(|host| {
            let bridge = host.link(LinkName::Name(&options.link))?.map(|l| l.index);
            let port = host.link(LinkName::Name(&endpoint.host_interface))?;
            if port.is_some_and(|p| Some(p.master) == bridge && p.up) {
                return Ok(false);
            }
            bridge::join(host, &endpoint.host_interface, endpoint.mac, options)?;
            Ok(true)
        })
    }
}

fn is_hex(name: &str, prefix: &str, digits: usize) -> bool {
    let tail = name.strip_prefix(prefix);
    tail.is_some_and(|t| t.len() == digits && t.bytes().all(|c| c.is_ascii_hexdigit()))
}
