//! What a container's network costs on this machine: `cargo run --release -p wharf-net --example cost` (root).
//!
//! Works in a network namespace of its own; nothing of the machine is touched.

#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use wharf_net::{Attach, Config, ContainerId, EndpointRequest, Netns, NetworkRequest, Networks, PortRequest, Protocol};
use wharf_netlink::{Batch, LinkName, SetLink, Socket};
use wharf_state::Db;

const ROUNDS: u8 = 60;

fn main() {
    wharf_sys::clone::unshare(wharf_sys::clone::Flags::NETWORK).expect("needs root");
    let up = SetLink { up: Some(true), ..SetLink::default() };
    let mut socket = Socket::route().expect("a socket");
    socket.run(Batch::new().set_link(LinkName::Name("lo"), &up)).expect("lo");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let db = Db::open(&dir.path().join("state.db"), &[]).expect("a database");
    let began = Instant::now();
    let networks = Networks::open(Config::default(), db).expect("the world");
    println!("open                        {:8.2} ms", ms(began.elapsed()));

    report("namespace, made", (0..ROUNDS).map(|_| timed(Netns::create).0));
    let bridge = on("bridge", 0);
    let mut parts: [Vec<Duration>; 3] = Default::default();
    for n in 0..ROUNDS {
        let (take, netns) = timed(|| networks.namespace());
        let netns = netns.expect("a namespace");
        let (attach, result) = timed(|| networks.attach(&id(n), &netns, &bridge));
        result.expect("attach");
        drop(netns);
        let (detach, result) = timed(|| networks.detach(&id(n)));
        result.expect("detach");
        for (part, time) in parts.iter_mut().zip([take, attach, detach]) {
            part.push(time);
        }
    }
    let [take, attach, detach] = parts;
    report("namespace, from the pool", take);
    report("attach to the bridge", attach);
    report("detach", detach);

    for workers in [1, 8] {
        println!("{workers} at once, each           {:8.2} ms", ms(storm(&networks, workers)));
    }
    for ports in [1, 1000] {
        let wish = on("bridge", ports);
        let times = (0..5).map(|n| {
            let netns = networks.namespace().expect("a namespace");
            let (time, result) = timed(|| networks.attach(&id(n), &netns, &wish));
            result.expect("attach");
            networks.detach(&id(n)).expect("detach");
            time
        });
        report(&format!("attach with {ports} ports"), times.collect::<Vec<_>>());
    }
    for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(172, 17, 0, 1)] {
        println!("published port at {address:<13} {:5.2} GiB/s", throughput(&networks, address));
    }
    let cycles = (0..20).map(|n| {
        timed(|| {
            let request = NetworkRequest { name: format!("n{n}"), ..NetworkRequest::default() };
            networks.create(&request).expect("create");
            networks.remove(&request.name).expect("remove");
        })
        .0
    });
    report("network create and remove", cycles.collect::<Vec<_>>());
}

/// Time per container when `workers` start and stop containers at once.
fn storm(networks: &Networks, workers: u8) -> Duration {
    const EACH: u8 = 20;
    let bridge = on("bridge", 0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let bridge = &bridge;
            scope.spawn(move || {
                for n in 0..EACH {
                    let id = id(worker * EACH + n);
                    let netns = networks.namespace().expect("a namespace");
                    networks.attach(&id, &netns, bridge).expect("attach");
                    drop(netns);
                    networks.detach(&id).expect("detach");
                }
            });
        }
    });
    began.elapsed() / (u32::from(workers) * u32::from(EACH))
}

/// How fast a program of the machine sends to a published port.
fn throughput(networks: &Networks, address: Ipv4Addr) -> f64 {
    const BYTES: usize = 2 << 30;
    let netns = networks.namespace().expect("a namespace");
    let sandbox = networks.attach(&id(1), &netns, &on("bridge", 1)).expect("attach");
    let port = sandbox.ports[0].host_port;
    let fd = netns.into_fd();
    let (ready, wait) = std::sync::mpsc::channel();
    let rate = std::thread::scope(|scope| {
        scope.spawn(|| {
            let kind = rustix::thread::LinkNameSpaceType::Network;
            rustix::thread::move_into_link_name_space(fd.as_fd(), Some(kind)).expect("setns");
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 1)).expect("bind");
            ready.send(()).expect("the other side waits");
            let (mut stream, _) = listener.accept().expect("accept");
            let mut buffer = vec![0; 256 * 1024];
            while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
        });
        wait.recv().expect("the server starts");
        let mut stream = TcpStream::connect((address, port)).expect("connect");
        let block = vec![0; 256 * 1024];
        let began = Instant::now();
        for _ in 0..BYTES / block.len() {
            stream.write_all(&block).expect("write");
        }
        drop(stream);
        2.0 / began.elapsed().as_secs_f64()
    });
    networks.detach(&id(1)).expect("detach");
    rate
}

fn on(network: &str, ports: u16) -> Attach {
    let endpoint = EndpointRequest { network: network.into(), ..EndpointRequest::default() };
    let port = |n| PortRequest {
        container_port: n + 1,
        protocol: Protocol::Tcp,
        host_ip: None,
        host_port: Some(20000 + n..=20000 + n),
    };
    Attach { endpoints: vec![endpoint], ports: (0..ports).map(port).collect(), ..Attach::default() }
}

fn id(n: u8) -> ContainerId {
    ContainerId::from_bytes([n; 32])
}

fn timed<T>(f: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let value = f();
    (began.elapsed(), value)
}

fn report(what: &str, times: impl IntoIterator<Item = Duration>) {
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort();
    let at = |percent: usize| ms(times[(times.len() - 1) * percent / 100]);
    println!("{what:<27} {:8.2} ms median, {:.2} ms p95", at(50), at(95));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
