//! Published ports that the kernel does not translate (another address family, loopback with some firewalls), and the
//! sockets that keep every published port from being taken by another program.
//!
//! ```text
//!   Door (a bound socket) ─ TCP, SCTP ─ accept ─► Pair: client ⇄ pipe ⇄ server      bytes never enter this process
//!                         └ UDP ─────── Session per client: a connected socket, gone after a silence
//! ```
//!
//! Everything is edge-triggered but doors for datagrams. A token of the epoll has [`OURS`] set; a pair has two of them,
//! the client's even, the server's odd.

mod datagram;
mod stream;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::protocol::{Forward, Transport};
use datagram::Session;
use stream::{Pair, Pipes, Progress};

/// Set in our tokens.
const OURS: u64 = 1 << 63;
/// How often silent sessions are looked for.
const SWEEP: Duration = Duration::from_secs(15);
/// Connections that wait to be accepted, of one port: what Go's runtime (and so Docker's proxy) has on Linux.
const BACKLOG: i32 = 4096;

/// A published port.
struct Door {
    socket: OwnedFd,
    container: Rc<str>,
    forward: Forward,
    listening: bool,
}

/// All published ports and what goes through them.
pub(crate) struct Proxy {
    poll: OwnedFd,
    tokens: u64,
    doors: HashMap<u64, Door>,
    pairs: HashMap<u64, Pair>,
    pipes: Pipes,
    sessions: HashMap<u64, Session>,
    by_client: HashMap<(u64, SocketAddr), u64>,
    /// Pairs that used up their turn: they go on in the next round.
    again: Vec<u64>,
    /// Doors that could not accept for want of descriptors: tried again when a connection ends, and with each sweep.
    starved: Vec<u64>,
    swept: Instant,
    buffer: Vec<u8>,
}

impl Proxy {
    /// No ports yet. Events come to the given epoll.
    pub(crate) fn new(poll: &OwnedFd) -> std::io::Result<Self> {
        Ok(Self {
            poll: poll.try_clone()?,
            tokens: 0,
            doors: HashMap::new(),
            pairs: HashMap::new(),
            pipes: Pipes::default(),
            sessions: HashMap::new(),
            by_client: HashMap::new(),
            again: Vec::new(),
            starved: Vec::new(),
            swept: Instant::now(),
            buffer: Vec::new(),
        })
    }

    /// Whether an event is ours.
    pub(crate) fn owns(token: u64) -> bool {
        token & OURS != 0
    }

    /// Nothing is published and nothing goes through.
    pub(crate) fn is_empty(&self) -> bool {
        self.doors.is_empty()
    }

    /// Whose ports are held, and how many.
    pub(crate) fn published(&self) -> Vec<(String, u32)> {
        let mut counts: HashMap<&str, u32> = HashMap::new();
        for door in self.doors.values() {
            *counts.entry(&door.container).or_default() += 1;
        }
        counts.into_iter().map(|(container, count)| (container.to_owned(), count)).collect()
    }

    /// New ports with their sockets, or (without sockets) other targets for those that are there.
    pub(crate) fn publish(
        &mut self,
        container: &str,
        forwards: Vec<Forward>,
        fds: Vec<OwnedFd>,
    ) -> std::io::Result<()> {
        if fds.is_empty() {
            for forward in forwards {
                let doors = self.doors.iter_mut().filter(|(_, d)| &*d.container == container);
                let door = doors.into_iter().find(|(_, d)| same_port(&d.forward, &forward));
                if let Some((&token, door)) = door {
                    door.forward.target = forward.target;
                    self.open(token)?;
                }
            }
            return Ok(());
        }
        if fds.len() != forwards.len() {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        let container: Rc<str> = container.into();
        for (forward, socket) in forwards.into_iter().zip(fds) {
            rustix::io::ioctl_fionbio(&socket, true)?;
            let token = self.token();
            let door = Door { socket, container: container.clone(), forward, listening: false };
            self.doors.insert(token, door);
            self.open(token)?;
        }
        Ok(())
    }

    /// Listens, if there is somewhere to lead to and it does not yet.
    fn open(&mut self, token: u64) -> std::io::Result<()> {
        let Some(door) = self.doors.get_mut(&token).filter(|d| !d.listening && d.forward.target.is_some()) else {
            return Ok(());
        };
        let flags = if door.forward.transport == Transport::Udp {
            datagram::prepare(&door.socket, door.forward.listen)?;
            EventFlags::IN
        } else {
            rustix::net::listen(&door.socket, BACKLOG)?;
            EventFlags::IN | EventFlags::ET
        };
        epoll::add(&self.poll, &door.socket, EventData::new_u64(token), flags)?;
        door.listening = true;
        Ok(())
    }

    /// Closes the ports of a container with all that goes through them.
    pub(crate) fn unpublish(&mut self, container: &str) {
        let gone: Vec<u64> = self.doors.iter().filter(|(_, d)| &*d.container == container).map(|(t, _)| *t).collect();
        for token in &gone {
            self.doors.remove(token);
        }
        if gone.is_empty() {
            return;
        }
        for (_, pair) in self.pairs.extract_if(|_, pair| gone.contains(&pair.door)) {
            pair.abort();
        }
        self.sessions.retain(|_, session| !gone.contains(&session.door));
        self.by_client.retain(|(door, _), _| !gone.contains(door));
        self.starved.retain(|door| !gone.contains(door));
        if self.doors.is_empty() {
            self.pipes = Pipes::default();
            self.buffer = Vec::new();
        }
    }

    fn token(&mut self) -> u64 {
        self.tokens += 2;
        OURS | self.tokens
    }

    /// Connections wait for their next turn: nothing may wait for events.
    pub(crate) fn is_busy(&self) -> bool {
        !self.again.is_empty()
    }

    /// When [`Proxy::expire`] wants to be called; `None` for never.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (!self.sessions.is_empty() || !self.starved.is_empty()).then(|| self.swept + SWEEP)
    }

    /// One event.
    pub(crate) fn ready(&mut self, token: u64, flags: EventFlags) {
        if let Some(door) = self.doors.get(&token) {
            match door.forward.transport {
                Transport::Udp => self.datagrams(token),
                Transport::Tcp | Transport::Sctp => self.connections(token),
            }
        } else if self.sessions.contains_key(&token) {
            self.answers(token);
        } else {
            self.pass(token & !1, flags, token & 1 == 1);
        }
    }

    /// Takes up what waited, and ends what was silent for too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        for pair in std::mem::take(&mut self.again) {
            self.pass(pair, EventFlags::empty(), false);
        }
        if now < self.swept + SWEEP {
            return;
        }
        self.swept = now;
        self.end_silent(now);
        self.feed();
    }

    /// Accepts everybody who waits at a door.
    fn connections(&mut self, token: u64) {
        loop {
            let Some(door) = self.doors.get(&token) else { return };
            let Some(target) = door.forward.target else { return };
            let client = match stream::accept(&door.socket) {
                Ok(client) => client,
                // gone again before we looked
                Err(Errno::CONNABORTED | Errno::INTR | Errno::PERM | Errno::PROTO) => continue,
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.starved.push(token);
                    return;
                }
            };
            let (transport, base) = (door.forward.transport, self.token());
            // without a descriptor for the other end the client sees its connection end
            let Ok(pair) = Pair::connect(client, target, transport, token) else { continue };
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            let added = epoll::add(&self.poll, pair.client.as_fd(), EventData::new_u64(base), flags)
                .and_then(|()| epoll::add(&self.poll, pair.server.as_fd(), EventData::new_u64(base | 1), flags));
            if added.is_ok() {
                self.pairs.insert(base, pair);
            }
        }
    }

    fn pass(&mut self, base: u64, flags: EventFlags, server: bool) {
        let Some(pair) = self.pairs.get_mut(&base) else { return };
        match pair.pass(flags, server, &mut self.pipes) {
            Progress::Waits => {}
            Progress::More => self.again.push(base),
            Progress::Over => {
                self.pairs.remove(&base);
                self.feed();
            }
        }
    }

    /// Doors that wanted for descriptors try again.
    fn feed(&mut self) {
        for door in std::mem::take(&mut self.starved) {
            self.connections(door);
        }
    }
}

fn same_port(a: &Forward, b: &Forward) -> bool {
    a.transport == b.transport && a.listen == b.listen
}
