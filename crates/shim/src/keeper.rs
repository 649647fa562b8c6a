//! The keeper: one process per container, single-threaded around one epoll set.
//!
//! ```text
//!            ┌─────────── keeper ────────────┐
//!  pipes ──► │ output ─► log writer          │
//!  or pty    │        └► session ─► client   │   a full client makes its process wait ([`session`])
//!        ◄── │ input  ◄─ session ◄─ client   │
//!            │ control ◄─► daemons           │   a connection that ends means nothing
//!            └── SIGCHLD ─► exit ────────────┘
//!
//!  first process ends ─► its pipes are read to their end (at most 2 s, [`EXIT_DRAIN`]) ─► log complete ─► exit record in place
//!    ─► socket removed ─► Event::Exited ─► clients get the rest ─► (nobody heard: record synced) ─► the keeper ends
//! ```

mod control;
mod ends;
mod exit;
mod foreign;
mod keys;
mod poll;
mod process;
mod requests;
mod session;
mod start;
mod stdio;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use wharf_logs::{Stream, Writer};
use wharf_sys::signal::SignalFd;
use wharf_sys::{Errno, failpoint, prctl};

use self::control::Conn;
use self::poll::{EventFlags, Poller, Token, Watch};
use self::process::Process;
use self::session::{STALL_MAX, Session};
use self::start::Held;
use self::stdio::Reading;
use crate::protocol::{AttachEnd, Event, ExecState, Exit, Failure, Foreign, Frame, Kind, Launch, Reply, Started};
use crate::wire::{self, Packet};

/// How long the outputs of a process that has ended are read while somebody else (a grandchild that left the PID namespace,
/// a process that was given the descriptor) holds them open. Docker's figure.
const EXIT_DRAIN: Duration = Duration::from_secs(2);

/// Silence after which the keeper gives its buffers back.
const IDLE: Duration = Duration::from_millis(200);

/// [`Process::number`] of the container's first process.
const INIT: u32 = 0;

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// The out-of-memory killer must take the container first, and the keeper only with everything else.
const OOM_SCORE: &str = "-998";

/// Starts the container that a [`Launch`] frame asks for and keeps it until it has ended. The caller is a fresh process with
/// a single thread and nothing of value in it.
pub fn run(mut frame: Frame) {
    if frame.fds.is_empty() {
        return;
    }
    let control = frame.fds.remove(0);
    match Keeper::start(&mut frame) {
        Ok(mut keeper) => {
            // the request is large, and the container may run for years
            drop(frame);
            keeper.started(control);
            keeper.serve();
        }
        Err(failure) => answer_failure(frame.seq, control, failure),
    }
}

/// Answers a launch that did not come to a keeper.
pub(crate) fn refuse(mut frame: Frame, operation: &'static str, errno: Errno) {
    if !frame.fds.is_empty() {
        answer_failure(frame.seq, frame.fds.remove(0), start::setup(operation, errno));
    }
}

fn answer_failure(seq: u16, control: OwnedFd, failure: Failure) {
    let reply = Frame::encode(Kind::Reply, seq, &Reply::Failed(failure));
    if let Ok(packet) = Packet::new(reply) {
        let _ = Conn::new(0, control).answer(packet, None);
    }
}

#[derive(Debug)]
struct Keeper {
    id: String,
    poller: Poller,
    signals: SignalFd,
    listener: Option<OwnedFd>,
    socket: PathBuf,
    exit_file: PathBuf,
    shared_pid: bool,
    /// The runtime that made the container, when it is not ours.
    runtime: Option<foreign::Runtime>,
    held: Held,
    conns: BTreeMap<u32, Conn>,
    processes: BTreeMap<u32, Process>,
    sessions: BTreeMap<u32, Session>,
    /// Execs that ended, for snapshots.
    ended: VecDeque<ExecState>,
    init: Started,
    /// How the first process ended; set when it is recorded.
    exit: Option<Exit>,
    /// The record, while bringing it to the disk is still to be done.
    unsynced: Option<exit::Written>,
    log: Writer,
    log_lost: u64,
    /// Compresses a rotated log file.
    helper: Option<Pid>,
    buffer: Vec<u8>,
    /// When the keeper last did something, while it has memory to give back.
    busy_at: Option<Instant>,
    last_number: u32,
}

impl Keeper {
    fn start(frame: &mut Frame) -> Result<Self, Failure> {
        let (request, foreign): (Launch, Option<Foreign>) =
            frame.addition().map_err(|error| Failure::Malformed(error.to_string()))?;
        let fds = std::mem::take(&mut frame.fds);
        let mut sorted = start::Sorted::new(&request.fds, fds, request.attach.len())?;
        let fail = |operation: &'static str| move |error: Errno| start::setup(operation, error);
        let _ = rustix::process::setsid();
        prctl::set_child_subreaper(true).map_err(fail("become subreaper"))?;
        // what a service manager sends to everything it finds must not cost a container its keeper; taken as a descriptor
        // rather than ignored, as ignored signals would be inherited by the container
        let signals = SignalFd::new(&[
            libc_signal::CHLD,
            libc_signal::TERM,
            libc_signal::INT,
            libc_signal::HUP,
            libc_signal::QUIT,
            libc_signal::PIPE,
        ])
        .map_err(fail("signalfd"))?;
        let poller = Poller::new().map_err(fail("epoll"))?;
        poller
            .watch(&mut Watch::default(), &signals, Token::Signals, Some(EventFlags::IN))
            .map_err(fail("watch signals"))?;
        // of the run before: whoever finds a record must be able to take it for this one's
        match rustix::fs::unlink(&request.exit_file) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(start::setup("remove the old exit record", error)),
        }
        failpoint::hit("shim.launch.before").map_err(fail("launch"))?;
        let socket = request.run_dir.join(wire::SOCKET);
        let sockets = std::mem::take(&mut sorted.sockets);
        let surroundings = || {
            let log = Writer::open(&request.log).map_err(|error| start::setup("open log", chain(&error)))?;
            let listener = wire::listen(&request.run_dir).map_err(fail("listen on the keeper's socket"))?;
            poller
                .watch(&mut Watch::default(), &listener, Token::Listener, Some(EventFlags::IN))
                .map_err(fail("watch the keeper's socket"))?;
            Ok((log, listener))
        };
        // the score is inherited: it is set when the container's process is there
        let launched = match foreign {
            None => start::launch(INIT, &request, sorted, || surroundings().inspect(|_| set_oom_score(OOM_SCORE)))
                .map(|(process, held, made)| (process, None, held, made)),
            Some(foreign) => surroundings().and_then(|made| {
                let (process, runtime) = start::launch_foreign(INIT, &request, foreign, sorted)?;
                set_oom_score(OOM_SCORE);
                Ok((process, Some(runtime), Held::default(), made))
            }),
        };
        let (process, runtime, held, (log, listener)) = launched.inspect_err(|_| {
            let _ = rustix::fs::unlink(&socket);
        })?;
        let _ = failpoint::hit("shim.launch.after");
        let mut keeper = Self {
            id: request.id,
            poller,
            signals,
            listener: Some(listener),
            socket,
            exit_file: request.exit_file,
            shared_pid: request.shared_pid,
            runtime,
            held,
            conns: BTreeMap::new(),
            init: process.started,
            processes: BTreeMap::from([(INIT, process)]),
            sessions: BTreeMap::new(),
            ended: VecDeque::new(),
            exit: None,
            unsynced: None,
            log,
            log_lost: 0,
            helper: None,
            buffer: Vec::new(),
            busy_at: Some(Instant::now()),
            last_number: INIT,
        };
        for (attach, socket) in request.attach.iter().zip(sockets) {
            keeper.open_session(INIT, attach, socket);
        }
        Ok(keeper)
    }

    /// Answers the launch and makes its connection an ordinary one.
    fn started(&mut self, control: OwnedFd) {
        let number = self.number();
        self.conns.insert(number, Conn::new(number, control));
        let pidfd = self.init_pidfd();
        self.answer(number, 1, &Reply::Started(self.init), pidfd);
    }

    fn serve(&mut self) {
        self.settle();
        while !self.is_done() {
            if self.exit.is_some() {
                // only clients are left, who may take their time: what it had mounted does not wait for them
                self.held.mounts = None;
            }
            // only a broken epoll set fails here, and then there is nothing left to serve with
            let Ok(events) = self.poller.wait(self.deadline()) else { break };
            let now = Instant::now();
            if !events.is_empty() {
                self.busy_at = Some(now);
            }
            for (token, flags) in events {
                self.dispatch(token, flags);
            }
            self.timers(now);
            self.settle();
        }
    }

    fn is_done(&self) -> bool {
        self.exit.is_some() && self.sessions.is_empty() && self.helper.is_none()
    }

    fn number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    fn dispatch(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Signals => self.reap(),
            Token::Listener => self.accept(),
            Token::Control(number) => self.control(number),
            Token::Output(number, stream) => self.read_output(number, stream, Reading::Turn),
            Token::Input(number) => {
                if let Some(process) = self.processes.get_mut(&number) {
                    process.flush_input(&self.poller);
                }
            }
            Token::Session(number) => self.session(number, flags),
        }
    }

    /// Ends what has ended, and watches for what each thing can do now.
    fn settle(&mut self) {
        let over: Vec<u32> =
            self.processes.values().filter(|process| process.is_over()).map(|process| process.number).collect();
        // execs first: they ended before the container did
        for number in over.into_iter().rev() {
            self.process_over(number);
        }
        let done = |session: &Session| session.ending.is_some() && session.is_drained();
        let closing: Vec<u32> =
            self.sessions.values().filter(|session| done(session)).map(|session| session.number).collect();
        for number in closing {
            if let Some(session) = self.sessions.remove(&number) {
                let event =
                    Event::AttachEnded { id: session.id, reason: session.ending.unwrap_or(AttachEnd::Finished) };
                session.close(&self.poller);
                self.tell(&event);
            }
        }
        for session in self.sessions.values_mut() {
            let read = self.processes.get(&session.process).is_none_or(Process::takes_input);
            if session.watch(&self.poller, read).is_err() {
                session.ending = Some(AttachEnd::ClientClosed);
            }
        }
        let numbers: Vec<u32> = self.processes.keys().copied().collect();
        for number in numbers {
            let read = STREAMS.map(|stream| !self.must_wait(number, stream));
            if let Some(process) = self.processes.get_mut(&number) {
                // refused only without memory; tried again after the next event
                let _ = process.watch_outputs(&self.poller, read);
            }
        }
        self.resync();
        self.conns.retain(|_, conn| conn.watch(&self.poller).is_ok());
        for session in self.sessions.values_mut() {
            // who wanted to give it the log first is gone
            if session.held_by().is_some_and(|conn| !self.conns.contains_key(&conn)) {
                session.release();
                let _ = session.watch(&self.poller, false);
            }
        }
        if let Some(written) = self.unsynced.take() {
            // last: everybody who waits has been served
            let _ = written.sync();
        }
    }

    /// A daemon that reads again after events were dropped gets the state of things instead.
    fn resync(&mut self) {
        if !self.conns.values().any(|conn| conn.lost && conn.is_flushed()) {
            return;
        }
        let frame = Frame::encode(Kind::Snapshot, 0, &self.snapshot());
        self.conns.retain(|_, conn| {
            if !(conn.lost && conn.is_flushed()) {
                return true;
            }
            conn.lost = false;
            Packet::new(frame.clone()).and_then(|packet| conn.answer(packet, None)).is_ok()
        });
    }

    fn deadline(&self) -> Option<Instant> {
        let drains = self.processes.values().filter_map(|process| process.drain_until);
        let stalls = self.sessions.values().filter_map(|session| self.cut_off_at(session));
        drains.chain(stalls).chain(self.busy_at.map(|at| at + IDLE)).min()
    }

    /// When a client that does not read is cut off: only while others wait for it.
    fn cut_off_at(&self, session: &Session) -> Option<Instant> {
        let other = |other: &&Session| other.process == session.process && other.number != session.number;
        let others = self.sessions.values().any(|candidate| other(&candidate) && !candidate.wants_nothing());
        session.stalled_since.filter(|_| others).map(|since| since + STALL_MAX)
    }

    fn timers(&mut self, now: Instant) {
        let expired: Vec<u32> = self
            .processes
            .values()
            .filter(|process| process.drain_until.is_some_and(|until| until <= now))
            .map(|process| process.number)
            .collect();
        for number in expired {
            for stream in STREAMS {
                self.read_output(number, stream, Reading::Drain);
                self.output_ended(number, stream);
            }
        }
        let late: Vec<u32> = self
            .sessions
            .values()
            .filter(|session| self.cut_off_at(session).is_some_and(|at| at <= now))
            .map(|session| session.number)
            .collect();
        for number in late {
            if let Some(session) = self.sessions.get_mut(&number) {
                session.give_up(AttachEnd::TooSlow);
            }
        }
        if self.busy_at.is_some_and(|at| at + IDLE <= now) {
            self.busy_at = None;
            self.buffer = Vec::new();
            self.log.release();
            wharf_sys::memory::trim();
        }
    }
}

/// An error with its causes, for the one sentence that an answer has room for.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Of the keeper itself. Not allowed without privileges, where nobody's score can be lowered anyway.
fn set_oom_score(score: &str) {
    let _ = std::fs::write("/proc/self/oom_score_adj", score);
}

/// Numbers that are the same on every architecture of Linux that has a signal by these names.
mod libc_signal {
    pub(super) const HUP: i32 = 1;
    pub(super) const INT: i32 = 2;
    pub(super) const QUIT: i32 = 3;
    pub(super) const PIPE: i32 = 13;
    pub(super) const TERM: i32 = 15;
    pub(super) const CHLD: i32 = rustix::process::Signal::CHILD.as_raw();
}
