//! A machine of the test's own: its network namespace, an outside world beside it, and containers.

#![allow(dead_code, reason = "every test file uses a part of it")]

pub(crate) mod dns;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use wharf_net::{Attach, Config, ContainerId, EndpointRequest, NameServer, Netns, Networks, Sandbox};
use wharf_netlink::nft::{Family, Table};
use wharf_netlink::{Batch, Kind, Link, LinkName, NewAddress, NewLink, NewRoute, SetLink, Socket};
use wharf_state::Db;

/// A refused or dropped connection shows itself by then: everything is on this machine.
const SILENCE: Duration = Duration::from_millis(400);
/// What must happen by itself has happened by then, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `f` on a thread inside a namespace.
pub(crate) fn within<T: Send>(netns: &OwnedFd, f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let kind = rustix::thread::LinkNameSpaceType::Network;
            rustix::thread::move_into_link_name_space(netns.as_fd(), Some(kind)).expect("needs root");
            f()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn fresh() -> OwnedFd {
    Netns::create().expect("needs root").into_fd()
}

/// The container identifier number `n`.
pub(crate) fn id(n: u8) -> ContainerId {
    ContainerId::from_bytes([n; 32])
}

pub(crate) struct Machine {
    host: OwnedFd,
    outside: OwnedFd,
    dir: tempfile::TempDir,
}

impl Machine {
    pub(crate) const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 130));
    pub(crate) const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
    pub(crate) const HOST6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));
    pub(crate) const OUTSIDE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

    pub(crate) fn new() -> Self {
        let (host, outside) = (fresh(), fresh());
        let dir = tempfile::tempdir().unwrap();
        let far = outside.try_clone().unwrap();
        // different: the kernel takes its time with a link whose number equals that of its peer
        let (near_index, far_index) = (10, 11);
        within(&host, || {
            let peer = NewLink { name: "wan0", index: Some(far_index), netns: Some(far.as_fd()), ..NewLink::default() };
            let kind = Kind::Veth(Box::new(peer));
            let link = NewLink { name: "eth0", kind, index: Some(near_index), up: true, ..NewLink::default() };
            std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0").unwrap();
            std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
            let mut socket = Socket::route().unwrap();
            socket.run(Batch::new().add_link(&link)).unwrap();
            std::fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "0").unwrap();
            let mut batch = Batch::new();
            address(&mut batch, near_index, Self::HOST, 24);
            address(&mut batch, near_index, Self::HOST6, 64);
            let any = (IpAddr::from([0, 0, 0, 0]), 0);
            batch.add_route(&NewRoute { to: any, gateway: Some(Self::OUTSIDE), link: None, metric: None });
            let any = (IpAddr::from([0; 16]), 0);
            batch.add_route(&NewRoute { to: any, gateway: Some(Self::OUTSIDE6), link: Some(near_index), metric: None });
            socket.run(&batch).unwrap();
        });
        within(&outside, || {
            std::fs::write("/proc/sys/net/ipv6/conf/wan0/accept_dad", "0").unwrap();
            std::fs::write("/proc/sys/net/ipv6/conf/wan0/disable_ipv6", "0").unwrap();
            let mut batch = Batch::new();
            let up = SetLink { up: Some(true), ..SetLink::default() };
            batch.set_link(LinkName::Index(far_index), &up);
            address(&mut batch, far_index, Self::OUTSIDE, 24);
            address(&mut batch, far_index, Self::OUTSIDE6, 64);
            Socket::route().unwrap().run(&batch).unwrap();
        });
        Self { host, outside, dir }
    }

    pub(crate) fn open(&self, config: Config) -> Networks {
        let db = Db::open(&self.dir.path().join("state.db"), &[]).unwrap();
        within(&self.host, || Networks::open(config, db)).unwrap()
    }

    /// The process that knows names, as a thread of the test.
    pub(crate) fn name_server(&self) -> NameServer {
        use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
        let socket = self.dir.path().join("netd.sock");
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&socket).unwrap()).unwrap();
        listen(&listener, 4).unwrap();
        within(&self.host, || std::thread::spawn(move || wharf_netd::run(listener)));
        NameServer { executable: "/nonexistent".into(), socket }
    }

    /// The outside world has a DNS server that knows one answer to everything, or no name.
    pub(crate) fn answer_outside(&self, address: Option<Ipv4Addr>) {
        within(&self.outside, || dns::serve(address));
    }

    /// A wish for one place on a network.
    pub(crate) fn on(&self, network: &str) -> Attach {
        let endpoint = EndpointRequest { network: network.into(), ..EndpointRequest::default() };
        Attach { endpoints: vec![endpoint], ..Attach::default() }
    }

    /// Starts container number `n`; without an endpoint in the wish, on the default bridge.
    pub(crate) fn start(&self, networks: &Networks, n: u8, wish: &Attach) -> Container {
        let mut wish = Attach { name: format!("c{n}"), ..wish.clone() };
        if wish.endpoints.is_empty() {
            wish.endpoints = self.on("bridge").endpoints;
        }
        within(&self.host, || {
            let netns = networks.namespace().unwrap();
            let sandbox = networks.attach(&id(n), &netns, &wish).unwrap();
            Container { netns: netns.into_fd(), sandbox }
        })
    }

    pub(crate) fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        within(&self.host, f)
    }

    pub(crate) fn ask(&self, address: (IpAddr, u16)) -> std::io::Result<String> {
        ask(&self.host, address)
    }

    pub(crate) fn ask_datagram(&self, address: (IpAddr, u16)) -> std::io::Result<String> {
        ask_datagram(&self.host, address)
    }

    pub(crate) fn run_outside<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        within(&self.outside, f)
    }

    pub(crate) fn ask_from_outside(&self, address: (IpAddr, u16)) -> std::io::Result<String> {
        ask(&self.outside, address)
    }

    pub(crate) fn serve_outside(&self, port: u16) {
        serve(&self.outside, port);
    }

    /// The outside world learns to reach a network through the machine.
    pub(crate) fn route_outside(&self, network: &str, prefix: u8) {
        let to = (network.parse().unwrap(), prefix);
        let route = NewRoute { to, gateway: Some(Self::HOST), link: None, metric: None };
        within(&self.outside, || Socket::route().unwrap().run(Batch::new().add_route(&route)).unwrap());
    }

    pub(crate) fn links(&self) -> Vec<Link> {
        within(&self.host, || Socket::route().unwrap().links().unwrap())
    }

    /// How many elements a set of our table has.
    pub(crate) fn elements(&self, set: &str) -> usize {
        let table = Table { family: Family::Inet, name: "wharf" };
        within(&self.host, || Socket::netfilter().unwrap().elements(table, set).unwrap().len())
    }

    /// Waits for something that happens by itself.
    pub(crate) fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < end, "{what}");
            std::thread::yield_now();
        }
    }
}

pub(crate) struct Container {
    netns: OwnedFd,
    pub(crate) sandbox: Sandbox,
}

impl Container {
    pub(crate) fn ip(&self) -> IpAddr {
        self.sandbox.endpoints[0].ipv4.unwrap().address
    }

    pub(crate) fn netns(&self) -> Netns {
        Netns::from_fd(self.netns.try_clone().unwrap())
    }

    pub(crate) fn socket(&self) -> Socket {
        within(&self.netns, || Socket::route().unwrap())
    }

    pub(crate) fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        within(&self.netns, f)
    }

    pub(crate) fn resolve(&self, over: dns::Over, name: &str, kind: u16) -> Result<Vec<String>, u8> {
        within(&self.netns, || dns::ask(over, name, kind))
    }

    pub(crate) fn serve(&self, port: u16) {
        serve(&self.netns, port);
    }

    pub(crate) fn ask(&self, address: (IpAddr, u16)) -> std::io::Result<String> {
        ask(&self.netns, address)
    }

    pub(crate) fn ask_datagram(&self, address: (IpAddr, u16)) -> std::io::Result<String> {
        ask_datagram(&self.netns, address)
    }
}

fn address(batch: &mut Batch, link: u32, address: IpAddr, prefix: u8) {
    batch.add_address(&NewAddress { link, address, prefix, broadcast: None });
}

/// A server that tells everybody the address it sees him under. Its thread ends with the process of the test.
fn serve(netns: &OwnedFd, port: u16) {
    let listener = within(netns, || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Ok(peer) = stream.peer_addr() else { continue };
            let ip = peer.ip().to_canonical();
            let _ = stream.write_all(ip.to_string().as_bytes());
        }
    });
}

fn ask(netns: &OwnedFd, (ip, port): (IpAddr, u16)) -> std::io::Result<String> {
    within(netns, || {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(ip, port), SILENCE)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    })
}

fn ask_datagram(netns: &OwnedFd, (ip, port): (IpAddr, u16)) -> std::io::Result<String> {
    within(netns, || {
        let socket = std::net::UdpSocket::bind(if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        socket.set_read_timeout(Some(PATIENCE))?;
        // a connected socket takes only answers from where it asked
        socket.connect((ip, port))?;
        socket.send(b"?")?;
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    })
}
