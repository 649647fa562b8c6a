//! The daemon's side of the protocol: a template that is always there, and a connection per keeper.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec};
use serde::Serialize;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use wharf_logs::LogConfig;
use wharf_sys::{fd, memfd, pidfd, spawn};

use crate::protocol::{
    Attach, CloseStdin, Event, Exec, Failure, FdRole, Foreign, ForeignExec, Frame, Held, INLINE_MAX, Kind, Launch,
    Release, Reply, Resize, Snapshot, Started, Target,
};
use crate::wire;

/// How long a template that was killed may take to end: its sockets are closed before it is dead.
const DYING: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Notices that wait in the daemon for one container's actor. A keeper whose notices are not taken keeps them, up to its
/// own bound, and then sends one snapshot instead.
const NOTICES: usize = 64;

/// What went wrong between the daemon and a keeper.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The keeper (or template) is gone; its exit record says whether the container has ended.
    #[error("the keeper of the container is gone")]
    Closed,
    /// The keeper answered no.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The keeper answered something else than asked.
    #[error("unexpected answer from the keeper")]
    Protocol,
    /// The kernel refused an operation.
    #[error("{op}")]
    Io {
        /// The operation.
        op: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl Error {
    fn io(op: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Io { op, source: source.into() }
    }
}

/// Start a container: [`Launch`] with its descriptors.
#[derive(Debug)]
pub struct LaunchRequest {
    /// The container's full identifier.
    pub id: String,
    /// `wharf_runtime::Plan` in postcard ([`encode_plan`]).
    pub plan: Vec<u8>,
    /// A pseudo-terminal instead of pipes.
    pub tty: bool,
    /// Input stays open (`-i`); otherwise the container reads `/dev/null`.
    pub open_stdin: bool,
    /// Input ends with the first client that was attached to it.
    pub stdin_once: bool,
    /// The container shares another PID namespace ([`Launch::shared_pid`]).
    pub shared_pid: bool,
    /// Where its output goes.
    pub log: LogConfig,
    /// Folder of `shim.sock`; it exists.
    pub run_dir: PathBuf,
    /// Where the exit record is written; its folder exists.
    pub exit_file: PathBuf,
    /// Clients attached before the first byte, each with its socket.
    pub attach: Vec<(Attach, OwnedFd)>,
    /// Cgroup, network namespace and other descriptors, each with its role (never [`FdRole::Attach`]).
    pub fds: Vec<(FdRole, OwnedFd)>,
    /// Another runtime makes the container; `plan` is empty then.
    pub foreign: Option<Foreign>,
}

/// Run one more process: [`Exec`] with its descriptors.
#[derive(Debug)]
pub struct ExecRequest {
    /// The exec's identifier.
    pub id: String,
    /// `wharf_runtime::ExecPlan` in postcard ([`encode_plan`]).
    pub plan: Vec<u8>,
    /// A pseudo-terminal instead of pipes.
    pub tty: bool,
    /// Its input follows the attached client; otherwise `/dev/null`.
    pub stdin: bool,
    /// The client that gets its stdio, with its socket.
    pub attach: Option<(Attach, OwnedFd)>,
    /// Cgroup and namespace descriptors, each with its role (never [`FdRole::Attach`]).
    pub fds: Vec<(FdRole, OwnedFd)>,
    /// Another runtime made the container; `plan` is empty then.
    pub foreign: Option<ForeignExec>,
}

/// A plan as a request carries it.
pub fn encode_plan<P: Serialize>(plan: &P) -> Vec<u8> {
    postcard::to_allocvec(plan).expect("plain data with known lengths always encodes")
}

/// A process that a keeper started.
#[derive(Debug)]
pub struct Process {
    /// PID, start time, moment.
    pub started: Started,
    /// A pidfd, for signals and for waiting without the keeper.
    pub pidfd: OwnedFd,
}

/// A container that runs.
#[derive(Debug)]
pub struct Launched {
    /// The connection to its keeper.
    pub keeper: Keeper,
    /// What the keeper tells unasked.
    pub events: Events,
    /// Its first process.
    pub init: Process,
}

/// The process that keepers are forked from. Clones share it; a template that died is replaced at the next launch.
#[derive(Debug, Clone)]
pub struct Template {
    inner: Arc<TemplateInner>,
}

#[derive(Debug)]
struct TemplateInner {
    exe: OwnedFd,
    live: tokio::sync::Mutex<Option<Live>>,
}

#[derive(Debug)]
struct Live {
    socket: AsyncFd<OwnedFd>,
    pidfd: OwnedFd,
}

impl Template {
    /// Seals the executable at `exe` into memory and starts a template from it. What happens to the file later, an
    /// upgrade for instance, does not matter to this daemon.
    pub async fn spawn(exe: &Path) -> Result<Self, Error> {
        let file = std::fs::File::open(exe).map_err(|error| Error::io("open the shim's executable", error))?;
        let exe = memfd::sealed_executable(c"wharf-shim", &file)
            .map_err(|error| Error::io("copy the shim's executable into memory", error))?;
        let live = Live::spawn(&exe)?;
        Ok(Self { inner: Arc::new(TemplateInner { exe, live: tokio::sync::Mutex::new(Some(live)) }) })
    }

    /// Starts a container and waits until its program runs. A launch that was lost with a dying template is tried once more;
    /// after an error the sockets in the request were not touched.
    pub async fn launch(&self, request: LaunchRequest) -> Result<Launched, Error> {
        let (attach, sockets): (Vec<_>, Vec<_>) = request.attach.into_iter().unzip();
        let (mut roles, mut fds): (Vec<_>, Vec<_>) = request.fds.into_iter().unzip();
        roles.extend(sockets.iter().map(|_| FdRole::Attach));
        fds.extend(sockets);
        let launch = Launch {
            id: request.id,
            plan: request.plan,
            tty: request.tty,
            open_stdin: request.open_stdin,
            stdin_once: request.stdin_once,
            shared_pid: request.shared_pid,
            log: request.log,
            run_dir: request.run_dir,
            exit_file: request.exit_file,
            attach,
            fds: roles,
        };
        // the answer comes over the keeper's own connection: number 1 is this request
        let packet = wire::Packet::new(Frame::encode(Kind::Launch, 1, &(&launch, &request.foreign)))
            .map_err(|error| Error::io("memfd for a launch", error))?;
        let launched = match self.launch_once(&packet, &fds).await {
            // the connection has no other end, so no keeper has it
            Err(Error::Closed) if self.has_died().await => self.launch_once(&packet, &fds).await,
            other => other,
        };
        // not here: when nobody else has it any more, a root that is let go of waits for the disk
        drop(tokio::task::spawn_blocking(move || drop(fds)));
        launched
    }

    async fn launch_once(&self, packet: &wire::Packet, fds: &[OwnedFd]) -> Result<Launched, Error> {
        let (ours, theirs) = fd::seqpacket_pair().map_err(|error| Error::io("socketpair", error))?;
        let (keeper, events) = Keeper::over(ours)?;
        let answer = keeper.conn.expect(1);
        let all: Vec<BorrowedFd<'_>> = std::iter::once(&theirs).chain(fds).map(AsFd::as_fd).collect();
        self.send(packet, &all).await?;
        drop(theirs);
        let init = keeper.conn.wait(1, answer).await?.process()?;
        Ok(Launched { keeper, events, init })
    }

    /// Whether the template has ended, or does so in a moment.
    async fn has_died(&self) -> bool {
        let live = self.inner.live.lock().await;
        let Some(pidfd) = live.as_ref().and_then(|live| live.pidfd.try_clone().ok()) else { return true };
        drop(live);
        let ended = move || {
            let mut poll = [PollFd::new(&pidfd, PollFlags::IN)];
            rustix::event::poll(&mut poll, Some(&DYING)).is_ok_and(|ready| ready > 0)
        };
        tokio::task::spawn_blocking(ended).await.unwrap_or(false)
    }

    async fn send(&self, packet: &wire::Packet, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let mut live = self.inner.live.lock().await;
        if let Some(current) = &*live
            && send_over(&current.socket, packet, fds).await.is_ok()
        {
            return Ok(());
        }
        if let Some(dead) = live.take() {
            // it closed its socket, so it is ending; a template that hangs must not be waited for
            let _ = pidfd::kill(&dead.pidfd, 9);
            let _ = tokio::task::spawn_blocking(move || pidfd::wait(&dead.pidfd)).await;
        }
        let fresh = live.insert(Live::spawn(&self.inner.exe)?);
        send_over(&fresh.socket, packet, fds).await
    }
}

impl Live {
    fn spawn(exe: &OwnedFd) -> Result<Self, Error> {
        let (ours, theirs) = fd::seqpacket_pair().map_err(|error| Error::io("socketpair", error))?;
        let argv = [CString::from(c"wharf-shim"), CString::from(c"--template")];
        let env: Vec<CString> = fail_points();
        let path = spawn::memfd_path(exe.as_fd());
        let fds = [(crate::template::SOCKET_FD, theirs.as_fd())];
        let command = spawn::Command { path: &path, argv: &argv, env: &env, fds: &fds, new_session: true };
        let spawned = spawn::spawn(&command).map_err(|error| Error::io("start the shim's template", error))?;
        let socket = registered(ours)?;
        Ok(Self { socket, pidfd: spawned.pidfd })
    }
}

impl Drop for TemplateInner {
    fn drop(&mut self) {
        // end of file ends the template; it has no other children than keepers, which stay
        if let Some(live) = self.live.get_mut().take() {
            drop(live.socket);
            let _ = pidfd::wait(&live.pidfd);
        }
    }
}

/// A socket that the reactor watches.
#[allow(
    deprecated,
    reason = "the safe constructor is deprecated for types that lie about their descriptor; OwnedFd is none"
)]
fn registered(socket: OwnedFd) -> Result<AsyncFd<OwnedFd>, Error> {
    AsyncFd::new(socket).map_err(|error| Error::io("epoll", error))
}

/// The only part of the daemon's environment that the template gets.
fn fail_points() -> Vec<CString> {
    let value = std::env::var("WHARF_FAILPOINTS").ok();
    value.and_then(|value| CString::new(format!("WHARF_FAILPOINTS={value}")).ok()).into_iter().collect()
}

async fn send_over(socket: &AsyncFd<OwnedFd>, packet: &wire::Packet, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
    let borrowed: Vec<BorrowedFd<'_>> = packet.fds().chain(fds.iter().copied()).collect();
    socket
        .async_io(Interest::WRITABLE, |socket| Ok(fd::try_send(socket, packet.bytes(), &borrowed)?))
        .await
        .map(drop)
        .map_err(|_| Error::Closed)
}

/// A connection to one keeper. Clones share it; with the last one it is closed and its [`Events`] end.
#[derive(Debug, Clone)]
pub struct Keeper {
    conn: Arc<Open>,
}

/// A connection and the task that reads it.
#[derive(Debug)]
struct Open {
    conn: Arc<Conn>,
    reader: tokio::task::AbortHandle,
}

impl std::ops::Deref for Open {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What a keeper tells unasked.
#[derive(Debug)]
pub enum Notice {
    /// Something happened.
    Event(Event),
    /// Events were lost because nobody read them: this is how things stand.
    Resync(Snapshot),
}

/// The stream of a keeper's notices.
#[derive(Debug)]
pub struct Events {
    notices: mpsc::Receiver<Notice>,
}

impl Events {
    /// The next notice; `None` once the keeper is gone.
    pub async fn next(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }
}

impl Keeper {
    /// Connects to the keeper whose socket is in `run_dir` (`<exec root>/<container>`). [`Error::Closed`] when there is
    /// none: then the exit record tells, or the machine was restarted.
    pub async fn connect(run_dir: &Path) -> Result<(Self, Events), Error> {
        let socket = wire::connect(run_dir).map_err(|error| match error {
            wharf_sys::Errno::NOENT | wharf_sys::Errno::CONNREFUSED | wharf_sys::Errno::CONNRESET => Error::Closed,
            other => Error::io("connect to the keeper", other),
        })?;
        Self::over(socket)
    }

    fn over(socket: OwnedFd) -> Result<(Self, Events), Error> {
        let (sender, notices) = mpsc::channel(NOTICES);
        let conn = Arc::new(Conn {
            socket: registered(socket)?,
            waiting: Mutex::new(Some(HashMap::new())),
            last: AtomicU16::new(1),
        });
        let reader = tokio::spawn(read_loop(Arc::clone(&conn), sender)).abort_handle();
        Ok((Self { conn: Arc::new(Open { conn, reader }) }, Events { notices }))
    }

    /// Hands a client's socket to the keeper. After an error it was not touched.
    pub async fn attach(&self, attach: &Attach, socket: OwnedFd) -> Result<(), Error> {
        self.conn.ask(Kind::Attach, attach, &[socket]).await?.done()
    }

    /// The same for a client that is to be given the log first; it gets no output before [`Keeper::release`]. `None`: the keeper
    /// is an old one that cannot do this.
    pub async fn attach_held(&self, attach: &Attach, socket: OwnedFd) -> Result<Option<Held>, Error> {
        match self.conn.ask(Kind::AttachHeld, attach, &[socket]).await?.held() {
            Err(Error::Refused(Failure::Unsupported)) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Lets a client that was attached so have its output.
    pub async fn release(&self, id: u64) -> Result<(), Error> {
        self.conn.ask(Kind::Release, &Release { id }, &[]).await?.done()
    }

    /// Runs one more process in the container and waits until its program runs. After an error the client's socket was not
    /// touched: who keeps a copy can tell the client.
    pub async fn exec(&self, request: ExecRequest) -> Result<Process, Error> {
        let (mut roles, mut fds): (Vec<_>, Vec<_>) = request.fds.into_iter().unzip();
        let attach = request.attach.map(|(attach, socket)| {
            roles.push(FdRole::Attach);
            fds.push(socket);
            attach
        });
        let exec =
            Exec { id: request.id, plan: request.plan, tty: request.tty, stdin: request.stdin, attach, fds: roles };
        self.conn.ask(Kind::Exec, &(&exec, &request.foreign), &fds).await?.process()
    }

    /// Sets the size of a terminal.
    pub async fn resize(&self, target: Target, width: u16, height: u16) -> Result<(), Error> {
        self.conn.ask(Kind::Resize, &Resize { target, width, height }, &[]).await?.done()
    }

    /// Closes a process's input.
    pub async fn close_stdin(&self, target: Target) -> Result<(), Error> {
        self.conn.ask(Kind::CloseStdin, &CloseStdin { target }, &[]).await?.done()
    }

    /// How things stand, and a pidfd of the first process while it lives.
    pub async fn snapshot(&self) -> Result<(Snapshot, Option<OwnedFd>), Error> {
        let answer = self.conn.ask(Kind::Query, &(), &[]).await?;
        let mut fds = answer.0.fds;
        let frame = Frame { fds: Vec::new(), ..answer.0 };
        if frame.kind != Kind::Snapshot {
            return Err(Error::Protocol);
        }
        Ok((frame.decode().map_err(|_| Error::Protocol)?, fds.pop()))
    }
}

#[derive(Debug)]
struct Conn {
    socket: AsyncFd<OwnedFd>,
    /// Who waits for which answer; `None` once the connection has ended.
    waiting: Mutex<Option<HashMap<u16, oneshot::Sender<Answer>>>>,
    last: AtomicU16,
}

#[derive(Debug)]
struct Answer(Frame);

impl Answer {
    fn reply(self) -> Result<(Reply, Vec<OwnedFd>), Error> {
        let Self(mut frame) = self;
        if frame.kind != Kind::Reply {
            return Err(Error::Protocol);
        }
        let fds = std::mem::take(&mut frame.fds);
        match frame.decode().map_err(|_| Error::Protocol)? {
            Reply::Failed(failure) => Err(Error::Refused(failure)),
            reply => Ok((reply, fds)),
        }
    }

    fn done(self) -> Result<(), Error> {
        self.reply().map(drop)
    }

    fn held(self) -> Result<Held, Error> {
        match self.0.addition().map_err(|_| Error::Protocol)? {
            (Reply::Failed(failure), _) => Err(Error::Refused(failure)),
            (_, held) => Ok(held),
        }
    }

    fn process(self) -> Result<Process, Error> {
        let (reply, mut fds) = self.reply()?;
        match (reply, fds.pop()) {
            (Reply::Started(started), Some(pidfd)) => Ok(Process { started, pidfd }),
            _ => Err(Error::Protocol),
        }
    }
}

impl Conn {
    async fn ask<T: Serialize>(&self, kind: Kind, body: &T, fds: &[OwnedFd]) -> Result<Answer, Error> {
        let seq = self.next_seq();
        let packet = wire::Packet::new(Frame::encode(kind, seq, body))
            .map_err(|error| Error::io("memfd for a request", error))?;
        let answer = self.expect(seq);
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        send_over(&self.socket, &packet, &fds).await?;
        self.wait(seq, answer).await
    }

    /// A number that no open request has; 0 means "unasked".
    fn next_seq(&self) -> u16 {
        loop {
            let seq = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = waiting.as_ref().is_some_and(|waiting| waiting.contains_key(&seq));
            if seq != 0 && !taken {
                return seq;
            }
        }
    }

    fn expect(&self, seq: u16) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        // when the connection has ended the sender is dropped here, and waiting fails at once
        if let Some(waiting) = &mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            waiting.insert(seq, sender);
        }
        receiver
    }

    async fn wait(&self, seq: u16, answer: oneshot::Receiver<Answer>) -> Result<Answer, Error> {
        /// Forgets the request when its future is dropped, so that its number can be used again.
        struct Forget<'a>(&'a Conn, u16);
        impl Drop for Forget<'_> {
            fn drop(&mut self) {
                if let Some(waiting) = &mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
                    waiting.remove(&self.1);
                }
            }
        }
        let _forget = Forget(self, seq);
        answer.await.map_err(|_| Error::Closed)
    }

    fn answered(&self, frame: Frame) {
        let sender = match &mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(waiting) => waiting.remove(&frame.seq),
            None => None,
        };
        if let Some(sender) = sender {
            let _ = sender.send(Answer(frame));
        }
    }
}

async fn read_loop(conn: Arc<Conn>, notices: mpsc::Sender<Notice>) {
    // ends at end of file or at a packet that is none of the protocol
    while let Ok(Some(frame)) = next_frame(&conn).await {
        if frame.seq != 0 {
            conn.answered(frame);
            continue;
        }
        let notice = match frame.kind {
            Kind::Event => frame.decode().map(Notice::Event),
            Kind::Snapshot => frame.decode().map(Notice::Resync),
            // a later keeper's news that this daemon does not know
            _ => continue,
        };
        if let Ok(notice) = notice {
            // a receiver that is gone does not stop the answers to requests
            let _ = notices.send(notice).await;
        }
    }
    *conn.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

async fn next_frame(conn: &Conn) -> io::Result<Option<Frame>> {
    conn.socket.async_io(Interest::READABLE, |socket| Ok(wire::receive(socket)?)).await
}

const _: () = assert!(INLINE_MAX < wire::PACKET_MAX);
