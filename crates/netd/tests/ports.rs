//! Published ports through the process: streams, datagrams, other families; free again when their container has ended.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, ipproto, socket_with, sockopt};
use wharf_netd::{Client, Forward, Transport};

const PATIENCE: Duration = Duration::from_secs(20);

struct Ports {
    client: Client,
    dir: tempfile::TempDir,
}

impl Ports {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let client = Client::new(env!("CARGO_BIN_EXE_wharf-netd").into(), dir.path().join("netd.sock"));
        Self { client, dir }
    }

    /// Publishes a port of every address of both families.
    fn publish(&self, container: &str, transport: Transport, target: Option<SocketAddr>) -> u16 {
        let kind = if transport == Transport::Udp { SocketType::DGRAM } else { SocketType::STREAM };
        let number = if transport == Transport::Udp { ipproto::UDP } else { ipproto::TCP };
        let socket = socket_with(AddressFamily::INET6, kind, SocketFlags::CLOEXEC, Some(number)).unwrap();
        sockopt::set_ipv6_v6only(&socket, false).unwrap();
        bind(&socket, &"[::]:0".parse::<SocketAddr>().unwrap()).unwrap();
        let listen = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
        self.client.publish(container, &[(Forward { transport, listen, target }, socket)]).unwrap();
        listen.port()
    }
}

/// Answers each connection with what came, once the other side has ended.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
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
    address
}

fn connect(address: &str, port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&format!("{address}:{port}").parse().unwrap(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

#[test]
fn r_net_12_streams_pass_whole_and_end_one_side_at_a_time() {
    let ports = Ports::new();
    let port = ports.publish("1", Transport::Tcp, Some(echo()));
    // far more than all buffers and pipes on the way hold
    let sent: Vec<u8> = (0..24u32 << 20).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for address in ["127.0.0.1", "[::1]"] {
        let mut stream = connect(address, port).unwrap();
        stream.write_all(&sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(back == sent, "{address}: {} bytes of {}", back.len(), sent.len());
    }
    assert_eq!(ports.client.published().unwrap(), [("1".to_owned(), 1)]);
}

#[test]
fn r_net_12_nobody_in_the_container_ends_the_connection() {
    let ports = Ports::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = ports.publish("1", Transport::Tcp, Some(free));
    let mut byte = [0];
    assert!(matches!(connect("127.0.0.1", port).and_then(|mut s| s.read(&mut byte)), Ok(0) | Err(_)));
}

#[test]
fn r_net_11_ports_are_held_led_elsewhere_and_free_again() {
    let ports = Ports::new();
    let port = ports.publish("1", Transport::Tcp, None);
    assert!(connect("127.0.0.1", port).is_err(), "held only");
    let taken = || TcpListener::bind(("0.0.0.0", port));
    assert_eq!(taken().unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let listen = format!("[::]:{port}").parse().unwrap();
    let forward = Forward { transport: Transport::Tcp, listen, target: Some(echo()) };
    ports.client.redirect("1", &[forward]).unwrap();
    let mut open = connect("127.0.0.1", port).unwrap();
    ports.client.unpublish("1").unwrap();
    assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)), "connections end with their port");
    taken().unwrap();
    assert_eq!(ports.client.published().unwrap(), []);
}

#[test]
fn r_net_12_datagrams_of_several_clients_find_back() {
    let ports = Ports::new();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = ports.publish("1", Transport::Udp, Some(server.local_addr().unwrap()));
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            server.send_to(&buffer[..length], from).unwrap();
        }
    });
    let client = |from: &str, to: &str| {
        let socket = UdpSocket::bind(format!("{from}:0")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // a connected socket takes only answers that come from where it asked
        socket.connect(format!("{to}:{port}")).unwrap();
        socket
    };
    let clients = [client("127.0.0.1", "127.0.0.1"), client("0.0.0.0", "127.0.0.5"), client("[::1]", "[::1]")];
    for round in 0..3 {
        for (number, socket) in clients.iter().enumerate() {
            socket.send(format!("{round} {number}").as_bytes()).unwrap();
        }
        for (number, socket) in clients.iter().enumerate() {
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), format!("{round} {number}"));
        }
    }
}

#[test]
fn r_arch_02_ports_answer_while_the_daemon_is_gone() {
    let ports = Ports::new();
    let port = ports.publish("1", Transport::Tcp, Some(echo()));
    let path = ports.dir.path().join("netd.sock");
    drop(ports.client);
    let mut stream = connect("127.0.0.1", port).unwrap();
    stream.write_all(b"still there").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "still there");
    let next = Client::new("/nonexistent".into(), path);
    assert_eq!(next.published().unwrap(), [("1".to_owned(), 1)]);
    next.unpublish("1").unwrap();
}
