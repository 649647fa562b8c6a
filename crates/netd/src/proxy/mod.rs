//! Published ports that the kernel does not translate (another address family, loopback with some firewalls), and the
//! sockets that keep every published port from being taken by another program.
//!
//! ```text
//!   Door (a bound socket) ─ TCP, SCTP ─ accept ─► Pair: client ⇄ server       inside the container's namespace, or over the bridge
//!                         └ UDP ─────── Session per client: a connected socket, gone after a silence
//! ```
//!
//! Everything is edge-triggered but doors for datagrams. A token of the epoll has [`OURS`] set; a pair has two of them,
//! the client's even, the server's odd.

mod datagram;
mod inside;
mod stream;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::protocol::{Forward, Transport};
use datagram::Session;
use inside::Room;
use stream::{Buffers, Pair, Progress};

/// Set in our tokens.
const OURS: u64 = 1 << 63;
/// How often silent sessions are looked for.
const SWEEP: Duration = Duration::from_secs(15);
/// Connections that wait to be accepted, of one port: what Go's runtime (and so Docker's proxy) has on Linux.
const BACKLOG: i32 = 4096;
/// A container that has not answered inside its namespace by then is asked over the bridge.
const ANSWER_INSIDE: Duration = Duration::from_millis(250);

/// What is told of a stream's socket: every change, once.
const STREAM: EventFlags = EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

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
    buffers: Buffers,
    /// Container → its namespace, where streams can be led inside.
    rooms: HashMap<String, Room>,
    /// Connections asked for inside, and how long they may take.
    asked: VecDeque<(Instant, u64)>,
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
            buffers: Buffers::default(),
            rooms: HashMap::new(),
            asked: VecDeque::new(),
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

    /// Streams of a container's ports are led inside its namespace from now on, where that is possible.
    pub(crate) fn enter(&mut self, container: &str, netns: OwnedFd, sources: Vec<IpAddr>) {
        // without a way home there is no way inside
        if let Ok(room) = Room::new(netns, sources) {
            self.rooms.insert(container.to_owned(), room);
        }
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
        self.rooms.remove(container);
        let gone: Vec<u64> = self.doors.iter().filter(|(_, d)| &*d.container == container).map(|(t, _)| *t).collect();
        for token in &gone {
            self.doors.remove(token);
        }
        if gone.is_empty() {
            return;
        }
        for (_, pair) in self.pairs.extract_if(|_, pair| gone.contains(&pair.door)) {
            pair.abort(&mut self.buffers);
        }
        self.sessions.retain(|_, session| !gone.contains(&session.door));
        self.by_client.retain(|(door, _), _| !gone.contains(door));
        self.starved.retain(|door| !gone.contains(door));
        if self.doors.is_empty() {
            self.buffers.shrink();
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
        let sweep = (!self.sessions.is_empty() || !self.starved.is_empty()).then(|| self.swept + SWEEP);
        sweep.into_iter().chain(self.asked.front().map(|(at, _)| *at)).min()
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
        while let Some(&(_, pair)) = self.asked.front().filter(|(at, _)| *at <= now) {
            self.asked.pop_front();
            if self.pairs.get(&pair).is_some_and(Pair::waits_inside) {
                self.go_outside(pair, true);
            }
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
            let transport = door.forward.transport;
            let room = self.rooms.get_mut(&*door.container).filter(|_| transport == Transport::Tcp);
            let inside = room.and_then(|room| room.connect(target));
            let base = self.token();
            // without a descriptor for the other end the client sees its connection end
            let Ok(pair) = Pair::connect(client, inside, target, transport, token) else { continue };
            let added = epoll::add(&self.poll, pair.client.as_fd(), EventData::new_u64(base), STREAM)
                .and_then(|()| epoll::add(&self.poll, pair.server.as_fd(), EventData::new_u64(base | 1), STREAM));
            if added.is_ok() {
                if pair.waits_inside() {
                    self.asked.push_back((Instant::now() + ANSWER_INSIDE, base));
                }
                self.pairs.insert(base, pair);
            }
        }
    }

    fn pass(&mut self, base: u64, flags: EventFlags, server: bool) {
        let Some(pair) = self.pairs.get_mut(&base) else { return };
        match pair.pass(flags, server, &mut self.buffers) {
            Progress::Waits => {}
            Progress::More => self.again.push(base),
            Progress::Over => {
                self.pairs.remove(&base);
                self.feed();
            }
            Progress::Refused => self.go_outside(base, false),
        }
    }

    /// A connection that was not taken inside is tried over the bridge; `silent` when there was no answer at all.
    fn go_outside(&mut self, base: u64, silent: bool) {
        let Some(pair) = self.pairs.get_mut(&base) else { return };
        let door = self.doors.get(&pair.door);
        let Some((container, target)) = door.and_then(|d| Some((&d.container, d.forward.target?))) else { return };
        if let Some(room) = self.rooms.get_mut(&**container).filter(|_| silent) {
            // somebody's rules are in the way: not every connection shall wait for that
            room.close(target);
        }
        let watched = pair
            .go_outside(target)
            .and_then(|()| epoll::add(&self.poll, pair.server.as_fd(), EventData::new_u64(base | 1), STREAM));
        if watched.is_err() {
            self.pairs.remove(&base);
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
