//! Packets on a SEQPACKET socket: frames in, frames out, long bodies through a memfd, sockets in folders with long names.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use wharf_sys::{Errno, Result, fd, memfd};

use crate::protocol::{BODY_MAX, Frame, HEADER, IN_MEMFD, INLINE_MAX};

/// Largest packet, in bytes.
pub(crate) const PACKET_MAX: usize = 64 * 1024;

/// Name of a keeper's socket in its folder.
pub(crate) const SOCKET: &str = "shim.sock";

/// An encoded frame, ready to be sent any number of times.
#[derive(Debug)]
pub(crate) struct Packet {
    bytes: Vec<u8>,
    body: Option<OwnedFd>,
}

impl Packet {
    /// Moves the body of a long frame into a sealed memfd.
    pub(crate) fn new(mut frame: Vec<u8>) -> Result<Self> {
        if frame.len() <= INLINE_MAX {
            return Ok(Self { bytes: frame, body: None });
        }
        let body = memfd::sealed_bytes(c"wharf-frame", &frame[HEADER..])?;
        frame.truncate(HEADER);
        frame[1] |= IN_MEMFD;
        Ok(Self { bytes: frame, body: Some(body) })
    }

    /// What is sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Descriptors that go before the message's own.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.body.iter().map(AsFd::as_fd)
    }
}

/// The next frame of a socket without waiting: `None` at end of file, `EAGAIN` when there is none, `EPROTO` when it does
/// not follow the protocol.
pub(crate) fn receive(socket: impl AsFd) -> Result<Option<Frame>> {
    let size = fd::try_packet_size(&socket)?;
    receive_by(size, |buffer| fd::try_receive(socket, buffer))
}

/// As [`receive`], but waits for it.
pub(crate) fn receive_waiting(socket: impl AsFd) -> Result<Option<Frame>> {
    let size = fd::packet_size(&socket)?;
    receive_by(size, |buffer| fd::receive(socket, buffer))
}

/// The buffer is as long as the packet: room for the longest one on the stack would be memory that each keeper has touched.
fn receive_by(size: usize, by: impl FnOnce(&mut [u8]) -> Result<fd::Received>) -> Result<Option<Frame>> {
    // one that is too long is received in part, which is an error and takes it out of the queue
    let mut packet = vec![0; size.min(PACKET_MAX)];
    let received = by(&mut packet)?;
    if received.len == 0 {
        return Ok(None);
    }
    packet.truncate(received.len);
    let mut fds = received.fds;
    let (kind, in_memfd, seq) = Frame::header(&packet).map_err(|_| Errno::PROTO)?;
    let body = if in_memfd {
        if fds.is_empty() {
            return Err(Errno::PROTO);
        }
        read_body(&fds.remove(0))?
    } else {
        packet.drain(..HEADER);
        packet
    };
    Ok(Some(Frame { kind, seq, body, fds }))
}

/// Reads a body out of a memfd. Its size is the sender's word: bounded, and read by position, so that a shrinking file
/// cannot do more than make the body short.
fn read_body(file: &OwnedFd) -> Result<Vec<u8>> {
    let size = rustix::fs::fstat(file)?.st_size as usize;
    if size > BODY_MAX {
        return Err(Errno::PROTO);
    }
    let mut body = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match rustix::io::pread(file, &mut body[filled..], filled as u64)? {
            0 => return Err(Errno::PROTO),
            count => filled += count,
        }
    }
    Ok(body)
}

/// Connects to the keeper in `dir`.
#[cfg(feature = "client")]
pub(crate) fn connect(dir: &Path) -> Result<OwnedFd> {
    let (_dir, address) = address(dir)?;
    let socket = socket()?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Listens as the keeper of `dir`, in the place of whoever did before.
pub(crate) fn listen(dir: &Path) -> Result<OwnedFd> {
    let (dir, address) = address(dir)?;
    let socket = socket()?;
    match rustix::fs::unlinkat(&dir, SOCKET, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(other) => return Err(other),
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 16)?;
    Ok(socket)
}

fn socket() -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// The socket's address by way of its folder's descriptor: an address has room for 107 bytes, a path for more.
fn address(dir: &Path) -> Result<(OwnedFd, SocketAddrUnix)> {
    use rustix::fs::{Mode, OFlags};
    let dir = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", fd::raw(&dir));
    let address = SocketAddrUnix::new(path)?;
    Ok((dir, address))
}
