//! A netlink socket: sends batches, transactions and questions, and reads every answer.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, Protocol, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags, SocketFlags,
    SocketType, netlink, recvmsg, sendmsg_addr, socket_with, sockopt,
};
use wharf_sys::netlink::NetlinkOption;

use crate::attribute::{Message, attributes, messages, text, u32_at};
use crate::{Batch, Error, Result};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
/// The world changed while it was listed: the listing must be repeated.
const DUMP_INTERRUPTED: u16 = 0x10;
/// The answer's copy of the request was cut after its header.
const CAPPED: u16 = 0x100;
/// Attributes follow.
const ACK_TLVS: u16 = 0x200;
/// Offset of the sequence number in a message header.
const SEQUENCE: usize = 8;

/// Acknowledgements wait in the receive buffer until we read them; each counts about 1 KiB of its 208 KiB.
const REQUESTS_AT_ONCE: usize = 64;
/// A listing that is interrupted this often is handed out as it is: on a machine where links change all the time there is no quiet moment.
const LISTING_ATTEMPTS: usize = 8;

/// What the kernel wants free in the buffer beside the bytes themselves.
const SEND_OVERHEAD: usize = 4096;

/// A netlink socket of the namespace in which it was opened.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// For links, addresses, routes and neighbours.
    pub fn route() -> Result<Self> {
        Self::open(None)
    }

    /// For nftables.
    pub fn netfilter() -> Result<Self> {
        Self::open(Some(netlink::NETFILTER))
    }

    fn open(protocol: Option<Protocol>) -> Result<Self> {
        let fd = open(protocol, 0)?;
        Ok(Self { fd, sequence: 1, buffer: vec![0; 32 * 1024] })
    }

    /// Carries out all requests and returns the first refusal that was not to be expected. Those after it were carried out nevertheless.
    pub fn run(&mut self, batch: &Batch) -> Result<()> {
        let mut first = Ok(());
        for chunk in batch.requests.chunks(REQUESTS_AT_ONCE) {
            let mut bytes = Vec::with_capacity(chunk.iter().map(|r| r.bytes.bytes.len()).sum());
            let base = self.sequence;
            for request in chunk {
                let start = bytes.len();
                bytes.extend_from_slice(&request.bytes.bytes);
                bytes[start + SEQUENCE..start + SEQUENCE + 4].copy_from_slice(&self.sequence.to_ne_bytes());
                self.sequence = self.sequence.wrapping_add(1);
            }
            self.send(&bytes)?;
            let mut answered = vec![false; chunk.len()];
            self.drain(|message| {
                let index = usize::try_from(message.sequence.wrapping_sub(base)).unwrap_or(usize::MAX);
                let (Some(request), Some(seen)) = (chunk.get(index), answered.get_mut(index)) else { return };
                let Some(answer) = answer(&message) else { return };
                *seen = true;
                if let Err((errno, extack)) = answer
                    && first.is_ok()
                    && !request.tolerate.contains(&errno)
                {
                    first = Err(Error::Refused { op: request.label.clone(), errno, extack });
                }
            })?;
            if first.is_ok() && answered.contains(&false) {
                return Err(Error::Malformed("netlink batch"));
            }
        }
        first
    }

    /// Sends bytes that are one atomic batch whose last sequence number is `last`; `label` names a message by its place.
    pub(crate) fn transact(&mut self, bytes: &[u8], last: u32, label: impl Fn(u32) -> String) -> Result<()> {
        self.send(bytes)?;
        let mut first = None;
        let mut acknowledged = false;
        self.drain(|message| match answer(&message) {
            Some(Ok(())) if message.sequence == last => acknowledged = true,
            Some(Err((errno, extack))) if first.is_none() => {
                first = Some(Error::Refused { op: label(message.sequence), errno, extack });
            }
            _ => {}
        })?;
        match first {
            Some(error) => Err(error),
            None if acknowledged => Ok(()),
            None => Err(Error::Malformed("nftables transaction")),
        }
    }

    /// Lists objects: `each` sees every message of the answer. Called again from the start (after `restart`) when the world changed meanwhile.
    pub(crate) fn list<T>(
        &mut self,
        op: &'static str,
        kind: u16,
        header: &[u8],
        each: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>> {
        for attempt in 1.. {
            let mut found = Vec::new();
            let interrupted = self.dump(op, kind, header, |message| found.extend(each(message)))?;
            if !interrupted || attempt == LISTING_ATTEMPTS {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    fn dump(&mut self, op: &'static str, kind: u16, header: &[u8], mut each: impl FnMut(&Message<'_>)) -> Result<bool> {
        let sequence = self.ask(kind, DUMP, header)?;
        let mut interrupted = false;
        loop {
            let length = self.receive(RecvFlags::empty())?.ok_or(Error::Malformed(op))?;
            for message in messages(&self.buffer[..length]) {
                if message.sequence != sequence {
                    continue;
                }
                interrupted |= message.flags & DUMP_INTERRUPTED != 0;
                match message.kind {
                    NLMSG_DONE => return Ok(interrupted),
                    NLMSG_ERROR => return refused(op, &message).map(|()| interrupted),
                    _ => each(&message),
                }
            }
        }
    }

    /// Asks for one object. `None` when the kernel answers that there is no such.
    pub(crate) fn get<T>(
        &mut self,
        op: &'static str,
        kind: u16,
        body: &[u8],
        missing: &[Errno],
        each: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<Option<T>> {
        let sequence = self.ask(kind, 0, body)?;
        let mut found = None;
        let mut error = None;
        self.drain(|message| {
            if message.sequence != sequence {
            } else if message.kind == NLMSG_ERROR {
                error = refused(op, &message).err();
            } else {
                found = each(&message);
            }
        })?;
        match error {
            Some(e) if e.errno().is_some_and(|errno| missing.contains(&errno)) => Ok(None),
            Some(e) => Err(e),
            None => Ok(found),
        }
    }

    fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<u32> {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let mut writer = crate::attribute::Writer::default();
        writer.message(kind, flags | REQUEST, sequence, |w| w.raw(body));
        self.send(&writer.bytes)?;
        Ok(sequence)
    }

    /// The number by which broadcasts name what this socket did.
    pub fn port(&self) -> Result<u32> {
        let failed = |errno| Error::Socket { op: "netlink getsockname", errno };
        let address = rustix::net::getsockname(&self.fd).map_err(failed)?;
        Ok(SocketAddrNetlink::try_from(address).map_err(failed)?.pid())
    }

    /// Numbers for a transaction of `count` messages.
    pub(crate) fn sequences(&mut self, count: u32) -> u32 {
        let base = self.sequence;
        self.sequence = self.sequence.wrapping_add(count);
        base
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        let send = || {
            let mut control = SendAncillaryBuffer::default();
            sendmsg_addr(&self.fd, &kernel, &[IoSlice::new(bytes)], &mut control, SendFlags::empty())
        };
        let sent = match send() {
            // what is atomic is one datagram, however long; the buffer keeps that size
            Err(Errno::MSGSIZE) => {
                sockopt::set_socket_send_buffer_size_force(&self.fd, bytes.len() + SEND_OVERHEAD).and_then(|()| send())
            }
            other => other,
        };
        sent.map(drop).map_err(|errno| Error::Socket { op: "netlink sendmsg", errno })
    }

    /// Reads all answers that wait: the kernel works while we send, so they are there when the send returns.
    fn drain(&mut self, mut each: impl FnMut(Message<'_>)) -> Result<()> {
        while let Some(length) = self.receive(RecvFlags::DONTWAIT)? {
            messages(&self.buffer[..length]).for_each(&mut each);
        }
        Ok(())
    }

    fn receive(&mut self, flags: RecvFlags) -> Result<Option<usize>> {
        receive(self.fd.as_fd(), &mut self.buffer, flags)
    }
}

/// Reads one datagram of the kernel; `None` when there is none.
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: RecvFlags) -> Result<Option<usize>> {
    let socket = |errno| Error::Socket { op: "netlink recvmsg", errno };
    loop {
        let mut control = RecvAncillaryBuffer::default();
        let got = match recvmsg(fd, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Ok(got) => got,
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(socket(errno)),
        };
        if got.flags.contains(ReturnFlags::TRUNC) {
            return Err(Error::Malformed("netlink datagram"));
        }
        // another process may send to our port; only the kernel is believed
        let from = got.address.and_then(|a| SocketAddrNetlink::try_from(a).ok());
        if from.is_some_and(|a| a.pid() == 0) {
            return Ok(Some(got.bytes));
        }
    }
}

/// A bound socket with the options every user wants.
pub(crate) fn open(protocol: Option<Protocol>, groups: u32) -> Result<OwnedFd> {
    let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
        .map_err(|errno| Error::Socket { op: "netlink socket", errno })?;
    for option in [NetlinkOption::ExtendedAck, NetlinkOption::CapAck] {
        wharf_sys::netlink::enable(&fd, option).map_err(|errno| Error::Socket { op: "netlink setsockopt", errno })?;
    }
    rustix::net::bind(&fd, &SocketAddrNetlink::new(0, groups))
        .map_err(|errno| Error::Socket { op: "netlink bind", errno })?;
    Ok(fd)
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What an acknowledgement says: `None` if it is none.
fn answer(message: &Message<'_>) -> Option<Result<(), (Errno, String)>> {
    if message.kind != NLMSG_ERROR {
        return None;
    }
    let code = u32_at(message.body, 0)? as i32;
    if code == 0 {
        return Some(Ok(()));
    }
    let errno = Errno::from_raw_os_error(code.checked_neg().filter(|c| (1..4096).contains(c)).unwrap_or(5));
    Some(Err((errno, extack(message))))
}

fn refused(op: &'static str, message: &Message<'_>) -> Result<()> {
    match answer(message) {
        Some(Err((errno, extack))) => Err(Error::Refused { op: op.to_owned(), errno, extack }),
        Some(Ok(())) => Ok(()),
        None => Err(Error::Malformed(op)),
    }
}

/// The kernel's own words in an acknowledgement.
fn extack(message: &Message<'_>) -> String {
    const TEXT: u16 = 1;
    if message.flags & ACK_TLVS == 0 {
        return String::new();
    }
    // error code, then the request's header, then (unless capped) its payload
    let copied = if message.flags & CAPPED != 0 {
        16
    } else {
        let length = u32_at(message.body, 4).and_then(|l| usize::try_from(l).ok()).unwrap_or(16);
        length.min(message.body.len()).next_multiple_of(4)
    };
    let tail = message.body.get(4 + copied..).unwrap_or(&[]);
    attributes(tail).find(|(kind, _)| *kind == TEXT).map(|(_, words)| text(words)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_answer_is_survived(flags: u16, body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let message = Message { kind: NLMSG_ERROR, flags, sequence: 0, port: 0, body: &body };
            let _ = answer(&message);
            let _ = refused("test", &message);
        }
    }
}
