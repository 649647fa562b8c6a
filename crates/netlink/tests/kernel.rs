//! Against the kernel, each test in a network namespace that its own thread made.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use wharf_netlink::nft::{
    Base, Chain, DataType, Element, ElementData, ElementKind, Expression as E, Family, Hook, MetaKey, NatKind,
    Operator, Register, Set, SetFlags, Table, Transaction, Verdict,
};
use wharf_netlink::{
    Batch, BridgePort, Change, Kind, LinkName, MacvlanMode, Monitor, NewAddress, NewLink, NewRoute, SetLink, Socket,
};

/// Runs `f` on a thread in a fresh network namespace.
fn in_namespace<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                wharf_sys::clone::unshare(wharf_sys::clone::Flags::NETWORK).expect("needs root");
                f()
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn here() -> OwnedFd {
    std::fs::File::open("/proc/thread-self/ns/net").expect("proc is mounted").into()
}

fn other_namespace() -> (OwnedFd, Socket) {
    in_namespace(|| (here(), Socket::route().unwrap()))
}

const TABLE: Table<'static> = Table { family: Family::Inet, name: "t" };

#[test]
fn veth_with_its_peer_straight_in_another_namespace() {
    in_namespace(|| {
        let (_far, mut inside) = other_namespace();
        let mut host = Socket::route().unwrap();
        let mut batch = Batch::new();
        batch.add_link(&NewLink { name: "br0", kind: Kind::Bridge, up: true, index: Some(7), ..NewLink::default() });
        batch.add_address(&NewAddress {
            link: 7,
            address: Ipv4Addr::new(10, 9, 0, 1).into(),
            prefix: 24,
            broadcast: None,
        });
        host.run(&batch).unwrap();
        // made from inside: there the number can be chosen, so that address and route follow in the same batch
        let machine = here();
        let peer = NewLink { name: "veth1", mtu: Some(1400), netns: Some(machine.as_fd()), ..NewLink::default() };
        let mut batch = Batch::new();
        batch.add_link(&NewLink {
            name: "eth0",
            kind: Kind::Veth(Box::new(peer)),
            mac: Some([2, 0x42, 10, 9, 0, 2]),
            mtu: Some(1400),
            index: Some(20),
            up: true,
            ..NewLink::default()
        });
        batch.add_address(&NewAddress {
            link: 20,
            address: Ipv4Addr::new(10, 9, 0, 2).into(),
            prefix: 24,
            broadcast: Some(Ipv4Addr::new(10, 9, 0, 255).into()),
        });
        let any = IpAddr::from([0, 0, 0, 0]);
        let gateway = IpAddr::from([10, 9, 0, 1]);
        batch.add_route(&NewRoute { to: (any, 0), gateway: Some(gateway), link: Some(20), metric: None });
        inside.run(&batch).unwrap();
        let port = SetLink { master: Some(7), up: Some(true), ..SetLink::default() };
        host.run(Batch::new().set_link(LinkName::Name("veth1"), &port)).unwrap();

        let eth0 = inside.link(LinkName::Name("eth0")).unwrap().unwrap();
        assert_eq!((eth0.index, eth0.mtu, eth0.mac), (20, 1400, Some([2, 0x42, 10, 9, 0, 2])));
        assert!(eth0.up && eth0.kind == "veth");
        assert!(inside.routes().unwrap().iter().any(|r| r.to == (any, 0) && r.gateway == Some(gateway)));
        assert!(inside.addresses().unwrap().iter().any(|a| a.link == 20 && a.prefix == 24));
        let veth = host.link(LinkName::Name("veth1")).unwrap().unwrap();
        assert_eq!((veth.master, veth.link), (7, 20));
        let port = BridgePort { isolated: Some(true), hairpin: Some(true) };
        host.run(Batch::new().set_bridge_port(LinkName::Name("veth1"), port).settle_link(LinkName::Index(7))).unwrap();
    });
}

#[test]
fn refusals_name_operation_object_and_the_kernels_words() {
    in_namespace(|| {
        let mut socket = Socket::route().unwrap();
        let error = socket.run(Batch::new().del_link(LinkName::Name("nope"))).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::NODEV));
        assert!(error.to_string().starts_with("delete link `nope`: "), "{error}");
        let gateway = Some(IpAddr::from([10, 0, 0, 1]));
        let to = (IpAddr::from([0, 0, 0, 0]), 0);
        let error =
            socket.run(Batch::new().add_route(&NewRoute { to, gateway, link: None, metric: None })).unwrap_err();
        assert!(error.to_string().contains("gateway"), "{error}");
        assert!(socket.link(LinkName::Name("nope")).unwrap().is_none());
        socket.run(Batch::new().del_link(LinkName::Name("nope")).tolerate(&[Errno::NODEV])).unwrap();
    });
}

#[test]
fn a_batch_goes_on_and_reports_the_first_refusal() {
    in_namespace(|| {
        let mut socket = Socket::route().unwrap();
        let mut batch = Batch::new();
        for n in 0..200 {
            batch.add_link(&NewLink { name: &format!("b{n}"), kind: Kind::Bridge, ..NewLink::default() });
            if n == 100 {
                batch.add_link(&NewLink { name: "b3", kind: Kind::Bridge, ..NewLink::default() });
            }
        }
        let error = socket.run(&batch).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EXIST));
        assert!(error.to_string().contains("`b3`"), "{error}");
        assert_eq!(socket.links().unwrap().iter().filter(|l| l.kind == "bridge").count(), 200);
    });
}

#[test]
fn macvlan_moves_and_renames() {
    in_namespace(|| {
        let (far, mut inside) = other_namespace();
        let mut socket = Socket::route().unwrap();
        let peer = NewLink { name: "p1", ..NewLink::default() };
        let mut batch = Batch::new();
        batch.add_link(&NewLink {
            name: "p0",
            kind: Kind::Veth(Box::new(peer)),
            index: Some(50),
            up: true,
            ..NewLink::default()
        });
        batch.add_link(&NewLink {
            name: "mv0",
            index: Some(60),
            kind: Kind::Macvlan { parent: 50, mode: MacvlanMode::Bridge },
            netns: Some(far.as_fd()),
            ..NewLink::default()
        });
        socket.run(&batch).unwrap();
        let change = SetLink { name: Some("eth0"), up: Some(true), ..SetLink::default() };
        inside.run(Batch::new().set_link(LinkName::Index(60), &change)).unwrap();
        let link = inside.link(LinkName::Name("eth0")).unwrap().unwrap();
        assert_eq!((link.kind.as_str(), link.link), ("macvlan", 50));
    });
}

#[test]
fn a_transaction_is_all_or_nothing() {
    in_namespace(|| {
        let mut socket = Socket::netfilter().unwrap();
        let mut t = Transaction::new();
        t.add_table(TABLE);
        t.add_chain(TABLE, &Chain { name: "c", base: None });
        t.add_rule(TABLE, "c", "jumps nowhere", &[E::Verdict(Verdict::Jump("missing"))]);
        let error = socket.commit(&t).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::NOENT));
        assert!(error.to_string().contains("jumps nowhere"), "{error}");
        assert!(!socket.has_table(TABLE).unwrap());
    });
}

#[test]
fn maps_of_addresses_and_of_verdicts() {
    in_namespace(|| {
        let mut socket = Socket::netfilter().unwrap();
        let mut t = Transaction::new();
        t.add_table(TABLE);
        let base = Base { kind: "nat", hook: Hook::Prerouting, priority: -100, drop_by_default: false };
        t.add_chain(TABLE, &Chain { name: "dnat", base: Some(base) });
        let base = Base { kind: "filter", hook: Hook::Forward, priority: 0, drop_by_default: false };
        t.add_chain(TABLE, &Chain { name: "forward", base: Some(base) });
        t.add_set(
            TABLE,
            &Set {
                name: "ports",
                key: &[DataType::Ipv4, DataType::Protocol, DataType::Port],
                data: ElementKind::Map(&[DataType::Ipv4, DataType::Port]),
                flags: SetFlags::default(),
            },
        );
        t.add_set(
            TABLE,
            &Set {
                name: "pairs",
                key: &[DataType::LinkName, DataType::LinkName],
                data: ElementKind::Verdicts,
                flags: SetFlags::default(),
            },
        );
        let r = Register::word;
        t.add_rule(
            TABLE,
            "dnat",
            "published",
            &[
                E::Meta(MetaKey::Family, r(0)),
                E::Compare(r(0), Operator::Eq, &[2]),
                E::DestinationType(r(0)),
                E::Compare(r(0), Operator::Eq, &2u32.to_ne_bytes()),
                E::Payload { base: wharf_netlink::nft::PayloadBase::Network, offset: 16, length: 4, to: r(0) },
                E::Meta(MetaKey::Protocol, r(1)),
                E::Payload { base: wharf_netlink::nft::PayloadBase::Transport, offset: 2, length: 2, to: r(2) },
                E::Map { key: r(0), map: "ports", to: r(4) },
                E::Nat {
                    kind: NatKind::Destination,
                    family: 2,
                    address: Some(r(4)),
                    port: Some(r(5)),
                    last_port: None,
                },
            ],
        );
        t.add_rule(
            TABLE,
            "forward",
            "between bridges",
            &[
                E::Meta(MetaKey::InputName, r(0)),
                E::Meta(MetaKey::OutputName, r(4)),
                E::Map { key: r(0), map: "pairs", to: Register::VERDICT },
            ],
        );
        socket.commit(&t).unwrap();
        let elements: Vec<_> = (0..1000u16)
            .map(|n| {
                let mut key = vec![0, 0, 0, 0, 6, 0, 0, 0];
                key.extend(n.to_be_bytes());
                key.extend([0, 0]);
                Element { key, data: ElementData::Value(vec![10, 0, 0, 2, 0, 80, 0, 0]) }
            })
            .collect();
        let mut t = Transaction::new();
        t.insert_elements(TABLE, "ports", &elements);
        let mut names = [0; 32];
        names[..3].copy_from_slice(b"br0");
        names[16..19].copy_from_slice(b"br1");
        t.add_elements(TABLE, "pairs", &[Element { key: names.to_vec(), data: ElementData::Accept(false) }]);
        socket.commit(&t).unwrap();
        assert_eq!(socket.elements(TABLE, "ports").unwrap().len(), 1000);
        assert_eq!(socket.elements(TABLE, "pairs").unwrap(), [names.to_vec()]);
        let comments: Vec<_> = socket.rules(TABLE).unwrap().into_iter().map(|(_, comment)| comment).collect();
        assert_eq!(comments, ["published", "between bridges"]);

        let mut again = Transaction::new();
        again.insert_elements(TABLE, "ports", &elements[..1]);
        assert_eq!(socket.commit(&again).unwrap_err().errno(), Some(Errno::EXIST));
        let mut gone = Transaction::new();
        gone.del_elements(TABLE, "ports", &elements);
        socket.commit(&gone).unwrap();
        assert_eq!(socket.elements(TABLE, "ports").unwrap().len(), 0);

        let mut listener = Monitor::rules().unwrap();
        socket.commit(Transaction::new().del_table(TABLE)).unwrap();
        let gone = Change::RulesGone { table: "t".into(), port: socket.port().unwrap() };
        assert!(listener.changes().unwrap().contains(&gone));
    });
}

/// Longer than the buffer that a socket has at first.
#[test]
fn a_transaction_of_any_length_is_one() {
    in_namespace(|| {
        let mut socket = Socket::netfilter().unwrap();
        let mut t = Transaction::new();
        t.add_table(TABLE);
        t.add_set(
            TABLE,
            &Set {
                name: "numbers",
                key: &[DataType::Protocol, DataType::Port],
                data: ElementKind::Set,
                flags: SetFlags::default(),
            },
        );
        let element = |n: u16| Element {
            key: [[6, 0, 0, 0], [n.to_be_bytes()[0], n.to_be_bytes()[1], 0, 0]].concat(),
            data: ElementData::None,
        };
        t.add_elements(TABLE, "numbers", &(0..40_000).map(element).collect::<Vec<_>>());
        socket.commit(&t).unwrap();
        assert_eq!(socket.elements(TABLE, "numbers").unwrap().len(), 40_000);
    });
}

#[test]
fn links_that_go_are_heard() {
    in_namespace(|| {
        let mut listener = Monitor::links().unwrap();
        let mut socket = Socket::route().unwrap();
        socket.run(Batch::new().add_link(&NewLink { name: "br0", kind: Kind::Bridge, ..NewLink::default() })).unwrap();
        socket.run(Batch::new().del_link(LinkName::Name("br0"))).unwrap();
        let changes = listener.changes().unwrap();
        assert!(changes.iter().any(|c| matches!(c, Change::LinkGone(link) if link.name == "br0")), "{changes:?}");
    });
}
