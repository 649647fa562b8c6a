//! The process itself: started by the first who needs it, found by the next, gone with the last.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wharf_netd::{Client, Place, Sandbox};

/// A process that was told to end has ended by then.
const PATIENCE: Duration = Duration::from_secs(20);

fn sandbox(container: &str, name: &str) -> Sandbox {
    let place = Place {
        network: "n".into(),
        network_name: "net".into(),
        addresses: vec!["10.0.0.2".parse().unwrap()],
        names: vec![name.into()],
        aliases: Vec::new(),
    };
    Sandbox { container: container.into(), places: vec![place], ..Sandbox::default() }
}

#[test]
fn starts_stays_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("netd.sock");
    let client = || Client::new(env!("CARGO_BIN_EXE_wharf-netd").into(), path.clone());
    let first = client();
    assert_eq!(first.list().unwrap(), [""; 0], "nothing is started for a question");
    let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = udp.local_addr().unwrap();
    first.put(sandbox("1", "web"), Some((&udp, &tcp))).unwrap();
    drop((first, udp, tcp));
    // the daemon is gone: questions are answered, and the next daemon finds the same process
    let query = b"\x07\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x01\x00\x01";
    let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.set_read_timeout(Some(PATIENCE)).unwrap();
    asker.send_to(query, address).unwrap();
    let mut answer = [0; 512];
    let length = asker.recv(&mut answer).unwrap();
    assert!(answer[..length].ends_with(&[10, 0, 0, 2]));
    let second = client();
    assert_eq!(second.list().unwrap(), ["1"]);
    second.drop("1").unwrap();
    drop(second);
    let end = Instant::now() + PATIENCE;
    while answers(&path) {
        assert!(Instant::now() < end, "it ends when nobody is left");
        std::thread::yield_now();
    }
}

/// One connection may bring any number of questions: beyond a limit they are refused, or a container would use up the sockets of all.
#[test]
fn r_net_06_questions_on_their_way_over_tcp_are_limited() {
    const ASKED: usize = 300;
    const AT_MOST: usize = 256;
    let dir = tempfile::tempdir().unwrap();
    let resolver = TcpListener::bind("127.0.0.1:0").unwrap();
    let resolvers = vec![resolver.local_addr().unwrap()];
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    std::thread::spawn(move || {
        // connected, and never answered
        let mut held = Vec::new();
        for stream in resolver.incoming() {
            held.push(stream);
            counted.store(held.len(), Ordering::SeqCst);
        }
    });
    let client = Client::new(env!("CARGO_BIN_EXE_wharf-netd").into(), dir.path().join("netd.sock"));
    let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    client.put(Sandbox { resolvers, ..sandbox("1", "web") }, Some((&udp, &tcp))).unwrap();
    let mut asker = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    asker.set_read_timeout(Some(PATIENCE)).unwrap();
    let query = b"\0\x17\x07\x07\x01\0\0\x01\0\0\0\0\0\0\x05other\0\0\x01\0\x01";
    asker.write_all(&query.repeat(ASKED)).unwrap();
    for n in 0..ASKED {
        let mut answer = [0; 14];
        asker.read_exact(&mut answer).unwrap_or_else(|error| panic!("answer {n}: {error}"));
        assert_eq!(answer[5] & 0x0f, 2, "server failure");
    }
    let made = connections.load(Ordering::SeqCst);
    assert!((1..=AT_MOST).contains(&made), "{made} connections");
    client.drop("1").unwrap();
}

fn answers(path: &std::path::Path) -> bool {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    connect(&socket, &SocketAddrUnix::new(path).unwrap()).is_ok()
}
