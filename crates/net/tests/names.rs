//! Names for containers, through the socket at 127.0.0.11 of a real namespace.

mod machine;

use std::net::IpAddr;

use machine::{Machine, dns, id};
use wharf_net::{Attach, Config, EndpointRequest, Live, NetworkRequest};

fn on(network: &str, names: &[&str]) -> Attach {
    let dns_names = names.iter().map(|n| (*n).to_owned()).collect();
    let endpoint = EndpointRequest { network: network.into(), dns_names, ..EndpointRequest::default() };
    Attach { endpoints: vec![endpoint], resolvers: vec![Machine::OUTSIDE], ..Attach::default() }
}

fn named(name: &str) -> NetworkRequest {
    NetworkRequest { name: name.into(), ..NetworkRequest::default() }
}

#[test]
fn r_net_06_names_on_user_defined_networks() {
    let machine = Machine::new();
    machine.answer_outside(None);
    let networks = machine.open(Config { name_server: Some(machine.name_server()), ..Config::default() });
    machine.run(|| networks.create(&named("my_net"))).unwrap();
    machine.run(|| networks.create(&named("other"))).unwrap();
    let web = machine.start(&networks, 1, &on("my_net", &["web", "pool", "0101"]));
    let db = machine.start(&networks, 2, &on("my_net", &["db", "pool"]));
    let far = machine.start(&networks, 3, &on("other", &["far"]));
    let plain = machine.start(&networks, 4, &on("bridge", &[]));
    assert!(web.sandbox.dns && !plain.sandbox.dns);
    for over in [dns::Over::Udp, dns::Over::Tcp] {
        assert_eq!(web.resolve(over, "db", dns::A).unwrap(), [db.ip().to_string()]);
        assert_eq!(web.resolve(over, "DB.my_net", dns::A).unwrap(), [db.ip().to_string()]);
        assert_eq!(db.resolve(over, "0101", dns::A).unwrap(), [web.ip().to_string()]);
        assert_eq!(db.resolve(over, "web", dns::AAAA).unwrap(), [""; 0], "the name exists, an address does not");
        assert_eq!(db.resolve(over, "2.0.18.172.in-addr.arpa", dns::PTR).unwrap(), ["web.my_net"]);
    }
    assert_eq!(web.resolve(dns::Over::Udp, "pool", dns::A).unwrap().len(), 2);
    assert!(web.resolve(dns::Over::Udp, "far", dns::A).is_err());
    // connect opens, disconnect closes
    let request = EndpointRequest { network: "other".into(), dns_names: vec!["web".into()], ..Default::default() };
    machine.run(|| networks.connect(&id(1), &web.netns(), &request)).unwrap();
    assert_eq!(web.resolve(dns::Over::Udp, "far", dns::A).unwrap(), [far.ip().to_string()]);
    assert_eq!(far.resolve(dns::Over::Udp, "web", dns::A).unwrap(), ["172.19.0.3"]);
    machine.run(|| networks.disconnect(&id(1), &web.netns(), "other")).unwrap();
    assert!(web.resolve(dns::Over::Udp, "far", dns::A).is_err());
    machine.run(|| networks.detach(&id(2))).unwrap();
    assert!(web.resolve(dns::Over::Udp, "db", dns::A).is_err());
}

#[test]
fn r_net_06_everything_else_is_forwarded() {
    let machine = Machine::new();
    let networks = machine.open(Config { name_server: Some(machine.name_server()), ..Config::default() });
    machine.run(|| networks.create(&named("my_net"))).unwrap();
    machine.run(|| networks.create(&NetworkRequest { internal: true, ..named("in") })).unwrap();
    machine.answer_outside(Some("192.0.2.7".parse().unwrap()));
    let web = machine.start(&networks, 1, &on("my_net", &["web"]));
    let closed = machine.start(&networks, 2, &on("in", &["closed"]));
    for over in [dns::Over::Udp, dns::Over::Tcp] {
        assert_eq!(web.resolve(over, "example.org", dns::A).unwrap(), ["192.0.2.7"]);
        assert_eq!(closed.resolve(over, "example.org", dns::A).unwrap_err(), 2, "no way out of an internal network");
    }
}

#[test]
fn r_net_06_port_53_stays_free_for_the_container() {
    let machine = Machine::new();
    let networks = machine.open(Config { name_server: Some(machine.name_server()), ..Config::default() });
    machine.run(|| networks.create(&named("my_net"))).unwrap();
    let web = machine.start(&networks, 1, &on("my_net", &["web"]));
    web.run(|| {
        std::net::UdpSocket::bind(("0.0.0.0", 53)).unwrap();
        std::net::TcpListener::bind(("0.0.0.0", 53)).unwrap();
    });
}

#[test]
fn r_net_08_private_aliases() {
    let machine = Machine::new();
    machine.answer_outside(None);
    let networks = machine.open(Config { name_server: Some(machine.name_server()), ..Config::default() });
    machine.run(|| networks.create(&named("my_net"))).unwrap();
    let mut wish = on("my_net", &["web"]);
    wish.endpoints[0].links.push(("db".into(), "webdb".into()));
    let web = machine.start(&networks, 1, &wish);
    assert!(web.resolve(dns::Over::Udp, "webdb", dns::A).is_err(), "the source comes later");
    let db = machine.start(&networks, 2, &on("my_net", &["db"]));
    assert_eq!(web.resolve(dns::Over::Udp, "webdb", dns::A).unwrap(), [db.ip().to_string()]);
    assert!(db.resolve(dns::Over::Udp, "webdb", dns::A).is_err());
}

#[test]
fn r_net_06_names_while_the_daemon_is_away_and_after() {
    let machine = Machine::new();
    machine.answer_outside(None);
    let config = Config { name_server: Some(machine.name_server()), ..Config::default() };
    let networks = machine.open(config.clone());
    machine.run(|| networks.create(&named("my_net"))).unwrap();
    let web = machine.start(&networks, 1, &on("my_net", &["web"]));
    let db = machine.start(&networks, 2, &on("my_net", &["db"]));
    drop(networks);
    assert_eq!(web.resolve(dns::Over::Udp, "db", dns::A).unwrap(), [db.ip().to_string()]);
    let networks = machine.open(config);
    machine.run(|| networks.reconcile(&[Live { container: id(1), netns: web.netns() }])).unwrap();
    assert!(web.resolve(dns::Over::Udp, "db", dns::A).is_err(), "it ended meanwhile");
    assert_eq!(web.resolve(dns::Over::Udp, "web", dns::A).unwrap(), [web.ip().to_string()]);
}

#[test]
fn broken_questions_do_no_harm() {
    let machine = Machine::new();
    let networks = machine.open(Config { name_server: Some(machine.name_server()), ..Config::default() });
    machine.run(|| networks.create(&named("my_net"))).unwrap();
    let web = machine.start(&networks, 1, &on("my_net", &["web"]));
    web.run(|| {
        let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        for n in 0..2000usize {
            let bytes: Vec<u8> = (0..n % 90).map(|i| u8::try_from((i * 37 + n) % 256).unwrap()).collect();
            let _ = socket.send_to(&bytes, (IpAddr::from([127, 0, 0, 11]), 53));
        }
    });
    // the kernel may have had no room for a datagram more: whoever asks asks again
    let answer = (0..5).find_map(|_| web.resolve(dns::Over::Udp, "web", dns::A).ok());
    assert_eq!(answer.unwrap(), [web.ip().to_string()]);
}
