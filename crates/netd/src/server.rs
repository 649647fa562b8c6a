//! The loop: one thread, every socket non-blocking, one epoll.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::time::Timespec;

use crate::forward::{Cache, PATIENCE, Pending};
use crate::message::{self, PTR, Parsed, Query, SERVER_FAILURE};
use crate::names::Names;
use crate::protocol::{LONGEST, Reply, Request, Sandbox};
use crate::proxy::Proxy;

/// Questions on their way, of one container: one that floods must not keep the others from asking.
const PENDING_EACH: usize = 256;
/// Open TCP connections, of one container.
const CLIENTS_EACH: usize = 64;
/// Datagrams read in a row before others get their turn.
const DATAGRAMS_AT_ONCE: usize = 64;

/// Serves until the last container and port are gone and no daemon is connected. `listener` is a listening SEQPACKET socket.
///
/// # Errors
/// Only of the loop itself; whatever goes wrong with one socket ends that socket.
pub fn run(listener: OwnedFd) -> std::io::Result<()> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut server = Server {
        proxy: Proxy::new(&poll)?,
        poll,
        sources: HashMap::new(),
        tokens: 0,
        timers: BTreeSet::new(),
        names: Names::default(),
        cache: Cache::default(),
        load: HashMap::new(),
        buffer: vec![0; LONGEST],
    };
    server.add(Source::Listener(listener), EventFlags::IN)?;
    let mut events = Vec::with_capacity(64);
    let mut greeted = false;
    loop {
        let next = server.timers.first().map(|(at, _)| *at).into_iter().chain(server.proxy.deadline()).min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = timeout.map(|t| Timespec {
            tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
            // rounded up: a timer that is not due yet would only wake us again
            tv_nsec: (i64::from(t.subsec_nanos()) + 1_000_000).min(999_999_999),
        });
        let timeout = if server.proxy.is_busy() { Some(Timespec { tv_sec: 0, tv_nsec: 0 }) } else { timeout };
        events.clear();
        match epoll::wait(&server.poll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        for event in &events {
            let (token, flags) = (event.data.u64(), event.flags);
            if Proxy::owns(token) {
                server.proxy.ready(token, flags);
            } else {
                server.ready(token, flags);
            }
        }
        server.expire(Instant::now());
        server.proxy.expire(Instant::now());
        let control = server.sources.values().any(|s| matches!(s, Source::Control(_)));
        greeted |= control;
        if greeted && !control && server.names.is_empty() && server.proxy.is_empty() {
            return Ok(());
        }
    }
}

struct Server {
    poll: OwnedFd,
    proxy: Proxy,
    sources: HashMap<u64, Source>,
    tokens: u64,
    timers: BTreeSet<(Instant, u64)>,
    names: Names,
    cache: Cache,
    /// Container → its questions on their way, its connections.
    load: HashMap<String, (usize, usize)>,
    buffer: Vec<u8>,
}

enum Source {
    Listener(OwnedFd),
    Control(OwnedFd),
    Udp { socket: UdpSocket, container: String },
    Tcp { listener: TcpListener, container: String },
    Client(Client),
    Pending { pending: Pending, container: String, udp: u64, to: SocketAddr },
    Upstream(Upstream),
}

/// A container that asks over TCP.
struct Client {
    stream: TcpStream,
    container: String,
    input: Vec<u8>,
    deadline: Instant,
}

/// A question on its way over TCP.
struct Upstream {
    stream: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
    client: u64,
    /// That of the client.
    container: String,
    id: [u8; 2],
    /// The question, for the next resolver.
    query: Vec<u8>,
    /// Whom to ask when this one does not answer.
    others: Vec<SocketAddr>,
    answered: bool,
    deadline: Instant,
}

impl Server {
    fn add(&mut self, source: Source, flags: EventFlags) -> std::io::Result<u64> {
        self.tokens += 1;
        let token = self.tokens;
        epoll::add(&self.poll, source.as_fd(), EventData::new_u64(token), flags)?;
        self.sources.insert(token, source);
        Ok(token)
    }

    /// Forgets a source; closing takes it out of the epoll.
    fn remove(&mut self, token: u64) {
        match self.sources.remove(&token) {
            Some(Source::Pending { container, .. } | Source::Upstream(Upstream { container, .. })) => {
                if let Some((pending, _)) = self.load.get_mut(&container) {
                    *pending = pending.saturating_sub(1);
                }
            }
            Some(Source::Client(client)) => {
                if let Some((_, clients)) = self.load.get_mut(&client.container) {
                    *clients = clients.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    fn ready(&mut self, token: u64, flags: EventFlags) {
        // taken out while it works, so that it may use the rest of the server
        let Some(source) = self.sources.remove(&token) else { return };
        let keep = match &source {
            Source::Listener(listener) => {
                self.accept(listener);
                true
            }
            Source::Control(control) => self.control(control),
            Source::Udp { socket, container } => {
                self.datagrams(token, socket, container);
                true
            }
            Source::Tcp { listener, container } => {
                self.accept_client(listener, container);
                true
            }
            Source::Pending { pending, container, udp, to } => self.answered(pending, container, *udp, *to),
            Source::Client(_) | Source::Upstream(_) => {
                self.sources.insert(token, source);
                self.stream(token, flags);
                return;
            }
        };
        self.sources.insert(token, source);
        if !keep {
            self.remove(token);
        }
    }

    fn accept(&mut self, listener: &OwnedFd) {
        if let Ok(control) = accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            // without room for one more the daemon sees the connection end
            let _ = self.add(Source::Control(control), EventFlags::IN);
        }
    }

    /// One message of the daemon; `false` when it has gone.
    fn control(&mut self, control: &OwnedFd) -> bool {
        let received = match wharf_sys::fd::try_receive(control, &mut self.buffer) {
            Ok(received) if received.len > 0 => received,
            Err(Errno::AGAIN) => return true,
            Ok(_) | Err(_) => return false,
        };
        let reply = match postcard::from_bytes(&self.buffer[..received.len]) {
            Ok(Request::Put(sandbox)) => self.put(sandbox, received.fds),
            Ok(Request::Drop { container }) => {
                self.drop_sockets(&container);
                self.names.drop(&container);
                Reply::Done
            }
            Ok(Request::List) => Reply::Sandboxes(self.names.containers().cloned().collect()),
            Ok(Request::Publish { container, forwards }) => {
                match self.proxy.publish(&container, forwards, received.fds) {
                    Ok(()) => Reply::Done,
                    Err(error) => Reply::Refused(format!("ports of {container}: {error}")),
                }
            }
            Ok(Request::Unpublish { container }) => {
                self.proxy.unpublish(&container);
                Reply::Done
            }
            Ok(Request::Inside { container, sources }) => match <[OwnedFd; 1]>::try_from(received.fds) {
                Ok([netns]) => {
                    self.proxy.enter(&container, netns, sources);
                    Reply::Done
                }
                Err(_) => Reply::Refused(format!("a namespace of {container} is missing")),
            },
            Ok(Request::Published) => Reply::Published(self.proxy.published()),
            Err(error) => Reply::Refused(format!("unknown request: {error}")),
        };
        let bytes = postcard::to_stdvec(&reply).expect("a reply has no failing serializer");
        wharf_sys::fd::try_send(control, &bytes, &[]).is_ok()
    }

    fn put(&mut self, sandbox: Sandbox, fds: Vec<OwnedFd>) -> Reply {
        let container = sandbox.container.clone();
        if !fds.is_empty() {
            self.drop_sockets(&container);
            if let Err(error) = self.serve(&container, fds) {
                return Reply::Refused(format!("sockets of {container}: {error}"));
            }
        }
        self.names.put(sandbox);
        Reply::Done
    }

    fn serve(&mut self, container: &str, fds: Vec<OwnedFd>) -> std::io::Result<()> {
        let Ok([udp, tcp]) = <[OwnedFd; 2]>::try_from(fds) else {
            return Err(std::io::Error::from(std::io::ErrorKind::InvalidInput));
        };
        let (socket, listener) = (UdpSocket::from(udp), TcpListener::from(tcp));
        socket.set_nonblocking(true)?;
        listener.set_nonblocking(true)?;
        self.add(Source::Udp { socket, container: container.into() }, EventFlags::IN)?;
        self.add(Source::Tcp { listener, container: container.into() }, EventFlags::IN)?;
        Ok(())
    }

    /// Closes everything of a container: its namespace lives as long as one of its sockets does.
    fn drop_sockets(&mut self, gone: &str) {
        let of = |source: &Source| match source {
            Source::Udp { container, .. } | Source::Tcp { container, .. } => container == gone,
            Source::Client(client) => client.container == gone,
            _ => false,
        };
        self.sources.retain(|_, source| !of(source));
        self.load.remove(gone);
    }

    fn datagrams(&mut self, token: u64, socket: &UdpSocket, container: &str) {
        let mut bytes = [0; 4096];
        for _ in 0..DATAGRAMS_AT_ONCE {
            let Ok((length, from)) = socket.recv_from(&mut bytes) else { return };
            let answer = match self.answer(&bytes[..length], container, None) {
                Outcome::Answer(answer) => answer,
                Outcome::Nothing => continue,
                Outcome::Forward(resolvers) => match self.forward(&bytes[..length], container, &resolvers, token, from)
                {
                    Ok(()) => continue,
                    Err(_) => message::error(&bytes[..length], SERVER_FAILURE),
                },
            };
            // a container that does not take its answer has none
            let _ = socket.send_to(&answer, from);
        }
    }

    /// Decides about one question. `limit` is the size of an answer; `None` takes that of a datagram.
    fn answer(&mut self, bytes: &[u8], container: &str, limit: Option<usize>) -> Outcome {
        let query = match message::parse(bytes) {
            Parsed::Query(query) => query,
            Parsed::Error(code) => return Outcome::Answer(message::error(bytes, code)),
            Parsed::Nonsense => return Outcome::Nothing,
        };
        let limit = limit.unwrap_or_else(|| query.datagram_limit());
        if let Some(answer) = self.own(&query, container, limit) {
            return Outcome::Answer(answer);
        }
        let resolvers = self.names.sandbox(container).map(|s| s.resolvers.clone()).unwrap_or_default();
        if resolvers.is_empty() {
            return Outcome::Answer(query.code(SERVER_FAILURE));
        }
        match self.cache.find(&resolvers, bytes, Instant::now()).filter(|a| a.len() <= limit) {
            Some(answer) => Outcome::Answer(answer),
            None => Outcome::Forward(resolvers),
        }
    }

    fn own(&mut self, query: &Query<'_>, container: &str, limit: usize) -> Option<Vec<u8>> {
        if query.kind == PTR {
            let name = self.names.reverse(container, message::reverse_address(&query.name)?)?;
            return Some(query.names(&[name], limit));
        }
        let addresses = self.names.lookup(container, &query.name);
        if addresses.is_empty() {
            return None;
        }
        // of another type than an address there is nothing, but the name exists: nobody else may say otherwise
        Some(query.addresses(&addresses, limit))
    }

    fn forward(
        &mut self,
        query: &[u8],
        container: &str,
        resolvers: &[SocketAddr],
        udp: u64,
        to: SocketAddr,
    ) -> std::io::Result<()> {
        let (pending, _) = self.load.entry(container.to_owned()).or_default();
        if *pending >= PENDING_EACH {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        let started = Pending::start(query, resolvers, Instant::now())?;
        *pending += 1;
        let next = started.next;
        let token =
            self.add(Source::Pending { pending: started, container: container.into(), udp, to }, EventFlags::IN)?;
        self.timers.insert((next, token));
        Ok(())
    }

    /// An answer of a resolver came; `false` when the question is done.
    fn answered(&mut self, pending: &Pending, container: &str, udp: u64, to: SocketAddr) -> bool {
        let Some(answer) = pending.receive(&mut self.buffer) else { return true };
        let resolvers = self.names.sandbox(container).map(|s| s.resolvers.as_slice()).unwrap_or_default();
        self.cache.keep(resolvers, &pending.original(), &answer, Instant::now());
        if let Some(Source::Udp { socket, .. }) = self.sources.get(&udp) {
            let _ = socket.send_to(&answer, to);
        }
        false
    }

    /// Everything whose time has come.
    fn expire(&mut self, now: Instant) {
        while let Some((at, token)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, token));
            let next = match self.sources.get_mut(&token) {
                Some(Source::Pending { pending, .. }) if now < pending.deadline => {
                    pending.ask(now);
                    Some(pending.next.min(pending.deadline))
                }
                Some(Source::Client(client)) if now < client.deadline => Some(client.deadline),
                Some(Source::Upstream(upstream)) if now < upstream.deadline => Some(upstream.deadline),
                _ => None,
            };
            match next {
                Some(next) => drop(self.timers.insert((next, token))),
                None => self.give_up(token),
            }
        }
    }

    /// Time is up for a source: whoever asked is told that nobody answered.
    fn give_up(&mut self, token: u64) {
        match self.sources.get(&token) {
            Some(Source::Pending { pending, udp, to, .. }) => {
                let answer = message::error(&pending.original(), SERVER_FAILURE);
                if let Some(Source::Udp { socket, .. }) = self.sources.get(udp) {
                    let _ = socket.send_to(&answer, to);
                }
                self.remove(token);
            }
            Some(Source::Upstream(_)) => self.next_upstream(token),
            _ => self.remove(token),
        }
    }

    /// A resolver does not answer over TCP: the next one is asked, and after the last the asker is told.
    fn next_upstream(&mut self, token: u64) {
        let Some(Source::Upstream(upstream)) = self.sources.get_mut(&token) else { return };
        let (client, query) = (upstream.client, std::mem::take(&mut upstream.query));
        let others = std::mem::take(&mut upstream.others);
        self.remove(token);
        if self.forward_stream(client, &query, &others).is_err() {
            self.stream_answer(client, &message::error(&query, SERVER_FAILURE));
        }
    }

    fn accept_client(&mut self, listener: &TcpListener, container: &str) {
        let Ok((stream, _)) = listener.accept() else { return };
        let (_, clients) = self.load.entry(container.to_owned()).or_default();
        if *clients >= CLIENTS_EACH || stream.set_nonblocking(true).is_err() {
            return;
        }
        *clients += 1;
        let deadline = Instant::now() + IDLE;
        let client = Client { stream, container: container.into(), input: Vec::new(), deadline };
        if let Ok(token) = self.add(Source::Client(client), EventFlags::IN) {
            self.timers.insert((deadline, token));
        }
    }

    fn stream(&mut self, token: u64, flags: EventFlags) {
        let keep = match self.sources.get_mut(&token) {
            Some(Source::Client(client)) => match fill(&mut client.stream, &mut client.input, &mut self.buffer) {
                Ok(frames) => {
                    client.deadline = Instant::now() + IDLE;
                    let container = client.container.clone();
                    frames.into_iter().all(|frame| self.stream_question(token, &container, &frame))
                }
                Err(()) => false,
            },
            Some(Source::Upstream(upstream)) => {
                if flags.contains(EventFlags::OUT) && !upstream.output.is_empty() {
                    // a question is far smaller than the buffer of a socket that has just connected
                    let sent = upstream.stream.write(&upstream.output);
                    let whole = sent.is_ok_and(|n| n == upstream.output.len());
                    upstream.output.clear();
                    let readable = EventFlags::IN;
                    whole && epoll::modify(&self.poll, &upstream.stream, EventData::new_u64(token), readable).is_ok()
                } else {
                    match fill(&mut upstream.stream, &mut upstream.input, &mut self.buffer) {
                        Ok(frames) if frames.is_empty() => true,
                        Ok(mut frames) => {
                            let (client, id) = (upstream.client, upstream.id);
                            let mut answer = frames.swap_remove(0);
                            upstream.answered = true;
                            if answer.len() > 2 {
                                answer[..2].copy_from_slice(&id);
                                self.stream_answer(client, &answer);
                            }
                            false
                        }
                        Err(()) => false,
                    }
                }
            }
            _ => true,
        };
        let failed = |s: &Source| matches!(s, Source::Upstream(upstream) if !upstream.answered);
        match keep {
            true => {}
            false if self.sources.get(&token).is_some_and(failed) => self.next_upstream(token),
            false => self.remove(token),
        }
    }

    fn stream_question(&mut self, token: u64, container: &str, bytes: &[u8]) -> bool {
        match self.answer(bytes, container, Some(usize::from(u16::MAX))) {
            Outcome::Answer(answer) => self.stream_answer(token, &answer),
            Outcome::Nothing => false,
            Outcome::Forward(resolvers) => {
                self.forward_stream(token, bytes, &resolvers).is_ok()
                    || self.stream_answer(token, &message::error(bytes, SERVER_FAILURE))
            }
        }
    }

    fn forward_stream(&mut self, client: u64, query: &[u8], resolvers: &[SocketAddr]) -> std::io::Result<()> {
        use rustix::net::{AddressFamily, SocketType, connect, socket_with};
        let Some((resolver, others)) = resolvers.split_first() else {
            return Err(std::io::ErrorKind::NotConnected.into());
        };
        let Some(Source::Client(Client { container, .. })) = self.sources.get(&client) else {
            return Err(std::io::ErrorKind::NotConnected.into());
        };
        let container = container.clone();
        // one connection may bring any number of questions
        if self.load.get(&container).is_some_and(|(pending, _)| *pending >= PENDING_EACH) {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        let family = if resolver.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        match connect(&socket, resolver) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(_) => return self.forward_stream(client, query, others),
        }
        // the whole of it has to be over before the asker gives up: three resolvers at the most
        let deadline = Instant::now() + PATIENCE / 3;
        let upstream = Upstream {
            stream: TcpStream::from(socket),
            output: framed(query),
            query: query.to_vec(),
            others: others.to_vec(),
            answered: false,
            input: Vec::new(),
            client,
            container: container.clone(),
            id: [query[0], query[1]],
            deadline,
        };
        let token = self.add(Source::Upstream(upstream), EventFlags::OUT)?;
        self.load.entry(container).or_default().0 += 1;
        self.timers.insert((deadline, token));
        Ok(())
    }

    fn stream_answer(&mut self, client: u64, answer: &[u8]) -> bool {
        let Some(Source::Client(client)) = self.sources.get_mut(&client) else { return false };
        let bytes = framed(answer);
        // an answer fits into the buffer of a socket whose asker waits for it; one that does not read loses the connection
        client.stream.write(&bytes).is_ok_and(|n| n == bytes.len())
    }
}

/// A connection without a question for this long is closed (RFC 7766 section 6.2.3: a few seconds).
const IDLE: Duration = Duration::from_secs(10);

enum Outcome {
    Answer(Vec<u8>),
    Forward(Vec<SocketAddr>),
    Nothing,
}

/// Over TCP two bytes with the length come first.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    bytes
}

/// Reads what is there and cuts off whole messages. An error when the other end is gone or talks nonsense.
fn fill(stream: &mut TcpStream, input: &mut Vec<u8>, buffer: &mut [u8]) -> Result<Vec<Vec<u8>>, ()> {
    match stream.read(buffer) {
        Ok(0) => return Err(()),
        Ok(length) => input.extend_from_slice(&buffer[..length]),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(Vec::new()),
        Err(_) => return Err(()),
    }
    let mut frames = Vec::new();
    while let Some(length) = input.first_chunk().map(|l| usize::from(u16::from_be_bytes(*l))) {
        if length < 12 {
            return Err(());
        }
        if input.len() < 2 + length {
            break;
        }
        frames.push(input[2..2 + length].to_vec());
        input.drain(..2 + length);
    }
    Ok(frames)
}

impl AsFd for Source {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::Listener(fd) | Self::Control(fd) => fd.as_fd(),
            Self::Udp { socket, .. } => socket.as_fd(),
            Self::Tcp { listener, .. } => listener.as_fd(),
            Self::Client(client) => client.stream.as_fd(),
            Self::Pending { pending, .. } => pending.socket.as_fd(),
            Self::Upstream(upstream) => upstream.stream.as_fd(),
        }
    }
}
