//! What is open on a network and why, in words, with the rules that make it so.

use crate::firewall::{Bridge, Hole, Published, State};
use crate::netns::lock;
use crate::networks::{firewall_bridge, published};
use crate::{ContainerId, Firewall, Network, Networks, Result, Sandbox};

/// A network and what is open on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Name of the network.
    pub network: String,
    /// Whose rules they are.
    pub firewall: Firewall,
    /// One thing after the other.
    pub facts: Vec<Fact>,
}

/// One thing that is open or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// In words.
    pub words: String,
    /// The rules, or elements of our sets, that stand for it alone.
    pub rules: Vec<String>,
}

impl Networks {
    /// Explains one network.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn explain(&self, name: &str) -> Result<Explanation> {
        let inner = &*self.inner;
        let network = self.find(name)?;
        let mut facts = Vec::new();
        let on: Vec<(ContainerId, Sandbox)> = {
            let world = inner.world();
            let on = world.sandboxes.iter().filter(|(_, s)| s.endpoints.iter().any(|e| e.network == network.id));
            on.map(|(id, sandbox)| (id.clone(), sandbox.clone())).collect()
        };
        let holes = inner.world().holes();
        let wall = lock(&inner.wall);
        let firewall = inner.config.firewall;
        if let Some(bridge) = firewall_bridge(&network) {
            let base = State { bridges: vec![bridge.clone()], ..State::default() };
            let standing = wall.written(&base);
            facts.push(Fact { words: general(&network, &bridge, firewall), rules: standing.clone() });
            let only = |part: State| {
                let part = State { bridges: vec![bridge.clone()], ..part };
                wall.written(&part).into_iter().filter(|rule| !standing.contains(rule)).collect()
            };
            for (_, sandbox) in &on {
                for port in published(sandbox).into_iter().filter(|p| within(&bridge, p)) {
                    let words = open_port(sandbox, &port, inner.config.userland_proxy);
                    facts.push(Fact { words, rules: only(State { ports: vec![port], ..State::default() }) });
                }
            }
            for hole in holes.iter().filter(|h| bridge.subnets.iter().any(|s| s.contains(h.to))) {
                let words = opened_by_link(&on, hole);
                facts.push(Fact { words, rules: only(State { holes: vec![*hole], ..State::default() }) });
            }
        } else {
            facts.push(Fact { words: without_bridge(&network).to_owned(), rules: Vec::new() });
        }
        Ok(Explanation { network: network.name.clone(), firewall, facts })
    }
}

fn within(bridge: &Bridge, port: &Published) -> bool {
    bridge.subnets.iter().any(|s| s.contains(port.target))
}

fn general(network: &Network, bridge: &Bridge, firewall: Firewall) -> String {
    let subnets: Vec<String> = bridge.subnets.iter().map(ToString::to_string).collect();
    let mut words = format!("{} ({}, {}): ", network.name, bridge.link, subnets.join(", "));
    if firewall == Firewall::Off {
        words.push_str("the daemon was told to make no rules; what is open is the machine's business.");
        return words;
    }
    words.push_str(if bridge.icc {
        "its containers may talk to each other. "
    } else {
        "its containers may not talk to each other, but where links or published ports allow it. "
    });
    words.push_str(match (bridge.internal, bridge.masquerade) {
        (true, _) => "It is internal: nothing goes out, nothing comes in.",
        (false, true) => {
            "They may go out, with this machine's address. From outside and from other networks nothing comes in but to published ports."
        }
        (false, false) => {
            "They may go out, with their own addresses. From outside and from other networks nothing comes in but to published ports."
        }
    });
    words
}

fn without_bridge(network: &Network) -> &'static str {
    match network.driver {
        crate::Driver::Host => "containers use this machine's own network: its rules are theirs.",
        crate::Driver::None => "containers have a loopback of their own and nothing else.",
        _ => {
            "containers are on the parent's segment with addresses of their own: no rule of this machine sees their packets."
        }
    }
}

fn name_of(sandbox: &Sandbox) -> &str {
    sandbox.endpoints.first().map_or("?", |e| e.container_name.as_str())
}

fn open_port(sandbox: &Sandbox, port: &Published, proxy: bool) -> String {
    let b = &port.binding;
    let host = if b.host_ip.is_ipv4() { b.host_ip.to_string() } else { format!("[{}]", b.host_ip) };
    let who = match (b.host_ip.is_unspecified(), b.host_ip.is_loopback()) {
        (true, _) => "everybody who reaches this machine",
        (_, true) => "this machine alone",
        _ => "whoever reaches that address",
    };
    let how = match (port.target.is_ipv4() == b.host_ip.is_ipv4(), proxy) {
        (true, _) => "",
        (false, true) => " (led there by wharf-netd, since the container has no IPv6)",
        (false, false) => " (held only: the container has no IPv6, and the userland proxy is off)",
    };
    let target = std::net::SocketAddr::new(port.target, b.container_port);
    let protocol = b.protocol.as_str();
    format!(
        "{host}:{}/{protocol} is open to {who}: {} published it, it leads to {target}{how}.",
        b.host_port,
        name_of(sandbox)
    )
}

fn opened_by_link(on: &[(ContainerId, Sandbox)], hole: &Hole) -> String {
    let has = |address| {
        let of =
            |s: &&(ContainerId, Sandbox)| s.1.endpoints.iter().any(|e| e.ipv4.is_some_and(|a| a.address == address));
        on.iter().find(of).map_or("?", |(_, s)| name_of(s))
    };
    let (from, to) = (has(hole.from), has(hole.to));
    let (port, protocol) = (hole.port, hole.protocol.as_str());
    format!("{from} may use port {port}/{protocol} of {to}: a link says so, and {to} exposes it.")
}
