//! Connections of daemons: requests in, answers and events out, each with a bounded queue.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use wharf_sys::{Errno, Result, fd};

use super::poll::{EventFlags, Poller, Token, Watch};
use crate::protocol::Frame;
use crate::wire::{self, Packet};

/// Answers and events kept for a daemon that does not read. Then its requests are not read either, and events are dropped,
/// for which it gets a snapshot when it reads again.
const QUEUE: usize = 128;

/// Most connections at a time: a daemon needs one, a new one may come before the old one is gone.
pub(super) const CONNECTIONS: usize = 16;

/// A daemon.
#[derive(Debug)]
pub(super) struct Conn {
    number: u32,
    socket: OwnedFd,
    watch: Watch,
    queue: VecDeque<(Packet, Option<OwnedFd>)>,
    /// Events were dropped.
    pub(super) lost: bool,
}

impl Conn {
    pub(super) fn new(number: u32, socket: OwnedFd) -> Self {
        Self { number, socket, watch: Watch::default(), queue: VecDeque::new(), lost: false }
    }

    /// The next request; `None` when there is none at present.
    pub(super) fn receive(&self) -> Result<Option<Frame>> {
        if self.queue.len() >= QUEUE {
            return Ok(None);
        }
        match wire::receive(&self.socket) {
            Ok(Some(frame)) => Ok(Some(frame)),
            Ok(None) => Err(Errno::PIPE),
            Err(Errno::AGAIN) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Sends an answer, now or when there is room.
    pub(super) fn answer(&mut self, packet: Packet, fd: Option<OwnedFd>) -> Result<()> {
        self.queue.push_back((packet, fd));
        self.flush()
    }

    /// Sends an event, or drops it when the daemon is too far behind.
    pub(super) fn event(&mut self, packet: Packet) -> Result<()> {
        if self.lost || self.queue.len() >= QUEUE {
            self.lost = true;
            return Ok(());
        }
        self.answer(packet, None)
    }

    /// Sends what is queued.
    pub(super) fn flush(&mut self) -> Result<()> {
        while let Some((packet, fd)) = self.queue.front() {
            let fds: Vec<BorrowedFd<'_>> = packet.fds().chain(fd.iter().map(AsFd::as_fd)).collect();
            match fd::try_send(&self.socket, packet.bytes(), &fds) {
                Ok(_) => self.queue.pop_front(),
                Err(Errno::AGAIN) => return Ok(()),
                Err(other) => return Err(other),
            };
        }
        Ok(())
    }

    /// Whether everything was sent.
    pub(super) fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// Watches for what can be done now.
    pub(super) fn watch(&mut self, poller: &Poller) -> Result<()> {
        let mut flags = EventFlags::empty();
        if self.queue.len() < QUEUE {
            flags |= EventFlags::IN;
        }
        if !self.queue.is_empty() {
            flags |= EventFlags::OUT;
        }
        poller.watch(&mut self.watch, &self.socket, Token::Control(self.number), Some(flags))
    }
}

/// Accepts a connection of root, or of the user that the keeper runs as; anybody else is turned away.
pub(super) fn accept(listener: &OwnedFd) -> Result<Option<OwnedFd>> {
    let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
    let socket = match rustix::net::accept_with(listener, flags) {
        Ok(socket) => socket,
        Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => return Ok(None),
        Err(other) => return Err(other),
    };
    let peer = rustix::net::sockopt::socket_peercred(&socket)?;
    let trusted = peer.uid.is_root() || peer.uid == rustix::process::geteuid();
    Ok(trusted.then_some(socket))
}
