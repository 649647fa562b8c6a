//! Our one nftables table, as data and as transactions. Nobody else's rule is ever read or changed.
//!
//! ```text
//!   table inet wharf
//!     prerouting_raw  nothing from a bridge of ours may reach 127.0.0.0/8
//!     prerouting      to an address of this machine → published
//!     output          the same for what this machine sends itself
//!     published       address . protocol . port → map → dnat     (one element per published port)
//!     forward         who may talk to whom
//!     links           between containers of a bridge that forbids it: what `--link` opens
//!     postrouting     what leaves a bridge gets the machine's address
//! ```
//!
//! The rules never change: networks and ports are elements of sets and maps, so the thousandth costs what the first does.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use wharf_netlink::nft::{
    Base, Chain, CtKey, DataType, Element, ElementData, ElementKind, Expression as E, Family, Hook, MetaKey, NatKind,
    Operator, PayloadBase, Register, Set, SetFlags, Table, Transaction, Verdict,
};

use crate::address::{from_bits, to_bits};
use crate::firewall::declared::{Bridge, Hole, ICMP, ICMPV6, Published, Settings, State};
use crate::{GatewayMode, Protocol, Subnet};

/// Ours.
pub(crate) const TABLE: Table<'static> = Table { family: Family::Inet, name: "wharf" };

const BRIDGES: &str = "bridges";
const INTERNAL: &str = "internal";
/// By family, as all that follow.
const MASQUERADE: [&str; 2] = ["masquerade4", "masquerade6"];
/// Bridges whose containers are reached by their own addresses, on every port.
const UNPROTECTED: [&str; 2] = ["unprotected4", "unprotected6"];
/// Bridges whose containers have no other addresses than their own outside.
const ROUTED: [&str; 2] = ["routed4", "routed6"];
/// Published ports of those: address, protocol, port.
const DOORS: [&str; 2] = ["doors4", "doors6"];
/// Bridges on which containers may not talk to each other.
const CLOSED: &str = "closed";
const PAIRS: &str = "pairs";
const LINKS: &str = "links";

/// Sets of links that a bridge is in.
fn sets_of(bridge: &Bridge) -> Vec<&'static str> {
    let mut sets = vec![BRIDGES];
    sets.extend(bridge.internal.then_some(INTERNAL));
    sets.extend((!bridge.icc).then_some(CLOSED));
    for v4 in [true, false].into_iter().filter(|v4| bridge.subnets.iter().any(|s| s.is_ipv4() == *v4)) {
        let of = |[four, six]: [&'static str; 2]| if v4 { four } else { six };
        sets.extend(bridge.masquerades(v4).then_some(of(MASQUERADE)));
        sets.extend(match bridge.mode(v4) {
            _ if bridge.internal => None,
            GatewayMode::NatUnprotected => Some(of(UNPROTECTED)),
            GatewayMode::Routed => Some(of(ROUTED)),
            GatewayMode::Nat | GatewayMode::Isolated => None,
        });
    }
    sets
}

/// The table as it should be, instead of whatever is there.
pub(crate) fn replace(state: &State, settings: Settings) -> Transaction {
    let mut t = Transaction::new();
    // made first, so that it can be removed whether or not it was there
    t.add_table(TABLE).del_table(TABLE).add_table(TABLE);
    sets(&mut t);
    chains(&mut t, settings);
    for bridge in &state.bridges {
        add_bridge(&mut t, bridge);
    }
    add_ports(&mut t, &state.ports, settings);
    add_holes(&mut t, &state.holes);
    t
}

/// A network comes.
pub(crate) fn add_bridge(t: &mut Transaction, bridge: &Bridge) {
    let name = name_bytes(&bridge.link);
    for set in sets_of(bridge) {
        t.add_elements(TABLE, set, &[key(name.to_vec())]);
    }
    for subnet in &bridge.subnets {
        t.add_elements(TABLE, subnets_of(*subnet), &range(*subnet));
    }
    let data = if bridge.icc { ElementData::Accept(true) } else { ElementData::Jump(LINKS.into()) };
    t.add_elements(TABLE, PAIRS, &[Element { key: pair(&bridge.link), data }]);
}

/// A network goes.
pub(crate) fn del_bridge(t: &mut Transaction, bridge: &Bridge) {
    let name = name_bytes(&bridge.link);
    t.del_elements(TABLE, PAIRS, &[key(pair(&bridge.link))]);
    for subnet in &bridge.subnets {
        t.del_elements(TABLE, subnets_of(*subnet), &range(*subnet));
    }
    for set in sets_of(bridge).into_iter().rev() {
        t.del_elements(TABLE, set, &[key(name.to_vec())]);
    }
}

/// Ports are published.
pub(crate) fn add_ports(t: &mut Transaction, ports: &[Published], settings: Settings) {
    for (map, elements) in by_map(ports, settings, true) {
        t.insert_elements(TABLE, map, &elements);
    }
    for (set, elements) in doors(ports) {
        t.add_elements(TABLE, set, &elements);
    }
}

/// Ports are no longer published.
pub(crate) fn del_ports(t: &mut Transaction, ports: &[Published], settings: Settings) {
    for (map, elements) in by_map(ports, settings, false) {
        t.del_elements(TABLE, map, &elements);
    }
    for (set, elements) in doors(ports) {
        t.del_elements(TABLE, set, &elements);
    }
}

/// Holes between containers are opened.
pub(crate) fn add_holes(t: &mut Transaction, holes: &[Hole]) {
    t.add_elements(TABLE, "holes", &hole_elements(holes));
}

/// Holes are closed.
pub(crate) fn del_holes(t: &mut Transaction, holes: &[Hole]) {
    t.del_elements(TABLE, "holes", &hole_elements(holes));
}

/// The elements of a part of what is declared, as `nft list table inet wharf` shows them.
pub(crate) fn written(part: &State, settings: Settings) -> Vec<String> {
    let mut list = Vec::new();
    for b in &part.bridges {
        let link = &b.link;
        list.extend(sets_of(b).iter().map(|set| format!("set {set}: \"{link}\"")));
        list.extend(b.subnets.iter().map(|s| format!("set {}: {s}", subnets_of(*s))));
        let verdict = if b.icc { "accept" } else { "jump links" };
        list.push(format!("map pairs: \"{link}\" . \"{link}\" : {verdict}"));
    }
    let led = |p: &&Published| p.binding.host_ip.is_ipv4() == p.target.is_ipv4() && !is_left_to_proxy(p, settings);
    for p in part.ports.iter().filter(led) {
        let b = &p.binding;
        let (protocol, port) = (b.protocol.as_str(), b.host_port);
        if b.is_routed() {
            let doors = DOORS[usize::from(b.host_ip.is_ipv6())];
            list.push(format!("set {doors}: {} . {protocol} . {}", p.target, b.container_port));
            continue;
        }
        let key = if b.host_ip.is_unspecified() { String::new() } else { format!("{} . ", b.host_ip) };
        let map = match (b.host_ip.is_unspecified(), b.host_ip.is_ipv4()) {
            (true, true) => "any4",
            (false, true) => "ports4",
            (true, false) => "any6",
            (false, false) => "ports6",
        };
        list.push(format!("map {map}: {key}{protocol} . {port} : {} . {}", p.target, b.container_port));
    }
    let hole = |h: &Hole| format!("set holes: {} . {} . {} . {}", h.from, h.to, h.protocol.as_str(), h.port);
    list.extend(part.holes.iter().map(hole));
    list
}

fn subnets_of(subnet: Subnet) -> &'static str {
    if subnet.is_ipv4() { "subnets4" } else { "subnets6" }
}

/// A subnet as a range: its first address, and the first behind it.
fn range(subnet: Subnet) -> Vec<Element> {
    let mut elements = vec![key(octets(subnet.network().address))];
    let bits = to_bits(subnet.last()).checked_add(1).filter(|b| !subnet.is_ipv4() || *b <= u128::from(u32::MAX));
    // a subnet at the very end of all addresses has nothing behind it
    if let Some(behind) = bits {
        let key = octets(from_bits(subnet.address, behind));
        elements.push(Element { key, data: ElementData::EndOfRange });
    }
    elements
}

fn hole_elements(holes: &[Hole]) -> Vec<Element> {
    let element = |h: &Hole| {
        let mut bytes = octets(h.from);
        bytes.extend(octets(h.to));
        bytes.extend([h.protocol.number(), 0, 0, 0]);
        bytes.extend(h.port.to_be_bytes());
        bytes.extend([0, 0]);
        key(bytes)
    };
    // links exist on the default bridge only, which is an IPv4 network
    holes.iter().filter(|h| h.from.is_ipv4() && h.to.is_ipv4()).map(element).collect()
}

/// Whether no packet for a port comes as far as the maps: see the rules of `output`.
fn is_left_to_proxy(p: &Published, settings: Settings) -> bool {
    let host = p.binding.host_ip;
    host.is_loopback() && (host.is_ipv6() || settings.proxy && p.binding.protocol == Protocol::Tcp)
}

fn by_map(ports: &[Published], settings: Settings, with_data: bool) -> Vec<(&'static str, Vec<Element>)> {
    let mut maps = [("any4", Vec::new()), ("ports4", Vec::new()), ("any6", Vec::new()), ("ports6", Vec::new())];
    for p in ports {
        let v4 = p.binding.host_ip.is_ipv4();
        if v4 != p.target.is_ipv4() || p.binding.is_routed() || is_left_to_proxy(p, settings) {
            // no translation between families in the kernel: the proxy's business
            continue;
        }
        let any = p.binding.host_ip.is_unspecified();
        let index = if v4 { 0 } else { 2 } + usize::from(!any);
        let mut bytes = if any { Vec::new() } else { octets(p.binding.host_ip) };
        bytes.extend([p.binding.protocol.number(), 0, 0, 0]);
        bytes.extend(p.binding.host_port.to_be_bytes());
        bytes.extend([0, 0]);
        let data = if with_data {
            let mut value = octets(p.target);
            value.extend(p.binding.container_port.to_be_bytes());
            value.extend([0, 0]);
            ElementData::Value(value)
        } else {
            ElementData::None
        };
        maps[index].1.push(Element { key: bytes, data });
    }
    maps.into_iter().filter(|(_, elements)| !elements.is_empty()).collect()
}

/// What is open at containers' own addresses. Two published ports may lead to one port of a container.
fn doors(ports: &[Published]) -> impl Iterator<Item = (&'static str, Vec<Element>)> {
    DOORS.into_iter().zip([true, false]).filter_map(|(set, v4)| {
        let mine =
            |p: &&Published| p.binding.is_routed() && p.binding.host_ip.is_ipv4() == v4 && p.target.is_ipv4() == v4;
        let bytes = |p: &Published| {
            let mut bytes = octets(p.target);
            bytes.extend([p.binding.protocol.number(), 0, 0, 0]);
            bytes.extend(p.binding.container_port.to_be_bytes());
            bytes.extend([0, 0]);
            bytes
        };
        let keys: BTreeSet<Vec<u8>> = ports.iter().filter(mine).map(bytes).collect();
        (!keys.is_empty()).then(|| (set, keys.into_iter().map(key).collect()))
    })
}

fn sets(t: &mut Transaction) {
    use DataType::{Ipv4, Ipv6, LinkName, Port, Protocol};
    let flags = SetFlags::default();
    for name in [BRIDGES, INTERNAL, CLOSED].into_iter().chain([MASQUERADE, UNPROTECTED, ROUTED].concat()) {
        t.add_set(TABLE, &Set { name, key: &[LinkName], data: ElementKind::Set, flags });
    }
    t.add_set(TABLE, &Set { name: PAIRS, key: &[LinkName, LinkName], data: ElementKind::Verdicts, flags });
    t.add_set(TABLE, &Set { name: "holes", key: &[Ipv4, Ipv4, Protocol, Port], data: ElementKind::Set, flags });
    t.add_set(TABLE, &Set { name: DOORS[0], key: &[Ipv4, Protocol, Port], data: ElementKind::Set, flags });
    t.add_set(TABLE, &Set { name: DOORS[1], key: &[Ipv6, Protocol, Port], data: ElementKind::Set, flags });
    let ranges = SetFlags { interval: true };
    t.add_set(TABLE, &Set { name: "subnets4", key: &[Ipv4], data: ElementKind::Set, flags: ranges });
    t.add_set(TABLE, &Set { name: "subnets6", key: &[Ipv6], data: ElementKind::Set, flags: ranges });
    let to4 = ElementKind::Map(&[Ipv4, Port]);
    let to6 = ElementKind::Map(&[Ipv6, Port]);
    t.add_set(TABLE, &Set { name: "any4", key: &[Protocol, Port], data: to4, flags });
    t.add_set(TABLE, &Set { name: "ports4", key: &[Ipv4, Protocol, Port], data: to4, flags });
    t.add_set(TABLE, &Set { name: "any6", key: &[Protocol, Port], data: to6, flags });
    t.add_set(TABLE, &Set { name: "ports6", key: &[Ipv6, Protocol, Port], data: to6, flags });
}

/// Its number.
const TCP: u8 = 6;

fn chains(t: &mut Transaction, settings: Settings) {
    const RAW: i32 = -300;
    const DNAT: i32 = -100;
    const FILTER: i32 = 0;
    const SNAT: i32 = 100;
    // what is jumped to comes first
    for name in [LINKS, "published"] {
        t.add_chain(TABLE, &Chain { name, base: None });
    }
    let base = |kind, hook, priority| Some(Base { kind, hook, priority, drop_by_default: false });
    t.add_chain(TABLE, &Chain { name: "prerouting_raw", base: base("filter", Hook::Prerouting, RAW) });
    t.add_chain(TABLE, &Chain { name: "prerouting", base: base("nat", Hook::Prerouting, DNAT) });
    t.add_chain(TABLE, &Chain { name: "output", base: base("nat", Hook::Output, DNAT) });
    t.add_chain(TABLE, &Chain { name: "forward", base: base("filter", Hook::Forward, FILTER) });
    t.add_chain(TABLE, &Chain { name: "postrouting", base: base("nat", Hook::Postrouting, SNAT) });

    if !settings.ipv6 {
        let [load, is] = family(V6);
        for chain in ["prerouting", "output", "forward", "postrouting"] {
            t.add_rule(TABLE, chain, "IPv6 is left alone", &[load, is, E::Verdict(Verdict::Return)]);
        }
    }
    let (input, output) = (E::Meta(MetaKey::InputName, W0), E::Meta(MetaKey::OutputName, W0));
    let [v4, is_v4] = family(V4);
    let [source, from_loopback] = loopback(SOURCE4);
    let [destination, to_loopback] = loopback(DESTINATION4);

    t.add_rule(
        TABLE,
        "prerouting_raw",
        "loopback is not reachable from containers",
        &[input, E::InSet(W0, BRIDGES), v4, is_v4, destination, to_loopback, E::Verdict(Verdict::Drop)],
    );

    let local = 2u32.to_ne_bytes();
    let to_us = [E::DestinationType(W0), E::Compare(W0, Operator::Eq, &local)];
    t.add_rule(
        TABLE,
        "prerouting",
        "nobody outside may name our loopback",
        &[v4, is_v4, destination, to_loopback, E::Verdict(Verdict::Return)],
    );
    if settings.proxy {
        // with `bridge-nf-call-iptables` a frame whose destination is rewritten to a neighbour would cross the bridge,
        // whose ports do not see each other
        t.add_rule(
            TABLE,
            "prerouting",
            "where containers may not talk, the proxy answers",
            &[input, E::InSet(W0, CLOSED), E::Verdict(Verdict::Return)],
        );
    }
    if settings.proxy {
        // through the container's own namespace, twice as fast as over the bridge
        t.add_rule(
            TABLE,
            "output",
            "what 127.0.0.0/8 sends as a stream: the proxy answers",
            &[
                v4,
                is_v4,
                destination,
                to_loopback,
                E::Meta(MetaKey::Protocol, W0),
                E::Compare(W0, Operator::Eq, &[TCP]),
                E::Verdict(Verdict::Return),
            ],
        );
    }
    let [v6, is_v6] = family(V6);
    let loopback6 = Ipv6Addr::LOCALHOST.octets();
    t.add_rule(
        TABLE,
        "output",
        "what ::1 sends stays on this machine: the proxy answers",
        &[v6, is_v6, DESTINATION6, E::Compare(W0, Operator::Eq, &loopback6), E::Verdict(Verdict::Return)],
    );
    for chain in ["prerouting", "output"] {
        let jump = E::Verdict(Verdict::Jump("published"));
        t.add_rule(TABLE, chain, "published ports", &[to_us[0], to_us[1], jump]);
    }
    publish(t);
    forward(t);

    for (number, offset, length, set) in [(V4, 12, 4, "subnets4"), (V6, 8, 16, "subnets6")] {
        let [load, is] = family(number);
        // the answer must come back through us, also when both are on one bridge (where the name of the link it came
        // in by is not known if the frame only crossed the bridge: hence by address)
        t.add_rule(
            TABLE,
            "postrouting",
            "published port used by a container",
            &[
                load,
                is,
                E::Payload { base: PayloadBase::Network, offset, length, to: W0 },
                E::InSet(W0, set),
                E::Ct(CtKey::Status, W0),
                E::Bitwise { from: W0, to: W0, mask: &CtKey::DNAT.to_ne_bytes(), xor: &[0; 4] },
                E::Compare(W0, Operator::Ne, &[0; 4]),
                output,
                E::InSet(W0, BRIDGES),
                E::Masquerade { random: false },
            ],
        );
    }
    t.add_rule(
        TABLE,
        "postrouting",
        "published port used over loopback",
        &[v4, is_v4, source, from_loopback, output, E::InSet(W0, BRIDGES), E::Masquerade { random: false }],
    );
    for (number, set) in [V4, V6].into_iter().zip(MASQUERADE) {
        let [load, is] = family(number);
        let comment = "what leaves a bridge gets our address";
        let rule =
            [load, is, input, E::InSet(W0, set), output, E::NotInSet(W0, BRIDGES), E::Masquerade { random: false }];
        t.add_rule(TABLE, "postrouting", comment, &rule);
    }
}

fn publish(t: &mut Transaction) {
    const PORT_OF_KEY: E<'static> = E::Payload { base: PayloadBase::Transport, offset: 2, length: 2, to: W1 };
    let protocol = E::Meta(MetaKey::Protocol, W0);
    for (any, exact, number) in [("any4", "ports4", V4), ("any6", "ports6", V6)] {
        let [load, is] = family(number);
        // the key of a single address: its words, then protocol and port behind them
        let (address, words) = if number == V4 { (DESTINATION4, 1) } else { (DESTINATION6, 4) };
        let dnat = |port| E::Nat {
            kind: NatKind::Destination,
            family: number,
            address: Some(Register::word(8)),
            port: Some(Register::word(port)),
            last_port: None,
        };
        t.add_rule(
            TABLE,
            "published",
            "published on one address",
            &[
                load,
                is,
                address,
                E::Meta(MetaKey::Protocol, Register::word(words)),
                E::Payload { base: PayloadBase::Transport, offset: 2, length: 2, to: Register::word(words + 1) },
                E::Map { key: W0, map: exact, to: Register::word(8) },
                dnat(8 + words),
            ],
        );
        t.add_rule(
            TABLE,
            "published",
            "published on every address",
            &[load, is, protocol, PORT_OF_KEY, E::Map { key: W0, map: any, to: Register::word(8) }, dnat(8 + words)],
        );
    }
}

fn forward(t: &mut Transaction) {
    let known = (CtKey::ESTABLISHED | CtKey::RELATED).to_ne_bytes();
    let (input, output) = (E::Meta(MetaKey::InputName, W0), E::Meta(MetaKey::OutputName, W0));
    let translated = CtKey::DNAT.to_ne_bytes();
    let published = [
        E::Ct(CtKey::Status, W0),
        E::Bitwise { from: W0, to: W0, mask: &translated, xor: &[0; 4] },
        E::Compare(W0, Operator::Ne, &[0; 4]),
    ];
    let accept = E::Verdict(Verdict::Accept);
    let drop = E::Verdict(Verdict::Drop);
    t.add_rule(
        TABLE,
        "forward",
        "answers to what was allowed",
        &[
            E::Ct(CtKey::State, W0),
            E::Bitwise { from: W0, to: W0, mask: &known, xor: &[0; 4] },
            E::Compare(W0, Operator::Ne, &[0; 4]),
            accept,
        ],
    );
    t.add_rule(
        TABLE,
        "forward",
        "within one network",
        &[input, E::Meta(MetaKey::OutputName, W4), E::Map { key: W0, map: PAIRS, to: Register::VERDICT }],
    );
    t.add_rule(TABLE, "forward", "internal networks have no way out", &[input, E::InSet(W0, INTERNAL), drop]);
    t.add_rule(TABLE, "forward", "internal networks have no way in", &[output, E::InSet(W0, INTERNAL), drop]);
    t.add_rule(
        TABLE,
        "forward",
        "published ports are open",
        &[output, E::InSet(W0, BRIDGES), published[0], published[1], published[2], accept],
    );
    for (index, number) in [V4, V6].into_iter().enumerate() {
        own_addresses(t, index, number);
    }
    t.add_rule(
        TABLE,
        "forward",
        "nothing else comes in, from outside or another network",
        &[output, E::InSet(W0, BRIDGES), drop],
    );
    t.add_rule(TABLE, "forward", "containers may go out", &[input, E::InSet(W0, BRIDGES), accept]);

    t.add_rule(TABLE, LINKS, "published ports are open", &[published[0], published[1], published[2], accept]);
    t.add_rule(
        TABLE,
        LINKS,
        "what links opened",
        &[
            E::Meta(MetaKey::Family, W0),
            E::Compare(W0, Operator::Eq, &[V4]),
            E::Payload { base: PayloadBase::Network, offset: 12, length: 4, to: W0 },
            E::Payload { base: PayloadBase::Network, offset: 16, length: 4, to: W1 },
            E::Meta(MetaKey::Protocol, Register::word(2)),
            E::Payload { base: PayloadBase::Transport, offset: 2, length: 2, to: Register::word(3) },
            E::InSet(W0, "holes"),
            accept,
        ],
    );
    t.add_rule(TABLE, LINKS, "containers of this network may not talk", &[drop]);
}

/// What comes in to containers' own addresses, as the gateway modes of their networks say.
fn own_addresses(t: &mut Transaction, index: usize, number: u8) {
    let [load, is] = family(number);
    let (input, output) = (E::Meta(MetaKey::InputName, W0), E::Meta(MetaKey::OutputName, W0));
    let accept = E::Verdict(Verdict::Accept);
    let (address, words, ping) = if number == V4 { (DESTINATION4, 1, ICMP) } else { (DESTINATION6, 4, ICMPV6) };
    let port = E::Payload { base: PayloadBase::Transport, offset: 2, length: 2, to: Register::word(words + 1) };
    t.add_rule(
        TABLE,
        "forward",
        "published ports of routed networks are open",
        &[
            load,
            is,
            address,
            E::Meta(MetaKey::Protocol, Register::word(words)),
            port,
            E::InSet(W0, DOORS[index]),
            accept,
        ],
    );
    t.add_rule(
        TABLE,
        "forward",
        "routed networks answer pings",
        &[
            load,
            is,
            output,
            E::InSet(W0, ROUTED[index]),
            E::Meta(MetaKey::Protocol, W0),
            E::Compare(W0, Operator::Eq, &[ping]),
            accept,
        ],
    );
    t.add_rule(
        TABLE,
        "forward",
        "unprotected networks are open to the outside",
        &[load, is, output, E::InSet(W0, UNPROTECTED[index]), input, E::NotInSet(W0, BRIDGES), accept],
    );
}

const W0: Register = Register::word(0);
const W1: Register = Register::word(1);
const W4: Register = Register::word(4);
const V4: u8 = 2;
const V6: u8 = 10;
const SOURCE4: E<'static> = E::Payload { base: PayloadBase::Network, offset: 12, length: 1, to: W0 };
const DESTINATION4: E<'static> = E::Payload { base: PayloadBase::Network, offset: 16, length: 4, to: W0 };
const DESTINATION6: E<'static> = E::Payload { base: PayloadBase::Network, offset: 24, length: 16, to: W0 };

fn family(number: u8) -> [E<'static>; 2] {
    const NUMBERS: [[u8; 1]; 2] = [[V4], [V6]];
    [E::Meta(MetaKey::Family, W0), E::Compare(W0, Operator::Eq, &NUMBERS[usize::from(number == V6)])]
}

/// 127.0.0.0/8: the first byte decides.
fn loopback(address: E<'static>) -> [E<'static>; 2] {
    let E::Payload { base, offset, to, .. } = address else { return [address, address] };
    [E::Payload { base, offset, length: 1, to }, E::Compare(to, Operator::Eq, &[127])]
}

fn name_bytes(link: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    let length = link.len().min(15);
    bytes[..length].copy_from_slice(&link.as_bytes()[..length]);
    bytes
}

fn pair(link: &str) -> Vec<u8> {
    let name = name_bytes(link);
    [name, name].concat()
}

fn key(bytes: Vec<u8>) -> Element {
    Element { key: bytes, data: ElementData::None }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
