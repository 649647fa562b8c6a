//! What is open on a network and why, in words, with the rules that make it so.

use crate::firewall::{Bridge, Hole, Published, State};
use crate::netns::lock;
use crate::world::{firewall_bridge, published};
use crate::{ContainerId, Firewall, GatewayMode, Network, Networks, Protocol, Result, Sandbox};

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
    if bridge.internal {
        words.push_str("It is internal: nothing goes out, nothing comes in.");
        return words;
    }
    let families: Vec<bool> =
        [true, false].into_iter().filter(|v4| bridge.subnets.iter().any(|s| s.is_ipv4() == *v4)).collect();
    let mut said: Vec<String> = families.iter().map(|v4| way(bridge, *v4)).collect();
    if said.windows(2).all(|w| w[0] == w[1]) {
        said.truncate(1);
    } else {
        let named = said.iter().zip(&families).map(|(text, v4)| format!("IPv{}: {text}", if *v4 { 4 } else { 6 }));
        said = named.collect();
    }
    words.push_str(&said.join(" "));
    words
}

/// How a family of a network goes out and is reached.
fn way(bridge: &Bridge, v4: bool) -> String {
    let with = if bridge.masquerades(v4) { "this machine's address" } else { "their own addresses" };
    let comes_in = match bridge.mode(v4) {
        GatewayMode::NatUnprotected => {
            "Whoever outside has a route to them reaches every port of theirs (gateway mode nat-unprotected); from other networks nothing comes in but to published ports."
        }
        GatewayMode::Routed => {
            "From outside and from other networks, whoever has a route to them reaches their published ports at their own addresses, and pings them (gateway mode routed)."
        }
        GatewayMode::Nat | GatewayMode::Isolated => {
            "From outside and from other networks nothing comes in but to published ports."
        }
    };
    format!("They may go out, with {with}. {comes_in}")
}

fn without_bridge(network: &Network) -> &'static str {
    match network.driver {
        _ if network.config_only => "a configuration for other networks: nothing is on it.",
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
    if b.is_routed() {
        let (target, protocol) = (std::net::SocketAddr::new(port.target, b.container_port), b.protocol.as_str());
        let name = name_of(sandbox);
        return format!(
            "{target}/{protocol} is open to whoever has a route to it: {name} published it on a routed network."
        );
    }
    let host = if b.host_ip.is_ipv4() { b.host_ip.to_string() } else { format!("[{}]", b.host_ip) };
    let who = match (b.host_ip.is_unspecified(), b.host_ip.is_loopback()) {
        (true, _) => "everybody who reaches this machine",
        (_, true) => "this machine alone",
        _ => "whoever reaches that address",
    };
    let by_proxy = proxy && b.protocol == Protocol::Tcp && b.host_ip.is_loopback();
    let how = match (port.target.is_ipv4() == b.host_ip.is_ipv4(), proxy) {
        (true, _) if by_proxy => " (led there by wharf-netd)",
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
