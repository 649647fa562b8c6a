//! One connection through a published port: two sockets and, while bytes are on their way, a pipe for each direction.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, accept_with, connect, ipproto, shutdown, socket_with, sockopt,
};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use crate::protocol::Transport;

/// Of a pipe, and of one splice: few system calls for many bytes.
const PIPE: usize = 1 << 20;
/// What one direction moves before others get their turn.
const TURN: usize = 8 << 20;
/// Empty pipes that are kept for the next.
const KEPT: usize = 8;
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
}

/// Pipes without bytes in them: only connections that move bytes need one.
#[derive(Default)]
pub(crate) struct Pipes {
    empty: Vec<(OwnedFd, OwnedFd)>,
}

impl Pipes {
    fn take(&mut self) -> Result<(OwnedFd, OwnedFd), Errno> {
        if let Some(pipe) = self.empty.pop() {
            return Ok(pipe);
        }
        let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // a smaller one works too, only slower
        let _ = fcntl_setpipe_size(&pipe.0, PIPE);
        Ok(pipe)
    }

    fn give_back(&mut self, pipe: (OwnedFd, OwnedFd)) {
        if self.empty.len() < KEPT {
            self.empty.push(pipe);
        }
    }
}

/// A connection.
pub(crate) struct Pair {
    pub(crate) client: OwnedFd,
    pub(crate) server: OwnedFd,
    /// The published port.
    pub(crate) door: u64,
    connected: bool,
    up: Flow,
    down: Flow,
}

/// One direction.
#[derive(Default)]
struct Flow {
    /// With bytes in it.
    pipe: Option<(OwnedFd, OwnedFd)>,
    inside: usize,
    /// Nothing comes any more.
    ended: bool,
    /// And the other side knows.
    told: bool,
}

impl Pair {
    /// Begins to connect to the container.
    pub(crate) fn connect(client: OwnedFd, target: SocketAddr, transport: Transport, door: u64) -> Result<Self, Errno> {
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let protocol = if transport == Transport::Sctp { ipproto::SCTP } else { ipproto::TCP };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let server = socket_with(family, SocketType::STREAM, flags, Some(protocol))?;
        if transport == Transport::Tcp {
            for socket in [&client, &server] {
                // small messages at once: whoever wrote them has decided about that already
                sockopt::set_tcp_nodelay(socket, true)?;
            }
            sockopt::set_socket_keepalive(&client, true)?;
            sockopt::set_tcp_keepidle(&client, PROBE_AFTER)?;
        }
        match connect(&server, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => {
                reset(&client);
                return Err(errno);
            }
        }
        Ok(Self { client, server, door, connected: false, up: Flow::default(), down: Flow::default() })
    }

    /// Moves what can be moved in both directions.
    pub(crate) fn pass(&mut self, flags: EventFlags, server: bool, pipes: &mut Pipes) -> Progress {
        if !self.connected {
            if !server || !flags.intersects(EventFlags::OUT | EventFlags::ERR | EventFlags::HUP) {
                return Progress::Waits;
            }
            if !matches!(sockopt::socket_error(&self.server), Ok(Ok(()))) {
                reset(&self.client);
                return Progress::Over;
            }
            self.connected = true;
        }
        let moved = self
            .up
            .pump(self.client.as_fd(), self.server.as_fd(), pipes)
            .and_then(|up| Ok(up | self.down.pump(self.server.as_fd(), self.client.as_fd(), pipes)?));
        match moved {
            Ok(true) => Progress::More,
            Ok(false) if self.up.told && self.down.told => Progress::Over,
            Ok(false) => Progress::Waits,
            Err(_) => {
                self.abort();
                Progress::Over
            }
        }
    }

    /// What is broken on one side is broken for the other.
    pub(crate) fn abort(&self) {
        reset(&self.client);
        reset(&self.server);
    }
}

impl Flow {
    /// Says whether its turn was over before there was nothing left to do.
    fn pump(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, pipes: &mut Pipes) -> Result<bool, Errno> {
        let mut moved = 0;
        while moved < TURN {
            let came = if self.ended { 0 } else { self.fill(from, pipes)? };
            let went = self.drain(to, pipes)?;
            moved += went;
            if came == 0 && went == 0 {
                break;
            }
        }
        if self.ended && self.inside == 0 && !self.told {
            self.told = true;
            match shutdown(to, Shutdown::Write) {
                Ok(()) | Err(Errno::NOTCONN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(moved >= TURN)
    }

    /// Bytes that came into the pipe.
    fn fill(&mut self, from: BorrowedFd<'_>, pipes: &mut Pipes) -> Result<usize, Errno> {
        let pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            None => pipes.take()?,
        };
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let came = match splice(from, None, &pipe.1, None, PIPE, flags) {
            Ok(0) => {
                self.ended = true;
                Ok(0)
            }
            // nothing there, or (with bytes inside) no room in the pipe: sending some of them tells which
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            other => other,
        };
        self.inside += *came.as_ref().unwrap_or(&0);
        if self.inside > 0 {
            self.pipe = Some(pipe);
        } else {
            pipes.give_back(pipe);
        }
        came
    }

    /// Bytes that left the pipe.
    fn drain(&mut self, to: BorrowedFd<'_>, pipes: &mut Pipes) -> Result<usize, Errno> {
        let Some(pipe) = self.pipe.take() else { return Ok(0) };
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let went = match splice(&pipe.0, None, to, None, self.inside, flags) {
            Err(Errno::AGAIN | Errno::INTR) => 0,
            other => other?,
        };
        self.inside -= went;
        if self.inside > 0 {
            self.pipe = Some(pipe);
        } else {
            pipes.give_back(pipe);
        }
        Ok(went)
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
