//! Descriptors: passing them over sockets, closing ranges, placing them at fixed numbers.

use crate::{Errno, Result, check};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;

/// The kernel's limit of descriptors in one message (`SCM_MAX_FD`).
pub const MAX_FDS: usize = 253;

/// A connected pair of SEQPACKET sockets, close-on-exec.
///
/// # Errors
/// The kernel's.
pub fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Sends one message with descriptors (SCM_RIGHTS). Never raises SIGPIPE.
///
/// # Errors
/// `EINVAL` for more than [`MAX_FDS`]; `EMSGSIZE` when the message is longer than the socket's buffer; the kernel's.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    send_with(socket.as_fd(), bytes, fds, SendFlags::NOSIGNAL)
}

/// As [`send`], but `EAGAIN` rather than waiting for room.
///
/// # Errors
/// As [`send`], and `EAGAIN`.
pub fn try_send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    send_with(socket.as_fd(), bytes, fds, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>], flags: SendFlags) -> Result<usize> {
    if fds.len() > MAX_FDS {
        return Err(Errno::INVAL);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    rustix::io::retry_on_intr(|| rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags))
}

/// A received message.
#[derive(Debug)]
pub struct Received {
    /// Bytes written to the caller's buffer; 0 is end of file on a stream or SEQPACKET socket.
    pub len: usize,
    /// The descriptors that came with it, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Receives one message with its descriptors.
///
/// # Errors
/// `EMSGSIZE` when the message (or its list of descriptors) did not fit: nothing of it is used; the kernel's.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received> {
    receive_with(socket.as_fd(), buffer, RecvFlags::CMSG_CLOEXEC)
}

/// As [`receive`], but `EAGAIN` rather than waiting.
///
/// # Errors
/// As [`receive`], and `EAGAIN`.
pub fn try_receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received> {
    receive_with(socket.as_fd(), buffer, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
}

/// How long the next message is, waiting for it; it stays in the queue. 0 at end of file.
///
/// # Errors
/// The kernel's.
pub fn packet_size(socket: impl AsFd) -> Result<usize> {
    packet_size_with(socket.as_fd(), RecvFlags::empty())
}

/// As [`packet_size`], but `EAGAIN` rather than waiting.
///
/// # Errors
/// As [`packet_size`], and `EAGAIN`.
pub fn try_packet_size(socket: impl AsFd) -> Result<usize> {
    packet_size_with(socket.as_fd(), RecvFlags::DONTWAIT)
}

fn packet_size_with(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<usize> {
    let flags = flags | RecvFlags::PEEK | RecvFlags::TRUNC;
    rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut [0_u8; 0][..], flags)).map(|(_, size)| size)
}

fn receive_with(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: RecvFlags) -> Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)
    })?;
    let mut fds = Vec::new();
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = item {
            fds.extend(rights);
        }
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(Errno::MSGSIZE);
    }
    Ok(Received { len: message.bytes, fds })
}

/// Marks every descriptor from `first` on close-on-exec. Closes none, so owners stay valid.
///
/// # Errors
/// The kernel's.
pub fn cloexec_from(first: RawFd) -> Result<()> {
    close_range(first, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

fn close_range(first: RawFd, last: RawFd, flags: u32) -> Result<()> {
    // SAFETY: only integers are passed; who may close is the callers' contract.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }).map(drop)
}

/// The descriptors of a process image after [`arrange`].
#[derive(Debug)]
pub struct Arranged {
    len: usize,
}

impl Arranged {
    /// The descriptor at number `index`; `None` beyond the list.
    pub fn get(&self, index: usize) -> Option<BorrowedFd<'_>> {
        if index >= self.len {
            return None;
        }
        // SAFETY: arrange put an open descriptor there (or left a hole, on which every call fails with EBADF), and nothing
        // of this process owns the number.
        Some(unsafe { BorrowedFd::borrow_raw(index as RawFd) })
    }
}

/// The final layout of a process image: descriptor `i` of the list becomes number `i`, everything else is closed; `None`
/// leaves a hole. The first `keep` survive an exec, the rest are close-on-exec.
///
/// For a child just before exec: what closes here has owners elsewhere in this memory, so the process must end in an exec or
/// [`crate::clone::exit`] without going back to code that uses or drops them.
///
/// # Errors
/// `EMFILE` for a list that is too long; the kernel's.
pub fn arrange(order: &[Option<BorrowedFd<'_>>], keep: usize) -> Result<Arranged> {
    const MAX: usize = 512;
    let mut moved = [-1; MAX];
    if order.len() > MAX {
        return Err(Errno::MFILE);
    }
    // out of the way first: a source may have a number that another one goes to
    let floor = order.len() as RawFd;
    for (to, from) in moved.iter_mut().zip(order) {
        if let Some(from) = from {
            // SAFETY: duplicates an open descriptor.
            *to = check(unsafe { libc::fcntl(from.as_raw_fd(), libc::F_DUPFD_CLOEXEC, floor) }.into())? as RawFd;
        }
    }
    for (number, from) in moved[..order.len()].iter().enumerate() {
        let target = number as RawFd;
        if *from < 0 {
            // SAFETY: a hole: nothing of the former process may be left at this number; its owner is never used again.
            unsafe { libc::close(target) };
            continue;
        }
        let flags = if number < keep { 0 } else { libc::O_CLOEXEC };
        // SAFETY: only integers; the target numbers are below `floor`, the sources are not.
        check(unsafe { libc::dup3(*from, target, flags) }.into())?;
    }
    close_range(floor, RawFd::MAX, 0)?;
    Ok(Arranged { len: order.len() })
}

/// Takes ownership of a descriptor that this process inherited at a known number.
///
/// # Errors
/// `EBADF` when it is not open.
///
/// # Safety
/// Nobody else in the process may own `fd`.
pub unsafe fn take_inherited(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: fcntl with an integer.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: it is open (just checked) and the caller vouches for the only ownership.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes ownership of an inherited descriptor once per number and process: the safe form for `main`.
///
/// # Errors
/// `EBADF` when it is not open, below 3, or was taken before.
pub fn inherited(fd: RawFd) -> Result<OwnedFd> {
    static TAKEN: std::sync::Mutex<Vec<RawFd>> = std::sync::Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().map_err(|_| Errno::BADF)?;
    if fd < 3 || taken.contains(&fd) {
        return Err(Errno::BADF);
    }
    // SAFETY: the list above lets each number through once, and it is called at the start of main before anything is opened.
    let owned = unsafe { take_inherited(fd) }?;
    taken.push(fd);
    Ok(owned)
}

/// The number behind a descriptor, for [`arrange`] and messages.
pub fn raw(fd: impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_travel_and_are_close_on_exec() {
        let (a, b) = seqpacket_pair().expect("pair");
        let null = std::fs::File::open("/dev/null").expect("null");
        send(&a, b"two", &[null.as_fd(), null.as_fd()]).expect("send");
        let mut buffer = [0; 8];
        let got = receive(&b, &mut buffer).expect("receive");
        assert_eq!((&buffer[..got.len], got.fds.len()), (&b"two"[..], 2));
        for fd in &got.fds {
            assert!(rustix::io::fcntl_getfd(fd).expect("flags").contains(rustix::io::FdFlags::CLOEXEC));
        }
        assert_eq!(try_receive(&b, &mut buffer).map(drop), Err(Errno::AGAIN));
        drop(a);
        assert_eq!(receive(&b, &mut buffer).expect("end of file").len, 0);
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let (a, b) = seqpacket_pair().expect("pair");
        send(&a, b"more than four", &[]).expect("send");
        assert_eq!(receive(&b, &mut [0; 4]).map(drop), Err(Errno::MSGSIZE));
        let null = std::fs::File::open("/dev/null").expect("null");
        let many = vec![null.as_fd(); MAX_FDS + 1];
        assert_eq!(send(&a, b"x", &many), Err(Errno::INVAL));
        send(&a, b"x", &many[..MAX_FDS]).expect("as many as the kernel takes");
        assert_eq!(receive(&b, &mut [0; 4]).expect("receive").fds.len(), MAX_FDS);
    }

    #[test]
    fn arranging_swaps_and_closes() {
        use crate::clone::{Side, exit, fork};
        let (a, b) = seqpacket_pair().expect("pair");
        match fork().expect("fork") {
            Side::Child => {
                // 0 and 1 change places by way of what they refer to; 2 becomes a hole; everything else is closed
                let order = [Some(b.as_fd()), Some(a.as_fd()), None, Some(b.as_fd())];
                let Ok(arranged) = arrange(&order, 1) else { exit(1) };
                let right = arranged.get(0).is_some_and(|fd| send(fd, b"from 0", &[]).is_ok())
                    && arranged.get(2).is_some_and(|fd| rustix::io::fcntl_getfd(fd) == Err(Errno::BADF))
                    && arranged
                        .get(3)
                        .is_some_and(|fd| rustix::io::fcntl_getfd(fd) == Ok(rustix::io::FdFlags::CLOEXEC))
                    && arranged
                        .get(0)
                        .is_some_and(|fd| rustix::io::fcntl_getfd(fd) == Ok(rustix::io::FdFlags::empty()))
                    && arranged.get(4).is_none();
                exit(if right { 0 } else { 2 })
            }
            Side::Parent { pidfd, .. } => {
                assert_eq!(crate::pidfd::wait(&pidfd), Ok(crate::pidfd::Exit::Code(0)));
                let mut buffer = [0; 16];
                let n = receive(&a, &mut buffer).expect("receive").len;
                assert_eq!(&buffer[..n], b"from 0");
            }
        }
    }
}
