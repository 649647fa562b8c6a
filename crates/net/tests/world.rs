//! The world against the kernel: a machine, an outside world and containers, each a network namespace made by the test.

mod machine;

use std::net::{IpAddr, Ipv4Addr};

use machine::{Machine, id};
use wharf_net::{
    Attach, Config, DefaultBridge, EndpointRequest, Error, Link, Live, Mac, NetworkRequest, Options, PoolRequest,
    PortRequest, Protocol,
};
use wharf_netlink::nft::{Family, Table, Transaction};
use wharf_netlink::{Batch, LinkName, Socket};

const TABLE: Table<'static> = Table { family: Family::Inet, name: "wharf" };

fn tcp(host: Option<&str>, host_port: u16, container_port: u16) -> PortRequest {
    PortRequest {
        container_port,
        protocol: Protocol::Tcp,
        host_ip: host.map(|h| h.parse().unwrap()),
        host_port: (host_port > 0).then_some(host_port..=host_port),
    }
}

fn named(name: &str) -> NetworkRequest {
    NetworkRequest { name: name.into(), ..NetworkRequest::default() }
}

fn with_subnet(name: &str, subnet: &str) -> NetworkRequest {
    NetworkRequest { pools: vec![PoolRequest { subnet: subnet.into(), ..PoolRequest::default() }], ..named(name) }
}

fn at(network: &str, ip: &str) -> EndpointRequest {
    EndpointRequest { network: network.into(), ipv4: Some(ip.parse().unwrap()), ..EndpointRequest::default() }
}

#[test]
fn r_net_03_default_bridge() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let bridge = networks.find("bridge").unwrap();
    assert_eq!(bridge.pools[0].subnet.to_string(), "172.17.0.0/16");
    assert_eq!(networks.list().iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["bridge", "host", "none"]);
    let one = machine.start(&networks, 1, &Attach::default());
    let e = &one.sandbox.endpoints[0];
    assert_eq!(e.ipv4.unwrap().to_string(), "172.17.0.2/16");
    assert_eq!(e.gateway.unwrap().to_string(), "172.17.0.1");
    assert_eq!(e.mac.unwrap(), Mac::of(Ipv4Addr::new(172, 17, 0, 2)));
    let mut inside = one.socket();
    let eth0 = inside.link(LinkName::Name("eth0")).unwrap().unwrap();
    assert_eq!((eth0.index, eth0.mtu, eth0.up), (2, 1500, true));
    assert!(inside.link(LinkName::Name("lo")).unwrap().unwrap().up);
    let disabled = |name: &str| {
        let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
        one.run(move || std::fs::read_to_string(path).unwrap().trim().to_owned())
    };
    assert_eq!((disabled("eth0"), disabled("lo"), disabled("default")), ("1".into(), "0".into(), "0".into()));
    let two = machine.start(&networks, 2, &Attach::default());
    assert_eq!(two.ip().to_string(), "172.17.0.3");
    two.serve(80);
    assert_eq!(one.ask((two.ip(), 80)).unwrap(), one.ip().to_string());
    drop(two);
    networks.detach(&id(2)).unwrap();
    let three = machine.start(&networks, 3, &Attach::default());
    assert_eq!(three.ip().to_string(), "172.17.0.3");
}

#[test]
fn r_net_10_outside_sees_the_machines_address_and_cannot_come_in() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let one = machine.start(&networks, 1, &Attach::default());
    machine.serve_outside(8080);
    assert_eq!(one.ask((Machine::OUTSIDE, 8080)).unwrap(), Machine::HOST.to_string());
    one.serve(80);
    machine.route_outside("172.17.0.0", 16);
    assert!(machine.ask_from_outside((one.ip(), 80)).is_err(), "a container is not reachable by its own address");
    assert_eq!(machine.ask((one.ip(), 80)).unwrap(), "172.17.0.1", "the machine itself may");
}

#[test]
fn r_net_11_12_published_port_from_everywhere() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let wish = Attach { ports: vec![tcp(None, 8080, 80), tcp(Some("127.0.0.1"), 0, 80)], ..Attach::default() };
    let one = machine.start(&networks, 1, &wish);
    one.serve(80);
    let shown: Vec<_> = one.sandbox.ports.iter().map(|p| (p.host_ip.to_string(), p.container_port)).collect();
    assert_eq!(shown, [("0.0.0.0".into(), 80), ("::".into(), 80), ("127.0.0.1".into(), 80)]);
    assert_eq!(machine.ask_from_outside((Machine::HOST, 8080)).unwrap(), Machine::OUTSIDE.to_string());
    assert_eq!(machine.ask((Machine::HOST, 8080)).unwrap(), Machine::HOST.to_string());
    let loopback = IpAddr::from([127, 0, 0, 1]);
    assert_eq!(machine.ask((loopback, 8080)).unwrap(), "172.17.0.1");
    assert_eq!(machine.ask((IpAddr::from([172, 17, 0, 1]), 8080)).unwrap(), "172.17.0.1");
    let any = one.sandbox.ports[2].host_port;
    assert_eq!(machine.ask((loopback, any)).unwrap(), "172.17.0.1");
    assert!(machine.ask_from_outside((Machine::HOST, any)).is_err());
    let two = machine.start(&networks, 2, &Attach::default());
    assert_eq!(two.ask((Machine::HOST, 8080)).unwrap(), "172.17.0.1", "from the same bridge");
    assert_eq!(one.ask((Machine::HOST, 8080)).unwrap(), "172.17.0.1", "from the container itself");
    networks.detach(&id(1)).unwrap();
    assert!(machine.ask_from_outside((Machine::HOST, 8080)).is_err());
    assert_eq!(machine.elements("any4"), 0);
}

#[test]
fn r_net_11_conflicts_are_refused_and_leave_nothing() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let wish = Attach { name: "web".into(), ports: vec![tcp(None, 8080, 80)], ..machine.on("bridge") };
    let _one = machine.start(&networks, 1, &wish);
    let refused = |wish: &Attach| {
        let netns = machine.run(|| networks.namespace().unwrap());
        machine.run(|| networks.attach(&id(2), &netns, wish)).unwrap_err().to_string()
    };
    let other = Attach { ports: vec![tcp(None, 9090, 80), tcp(Some("9.9.9.9"), 8080, 80)], ..wish.clone() };
    let error = refused(&other);
    assert!(error.contains("driver failed programming external connectivity on endpoint web ("), "{error}");
    assert!(error.ends_with("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{error}");
    assert!(networks.sandbox(&id(2)).is_none());
    let there = machine.run(|| std::net::TcpListener::bind(("0.0.0.0", 7070)).unwrap());
    let taken = Attach { ports: vec![tcp(None, 7070, 80)], ..wish };
    let error = refused(&taken);
    let why = "failed to bind host port for 0.0.0.0:7070:172.17.0.3:80/tcp: address already in use";
    assert!(error.ends_with(why), "{error}");
    drop(there);
    machine.start(&networks, 2, &taken);
}

#[test]
fn r_net_11_random_ports_come_from_the_range() {
    let machine = Machine::new();
    let networks = machine.open(Config { publish_range: 49000..=49002, ..Config::default() });
    let wish = Attach { ports: (0..3).map(|n| tcp(None, 0, 80 + n)).collect(), ..machine.on("bridge") };
    let one = machine.start(&networks, 1, &wish);
    let mut got: Vec<_> = one.sandbox.ports.iter().map(|p| p.host_port).collect();
    got.dedup();
    assert_eq!(got, [49000, 49001, 49002]);
    let more = Attach { ports: vec![tcp(None, 0, 80)], ..machine.on("bridge") };
    let refused = machine.run(|| networks.attach(&id(2), &networks.namespace().unwrap(), &more));
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
}

#[test]
fn r_net_05_two_networks_are_isolated_until_connected() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    machine.run(|| networks.create(&named("my_net"))).unwrap();
    let a = machine.start(&networks, 1, &Attach::default());
    let b = machine.start(&networks, 2, &machine.on("my_net"));
    assert_eq!(b.ip().to_string(), "172.18.0.2");
    a.serve(80);
    b.serve(80);
    assert!(a.ask((b.ip(), 80)).is_err());
    assert!(b.ask((a.ip(), 80)).is_err());
    let request = EndpointRequest { network: "my_net".into(), ..EndpointRequest::default() };
    let endpoint = machine.run(|| networks.connect(&id(1), &a.netns(), &request)).unwrap();
    assert_eq!(endpoint.interface, "eth1");
    assert_eq!(a.ask((b.ip(), 80)).unwrap(), "172.18.0.3");
    let error = machine.run(|| networks.connect(&id(1), &a.netns(), &request)).unwrap_err();
    assert_eq!(error.to_string(), "endpoint with name c1 already exists in network my_net");
    machine.run(|| networks.disconnect(&id(1), &a.netns(), "my_net")).unwrap();
    assert!(a.ask((b.ip(), 80)).is_err());
    assert!(a.socket().link(LinkName::Name("eth1")).unwrap().is_none());
    let error = machine.run(|| networks.remove("my_net")).unwrap_err().to_string();
    assert!(error.starts_with("error while removing network: network my_net has active endpoints (name:\"c2\" id:\""));
    networks.detach(&id(2)).unwrap();
    machine.run(|| networks.remove("my_net")).unwrap();
    assert!(networks.find("my_net").is_err());
    assert_eq!(machine.elements("bridges"), 1);
    machine.until("its link goes", || !machine.links().iter().any(|l| l.name.starts_with("br-")));
}

#[test]
fn r_net_04_name_and_subnet_are_free_as_soon_as_the_network_is_removed() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    for _ in 0..5 {
        let made = machine.run(|| networks.create(&with_subnet("again", "172.22.16.0/24")));
        made.expect("the link of the last one may still be there, its routes are not");
        machine.run(|| networks.remove("again")).unwrap();
        machine.run(|| networks.create(&named("chosen"))).unwrap();
        assert_eq!(networks.find("chosen").unwrap().pools[0].subnet.to_string(), "172.18.0.0/16");
        machine.run(|| networks.remove("chosen")).unwrap();
    }
    machine.until("every link goes", || !machine.links().iter().any(|l| l.name.starts_with("br-")));
}

#[test]
fn r_net_05_the_way_out_follows_connect_and_disconnect() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    machine.run(|| networks.create(&named("other"))).unwrap();
    machine.serve_outside(8080);
    let a = machine.start(&networks, 1, &Attach::default());
    let request = EndpointRequest { network: "other".into(), ..EndpointRequest::default() };
    machine.run(|| networks.connect(&id(1), &a.netns(), &request)).unwrap();
    machine.run(|| networks.disconnect(&id(1), &a.netns(), "bridge")).unwrap();
    assert_eq!(a.ask((Machine::OUTSIDE, 8080)).unwrap(), Machine::HOST.to_string());
    let routes = a.socket().routes().unwrap();
    let default = routes.iter().find(|r| r.to.1 == 0 && r.gateway.is_some()).unwrap();
    assert_eq!(default.gateway.unwrap().to_string(), "172.18.0.1");
}

#[test]
fn r_net_04_static_addresses() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    machine.run(|| networks.create(&with_subnet("given", "172.22.16.0/24"))).unwrap();
    machine.run(|| networks.create(&named("chosen"))).unwrap();
    let one = machine.start(&networks, 1, &Attach { endpoints: vec![at("given", "172.22.16.8")], ..Attach::default() });
    assert_eq!(one.ip().to_string(), "172.22.16.8");
    let refused = |request: EndpointRequest| {
        let wish = Attach { endpoints: vec![request], ..Attach::default() };
        let netns = machine.run(|| networks.namespace().unwrap());
        machine.run(|| networks.attach(&id(2), &netns, &wish)).unwrap_err().to_string()
    };
    assert_eq!(refused(at("given", "172.22.16.8")), "Address already in use");
    assert_eq!(
        refused(at("chosen", "172.18.0.9")),
        "invalid config for network chosen: invalid endpoint settings:\n\
         user specified IP address is supported only when connecting to networks with user configured subnets"
    );
    assert_eq!(
        refused(at("given", "10.99.0.5")),
        "invalid config for network given: invalid endpoint settings:\n\
         no configured subnet or ip-range contain the IP address 10.99.0.5"
    );
    // kept while the container is stopped
    networks.reserve(&id(3), &at("given", "172.22.16.2")).unwrap();
    let dynamic = machine.start(&networks, 4, &machine.on("given"));
    assert_eq!(dynamic.ip().to_string(), "172.22.16.3");
    let kept = Attach { endpoints: vec![at("given", "172.22.16.2")], ..Attach::default() };
    drop(machine.start(&networks, 3, &kept));
    networks.detach(&id(3)).unwrap();
    assert_eq!(refused(at("given", "172.22.16.2")), "Address already in use", "still reserved");
    networks.forget(&id(3)).unwrap();
    machine.start(&networks, 2, &kept);
}

#[test]
fn r_net_10_internal_networks_have_no_way_out() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    machine.run(|| networks.create(&NetworkRequest { internal: true, ..named("in") })).unwrap();
    let a = machine.start(&networks, 1, &machine.on("in"));
    let b = machine.start(&networks, 2, &machine.on("in"));
    b.serve(80);
    machine.serve_outside(8080);
    assert!(a.sandbox.endpoints[0].gateway.is_none());
    assert_eq!(a.ask((b.ip(), 80)).unwrap(), a.ip().to_string());
    assert!(a.ask((Machine::OUTSIDE, 8080)).is_err());
    // also with a route of its own making
    let gateway = IpAddr::from([172, 18, 0, 1]);
    let any = (IpAddr::from([0, 0, 0, 0]), 0);
    let route = wharf_netlink::NewRoute { to: any, gateway: Some(gateway), link: None, metric: None };
    a.socket().run(Batch::new().add_route(&route)).unwrap();
    assert!(a.ask((Machine::OUTSIDE, 8080)).is_err());
}

#[test]
fn r_net_09_icc_false_and_links() {
    let machine = Machine::new();
    let networks = machine.open(Config { icc: false, ..Config::default() });
    let exposed = Attach { exposed: vec![(80, Protocol::Tcp)], ..machine.on("bridge") };
    let db = machine.start(&networks, 1, &exposed);
    db.serve(80);
    db.serve(81);
    let stranger = machine.start(&networks, 2, &machine.on("bridge"));
    assert!(stranger.ask((db.ip(), 80)).is_err());
    let wish = Attach { links: vec![Link { source: id(1) }], ..machine.on("bridge") };
    let linked = machine.start(&networks, 3, &wish);
    assert_eq!(linked.ask((db.ip(), 80)).unwrap(), linked.ip().to_string());
    assert!(linked.ask((db.ip(), 81)).is_err());
    machine.serve_outside(8080);
    assert_eq!(stranger.ask((Machine::OUTSIDE, 8080)).unwrap(), Machine::HOST.to_string());
    networks.detach(&id(3)).unwrap();
    assert_eq!(machine.elements("holes"), 0);
}

#[test]
fn r_net_16_ipv6() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    machine.run(|| networks.create(&NetworkRequest { ipv6: Some(true), ..named("six") })).unwrap();
    let wish = Attach { ports: vec![tcp(None, 8080, 80)], ..machine.on("six") };
    let a = machine.start(&networks, 1, &wish);
    let b = machine.start(&networks, 2, &machine.on("six"));
    let six = a.sandbox.endpoints[0].ipv6.unwrap();
    assert_eq!(six.prefix, 64);
    a.serve(80);
    // the kernel starts to listen for who asks for an address a little after it has given it
    let listens = |group: &str, link: &str| {
        let list = std::fs::read_to_string("/proc/thread-self/net/igmp6").unwrap();
        list.lines().any(|l| l.contains(group) && l.contains(link))
    };
    machine.until("a is asked", || a.run(|| listens("ff0200000000000000000001ff000002", "eth0")));
    machine.until("b is asked", || b.run(|| listens("ff0200000000000000000001ff000003", "eth0")));
    machine.until("the bridge is asked", || machine.run(|| listens("ff0200000000000000000001ff000001", "br-")));
    assert_eq!(b.ask((six.address, 80)).unwrap(), b.sandbox.endpoints[0].ipv6.unwrap().address.to_string());
    machine.serve_outside(8080);
    assert_eq!(b.ask((Machine::OUTSIDE6, 8080)).unwrap(), Machine::HOST6.to_string());
    assert_eq!(machine.ask_from_outside((Machine::HOST6, 8080)).unwrap(), Machine::OUTSIDE6.to_string());
}

#[test]
fn r_net_13_flushed_rules_come_back() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let wish = Attach { ports: vec![tcp(None, 8080, 80)], ..machine.on("bridge") };
    let one = machine.start(&networks, 1, &wish);
    one.serve(80);
    machine.run(|| Socket::netfilter().unwrap().commit(Transaction::new().del_table(TABLE)).unwrap());
    machine.until("the table is back", || machine.elements("any4") == 1);
    assert_eq!(machine.ask_from_outside((Machine::HOST, 8080)).unwrap(), Machine::OUTSIDE.to_string());
}

#[test]
fn r_net_01_reconcile_after_a_crash() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let created = machine.run(|| networks.create(&named("mine"))).unwrap();
    let wish = Attach { ports: vec![tcp(None, 8080, 80)], ..machine.on("mine") };
    let one = machine.start(&networks, 1, &wish);
    let two = machine.start(&networks, 2, &machine.on("bridge"));
    one.serve(80);
    drop(networks);
    // while nobody looks: a bridge goes, a container ends
    let link = format!("br-{}", created.id.short());
    machine.run(|| Socket::route().unwrap().run(Batch::new().del_link(LinkName::Name(&link)))).unwrap();
    drop(two);
    let networks = machine.open(Config::default());
    let live = [Live { container: id(1), netns: one.netns() }];
    machine.run(|| networks.reconcile(&live)).unwrap();
    assert!(networks.sandbox(&id(2)).is_none());
    assert_eq!(networks.sandbox(&id(1)).unwrap(), one.sandbox);
    assert_eq!(machine.ask_from_outside((Machine::HOST, 8080)).unwrap(), Machine::OUTSIDE.to_string());
    assert_eq!(networks.find("mine").unwrap().id, created.id);
    let wish = Attach { ports: vec![tcp(None, 8080, 1)], ..machine.on("bridge") };
    let refused = machine.run(|| networks.attach(&id(5), &networks.namespace().unwrap(), &wish));
    assert!(matches!(refused, Err(Error::Conflict(_))), "the port is still taken");
}

#[test]
fn an_address_is_the_new_containers_at_once() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let old = machine.start(&networks, 1, &machine.on("bridge"));
    old.serve(80);
    assert!(machine.ask((old.ip(), 80)).is_ok());
    networks.detach(&id(1)).unwrap();
    // the old namespace is still there when the next container gets the address
    let new = machine.start(&networks, 2, &machine.on("bridge"));
    assert_eq!(new.ip(), old.ip());
    new.serve(81);
    assert!(machine.ask((new.ip(), 81)).is_ok());
    assert!(machine.ask((new.ip(), 80)).is_err());
}

#[test]
fn r_net_13_nothing_remains() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let before = machine.links().len();
    for n in 1..20 {
        let wish = Attach { ports: vec![tcp(None, 8000 + u16::from(n), 80)], ..machine.on("bridge") };
        drop(machine.start(&networks, n, &wish));
        networks.detach(&id(n)).unwrap();
    }
    machine.until("the pairs go with their namespaces", || machine.links().len() == before);
    for map in ["any4", "ports4", "any6", "ports6", "holes"] {
        assert_eq!(machine.elements(map), 0, "{map}");
    }
}

#[test]
fn two_starts_race_for_one_address_and_one_port() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    machine.run(|| networks.create(&with_subnet("given", "10.9.0.0/24"))).unwrap();
    let address = Attach { endpoints: vec![at("given", "10.9.0.7")], ..Attach::default() };
    let port = Attach { ports: vec![tcp(None, 8080, 80)], ..machine.on("bridge") };
    for (round, wish) in [address, port].iter().enumerate() {
        let first = u8::try_from(round * 8 + 1).unwrap();
        let won: Vec<bool> = std::thread::scope(|scope| {
            let race = |n| {
                let (machine, networks) = (&machine, &networks);
                scope.spawn(move || {
                    machine.run(|| networks.attach(&id(n), &networks.namespace().unwrap(), wish).is_ok())
                })
            };
            let all: Vec<_> = (first..first + 8).map(race).collect();
            all.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(won.iter().filter(|w| **w).count(), 1);
    }
}

#[test]
fn r_net_14_macvlan() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let request = NetworkRequest {
        driver: "macvlan".into(),
        options: Options::from([("parent".into(), "eth0".into())]),
        ..with_subnet("lan", "203.0.113.0/25")
    };
    machine.run(|| networks.create(&request)).unwrap();
    let a = machine.start(&networks, 1, &Attach { endpoints: vec![at("lan", "203.0.113.9")], ..Attach::default() });
    machine.serve_outside(8080);
    assert_eq!(a.ask((Machine::OUTSIDE, 8080)).unwrap(), a.ip().to_string(), "no NAT");
    a.serve(80);
    assert_eq!(machine.ask_from_outside((a.ip(), 80)).unwrap(), Machine::OUTSIDE.to_string());
    let missing = NetworkRequest {
        options: Options::from([("parent".into(), "nope0".into())]),
        driver: "macvlan".into(),
        ..named("no")
    };
    assert!(machine.run(|| networks.create(&missing)).unwrap_err().to_string().contains("nope0"));
    assert!(networks.find("no").is_err());
}

#[test]
fn r_net_02_host_and_none_make_nothing() {
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    for name in ["host", "none"] {
        let one = machine.start(&networks, 1, &machine.on(name));
        assert_eq!(one.socket().links().unwrap().len(), 1, "only lo");
        assert_eq!(one.sandbox.endpoints.len(), 1);
        networks.detach(&id(1)).unwrap();
    }
}

#[test]
fn r_net_01_the_default_bridge_can_be_configured() {
    let machine = Machine::new();
    let bridge = DefaultBridge::Enabled {
        link: "docker0".into(),
        bip: Some("10.200.0.5/24".parse().unwrap()),
        fixed_cidr: Some("10.200.0.128/25".parse().unwrap()),
        gateway: None,
        mtu: 1400,
        ipv6: None,
    };
    let networks = machine.open(Config { bridge, ..Config::default() });
    let one = machine.start(&networks, 1, &Attach::default());
    let e = &one.sandbox.endpoints[0];
    assert_eq!(e.ipv4.unwrap().to_string(), "10.200.0.128/24");
    assert_eq!(e.gateway.unwrap().to_string(), "10.200.0.5");
    assert_eq!(one.socket().link(LinkName::Name("eth0")).unwrap().unwrap().mtu, 1400);
}
