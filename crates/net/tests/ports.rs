//! Published ports with the process that holds them: what the firewall does not lead, restarts, transports.

mod machine;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};

use machine::{Machine, id};
use wharf_net::{Attach, Config, Live, PortRequest, Protocol};

fn port(protocol: Protocol, host: Option<&str>, host_port: u16, container_port: u16) -> PortRequest {
    let host_ip = host.map(|h| h.parse().unwrap());
    PortRequest { container_port, protocol, host_ip, host_port: Some(host_port..=host_port) }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn published(machine: &Machine, ports: Vec<PortRequest>) -> Attach {
    Attach { ports, ..machine.on("bridge") }
}

#[test]
fn r_net_12_ipv6_leads_to_a_container_without_it() {
    let machine = Machine::new();
    let networks = machine.open(Config { name_server: Some(machine.name_server()), ..Config::default() });
    let wish =
        published(&machine, vec![port(Protocol::Tcp, None, 8080, 80), port(Protocol::Tcp, Some("::1"), 8081, 80)]);
    let one = machine.start(&networks, 1, &wish);
    one.serve(80);
    for address in [(LOOPBACK6, 8080), (Machine::HOST6, 8080), (LOOPBACK6, 8081), (LOOPBACK, 8080)] {
        assert_eq!(machine.ask(address).unwrap(), "172.17.0.1", "{address:?}");
    }
    assert_eq!(machine.ask_from_outside((Machine::HOST6, 8080)).unwrap(), "172.17.0.1");
    assert_eq!(machine.ask_from_outside((Machine::HOST, 8080)).unwrap(), Machine::OUTSIDE.to_string());
    let free = |port: u16| machine.run(|| TcpListener::bind(("0.0.0.0", port)).map(drop));
    assert!(free(8080).is_err(), "nobody takes the port");
    networks.detach(&id(1)).unwrap();
    free(8080).unwrap();
    assert!(machine.ask((LOOPBACK6, 8080)).is_err());
}

#[test]
fn r_net_12_without_the_proxy_the_port_is_held_and_the_kernel_leads() {
    let machine = Machine::new();
    let config = Config { name_server: Some(machine.name_server()), userland_proxy: false, ..Config::default() };
    let networks = machine.open(config);
    let one = machine.start(&networks, 1, &published(&machine, vec![port(Protocol::Tcp, None, 8080, 80)]));
    one.serve(80);
    assert_eq!(machine.ask((LOOPBACK, 8080)).unwrap(), "172.17.0.1");
    assert_eq!(machine.ask((Machine::HOST, 8080)).unwrap(), Machine::HOST.to_string());
    assert!(machine.ask((LOOPBACK6, 8080)).is_err(), "that is the proxy's business");
    assert!(machine.run(|| TcpListener::bind(("0.0.0.0", 8080))).is_err(), "nobody takes the port");
}

#[test]
fn r_arch_02_ports_outlive_the_daemon_and_are_adopted() {
    let machine = Machine::new();
    let config = Config { name_server: Some(machine.name_server()), ..Config::default() };
    let networks = machine.open(config.clone());
    let wish = published(&machine, vec![port(Protocol::Tcp, None, 8080, 80)]);
    let one = machine.start(&networks, 1, &wish);
    one.serve(80);
    let two = machine.start(&networks, 2, &published(&machine, vec![port(Protocol::Tcp, None, 8082, 80)]));
    drop(networks);
    assert_eq!(machine.ask((LOOPBACK6, 8080)).unwrap(), "172.17.0.1", "the daemon is gone");
    drop(two);
    let networks = machine.open(config);
    machine.run(|| networks.reconcile(&[Live { container: id(1), netns: one.netns() }])).unwrap();
    assert_eq!(machine.ask((LOOPBACK6, 8080)).unwrap(), "172.17.0.1");
    machine.run(|| TcpListener::bind(("0.0.0.0", 8082))).expect("what ended meanwhile holds nothing");
    networks.detach(&id(1)).unwrap();
    machine.run(|| TcpListener::bind(("0.0.0.0", 8080))).unwrap();
}

#[test]
fn r_net_11_datagrams() {
    let machine = Machine::new();
    let networks = machine.open(Config { name_server: Some(machine.name_server()), ..Config::default() });
    let one = machine.start(&networks, 1, &published(&machine, vec![port(Protocol::Udp, None, 5353, 53)]));
    let server = one.run(|| UdpSocket::bind("0.0.0.0:53").unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(from.ip().to_string().as_bytes(), from);
        }
    });
    assert_eq!(machine.ask_datagram((LOOPBACK, 5353)).unwrap(), "172.17.0.1");
    // whoever talked to the port while it was published nowhere is led, too, from when it is
    let talker = machine.run_outside(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    talker.connect((Machine::HOST, 6363)).unwrap();
    talker.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    let ask = || talker.send(b"?").and_then(|_| talker.recv(&mut [0; 64]));
    let answered = |_: usize| ask().is_ok();
    assert!(!(0..2).any(answered));
    let late = machine.start(&networks, 3, &published(&machine, vec![port(Protocol::Udp, None, 6363, 53)]));
    let server = late.run(|| UdpSocket::bind("0.0.0.0:53").unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(b"!", from);
        }
    });
    assert!((0..20).any(answered), "the conversation is forgotten");
    assert_eq!(machine.ask_datagram((LOOPBACK6, 5353)).unwrap(), "172.17.0.1");
    assert_eq!(machine.ask_datagram((Machine::HOST, 5353)).unwrap(), Machine::HOST.to_string());
    let two = machine.start(&networks, 2, &machine.on("bridge"));
    assert_eq!(two.ask_datagram((Machine::HOST, 5353)).unwrap(), "172.17.0.1");
}

#[test]
fn r_net_11_two_starts_race_for_one_port() {
    let machine = Machine::new();
    let networks = machine.open(Config { name_server: Some(machine.name_server()), ..Config::default() });
    let wish = published(&machine, vec![port(Protocol::Tcp, None, 8080, 80)]);
    let won = std::thread::scope(|scope| {
        let attach = |n: u8| {
            let (machine, networks, wish) = (&machine, &networks, &wish);
            scope.spawn(move || {
                machine.run(|| {
                    let netns = networks.namespace().unwrap();
                    networks.attach(&id(n), &netns, wish).map_err(|e| e.to_string())
                })
            })
        };
        let threads: Vec<_> = (1..=4).map(attach).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(won.iter().filter(|r| r.is_ok()).count(), 1);
    for lost in won.iter().filter_map(|r| r.as_ref().err()) {
        assert!(lost.ends_with("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{lost}");
    }
    assert_eq!(machine.elements("any4"), 1);
}
