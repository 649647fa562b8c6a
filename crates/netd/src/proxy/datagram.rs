//! Datagrams through a published port: each client has a socket of its own towards the container, as long as it talks.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with};
use wharf_sys::net::{Peer, receive_from, send_from};

use super::Proxy;

/// A client that is silent for so long is forgotten: Docker's figure.
const SILENCE: Duration = Duration::from_secs(90);
/// Clients at a time, of all ports together; beyond that the longest silent are forgotten early.
const SESSIONS: usize = 4096;
/// Datagrams read in a row before others get their turn.
const AT_ONCE: usize = 64;
/// The longest datagram.
const LONGEST: usize = 64 * 1024;

/// A client of a port.
pub(super) struct Session {
    pub(super) door: u64,
    socket: OwnedFd,
    /// Who it is, and which address of ours it talks to: answers must come from there.
    peer: Peer,
    last: Instant,
}

impl Proxy {
    /// Datagrams of clients wait at a door.
    pub(super) fn datagrams(&mut self, token: u64) {
        let now = Instant::now();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(LONGEST, 0);
        for _ in 0..AT_ONCE {
            let Some(door) = self.doors.get(&token) else { break };
            let Ok((length, peer)) = receive_from(&door.socket, &mut buffer) else { break };
            let Some(session) = self.session(token, peer, now) else { continue };
            session.last = now;
            session.peer = peer;
            // what the container does not take is lost, as datagrams are
            let _ = send(&session.socket, &buffer[..length], SendFlags::DONTWAIT);
        }
        self.buffer = buffer;
    }

    fn session(&mut self, door: u64, peer: Peer, now: Instant) -> Option<&mut Session> {
        let token = match self.by_client.get(&(door, peer.from)) {
            Some(token) => *token,
            None => self.begin(door, peer, now)?,
        };
        self.sessions.get_mut(&token)
    }

    fn begin(&mut self, door: u64, peer: Peer, now: Instant) -> Option<u64> {
        if self.sessions.len() >= SESSIONS {
            self.end_oldest();
        }
        let target = self.doors.get(&door)?.forward.target?;
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::DGRAM, flags, None).ok()?;
        connect(&socket, &target).ok()?;
        let token = self.token();
        epoll::add(&self.poll, &socket, EventData::new_u64(token), EventFlags::IN).ok()?;
        self.sessions.insert(token, Session { door, socket, peer, last: now });
        self.by_client.insert((door, peer.from), token);
        Some(token)
    }

    /// The container answers a client.
    pub(super) fn answers(&mut self, token: u64) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(LONGEST, 0);
        for _ in 0..AT_ONCE {
            let Some(session) = self.sessions.get_mut(&token) else { break };
            let Some(door) = self.doors.get(&session.door) else { break };
            match recv(&session.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    session.last = Instant::now();
                    let _ = send_from(door.socket.as_fd(), &buffer[..length], session.peer);
                }
                // nobody listens in the container: reading took the error off the socket, the client tries again or not
                Err(rustix::io::Errno::CONNREFUSED) => {}
                Err(_) => break,
            }
        }
        self.buffer = buffer;
    }

    /// Forgets who was silent for too long.
    pub(super) fn end_silent(&mut self, now: Instant) {
        self.sessions.retain(|_, session| now.saturating_duration_since(session.last) < SILENCE);
        self.forget_ended();
        if self.sessions.is_empty() {
            self.buffer = Vec::new();
        }
    }

    /// Makes room: an eighth of all at once, so that a flood of new clients does not cost a search each.
    fn end_oldest(&mut self) {
        let mut ages: Vec<(Instant, u64)> = self.sessions.iter().map(|(token, s)| (s.last, *token)).collect();
        ages.sort_unstable();
        for (_, token) in ages.into_iter().take(SESSIONS / 8) {
            self.sessions.remove(&token);
        }
        self.forget_ended();
    }

    fn forget_ended(&mut self) {
        let sessions = &self.sessions;
        self.by_client.retain(|_, token: &mut u64| sessions.contains_key(token));
    }
}

/// How a door for datagrams tells which of our addresses was used.
pub(super) fn prepare(door: &OwnedFd, listen: SocketAddr) -> std::io::Result<()> {
    Ok(wharf_sys::net::tell_destination(door, listen.is_ipv6())?)
}
