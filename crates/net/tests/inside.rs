//! Streams over loopback are led inside the container's namespace: fast, from the machine's address, and back to the bridge
//! where that does not work.

mod machine;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

use machine::{Container, Machine, id};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use wharf_net::{Attach, Config, NetworkRequest, Networks, PortRequest, Protocol};
use wharf_netlink::nft::{
    Base, Chain, Expression as E, Family, Hook, MetaKey, NatKind, Operator, Register, Table, Verdict,
};
use wharf_netlink::{Socket, nft::Transaction};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const GATEWAY: &str = "172.17.0.1";

fn open(machine: &Machine) -> Networks {
    machine.open(Config { name_server: Some(machine.name_server()), ..Config::default() })
}

/// A container whose port 80 is published as 8080.
fn start(machine: &Machine, networks: &Networks, n: u8) -> Container {
    let port = PortRequest { container_port: 80, protocol: Protocol::Tcp, host_ip: None, host_port: Some(8080..=8080) };
    machine.start(networks, n, &Attach { ports: vec![port], ..machine.on("bridge") })
}

/// Bytes that the container's interface has carried, both ways.
fn carried(container: &Container) -> u64 {
    let text = container.run(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    let line = text.lines().find_map(|l| l.trim().strip_prefix("eth0:")).unwrap();
    let numbers: Vec<u64> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
    numbers[0] + numbers[8]
}

/// The container sends everything back, once the other side has ended.
fn echo(container: &Container) {
    let listener = container.run(|| TcpListener::bind("[::]:80").unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).unwrap();
                stream.write_all(&all).unwrap();
            });
        }
    });
}

fn there_and_back(machine: &Machine, to: IpAddr, bytes: &[u8]) -> Vec<u8> {
    machine.run(|| {
        let mut stream = TcpStream::connect((to, 8080)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        back
    })
}

#[test]
fn r_net_12_what_loopback_sends_does_not_cross_the_bridge() {
    let machine = Machine::new();
    let networks = open(&machine);
    let one = start(&machine, &networks, 1);
    echo(&one);
    let sent: Vec<u8> = (0..8u32 << 20).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let before = carried(&one);
    for address in [LOOPBACK, LOOPBACK6] {
        assert!(there_and_back(&machine, address, &sent) == sent, "{address}");
    }
    assert!(carried(&one) - before < 1 << 20, "it stayed inside");
    assert!(there_and_back(&machine, Machine::HOST, &sent) == sent);
    assert!(carried(&one) - before > 16 << 20, "this one is led by the kernel");
}

#[test]
fn r_net_12_the_container_sees_the_machine_on_its_network() {
    let machine = Machine::new();
    let networks = open(&machine);
    let one = start(&machine, &networks, 1);
    assert!(machine.ask((LOOPBACK, 8080)).is_err(), "nobody listens");
    one.serve(80);
    for address in [LOOPBACK, LOOPBACK6, "127.9.8.7".parse().unwrap()] {
        assert_eq!(machine.ask((address, 8080)).unwrap(), GATEWAY, "{address}");
    }
    // what the container itself sends there goes where it always went
    let listener = machine.run(|| TcpListener::bind((GATEWAY, 7000)).unwrap());
    let reached = |from: &Container| {
        let connect = || TcpStream::connect((GATEWAY, 7000));
        from.run(connect).map(|_| listener.accept().unwrap().1.ip())
    };
    assert_eq!(reached(&one).unwrap(), one.ip());
    // the same container with another address, and one that has the port after it
    networks.detach(&id(1)).unwrap();
    let between = machine.start(&networks, 2, &machine.on("bridge"));
    let again = start(&machine, &networks, 1);
    assert_ne!(between.ip(), again.ip());
    again.serve(80);
    assert_eq!(machine.ask((LOOPBACK, 8080)).unwrap(), GATEWAY);
    drop(networks);
    assert_eq!(machine.ask((LOOPBACK, 8080)).unwrap(), GATEWAY, "the daemon is gone");
}

#[test]
fn r_net_12_many_streams_at_a_time() {
    let machine = Machine::new();
    let networks = open(&machine);
    let one = start(&machine, &networks, 1);
    echo(&one);
    machine.run(|| {
        let open: Vec<_> = (0..300).map(|_| TcpStream::connect((LOOPBACK, 8080)).unwrap()).collect();
        for (number, mut stream) in open.iter().enumerate() {
            write!(stream, "{number}").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        }
        for (number, mut stream) in open.iter().enumerate().rev() {
            let mut back = String::new();
            stream.read_to_string(&mut back).unwrap();
            assert_eq!(back, number.to_string());
        }
    });
}

#[test]
fn r_net_16_ipv6_streams_stay_inside_too() {
    let machine = Machine::new();
    let networks = open(&machine);
    let request = NetworkRequest { name: "six".into(), ipv6: Some(true), ..NetworkRequest::default() };
    machine.run(|| networks.create(&request)).unwrap();
    let port = |host: u16, container_port: u16| PortRequest {
        container_port,
        protocol: Protocol::Tcp,
        host_ip: Some(LOOPBACK6),
        host_port: Some(host..=host),
    };
    let one = machine.start(&networks, 1, &Attach { ports: vec![port(8080, 80), port(8081, 81)], ..machine.on("six") });
    echo(&one);
    one.serve(81);
    assert_eq!(machine.ask((LOOPBACK6, 8081)).unwrap(), one.sandbox.endpoints[0].gateway6.unwrap().to_string());
    let (sent, before) = (vec![7; 4 << 20], carried(&one));
    assert!(there_and_back(&machine, LOOPBACK6, &sent) == sent);
    assert!(carried(&one) - before < 1 << 20, "it stayed inside");
}

/// A rule of the container's own for what goes over its `lo`.
fn rule_for_lo(one: &Container, base: Base, name: MetaKey, rest: &[E<'_>]) {
    one.run(|| {
        let table = Table { family: Family::Ip, name: "mine" };
        let mut rules = Transaction::new();
        rules.create_table(table).add_chain(table, &Chain { name: "mine", base: Some(base) });
        let lo = b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let word = Register::word(0);
        let over_lo = [E::Meta(name, word), E::Compare(word, Operator::Eq, lo)];
        rules.add_rule(table, "mine", "", &[&over_lo, rest].concat());
        Socket::netfilter().unwrap().commit(&rules).unwrap();
    });
}

#[test]
fn r_net_12_who_refuses_inside_is_asked_over_the_bridge() {
    let machine = Machine::new();
    let networks = open(&machine);
    let one = start(&machine, &networks, 1);
    one.serve(80);
    let base = Base { kind: "nat", hook: Hook::Output, priority: -100, drop_by_default: false };
    let IpAddr::V4(ip) = one.ip() else { unreachable!() };
    let elsewhere = [
        E::Immediate(Register::word(0), &ip.octets()),
        E::Immediate(Register::word(1), &1u16.to_be_bytes()),
        E::Nat {
            kind: NatKind::Destination,
            family: Family::Ip.number(),
            address: Some(Register::word(0)),
            port: Some(Register::word(1)),
            last_port: None,
        },
    ];
    rule_for_lo(&one, base, MetaKey::OutputName, &elsewhere);
    assert!(one.ask((one.ip(), 80)).is_err(), "the rule works");
    for _ in 0..2 {
        assert_eq!(machine.ask((LOOPBACK, 8080)).unwrap(), GATEWAY);
    }
}

#[test]
fn r_net_12_who_is_silent_inside_is_asked_over_the_bridge() {
    let machine = Machine::new();
    let networks = open(&machine);
    let one = start(&machine, &networks, 1);
    one.serve(80);
    let base = Base { kind: "filter", hook: Hook::Input, priority: 0, drop_by_default: false };
    rule_for_lo(&one, base, MetaKey::InputName, &[E::Verdict(Verdict::Drop)]);
    assert!(one.ask((one.ip(), 80)).is_err(), "the rule works");
    for _ in 0..2 {
        assert_eq!(machine.ask((LOOPBACK, 8080)).unwrap(), GATEWAY);
    }
}

#[test]
fn r_net_12_a_mark_takes_a_container_no_further_than_itself() {
    let machine = Machine::new();
    let networks = open(&machine);
    let one = start(&machine, &networks, 1);
    one.serve(80);
    assert_eq!(machine.ask((LOOPBACK, 8080)).unwrap(), GATEWAY);
    let listener = machine.run(|| TcpListener::bind((GATEWAY, 7000)).unwrap());
    let to: SocketAddr = format!("{GATEWAY}:7000").parse().unwrap();
    let (marked, plain) = one.run(|| {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        // the mark that our own connections have
        wharf_sys::net::speak_as(&socket, "0.0.0.0:0".parse().unwrap(), 0x7768_6672).unwrap();
        assert_eq!(rustix::net::connect(&socket, &to), Err(rustix::io::Errno::INPROGRESS));
        (socket, TcpStream::connect(to).unwrap())
    });
    assert_eq!(listener.accept().unwrap().1, plain.local_addr().unwrap(), "the first that came");
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(marked);
}
