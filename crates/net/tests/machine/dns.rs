//! Just enough DNS to ask and to answer in a test.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

pub(crate) const A: u16 = 1;
pub(crate) const PTR: u16 = 12;
pub(crate) const AAAA: u16 = 28;

/// An answer is there by then.
const SILENCE: Duration = Duration::from_secs(3);
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), 53);

#[derive(Clone, Copy)]
pub(crate) enum Over {
    Udp,
    Tcp,
}

/// Asks the resolver of the namespace: addresses or names as text, or the code of the refusal (99 for silence).
pub(crate) fn ask(over: Over, name: &str, kind: u16) -> Result<Vec<String>, u8> {
    let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.push(0);
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    let answer = match over {
        Over::Udp => udp(&query),
        Over::Tcp => tcp(&query),
    };
    let answer = answer.map_err(|_| 99)?;
    assert_eq!(answer[..2], query[..2]);
    if answer[3] & 15 != 0 {
        return Err(answer[3] & 15);
    }
    let mut at = query.len();
    let mut found = Vec::new();
    for _ in 0..u16::from_be_bytes([answer[6], answer[7]]) {
        // a pointer to the question, type, class, time to live
        let length = usize::from(u16::from_be_bytes([answer[at + 10], answer[at + 11]]));
        let data = &answer[at + 12..at + 12 + length];
        at += 12 + length;
        found.push(match data.len() {
            4 if kind == A => Ipv4Addr::from(<[u8; 4]>::try_from(data).unwrap()).to_string(),
            _ => labels(data),
        });
    }
    Ok(found)
}

fn labels(mut data: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some((length, rest)) = data.split_first().filter(|(length, _)| **length > 0) {
        let (label, rest) = rest.split_at(usize::from(*length));
        text.push(String::from_utf8_lossy(label).into_owned());
        data = rest;
    }
    text.join(".")
}

fn udp(query: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.set_read_timeout(Some(SILENCE))?;
    socket.connect(SERVER)?;
    socket.send(query)?;
    let mut bytes = vec![0; 4096];
    let length = socket.recv(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn tcp(query: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&SERVER, SILENCE)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.write_all(&framed(query))?;
    read_frame(&mut stream)
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut all = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

fn read_frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A server (in the namespace of the calling thread) that answers every question with one address (or that there is no
/// such name), over both transports.
pub(crate) fn serve(address: Option<Ipv4Addr>) {
    let answer = move |query: &[u8]| {
        let mut bytes = query.to_vec();
        bytes[2] |= 0x80;
        let Some(address) = address else {
            bytes[3] |= 3;
            return bytes;
        };
        bytes[7] = 1;
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        bytes.extend(address.octets());
        bytes
    };
    let udp = UdpSocket::bind(("0.0.0.0", 53)).unwrap();
    let tcp = TcpListener::bind(("0.0.0.0", 53)).unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut bytes) {
            let _ = udp.send_to(&answer(&bytes[..length]), from);
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let Ok(mut stream) = stream else { return };
            if let Ok(query) = read_frame(&mut stream) {
                let _ = stream.write_all(&framed(&answer(&query)));
            }
        }
    });
}
