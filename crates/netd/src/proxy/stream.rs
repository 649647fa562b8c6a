//! One connection through a published port: two sockets and, while bytes wait, a buffer for each direction.
//!
//! Bytes are copied. Handing pages over from socket to socket (`splice`) costs this process less, but the reader more than
//! that: what it gets comes in pieces of a page
//! ([decision 60](../../../../docs/decisions/0060-who-leads-to-a-published-port.md)).

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, accept_with, connect, ipproto, recv, send,
    shutdown, socket_with, sockopt,
};

use crate::protocol::Transport;

/// Of a buffer: few system calls for many bytes, and it stays in the processor's cache.
const BUFFER: usize = 512 << 10;
/// Of the buffers beyond the first [`MANY`] that hold bytes at a time: peers that do not read must not cost much memory.
const SMALL: usize = 16 << 10;
const MANY: usize = 32;
/// What one direction moves before others get their turn.
const TURN: usize = 8 << 20;
/// A client that vanished without a word is found out after this and nine probes more.
const PROBE_AFTER: Duration = Duration::from_secs(60);

/// What became of a connection in its turn.
pub(crate) enum Progress {
    /// Everything there was has been moved.
    Waits,
    /// There is more, but others wait.
    More,
    /// It has ended.
    Over,
    /// The container did not take it from inside.
    Refused,
}

/// Buffers of all connections: one that is empty, and how many are not.
#[derive(Default)]
pub(crate) struct Buffers {
    empty: Option<Box<[u8]>>,
    out: usize,
}

impl Buffers {
    fn take(&mut self) -> Box<[u8]> {
        self.out += 1;
        let large = self.out <= MANY;
        let kept = if large { self.empty.take() } else { None };
        kept.unwrap_or_else(|| vec![0; if large { BUFFER } else { SMALL }].into_boxed_slice())
    }

    fn give_back(&mut self, buffer: Box<[u8]>) {
        self.forget(1);
        if buffer.len() == BUFFER {
            self.empty = Some(buffer);
        }
    }

    /// So many went with their connections.
    fn forget(&mut self, count: usize) {
        self.out = self.out.saturating_sub(count);
    }

    /// Nothing is published any more.
    pub(crate) fn shrink(&mut self) {
        self.empty = None;
    }
}

/// Bytes that came and have not all gone.
struct Held {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

/// A connection.
pub(crate) struct Pair {
    pub(crate) client: OwnedFd,
    pub(crate) server: OwnedFd,
    /// The published port.
    pub(crate) door: u64,
    state: State,
    up: Flow,
    down: Flow,
}

/// Whether the container has taken the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Asked from inside its namespace; where that fails the bridge is left.
    Inside,
    /// Asked over the bridge.
    Outside,
    Connected,
}

/// One direction.
#[derive(Default)]
struct Flow {
    held: Option<Held>,
    /// Nothing comes any more.
    ended: bool,
    /// And the other side knows.
    told: bool,
}

impl Pair {
    /// Begins to connect to the container; with `inside` that is done.
    pub(crate) fn connect(
        client: OwnedFd,
        inside: Option<OwnedFd>,
        target: SocketAddr,
        transport: Transport,
        door: u64,
    ) -> Result<Self, Errno> {
        if transport == Transport::Tcp {
            // small messages at once: whoever wrote them has decided about that already
            sockopt::set_tcp_nodelay(&client, true)?;
            sockopt::set_socket_keepalive(&client, true)?;
            sockopt::set_tcp_keepidle(&client, PROBE_AFTER)?;
        }
        let state = if inside.is_some() { State::Inside } else { State::Outside };
        let server = match inside.map_or_else(|| outside(target, transport), Ok) {
            Ok(server) => server,
            Err(errno) => {
                reset(&client);
                return Err(errno);
            }
        };
        if transport == Transport::Tcp {
            sockopt::set_tcp_nodelay(&server, true)?;
        }
        Ok(Self { client, server, door, state, up: Flow::default(), down: Flow::default() })
    }

    /// Still waits for an answer from inside the container.
    pub(crate) fn waits_inside(&self) -> bool {
        self.state == State::Inside
    }

    /// Gives up the way inside and begins to connect over the bridge. The new socket is to be watched.
    pub(crate) fn go_outside(&mut self, target: SocketAddr) -> Result<(), Errno> {
        self.state = State::Outside;
        self.server = outside(target, Transport::Tcp).inspect_err(|_| reset(&self.client))?;
        sockopt::set_tcp_nodelay(&self.server, true)
    }

    /// Moves what can be moved in both directions.
    pub(crate) fn pass(&mut self, flags: EventFlags, server: bool, buffers: &mut Buffers) -> Progress {
        if self.state != State::Connected {
            if !server || !flags.intersects(EventFlags::OUT | EventFlags::ERR | EventFlags::HUP) {
                return Progress::Waits;
            }
            if !matches!(sockopt::socket_error(&self.server), Ok(Ok(()))) {
                if self.state == State::Inside {
                    return Progress::Refused;
                }
                reset(&self.client);
                return Progress::Over;
            }
            self.state = State::Connected;
        }
        let moved = self
            .up
            .pump(self.client.as_fd(), self.server.as_fd(), buffers)
            .and_then(|up| Ok(up | self.down.pump(self.server.as_fd(), self.client.as_fd(), buffers)?));
        match moved {
            Ok(true) => Progress::More,
            Ok(false) if self.up.told && self.down.told => Progress::Over,
            Ok(false) => Progress::Waits,
            Err(_) => {
                self.abort(buffers);
                Progress::Over
            }
        }
    }

    /// What is broken on one side is broken for the other.
    pub(crate) fn abort(&self, buffers: &mut Buffers) {
        buffers.forget([&self.up, &self.down].into_iter().filter(|flow| flow.held.is_some()).count());
        reset(&self.client);
        reset(&self.server);
    }
}

impl Flow {
    /// Says whether its turn was over before there was nothing left to do.
    fn pump(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, buffers: &mut Buffers) -> Result<bool, Errno> {
        let mut moved = 0;
        while moved < TURN {
            if self.held.is_none() {
                self.fill(from, buffers)?;
            }
            let Some(held) = self.held.take() else { break };
            let (held, went) = drain(held, to);
            let left = held.end > held.start;
            if left {
                self.held = Some(held);
            } else {
                buffers.give_back(held.buffer);
            }
            moved += went?;
            if left {
                break;
            }
        }
        if self.ended && self.held.is_none() && !self.told {
            self.told = true;
            match shutdown(to, Shutdown::Write) {
                Ok(()) | Err(Errno::NOTCONN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(moved >= TURN)
    }

    /// Takes what came.
    fn fill(&mut self, from: BorrowedFd<'_>, buffers: &mut Buffers) -> Result<(), Errno> {
        if self.ended {
            return Ok(());
        }
        let mut buffer = buffers.take();
        let came = recv(from, &mut buffer[..], RecvFlags::DONTWAIT).map(|(came, _)| came);
        match came {
            Ok(end) if end > 0 => self.held = Some(Held { buffer, start: 0, end }),
            _ => buffers.give_back(buffer),
        }
        match came {
            Ok(came) => self.ended = came == 0,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }
}

/// Sends until there is nothing left, or no room at the other side; also says how much went.
fn drain(mut held: Held, to: BorrowedFd<'_>) -> (Held, Result<usize, Errno>) {
    let mut went = 0;
    while held.start < held.end {
        match send(to, &held.buffer[held.start..held.end], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => {
                held.start += sent;
                went += sent;
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(errno) => return (held, Err(errno)),
        }
    }
    (held, Ok(went))
}

/// Begins to connect over the bridge.
fn outside(target: SocketAddr, transport: Transport) -> Result<OwnedFd, Errno> {
    let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let protocol = if transport == Transport::Sctp { ipproto::SCTP } else { ipproto::TCP };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let server = socket_with(family, SocketType::STREAM, flags, Some(protocol))?;
    match connect(&server, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(server),
        Err(errno) => Err(errno),
    }
}

/// Takes one connection.
pub(crate) fn accept(door: &OwnedFd) -> Result<OwnedFd, Errno> {
    accept_with(door, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// Closing will tell the other end that something went wrong instead of a regular end.
fn reset(socket: &OwnedFd) {
    // a socket that cannot be told so is closed the regular way
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
