//! One suite for every firewall: what is open and what is not does not depend on who keeps the gate.

mod machine;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

use machine::{Machine, id};
use wharf_net::{Attach, Config, Firewall, Link, NetworkRequest, Options, PortRequest, Protocol};
use wharf_netlink::nft::{Family, Table};
use wharf_netlink::{Batch, Socket};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn tcp(host: Option<&str>, host_port: u16, container_port: u16) -> PortRequest {
    PortRequest {
        container_port,
        protocol: Protocol::Tcp,
        host_ip: host.map(|h| h.parse().unwrap()),
        host_port: Some(host_port..=host_port),
    }
}

fn named(name: &str) -> NetworkRequest {
    NetworkRequest { name: name.into(), ..NetworkRequest::default() }
}

fn config(machine: &Machine, firewall: Firewall, userland_proxy: bool) -> Config {
    Config { firewall, userland_proxy, name_server: Some(machine.name_server()), ..Config::default() }
}

/// What everybody may expect.
fn conforms(firewall: Firewall, proxy: bool) {
    let machine = Machine::new();
    let networks = machine.open(config(&machine, firewall, proxy));
    machine.run(|| networks.create(&named("other"))).unwrap();
    machine.run(|| networks.create(&NetworkRequest { internal: true, ..named("in") })).unwrap();
    machine.run(|| networks.create(&NetworkRequest { ipv6: Some(true), ..named("six") })).unwrap();
    machine.serve_outside(8080);

    // out, with the machine's address; in, only where it is published
    let ports = vec![tcp(None, 8080, 80), tcp(Some("127.0.0.1"), 8081, 81)];
    let web = machine.start(&networks, 1, &Attach { ports, ..machine.on("bridge") });
    for port in [80, 81, 82] {
        web.serve(port);
    }
    let (host, outside) = (Machine::HOST, Machine::OUTSIDE);
    assert_eq!(web.ask((outside, 8080)).unwrap(), host.to_string(), "out");
    assert_eq!(machine.ask_from_outside((host, 8080)).unwrap(), outside.to_string(), "the client's address is kept");
    assert!(machine.ask_from_outside((host, 8081)).is_err(), "published on loopback only");
    assert!(machine.ask_from_outside((host, 82)).is_err(), "not published");
    machine.route_outside("172.16.0.0", 12);
    machine.route_outside("127.0.0.0", 8);
    for port in [80, 82] {
        assert!(machine.ask_from_outside((web.ip(), port)).is_err(), "port {port} by the container's own address");
    }

    // the machine itself
    assert_eq!(machine.ask((web.ip(), 82)).unwrap(), "172.17.0.1", "the machine may");
    assert_eq!(machine.ask((host, 8080)).unwrap(), host.to_string());
    for address in [(LOOPBACK, 8080), (LOOPBACK, 8081), ("172.17.0.1".parse().unwrap(), 8080)] {
        assert_eq!(machine.ask(address).unwrap(), "172.17.0.1", "{address:?}");
    }
    assert_eq!(machine.ask((LOOPBACK6, 8080)).is_ok(), proxy);

    // neighbours: the same bridge, another one, the container itself
    let near = machine.start(&networks, 2, &machine.on("bridge"));
    let far = machine.start(&networks, 3, &machine.on("other"));
    far.serve(80);
    for (who, container) in [("itself", &web), ("near", &near), ("far", &far)] {
        container.ask((host, 8080)).unwrap_or_else(|e| panic!("{who} uses the published port: {e}"));
        assert!(container.ask((host, 8081)).is_err(), "{who} uses the port on loopback");
        assert!(container.ask((LOOPBACK, 8081)).is_err(), "{who} has a loopback of its own");
    }
    assert_eq!(near.ask((web.ip(), 82)).unwrap(), near.ip().to_string());
    assert!(far.ask((web.ip(), 80)).is_err(), "networks are isolated, published or not");
    assert!(near.ask((far.ip(), 80)).is_err(), "in both directions");

    // internal
    let inner = machine.start(&networks, 4, &machine.on("in"));
    let other = machine.start(&networks, 5, &machine.on("in"));
    other.serve(80);
    assert_eq!(inner.ask((other.ip(), 80)).unwrap(), inner.ip().to_string());
    let gateway = IpAddr::from([172, 19, 0, 1]);
    let any = (IpAddr::from([0, 0, 0, 0]), 0);
    let route = wharf_netlink::NewRoute { to: any, gateway: Some(gateway), link: None, metric: None };
    inner.socket().run(Batch::new().add_route(&route)).unwrap();
    assert!(inner.ask((outside, 8080)).is_err(), "internal networks have no way out");
    assert!(inner.ask((web.ip(), 82)).is_err(), "nor to another network");

    // IPv6
    let wish = Attach { ports: vec![tcp(None, 8086, 80)], ..machine.on("six") };
    let six = machine.start(&networks, 6, &wish);
    six.serve(80);
    let listens = |group: &str, link: &str| {
        let list = std::fs::read_to_string("/proc/thread-self/net/igmp6").unwrap();
        list.lines().any(|l| l.contains(group) && l.contains(link))
    };
    machine.until("the container is asked", || six.run(|| listens("ff0200000000000000000001ff000002", "eth0")));
    machine.until("the bridge is asked", || machine.run(|| listens("ff0200000000000000000001ff000001", "br-")));
    assert_eq!(machine.ask_from_outside((Machine::HOST6, 8086)).unwrap(), Machine::OUTSIDE6.to_string());
    assert_eq!(machine.ask((LOOPBACK6, 8086)).is_ok(), proxy);

    // and then it is all gone
    for n in 1..=6 {
        networks.detach(&id(n)).unwrap();
    }
    for name in ["other", "in", "six"] {
        machine.run(|| networks.remove(name)).unwrap();
    }
    assert!(machine.ask_from_outside((host, 8080)).is_err());
    assert!(machine.ask((LOOPBACK, 8080)).is_err());
}

#[test]
fn r_net_13_nftables() {
    conforms(Firewall::Nftables, true);
}

#[test]
fn r_net_13_nftables_without_proxy() {
    conforms(Firewall::Nftables, false);
}

#[test]
fn r_net_13_iptables() {
    conforms(Firewall::Iptables, true);
}

#[test]
fn r_net_13_iptables_without_proxy() {
    conforms(Firewall::Iptables, false);
}

/// Networks whose containers are reached by their own addresses.
fn gateway_modes(firewall: Firewall) {
    let machine = Machine::new();
    let networks = machine.open(config(&machine, firewall, true));
    let before = machine.run(rules);
    for (name, mode) in [("own", "routed"), ("bare", "nat-unprotected")] {
        let options = [("com.docker.network.bridge.gateway_mode_ipv4".to_owned(), mode.to_owned())].into();
        machine.run(|| networks.create(&NetworkRequest { options, ..named(name) })).unwrap();
    }
    machine.serve_outside(8080);
    machine.route_outside("172.16.0.0", 12);
    let (host, outside) = (Machine::HOST, Machine::OUTSIDE);
    let near = machine.start(&networks, 1, &machine.on("bridge"));

    let wish = Attach { ports: vec![tcp(None, 8081, 80), tcp(Some("127.0.0.1"), 8082, 80)], ..machine.on("own") };
    let own = machine.start(&networks, 2, &wish);
    for port in [80, 82] {
        own.serve(port);
    }
    assert!(own.sandbox.ports.iter().filter(|b| b.host_ip.is_ipv4()).all(|b| b.is_routed()), "{:?}", own.sandbox.ports);
    assert_eq!(machine.ask_from_outside((own.ip(), 80)).unwrap(), outside.to_string(), "published, at its own address");
    assert!(machine.ask_from_outside((own.ip(), 82)).is_err(), "not published");
    assert!(machine.ask_from_outside((host, 8081)).is_err(), "no port of the machine stands for it");
    assert_eq!(own.ask((outside, 8080)).unwrap(), own.ip().to_string(), "it goes out with its own address");
    near.ask((own.ip(), 80)).expect("other networks are outside as well");
    assert!(near.ask((own.ip(), 82)).is_err());

    let bare = machine.start(&networks, 3, &Attach { ports: vec![tcp(None, 8083, 80)], ..machine.on("bare") });
    for port in [80, 82] {
        bare.serve(port);
    }
    assert_eq!(machine.ask_from_outside((bare.ip(), 82)).unwrap(), outside.to_string(), "not published, and open");
    assert_eq!(machine.ask_from_outside((host, 8083)).unwrap(), outside.to_string(), "published as ever");
    assert_eq!(bare.ask((outside, 8080)).unwrap(), host.to_string(), "it goes out with the machine's address");
    assert!(near.ask((bare.ip(), 82)).is_err(), "networks are isolated");

    networks.detach(&id(2)).unwrap();
    assert!(machine.ask_from_outside((own.ip(), 80)).is_err());
    for n in [1, 3] {
        networks.detach(&id(n)).unwrap();
    }
    for name in ["own", "bare"] {
        machine.run(|| networks.remove(name)).unwrap();
    }
    assert_eq!(machine.run(rules), before, "nothing of them stays");
}

/// How many elements our table has and how many rules stand in those that `iptables` shows.
fn rules() -> (usize, usize) {
    let mut socket = Socket::netfilter().unwrap();
    let table = Table { family: Family::Inet, name: "wharf" };
    let sets = ["bridges", "masquerade4", "unprotected4", "routed4", "doors4", "subnets4"];
    let elements = sets.iter().map(|set| socket.elements(table, set).map_or(0, |e| e.len())).sum();
    let tables = ["raw", "filter", "nat"].map(|name| Table { family: Family::Ip, name });
    (elements, tables.iter().map(|t| socket.marked(*t).map_or(0, |rules| rules.len())).sum())
}

#[test]
fn r_net_12_gateway_modes_with_nftables() {
    gateway_modes(Firewall::Nftables);
}

#[test]
fn r_net_12_gateway_modes_with_iptables() {
    gateway_modes(Firewall::Iptables);
}

fn links(firewall: Firewall, proxy: bool) {
    let machine = Machine::new();
    let networks = machine.open(Config { icc: false, ..config(&machine, firewall, proxy) });
    let exposed =
        Attach { exposed: vec![(80, Protocol::Tcp)], ports: vec![tcp(None, 8080, 81)], ..machine.on("bridge") };
    let db = machine.start(&networks, 1, &exposed);
    db.serve(80);
    db.serve(81);
    let stranger = machine.start(&networks, 2, &machine.on("bridge"));
    assert!(stranger.ask((db.ip(), 80)).is_err());
    let published = stranger.ask((Machine::HOST, 8080));
    if proxy {
        published.expect("a published port is for everybody");
    }
    let wish = Attach { links: vec![Link { source: id(1) }], ..machine.on("bridge") };
    let linked = machine.start(&networks, 3, &wish);
    assert_eq!(linked.ask((db.ip(), 80)).unwrap(), linked.ip().to_string());
    assert!(linked.ask((db.ip(), 81)).is_err());
    machine.serve_outside(8080);
    assert_eq!(stranger.ask((Machine::OUTSIDE, 8080)).unwrap(), Machine::HOST.to_string());
    networks.detach(&id(1)).unwrap();
    assert!(stranger.ask((Machine::HOST, 8080)).is_err());
}

#[test]
fn r_net_09_links_with_nftables() {
    links(Firewall::Nftables, true);
}

#[test]
fn r_net_09_links_with_iptables() {
    links(Firewall::Iptables, true);
}

#[test]
fn r_net_09_links_with_iptables_without_proxy() {
    links(Firewall::Iptables, false);
}

/// Runs a command on the machine.
fn run(machine: &Machine, line: &str) -> String {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    let output = machine.run(move || command.output().unwrap());
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `iptables-save` without what changes by itself.
fn saved(machine: &Machine) -> String {
    let text = run(machine, "iptables-nft-save");
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    lines.map(|l| l.split(" [").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn r_net_13_iptables_shows_what_users_know() {
    let machine = Machine::new();
    let networks = machine.open(config(&machine, Firewall::Iptables, true));
    machine.run(|| networks.create(&NetworkRequest { options: bridge_name("brx"), ..named("other") })).unwrap();
    let before = saved(&machine);
    let ports = vec![tcp(None, 8080, 80), tcp(Some("127.0.0.1"), 8081, 81)];
    machine.start(&networks, 1, &Attach { ports, ..machine.on("other") });
    let text = saved(&machine);
    for line in [
        "-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-FORWARD",
        "-A DOCKER -d 172.18.0.2/32 ! -i brx -o brx -p tcp -m tcp --dport 80 -j ACCEPT",
        "-A DOCKER ! -i brx -o brx -j DROP",
        "-A DOCKER-BRIDGE -o brx -j DOCKER",
        "-A DOCKER-CT -o brx -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A DOCKER-FORWARD -j DOCKER-CT\n-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1\n-A DOCKER-FORWARD -j DOCKER-BRIDGE",
        "-A DOCKER-FORWARD -i brx -j ACCEPT",
        "-A DOCKER-ISOLATION-STAGE-1 -i brx ! -o brx -j DOCKER-ISOLATION-STAGE-2",
        "-A DOCKER-ISOLATION-STAGE-2 -o brx -j DROP",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
        "-A POSTROUTING -s 172.18.0.0/16 ! -o brx -j MASQUERADE",
        "-A DOCKER -i brx -j RETURN",
        "-A DOCKER ! -i brx -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80",
        "-A DOCKER -d 127.0.0.1/32 ! -i brx -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:81",
        "-A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 8081 -j DROP",
        "-A PREROUTING -d 172.18.0.2/32 ! -i brx -j DROP",
    ] {
        assert!(text.contains(line), "{line}\n--- in\n{text}");
    }
    let table = run(&machine, "iptables-nft -t nat -L DOCKER -n");
    assert!(table.contains("tcp dpt:8080 to:172.18.0.2:80"), "{table}");
    networks.detach(&id(1)).unwrap();
    assert_eq!(saved(&machine), before, "nothing of the container stays");
    machine.run(|| networks.remove("other")).unwrap();
    assert!(!saved(&machine).contains("brx"), "nothing of the network stays");
}

fn bridge_name(name: &str) -> Options {
    [("com.docker.network.bridge.name".to_owned(), name.to_owned())].into()
}

#[test]
fn r_net_13_rules_of_users_are_never_touched() {
    let machine = Machine::new();
    // there before us, with a policy of its own
    run(&machine, "iptables-nft -P FORWARD DROP");
    run(&machine, "iptables-nft -A FORWARD -s 192.0.2.1 -j ACCEPT");
    let config = config(&machine, Firewall::Iptables, true);
    let networks = machine.open(config.clone());
    let web = machine.start(&networks, 1, &Attach { ports: vec![tcp(None, 8080, 80)], ..machine.on("bridge") });
    web.serve(80);
    let mine = ["-A DOCKER -s 192.0.2.2/32 -j RETURN", "-A DOCKER-USER -s 192.0.2.3/32 -j DROP"];
    for rule in mine {
        run(&machine, &format!("iptables-nft {rule}"));
    }
    assert!(machine.ask_from_outside((Machine::HOST, 8080)).is_ok());
    run(&machine, &format!("iptables-nft -I DOCKER-USER -s {} -j DROP", Machine::OUTSIDE));
    assert!(machine.ask_from_outside((Machine::HOST, 8080)).is_err(), "DOCKER-USER is asked first");
    // one of ours goes, and comes back; theirs stay
    run(&machine, "iptables-nft -D FORWARD -j DOCKER-FORWARD");
    machine
        .until("it is back", || saved(&machine).contains("-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-FORWARD\n"));
    networks.detach(&id(1)).unwrap();
    drop(networks);
    let networks = machine.open(config.clone());
    let text = saved(&machine);
    for line in mine.iter().chain(&[":FORWARD DROP", "-A FORWARD -s 192.0.2.1/32 -j ACCEPT"]) {
        assert!(text.contains(line), "{line}\n--- in\n{text}");
    }
    drop(networks);
    let networks = machine.open(Config { firewall: Firewall::Nftables, ..config });
    let text = saved(&machine);
    assert!(!text.contains("docker0") && text.contains(mine[1]), "another back end leaves only theirs: {text}");
    assert!(networks.find("bridge").is_ok());
}

/// Everything that was declared, after everything was taken away.
fn heals(firewall: Firewall, away: impl Fn(&Machine)) {
    let machine = Machine::new();
    let networks = machine.open(config(&machine, firewall, true));
    let web = machine.start(&networks, 1, &Attach { ports: vec![tcp(None, 8080, 80)], ..machine.on("bridge") });
    web.serve(80);
    for _ in 0..2 {
        away(&machine);
        machine.until("the rules are back", || machine.ask_from_outside((Machine::HOST, 8080)).is_ok());
    }
    assert!(machine.ask_from_outside((web.ip(), 80)).is_err());
}

#[test]
fn r_net_13_nftables_heals_after_a_flush() {
    heals(Firewall::Nftables, |machine| drop(run(machine, "nft flush ruleset")));
}

#[test]
fn r_net_13_iptables_heals_after_a_flush() {
    heals(Firewall::Iptables, |machine| drop(run(machine, "nft flush ruleset")));
    heals(Firewall::Iptables, |machine| drop(run(machine, "iptables-nft -t nat -F")));
    heals(Firewall::Iptables, |machine| {
        // as a reload of a firewall service does it: everything is replaced by what was kept
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n*nat\nCOMMIT\n").unwrap();
        run(machine, &format!("iptables-nft-restore {}", file.path().display()));
    });
}

#[test]
fn without_a_firewall_only_the_proxy_leads() {
    let machine = Machine::new();
    let networks = machine.open(config(&machine, Firewall::Off, true));
    let web = machine.start(&networks, 1, &Attach { ports: vec![tcp(None, 8080, 80)], ..machine.on("bridge") });
    web.serve(80);
    assert_eq!(machine.ask_from_outside((Machine::HOST, 8080)).unwrap(), "172.17.0.1");
    let ours = Table { family: Family::Inet, name: "wharf" };
    assert!(!machine.run(|| Socket::netfilter().unwrap().has_table(ours)).unwrap());
}

#[test]
fn without_ip6tables_ipv6_is_left_alone() {
    for firewall in [Firewall::Nftables, Firewall::Iptables] {
        let machine = Machine::new();
        let config = Config { ip6_firewall: false, ..config(&machine, firewall, true) };
        let networks = machine.open(config);
        machine.run(|| networks.create(&NetworkRequest { ipv6: Some(true), ..named("six") })).unwrap();
        let six = machine.start(&networks, 1, &machine.on("six"));
        six.serve(80);
        let table = Table { family: Family::Ip6, name: "filter" };
        assert!(!machine.run(|| Socket::netfilter().unwrap().has_table(table)).unwrap());
        assert!(machine.ask((six.sandbox.endpoints[0].ipv6.unwrap().address, 80)).is_ok());
    }
}
