//! Both ends of an SCTP conversation, for tests: busybox speaks none.
//!
//! ```text
//!   sctp listen PORT            answers one client with its address and what it said
//!   sctp ask ADDRESS:PORT TEXT  prints the answer
//! ```

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, acceptfrom, bind, connect, ipproto, listen, recv,
    send, socket_with,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::SCTP));
    let socket = socket.expect("this kernel speaks SCTP");
    let mut buffer = [0; 256];
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["listen", port] => {
            let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port.parse().expect("a port"));
            bind(&socket, &any).expect("bind");
            listen(&socket, 4).expect("listen");
            let (client, from) = acceptfrom(&socket).expect("accept");
            let from = SocketAddr::try_from(from.expect("an address")).expect("of IPv4");
            let (length, _) = recv(&client, &mut buffer[..], RecvFlags::empty()).expect("recv");
            let said = String::from_utf8_lossy(&buffer[..length]);
            send(&client, format!("{} said {said}", from.ip()).as_bytes(), SendFlags::empty()).expect("send");
            // until the other side has closed
            let _ = recv(&client, &mut buffer[..], RecvFlags::empty());
        }
        ["ask", address, text] => {
            connect(&socket, &address.parse::<SocketAddr>().expect("an address")).expect("connect");
            send(&socket, text.as_bytes(), SendFlags::empty()).expect("send");
            let (length, _) = recv(&socket, &mut buffer[..255], RecvFlags::empty()).expect("recv");
            buffer[length] = b'\n';
            std::io::stdout().write_all(&buffer[..=length]).expect("stdout");
        }
        _ => panic!("sctp listen PORT | sctp ask ADDRESS:PORT TEXT"),
    }
}
