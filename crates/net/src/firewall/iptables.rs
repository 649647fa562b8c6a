//! The other firewall: Docker's chains and rules in the tables of `iptables`, in the form in which `iptables-nft` reads them.
//!
//! ```text
//!   filter  FORWARD → DOCKER-USER (the user's), DOCKER-FORWARD → DOCKER-CT, DOCKER-ISOLATION-STAGE-1 → -2, DOCKER-BRIDGE → DOCKER
//!   nat     PREROUTING, OUTPUT → DOCKER (one DNAT per published port) · POSTROUTING: one MASQUERADE per network
//!   raw     PREROUTING: addresses of containers and loopback are no way around the rules above
//! ```
//!
//! What should be there follows from the declared state alone ([`rules`], pure). Each of our rules carries its own text as a mark
//! that only we see; what has no mark is somebody else's and is never touched, wherever it stands. A change adds and removes the
//! difference to what stood before in one transaction per family; it looks only at chains that lose a rule, because a rule is removed
//! by a number that the kernel gave it. When something is not as it should be, all marks are compared with the declaration.

use std::collections::{HashMap, HashSet};
use std::fmt::{Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use wharf_netlink::Socket;
use wharf_netlink::nft::compat::{self, Extension, state};
use wharf_netlink::nft::{
    Base, Chain, Expression as E, Family, FoundRule, Hook, MarkedRule, MetaKey, Operator, PayloadBase, Place, Register,
    Table, Transaction, Verdict,
};

use crate::firewall::declared::{Bridge, ICMP, ICMPV6, Settings, State};
use crate::port::Protocol;
use crate::{Error, GatewayMode, Result, Subnet};

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    Raw,
    Filter,
    Nat,
}

impl Name {
    const ALL: [Self; 3] = [Self::Raw, Self::Filter, Self::Nat];

    fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }

    fn of(self, family: Family) -> Table<'static> {
        Table { family, name: self.as_str() }
    }

    /// The chains every `iptables` makes, with their hooks.
    fn base_chains(self) -> &'static [(&'static str, Hook, i32)] {
        match self {
            Self::Raw => &[("PREROUTING", Hook::Prerouting, -300), ("OUTPUT", Hook::Output, -300)],
            Self::Filter => &[("INPUT", Hook::Input, 0), ("FORWARD", Hook::Forward, 0), ("OUTPUT", Hook::Output, 0)],
            Self::Nat => &[
                ("PREROUTING", Hook::Prerouting, -100),
                ("INPUT", Hook::Input, 100),
                ("OUTPUT", Hook::Output, -100),
                ("POSTROUTING", Hook::Postrouting, 100),
            ],
        }
    }

    /// Ours; `DOCKER-USER` belongs to the user once it is there.
    fn own_chains(self) -> &'static [&'static str] {
        match self {
            Self::Raw => &[],
            Self::Filter => &[DOCKER, USER, FORWARD, CT, BRIDGE, STAGE_1, STAGE_2],
            Self::Nat => &[DOCKER],
        }
    }
}

const DOCKER: &str = "DOCKER";
const USER: &str = "DOCKER-USER";
const FORWARD: &str = "DOCKER-FORWARD";
const CT: &str = "DOCKER-CT";
const BRIDGE: &str = "DOCKER-BRIDGE";
const STAGE_1: &str = "DOCKER-ISOLATION-STAGE-1";
const STAGE_2: &str = "DOCKER-ISOLATION-STAGE-2";

/// What a rule asks of a packet. Written as `iptables-save` writes it; `bool` is `!`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ask {
    From(bool, Subnet),
    To(bool, Subnet),
    In(bool, String),
    Out(bool, String),
    Transport(Protocol, Option<u16>),
    /// Of IPv4, else of IPv6.
    Icmp(bool),
    ToUs,
    Connection(u16),
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    Jump(&'static str),
    Accept,
    Drop,
    Return,
    Masquerade,
    Dnat(SocketAddr),
}

/// A rule of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    table: Name,
    chain: &'static str,
    place: Place,
    asks: Vec<Ask>,
    act: Act,
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let not = |no: bool| if no { "! " } else { "" };
        for ask in &self.asks {
            match ask {
                Ask::From(no, subnet) => write!(f, "{}-s {subnet} ", not(*no))?,
                Ask::To(no, subnet) => write!(f, "{}-d {subnet} ", not(*no))?,
                Ask::In(no, link) => write!(f, "{}-i {link} ", not(*no))?,
                Ask::Out(no, link) => write!(f, "{}-o {link} ", not(*no))?,
                Ask::Icmp(true) => f.write_str("-p icmp ")?,
                Ask::Icmp(false) => f.write_str("-p ipv6-icmp ")?,
                Ask::Transport(protocol, None) => write!(f, "-p {} ", protocol.as_str())?,
                Ask::Transport(p, Some(port)) => write!(f, "-p {0} -m {0} --dport {port} ", p.as_str())?,
                Ask::ToUs => write!(f, "-m addrtype --dst-type LOCAL ")?,
                Ask::Connection(states) => {
                    let names =
                        [(state::RELATED, "RELATED"), (state::ESTABLISHED, "ESTABLISHED"), (state::DNAT, "DNAT")];
                    let names: Vec<_> = names.iter().filter(|(bit, _)| states & bit != 0).map(|(_, n)| *n).collect();
                    write!(f, "-m conntrack --ctstate {} ", names.join(","))?;
                }
            }
        }
        match &self.act {
            Act::Jump(chain) => write!(f, "-j {chain}"),
            Act::Accept => f.write_str("-j ACCEPT"),
            Act::Drop => f.write_str("-j DROP"),
            Act::Return => f.write_str("-j RETURN"),
            Act::Masquerade => f.write_str("-j MASQUERADE"),
            Act::Dnat(to) => write!(f, "-j DNAT --to-destination {to}"),
        }
    }
}

impl Rule {
    /// The rule as one would type it.
    pub(crate) fn command(&self) -> String {
        format!("-t {} -A {} {self}", self.table.as_str(), self.chain)
    }
}

/// All rules of a family, in the order in which they are added.
pub(crate) fn rules(state: &State, family: Family, settings: Settings) -> Vec<Rule> {
    let mut list = List { rules: Vec::new() };
    let v4 = family == Family::Ip;
    list.skeleton(v4, settings);
    for bridge in &state.bridges {
        let subnets: Vec<Subnet> = bridge.subnets.iter().copied().filter(|s| s.is_ipv4() == v4).collect();
        // a network without the family has nothing to do with it
        if !subnets.is_empty() {
            list.network(bridge, &subnets, v4, settings);
        }
    }
    list.ports(state, v4, settings);
    for hole in state.holes.iter().filter(|h| h.to.is_ipv4() == v4 && h.from.is_ipv4() == v4) {
        let Some(link) = bridge_of(state, hole.to).map(|b| b.link.as_str()) else { continue };
        let within = [Ask::In(false, link.into()), Ask::Out(false, link.into())];
        let asks = [Ask::From(false, alone(hole.from)), Ask::To(false, alone(hole.to))];
        let port = [Ask::Transport(hole.protocol, Some(hole.port))];
        list.first(Name::Filter, DOCKER, [&asks[..], &within, &port].concat(), Act::Accept);
    }
    // two published ports may lead to one port of a container
    let mut seen = HashSet::new();
    list.rules.retain(|r| seen.insert(r.command()));
    list.rules
}

struct List {
    rules: Vec<Rule>,
}

impl List {
    fn last(&mut self, table: Name, chain: &'static str, asks: Vec<Ask>, act: Act) {
        self.rules.push(Rule { table, chain, place: Place::Last, asks, act });
    }

    fn first(&mut self, table: Name, chain: &'static str, asks: Vec<Ask>, act: Act) {
        self.rules.push(Rule { table, chain, place: Place::First, asks, act });
    }

    fn skeleton(&mut self, v4: bool, settings: Settings) {
        use Name::{Filter, Nat};
        self.first(Filter, "FORWARD", Vec::new(), Act::Jump(FORWARD));
        self.first(Filter, "FORWARD", Vec::new(), Act::Jump(USER));
        for chain in [CT, STAGE_1, BRIDGE] {
            self.last(Filter, FORWARD, Vec::new(), Act::Jump(chain));
        }
        self.last(Nat, "PREROUTING", vec![Ask::ToUs], Act::Jump(DOCKER));
        let loopback =
            if v4 { network(Ipv4Addr::new(127, 0, 0, 0).into(), 8) } else { alone(Ipv6Addr::LOCALHOST.into()) };
        // ::1 cannot be rewritten at all
        let spared = (settings.proxy || !v4).then_some(Ask::To(true, loopback));
        self.last(Nat, "OUTPUT", spared.into_iter().chain([Ask::ToUs]).collect(), Act::Jump(DOCKER));
    }

    fn network(&mut self, bridge: &Bridge, subnets: &[Subnet], v4: bool, settings: Settings) {
        use Name::{Filter, Nat, Raw};
        let (of, to) = (|no| Ask::In(no, bridge.link.clone()), |no| Ask::Out(no, bridge.link.clone()));
        if v4 {
            // `route_localnet` opens it, for ports published on loopback only
            let loopback = Ask::To(false, network(Ipv4Addr::new(127, 0, 0, 0).into(), 8));
            self.last(Raw, "PREROUTING", vec![loopback, of(false)], Act::Drop);
        }
        if bridge.internal {
            let within = if bridge.icc { Act::Accept } else { Act::Drop };
            self.last(Filter, FORWARD, vec![of(false), to(false)], within);
            for subnet in subnets {
                self.first(Filter, STAGE_1, vec![Ask::To(true, *subnet), of(false)], Act::Drop);
                self.first(Filter, STAGE_1, vec![Ask::From(true, *subnet), to(false)], Act::Drop);
            }
            return;
        }
        let known = Ask::Connection(state::RELATED | state::ESTABLISHED);
        self.last(Filter, CT, vec![to(false), known.clone()], Act::Accept);
        self.last(Filter, BRIDGE, vec![to(false)], Act::Jump(DOCKER));
        if bridge.icc {
            self.last(Filter, FORWARD, vec![of(false)], Act::Accept);
        } else {
            self.last(Filter, FORWARD, vec![of(false), to(false)], Act::Drop);
            self.last(Filter, FORWARD, vec![of(false), to(true)], Act::Accept);
        }
        let mode = bridge.mode(v4);
        if mode == GatewayMode::Routed {
            self.last(Filter, DOCKER, vec![to(false), Ask::Icmp(v4)], Act::Accept);
            // other networks of this machine are outside as well
            self.first(Filter, STAGE_1, vec![to(false)], Act::Return);
            self.first(Filter, STAGE_1, vec![of(false), known], Act::Accept);
        }
        let others = if mode == GatewayMode::NatUnprotected { Act::Accept } else { Act::Drop };
        self.last(Filter, DOCKER, vec![of(true), to(false)], others);
        if !settings.proxy {
            // published ports are used across networks without it, too
            self.first(Filter, STAGE_1, vec![of(false), to(true), Ask::Connection(state::DNAT)], Act::Return);
        }
        self.last(Filter, STAGE_1, vec![of(false), to(true)], Act::Jump(STAGE_2));
        self.first(Filter, STAGE_2, vec![to(false)], Act::Drop);
        for subnet in subnets.iter().filter(|_| bridge.masquerades(v4)) {
            self.first(Nat, "POSTROUTING", vec![Ask::From(false, *subnet), to(true)], Act::Masquerade);
        }
        if settings.proxy {
            self.first(Nat, DOCKER, vec![of(false)], Act::Return);
        } else {
            for subnet in subnets {
                let published = Ask::Connection(state::DNAT);
                self.last(Nat, "POSTROUTING", vec![Ask::From(false, *subnet), to(false), published], Act::Masquerade);
            }
            if v4 {
                let loopback = Ask::From(false, network(Ipv4Addr::new(127, 0, 0, 0).into(), 8));
                self.last(Nat, "POSTROUTING", vec![loopback, to(false)], Act::Masquerade);
            }
        }
    }

    fn ports(&mut self, state: &State, v4: bool, settings: Settings) {
        use Name::{Filter, Nat, Raw};
        for port in &state.ports {
            let b = &port.binding;
            // no translation between families in the kernel: the proxy's business
            if port.target.is_ipv4() != v4 || b.host_ip.is_ipv4() != v4 {
                continue;
            }
            let Some(bridge) = bridge_of(state, port.target) else { continue };
            let link = bridge.link.as_str();
            let of = |no| Ask::In(no, link.to_owned());
            let asks = [
                (!b.host_ip.is_unspecified()).then(|| Ask::To(false, alone(b.host_ip))),
                (!v4 && settings.proxy).then(|| Ask::From(true, network(LINK_LOCAL.into(), 10))),
                settings.proxy.then(|| of(true)),
                Some(Ask::Transport(b.protocol, Some(b.host_port))),
            ];
            let to = SocketAddr::new(port.target, b.container_port);
            if !b.is_routed() {
                self.last(Nat, DOCKER, asks.into_iter().flatten().collect(), Act::Dnat(to));
            }
            let target = Ask::To(false, alone(port.target));
            let used = Ask::Transport(b.protocol, Some(b.container_port));
            let open = vec![target.clone(), of(true), Ask::Out(false, link.to_owned()), used];
            if bridge.mode(v4) != GatewayMode::NatUnprotected {
                self.first(Filter, DOCKER, open, Act::Accept);
            }
            if bridge.mode(v4) == GatewayMode::Nat {
                // opened by its published port, not by its own address
                self.last(Raw, "PREROUTING", vec![target, of(true)], Act::Drop);
            }
            if b.host_ip.is_loopback() && v4 && !b.is_routed() {
                let asks = vec![
                    Ask::To(false, alone(b.host_ip)),
                    Ask::In(true, "lo".into()),
                    Ask::Transport(b.protocol, Some(b.host_port)),
                ];
                self.last(Raw, "PREROUTING", asks, Act::Drop);
            }
        }
    }
}

const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);

fn network(address: IpAddr, prefix: u8) -> Subnet {
    Subnet { address, prefix }.network()
}

fn alone(address: IpAddr) -> Subnet {
    Subnet { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
}

fn bridge_of(state: &State, address: IpAddr) -> Option<&Bridge> {
    state.bridges.iter().find(|b| b.subnets.iter().any(|s| s.contains(address)))
}

/// The rules that stand after the last change, by family.
#[derive(Debug, Default)]
pub(crate) struct Standing(HashMap<Family, Vec<Rule>>);

/// Makes the tables as declared. Says whether something had to be done.
pub(crate) fn replace(socket: &mut Socket, state: &State, settings: Settings) -> Result<(bool, Standing)> {
    let (mut changed, mut standing) = (false, Standing::default());
    for family in families(settings) {
        let wanted = rules(state, family, settings);
        changed |= sync(socket, &wanted, family, true)?;
        standing.0.insert(family, wanted);
    }
    Ok((changed, standing))
}

/// Carries out a change of what is declared. After an error nobody knows what stands.
pub(crate) fn change(socket: &mut Socket, before: &Standing, state: &State, settings: Settings) -> Result<Standing> {
    let mut standing = Standing::default();
    for family in families(settings) {
        let wanted = rules(state, family, settings);
        let done = match before.0.get(&family) {
            Some(before) => step(socket, before, &wanted, family)?,
            None => false,
        };
        if !done {
            sync(socket, &wanted, family, false)?;
        }
        standing.0.insert(family, wanted);
    }
    Ok(standing)
}

/// Adds and removes the difference. `false` and nothing is done when what stands is not what was declared before.
fn step(socket: &mut Socket, before: &[Rule], wanted: &[Rule], family: Family) -> Result<bool> {
    let commands = |rules: &[Rule]| rules.iter().map(Rule::command).collect::<HashSet<_>>();
    let (old, new) = (commands(before), commands(wanted));
    let mut going: HashMap<(Name, &str), Vec<&Rule>> = HashMap::new();
    for rule in before.iter().filter(|r| !new.contains(&r.command())) {
        going.entry((rule.table, rule.chain)).or_default().push(rule);
    }
    let mut transaction = Transaction::new();
    for ((name, chain), rules) in going {
        let table = name.of(family);
        let found = socket.marked_in(table, chain)?;
        let handles: HashMap<&str, u64> = found.iter().filter_map(|f| Some((f.mark.as_deref()?, f.handle))).collect();
        for rule in rules {
            let Some(handle) = handles.get(rule.to_string().as_str()) else { return Ok(false) };
            transaction.del_rule(table, chain, *handle);
        }
    }
    for rule in wanted.iter().filter(|r| !old.contains(&r.command())) {
        add(&mut transaction, rule, family);
    }
    match socket.commit(&transaction) {
        Ok(()) => Ok(true),
        // a chain of ours is gone, or a rule since we looked
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Removes everything of ours: another back end has taken over. `DOCKER-USER` stays when the user wrote something into it.
pub(crate) fn clean(socket: &mut Socket) -> Result<()> {
    for family in [Family::Ip, Family::Ip6] {
        let mut change = Transaction::new();
        let mut empty = Vec::new();
        for name in Name::ALL {
            let found = socket.marked(name.of(family))?;
            for rule in found.iter().filter(|r| r.mark.is_some()) {
                change.del_rule(name.of(family), &rule.chain, rule.handle);
            }
            let chains = socket.chains(name.of(family))?;
            let used = |chain: &str| found.iter().any(|r| r.mark.is_none() && r.chain == chain);
            let ours = name.own_chains().iter().filter(|c| chains.iter().any(|there| there == *c) && !used(c));
            // without a rule of ours the chains are those of another engine
            if found.iter().any(|r| r.mark.is_some()) {
                empty.extend(ours.map(|c| (name.of(family), *c)));
            }
        }
        socket.commit(&change)?;
        for (table, chain) in empty {
            // one that a rule of the user's jumps to stays
            match socket.commit(Transaction::new().del_chain(table, chain)) {
                Err(error) if error.errno() != Some(Errno::BUSY) => return Err(error.into()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether rules of ours stand in a table of this name.
pub(crate) fn is_ours(table: &str) -> bool {
    Name::ALL.iter().any(|n| n.as_str() == table)
}

/// The rules of a part of what is declared, as one would type them.
pub(crate) fn written(part: &State, settings: Settings) -> Vec<String> {
    let mut list = Vec::new();
    for family in families(settings) {
        let command = if family == Family::Ip { "iptables" } else { "ip6tables" };
        let skeleton = rules(&State::default(), family, settings);
        let rules = rules(part, family, settings);
        list.extend(rules.iter().filter(|r| !skeleton.contains(r)).map(|r| format!("{command} {}", r.command())));
    }
    list
}

fn families(settings: Settings) -> impl Iterator<Item = Family> {
    [Family::Ip].into_iter().chain(settings.ipv6.then_some(Family::Ip6))
}

/// One family. `whole` puts everything back in its order when something is missing.
fn sync(socket: &mut Socket, wanted: &[Rule], family: Family, whole: bool) -> Result<bool> {
    let mut transaction = Transaction::new();
    let mut found: HashMap<(Name, String), Vec<FoundRule>> = HashMap::new();
    let mut missing_chains = false;
    for name in Name::ALL {
        missing_chains |= chains(socket, &mut transaction, name, family)?;
        for rule in socket.marked(name.of(family))? {
            let Some(mark) = rule.mark.clone() else { continue };
            found.entry((name, format!("{} {mark}", rule.chain))).or_default().push(rule);
        }
    }
    let key = |rule: &Rule| (rule.table, format!("{} {rule}", rule.chain));
    let keys: HashSet<_> = wanted.iter().map(key).collect();
    let missing = keys.iter().any(|k| !found.contains_key(k));
    let again = missing_chains || (whole && missing);
    for ((name, text), rules) in &found {
        // of two of the same one is too many
        let keep = usize::from(!again && keys.contains(&(*name, text.clone())));
        for rule in rules.iter().skip(keep) {
            transaction.del_rule(name.of(family), &rule.chain, rule.handle);
        }
    }
    for rule in wanted.iter().filter(|r| again || !found.contains_key(&key(r))) {
        add(&mut transaction, rule, family);
    }
    let changed = !transaction.is_empty();
    match socket.commit(&transaction) {
        Ok(()) => Ok(changed),
        Err(error) if error.errno() == Some(Errno::NOENT) && !has_extensions(socket, family) => {
            Err(Error::Unsupported(
                "the iptables back end needs the kernel's nft_compat (CONFIG_NFT_COMPAT), which is not there".into(),
            ))
        }
        Err(error) => Err(error.into()),
    }
}

/// Adds what is missing of a table's chains. Somebody else's policy stays: a base chain that is there is not named again.
fn chains(socket: &mut Socket, t: &mut Transaction, name: Name, family: Family) -> Result<bool> {
    let table = name.of(family);
    let there = socket.chains(table)?;
    let is_there = |chain: &str| there.iter().any(|c| c == chain);
    let mut missing = false;
    t.add_table(table);
    for (chain, hook, priority) in name.base_chains().iter().filter(|(chain, ..)| !is_there(chain)) {
        missing = true;
        let kind = if name == Name::Nat { "nat" } else { "filter" };
        let base = Base { kind, hook: *hook, priority: *priority, drop_by_default: false };
        t.add_chain(table, &Chain { name: chain, base: Some(base) });
    }
    for chain in name.own_chains().iter().filter(|chain| !is_there(chain)) {
        missing = true;
        t.add_chain(table, &Chain { name: chain, base: None });
    }
    Ok(missing)
}

/// Whether the kernel knows the expressions at all: tried on a table of our own that is gone again at once.
fn has_extensions(socket: &mut Socket, family: Family) -> bool {
    let table = Table { family, name: "wharf_probe" };
    let extension = compat::destination_local();
    let steps = [E::Match(&extension)];
    let mut t = Transaction::new();
    t.add_table(table).add_chain(table, &Chain { name: "probe", base: None });
    t.add_marked(table, "probe", Place::Last, &MarkedRule { steps: &steps, mark: "", protocol: None }).del_table(table);
    socket.commit(&t).is_ok()
}

/// The steps in the order and the form in which `iptables` writes and reads them.
fn add(t: &mut Transaction, rule: &Rule, family: Family) {
    const R: Register = Register::word(0);
    let v4 = family == Family::Ip;
    // what steps borrow
    let bytes: Vec<Vec<u8>> = rule.asks.iter().flat_map(values).collect();
    let extensions: Vec<Extension> = rule.asks.iter().filter_map(extension).chain(target(&rule.act, v4)).collect();
    let (mut bytes, mut extensions) = (bytes.iter(), extensions.iter());
    let mut next = || bytes.next().map_or(&[][..], Vec::as_slice);
    let mut steps = Vec::new();
    let operator = |no: bool| if no { Operator::Ne } else { Operator::Eq };
    let mut protocol = None;
    for ask in &rule.asks {
        match ask {
            Ask::From(no, _) | Ask::To(no, _) => {
                let source = matches!(ask, Ask::From(..));
                let offset = match (v4, source) {
                    (true, true) => 12,
                    (true, false) => 16,
                    (false, true) => 8,
                    (false, false) => 24,
                };
                let (mask, value) = (next(), next());
                let length = u32::try_from(value.len()).unwrap_or(16);
                steps.push(E::Payload { base: PayloadBase::Network, offset, length, to: R });
                if !mask.is_empty() {
                    steps.push(E::Bitwise { from: R, to: R, mask, xor: &[0; 16][..mask.len()] });
                }
                steps.push(E::Compare(R, operator(*no), value));
            }
            Ask::In(no, _) => steps.extend([E::Meta(MetaKey::InputName, R), E::Compare(R, operator(*no), next())]),
            Ask::Out(no, _) => steps.extend([E::Meta(MetaKey::OutputName, R), E::Compare(R, operator(*no), next())]),
            Ask::Transport(..) | Ask::Icmp(_) => {
                let (number, port) = match ask {
                    Ask::Transport(transport, port) => (transport.number(), *port),
                    _ if v4 => (ICMP, None),
                    _ => (ICMPV6, None),
                };
                protocol = Some(number);
                let field = if v4 {
                    E::Payload { base: PayloadBase::Network, offset: 9, length: 1, to: R }
                } else {
                    E::Meta(MetaKey::Protocol, R)
                };
                steps.extend([field, E::Compare(R, Operator::Eq, next())]);
                if port.is_some() {
                    steps.push(E::Payload { base: PayloadBase::Transport, offset: 2, length: 2, to: R });
                    steps.push(E::Compare(R, Operator::Eq, next()));
                }
            }
            Ask::ToUs | Ask::Connection(_) => steps.extend(extensions.next().map(E::Match)),
        }
    }
    steps.push(E::Counter);
    match rule.act {
        Act::Jump(chain) => steps.push(E::Verdict(Verdict::Jump(chain))),
        Act::Accept => steps.push(E::Verdict(Verdict::Accept)),
        Act::Drop => steps.push(E::Verdict(Verdict::Drop)),
        Act::Return => steps.push(E::Verdict(Verdict::Return)),
        Act::Masquerade | Act::Dnat(_) => steps.extend(extensions.next().map(E::Target)),
    }
    let mark = rule.to_string();
    let rule_of = MarkedRule { steps: &steps, mark: &mark, protocol };
    t.add_marked(rule.table.of(family), rule.chain, rule.place, &rule_of);
}

/// The values that a question compares with, in its order.
fn values(ask: &Ask) -> Vec<Vec<u8>> {
    match ask {
        Ask::From(_, subnet) | Ask::To(_, subnet) => {
            let address = match subnet.address {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            let (whole, rest) = (usize::from(subnet.prefix / 8), subnet.prefix % 8);
            if rest == 0 {
                return vec![Vec::new(), address[..whole].to_vec()];
            }
            let mut mask = vec![0; address.len()];
            mask[..whole].fill(0xff);
            mask[whole] = 0xff << (8 - rest);
            vec![mask, address]
        }
        // with its zero, or the name would be read as the beginning of one
        Ask::In(_, link) | Ask::Out(_, link) => vec![[link.as_bytes(), &[0]].concat()],
        Ask::Transport(protocol, port) => {
            let port = port.map(|p| p.to_be_bytes().to_vec());
            [vec![protocol.number()]].into_iter().chain(port).collect()
        }
        Ask::Icmp(v4) => vec![vec![if *v4 { ICMP } else { ICMPV6 }]],
        Ask::ToUs | Ask::Connection(_) => Vec::new(),
    }
}

fn extension(ask: &Ask) -> Option<Extension> {
    match ask {
        Ask::ToUs => Some(compat::destination_local()),
        Ask::Connection(states) => Some(compat::connection(*states)),
        _ => None,
    }
}

fn target(act: &Act, v4: bool) -> Option<Extension> {
    match act {
        Act::Masquerade => Some(compat::masquerade(v4)),
        Act::Dnat(to) => Some(compat::dnat(*to)),
        _ => None,
    }
}
