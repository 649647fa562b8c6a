//! Network interfaces, as far as a container needs them before anyone configures its network, and datagrams whose answers
//! must come from the address that was asked.

use crate::{Errno, Result, check};
use rustix::fd::{AsFd, AsRawFd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Sets the loopback interface of the calling process's network namespace up.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN.
pub fn loopback_up() -> Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: an all-zero ifreq is valid: integers and bytes.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: request is a valid ifreq for this ioctl.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }.into()).map(drop)
}

/// The two ends of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Who sent it.
    pub from: SocketAddr,
    /// Which address of this machine it was sent to; `None` when the socket was not told to say ([`tell_destination`]).
    pub to: Option<IpAddr>,
}

/// Room for control messages of either family, aligned as their headers want it.
#[repr(align(8))]
struct Control([u8; 64]);

/// A control message as the kernel reads it: both kinds of data begin right behind the header.
#[repr(C, align(8))]
struct Source<T> {
    header: libc::cmsghdr,
    data: T,
}

impl<T> Source<T> {
    fn new(level: libc::c_int, kind: libc::c_int, data: T) -> Self {
        let length = size_of::<libc::cmsghdr>() + size_of::<T>();
        Self { header: libc::cmsghdr { cmsg_len: length, cmsg_level: level, cmsg_type: kind }, data }
    }
}

/// Has a datagram socket say with each datagram which address it was sent to.
///
/// # Errors
/// The kernel's.
pub fn tell_destination(socket: impl AsFd, ipv6: bool) -> Result<()> {
    let (level, option) =
        if ipv6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: on is a valid int for the length given.
    check(unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, (&raw const on).cast(), length) }.into())
        .map(drop)
}

/// Receives one datagram without waiting. A longer one than the buffer is cut.
///
/// # Errors
/// `EAGAIN` when there is none; the kernel's.
pub fn receive_from(socket: impl AsFd, buffer: &mut [u8]) -> Result<(usize, Peer)> {
    let mut name = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: an all-zero msghdr is valid: integers and null pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = name.as_mut_ptr().cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    let fd = socket.as_fd();
    // SAFETY: every pointer of the message is to memory of the stated length that outlives the call.
    let length = check(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) } as libc::c_long)?;
    // SAFETY: zeroed above and perhaps written by the kernel since: initialised, and valid as integers.
    let from = address(&unsafe { name.assume_init() }).ok_or(Errno::AFNOSUPPORT)?;
    let to = destination(control.0.get(..message.msg_controllen).unwrap_or(&[]));
    Ok((usize::try_from(length).map_err(|_| Errno::IO)?, Peer { from, to }))
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which type it is; storage is large and aligned enough for every one.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Reads the list of control messages: `usize` length (header included), two `int`s (level, type), data; aligned to 8.
fn destination(mut control: &[u8]) -> Option<IpAddr> {
    const HEADER: usize = 16;
    loop {
        let length = usize::from_ne_bytes(*control.first_chunk()?);
        let number = |at| Some(i32::from_ne_bytes(*control.get(at..)?.first_chunk()?));
        let data = control.get(HEADER..length)?;
        match (number(8)?, number(12)?) {
            // in_pktinfo: interface, local address, address in the header
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => return Some(IpAddr::from(*data.get(8..)?.first_chunk::<4>()?)),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => return Some(IpAddr::from(*data.first_chunk::<16>()?)),
            _ => control = control.get(length.next_multiple_of(8)..)?,
        }
    }
}

/// Sends one datagram to whoever sent that of `peer`, from the address it was sent to. Without waiting.
///
/// # Errors
/// `EAGAIN`, `EINVAL` when the address is not this machine's (any more); the kernel's.
pub fn send_from(socket: impl AsFd, bytes: &[u8], peer: Peer) -> Result<usize> {
    let (mut source4, mut source6);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: an all-zero value is valid: integers only.
    let mut v4: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut v6: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    // SAFETY: an all-zero msghdr is valid: integers and null pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    match peer.from {
        SocketAddr::V4(to) => {
            v4.sin_family = libc::AF_INET as libc::sa_family_t;
            v4.sin_port = to.port().to_be();
            v4.sin_addr.s_addr = u32::from(*to.ip()).to_be();
            message.msg_name = (&raw mut v4).cast();
            message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        }
        SocketAddr::V6(to) => {
            v6.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            v6.sin6_port = to.port().to_be();
            v6.sin6_addr.s6_addr = to.ip().octets();
            v6.sin6_scope_id = to.scope_id();
            message.msg_name = (&raw mut v6).cast();
            message.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        }
    }
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    match peer.to {
        Some(IpAddr::V4(from)) => {
            let spec = libc::in_addr { s_addr: u32::from(from).to_be() };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: spec, ipi_addr: libc::in_addr { s_addr: 0 } };
            source4 = Source::new(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            message.msg_control = (&raw mut source4).cast();
            message.msg_controllen = size_of_val(&source4);
        }
        Some(IpAddr::V6(from)) => {
            let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: from.octets() }, ipi6_ifindex: 0 };
            source6 = Source::new(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            message.msg_control = (&raw mut source6).cast();
            message.msg_controllen = size_of_val(&source6);
        }
        None => {}
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: every pointer of the message is to memory of the stated length that outlives the call.
    let sent = check(unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message, flags) } as libc::c_long)?;
    usize::try_from(sent).map_err(|_| Errno::IO)
}

/// Has a socket speak from an address that need not be this machine's, with a mark on everything it sends. The port is found
/// when it connects, if it is 0.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN over the socket's namespace; the kernel's.
pub fn speak_as(socket: impl AsFd, from: SocketAddr, mark: u32) -> Result<()> {
    let transparent = match from {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TRANSPARENT),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT),
    };
    // of this level for both families
    let late_port = (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
    let options = [((libc::SOL_SOCKET, libc::SO_MARK), mark), (transparent, 1), (late_port, 1)];
    let length = size_of::<u32>() as libc::socklen_t;
    for ((level, option), value) in options {
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: value is a valid int for the length given.
        check(unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), length) }.into())?;
    }
    rustix::net::bind(&socket, &from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[track_caller]
    fn answered_from_where_it_was_asked(server: &UdpSocket, ipv6: bool, ask: &str) {
        tell_destination(server, ipv6).unwrap();
        let client = UdpSocket::bind(if ask.contains('[') { "[::]:0" } else { "0.0.0.0:0" }).unwrap();
        let to: SocketAddr = ask.replace('?', &server.local_addr().unwrap().port().to_string()).parse().unwrap();
        client.connect(to).unwrap();
        client.send(b"question").unwrap();
        let mut buffer = [0; 32];
        let (length, peer) = receive_from(server, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"question");
        assert_eq!(peer.to.unwrap().to_canonical(), to.ip());
        send_from(server, b"answer", peer).unwrap();
        // a connected socket takes nothing from another address
        assert_eq!(client.recv(&mut buffer).unwrap(), 6);
    }

    #[test]
    fn answers_come_from_the_address_that_was_asked() {
        let v4 = UdpSocket::bind("0.0.0.0:0").unwrap();
        answered_from_where_it_was_asked(&v4, false, "127.0.0.7:?");
        let both = UdpSocket::bind("[::]:0").unwrap();
        answered_from_where_it_was_asked(&both, true, "127.0.0.9:?");
        answered_from_where_it_was_asked(&both, true, "[::1]:?");
        assert_eq!(receive_from(&both, &mut [0; 8]).unwrap_err(), Errno::AGAIN);
    }
}
