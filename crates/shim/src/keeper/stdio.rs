//! Bytes between a process, its log and its clients.

use std::os::fd::OwnedFd;

use wharf_logs::{Stream, Timestamp};
use wharf_sys::{Errno, clone, fd};

use super::keys::Typed;
use super::poll::EventFlags;
use super::process::{PIPE, Process};
use super::session::{Input, Session};
use super::{INIT, Keeper};
use crate::protocol::{Attach, AttachEnd};

/// Bytes read from an output or a client at once.
const CHUNK: usize = 64 * 1024;

/// How much of an output is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Until the others get their turn, or a client is full.
    Turn,
    /// What its pipe can hold at most, however full the clients are: its process has ended. No more than that, as somebody
    /// else may go on writing for ever.
    Drain,
}

impl Reading {
    fn reads(self) -> usize {
        match self {
            Self::Turn => 8,
            Self::Drain => PIPE / CHUNK + 1,
        }
    }
}

impl Keeper {
    /// Reads an output and passes it on, until it is empty, its clients are full, or it had its turn.
    pub(super) fn read_output(&mut self, number: u32, stream: Stream, reading: Reading) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(CHUNK, 0);
        for _ in 0..reading.reads() {
            let Some(process) = self.processes.get_mut(&number) else { break };
            let Some(output) = &process.outputs[stream as usize] else { break };
            match rustix::io::retry_on_intr(|| rustix::io::read(&output.fd, &mut buffer)) {
                Ok(count) if count > 0 => {
                    self.deliver(number, stream, &buffer[..count]);
                    if reading == Reading::Turn && self.must_wait(number, stream) {
                        break;
                    }
                }
                Err(Errno::AGAIN) => break,
                // end of file; on a terminal EIO is the same
                _ => {
                    self.output_ended(number, stream);
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    pub(super) fn deliver(&mut self, number: u32, stream: Stream, bytes: &[u8]) {
        if number == INIT {
            let written = self.log.write(stream, bytes, Timestamp::now());
            self.logged(written, bytes.len());
        }
        for session in self.sessions.values_mut().filter(|session| session.process == number && session.wants(stream)) {
            session.send(stream, bytes);
        }
    }

    /// A full disk costs log lines and never stops the container; how much is told in snapshot and exit record.
    pub(super) fn logged(&mut self, written: wharf_logs::Result<()>, bytes: usize) {
        if written.is_err() {
            self.log_lost += bytes as u64;
        }
        if self.helper.is_none()
            && let Some(compression) = self.log.compression()
        {
            match clone::fork() {
                Ok(clone::Side::Child) => {
                    // sockets and pipes stay open as long as anybody has them
                    let _ = fd::arrange(&[None, None, None], 0);
                    clone::exit(i32::from(compression.run().is_err()));
                }
                Ok(clone::Side::Parent { pid, .. }) => self.helper = Some(pid),
                // it stays as it is, readable
                Err(_) => self.log.compressed(),
            }
        }
    }

    pub(super) fn output_ended(&mut self, number: u32, stream: Stream) {
        let Some(process) = self.processes.get_mut(&number) else { return };
        // closing takes it out of the epoll set
        process.outputs[stream as usize] = None;
        if number == INIT {
            let written = self.log.finish(stream, Timestamp::now());
            self.logged(written, 0);
        }
        // the client sees its end when the process is over, not now: it asks for the exit code as soon as it does
        for session in self.sessions.values_mut().filter(|session| session.process == number) {
            session.output_ended(stream);
        }
    }

    pub(super) fn must_wait(&self, number: u32, stream: Stream) -> bool {
        let mut sessions = self.sessions.values();
        sessions.any(|session| session.process == number && session.wants(stream) && session.is_full())
    }

    pub(super) fn open_session(&mut self, process: u32, attach: &Attach, socket: OwnedFd) -> u32 {
        let number = self.number();
        let owner = self.processes.get(&process);
        let tty = owner.is_some_and(|process| process.tty);
        let mut session = Session::new(number, process, attach, socket, tty);
        // nothing that this client sends, or stops sending, means anything to a process without an input
        session.stdin &= owner.is_some_and(|process| process.open_stdin);
        if session.wants_nothing() && !session.stdin {
            session.ending = Some(AttachEnd::Finished);
        }
        self.sessions.insert(number, session);
        if !attach.input.is_empty() {
            self.typed(number, &attach.input);
        }
        number
    }

    pub(super) fn session(&mut self, number: u32, flags: EventFlags) {
        if flags.contains(EventFlags::OUT)
            && let Some(session) = self.sessions.get_mut(&number)
        {
            session.flush();
        }
        if flags.contains(EventFlags::IN) {
            self.read_session(number);
        }
        if flags.intersects(EventFlags::HUP | EventFlags::ERR)
            && let Some(session) = self.sessions.get_mut(&number)
        {
            session.hung_up = true;
            // what it sent before it hung up still goes to the process; without that there is nothing left to do
            if !(session.stdin && session.input_open) {
                session.lost();
            }
        }
    }

    pub(super) fn read_session(&mut self, number: u32) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let takes_input = self.processes.get(&session.process).is_none_or(Process::takes_input);
        if !takes_input || !session.input_open {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(CHUNK, 0);
        match session.receive(&mut buffer) {
            Input::Bytes(count) => self.typed(number, &buffer[..count]),
            Input::Nothing => {}
            Input::End => self.input_ended(number),
        }
        self.buffer = buffer;
    }

    /// A client sent something.
    pub(super) fn typed(&mut self, number: u32, bytes: &[u8]) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let Some(process) = self.processes.get_mut(&session.process).filter(|_| session.stdin) else { return };
        let Some(keys) = &mut session.keys else { return process.write_input(&self.poller, bytes) };
        let mut passed = Vec::with_capacity(bytes.len() + 8);
        let typed = keys.feed(bytes, &mut passed);
        if typed == Typed::Detach {
            session.end(AttachEnd::Detached);
        }
        process.write_input(&self.poller, &passed);
    }

    /// A client's input ended. As in Docker, one whose input is the process's own closes it and goes on receiving, any other
    /// is detached; for a client that only listens it means nothing.
    pub(super) fn input_ended(&mut self, number: u32) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.input_open = false;
        let process = self.processes.get_mut(&session.process);
        if let Some(process) = process.filter(|process| session.stdin && process.stdin_once && !process.tty) {
            process.close_input(&self.poller);
        } else if session.stdin {
            session.end(AttachEnd::ClientClosed);
        }
        if session.hung_up || session.wants_nothing() {
            session.end(AttachEnd::ClientClosed);
        }
    }
}
