//! A process of the container (its first, or an exec) and the keeper's ends of its stdio.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;
use rustix::process::Pid;
use rustix::termios::Winsize;
use wharf_logs::Stream;
use wharf_runtime::Stdio;
use wharf_sys::{Errno, Result};

use super::poll::{EventFlags, Poller, Token, Watch};
use crate::protocol::{Exit, Started, Target};

/// Wanted capacity of the output pipes, in bytes: a container that prints without end then switches to the keeper a quarter
/// as often. It is memory only while it is full.
pub(super) const PIPE: usize = 256 * 1024;

/// A process whose stdio the keeper has.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) number: u32,
    pub(super) target: Target,
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    pub(super) started: Started,
    pub(super) tty: bool,
    /// It was given an input.
    pub(super) open_stdin: bool,
    /// Its input ends with the client's.
    pub(super) stdin_once: bool,
    pub(super) outputs: [Option<Output>; 2],
    pub(super) input: Option<Input>,
    /// Set when it was reaped.
    pub(super) exit: Option<Exit>,
    /// Until when its outputs are read although it has ended.
    pub(super) drain_until: Option<Instant>,
}

/// The reading end of an output.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) fd: OwnedFd,
    pub(super) watch: Watch,
}

/// The writing end of the input, with what did not fit into it yet.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) fd: OwnedFd,
    watch: Watch,
    pending: Vec<u8>,
    sent: usize,
    /// Closed once everything is written.
    closing: bool,
}

/// Both sides of a process's stdio.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) theirs: Stdio,
    outputs: [Option<OwnedFd>; 2],
    input: Option<OwnedFd>,
}

impl Pipes {
    /// Pipes, and `/dev/null` as input when it is not `open`.
    pub(super) fn new(open_stdin: bool) -> Result<Self> {
        let (stdout, their_stdout) = output_pipe()?;
        let (stderr, their_stderr) = output_pipe()?;
        let (their_stdin, input) = if open_stdin {
            let (theirs, ours) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
            set_nonblocking(&ours)?;
            (theirs, Some(ours))
        } else {
            (rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?, None)
        };
        let theirs = Stdio::Fds { stdin: their_stdin, stdout: their_stdout, stderr: their_stderr };
        Ok(Self { theirs, outputs: [Some(stdout), Some(stderr)], input })
    }

    /// A terminal, which comes back from the launch.
    pub(super) fn console() -> Self {
        Self { theirs: Stdio::Console, outputs: [None, None], input: None }
    }

    /// The keeper's ends. With a terminal both directions are its master.
    pub(super) fn ours(self, console: Option<OwnedFd>) -> Result<([Option<Output>; 2], Option<Input>)> {
        let (outputs, input) = match console {
            None => (self.outputs, self.input),
            Some(master) => {
                set_nonblocking(&master)?;
                // a descriptor of its own, as epoll watches each for one thing
                let input = rustix::io::fcntl_dupfd_cloexec(&master, 3)?;
                ([Some(master), None], Some(input))
            }
        };
        let outputs = outputs.map(|fd| fd.map(|fd| Output { fd, watch: Watch::default() }));
        let input = input.map(|fd| Input { fd, watch: Watch::default(), pending: Vec::new(), sent: 0, closing: false });
        Ok((outputs, input))
    }
}

fn output_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    set_nonblocking(&ours)?;
    // refused when the user has too much in pipes: the default size does as well
    let _ = rustix::pipe::fcntl_setpipe_size(&ours, PIPE);
    Ok((ours, theirs))
}

fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    rustix::fs::fcntl_setfl(fd, rustix::fs::fcntl_getfl(fd)? | OFlags::NONBLOCK)
}

impl Process {
    /// Whether all output was read.
    pub(super) fn is_silent(&self) -> bool {
        self.outputs.iter().all(Option::is_none)
    }

    /// Ended, and all output was read.
    pub(super) fn is_over(&self) -> bool {
        self.exit.is_some() && self.is_silent()
    }

    /// Reads outputs, or leaves them in their pipes for now.
    pub(super) fn watch_outputs(&mut self, poller: &Poller, read: [bool; 2]) -> Result<()> {
        for (stream, read) in [Stream::Stdout, Stream::Stderr].into_iter().zip(read) {
            if let Some(output) = &mut self.outputs[stream as usize] {
                // not in the set at all while it is not read, or its hang-up would be reported again and again
                let flags = read.then_some(EventFlags::IN);
                poller.watch(&mut output.watch, &output.fd, Token::Output(self.number, stream), flags)?;
            }
        }
        Ok(())
    }

    /// Whether more input can be taken from a client. Without an input it is taken and dropped.
    pub(super) fn takes_input(&self) -> bool {
        self.input.as_ref().is_none_or(|input| input.pending.is_empty())
    }

    /// Writes to the process, and keeps what does not fit.
    pub(super) fn write_input(&mut self, poller: &Poller, bytes: &[u8]) {
        if let Some(input) = &mut self.input {
            input.pending.extend_from_slice(bytes);
        }
        self.flush_input(poller);
    }

    /// End of input, after what is still to be written.
    pub(super) fn close_input(&mut self, poller: &Poller) {
        if let Some(input) = &mut self.input {
            input.closing = true;
        }
        self.flush_input(poller);
    }

    /// Writes what is pending.
    pub(super) fn flush_input(&mut self, poller: &Poller) {
        let Some(input) = &mut self.input else { return };
        let open = input.flush();
        let done = input.pending.is_empty();
        let wait = (!done).then_some(EventFlags::OUT);
        let watched = poller.watch(&mut input.watch, &input.fd, Token::Input(self.number), wait);
        // closed by the process (EPIPE), closed by the client, or impossible to go on with
        if !open || (done && input.closing) || watched.is_err() {
            self.input = None;
        }
    }

    /// Sets the terminal's size.
    pub(super) fn resize(&self, width: u16, height: u16) -> Result<()> {
        let master = self.outputs[0].as_ref().filter(|_| self.tty).ok_or(Errno::NOTTY)?;
        rustix::termios::tcsetwinsize(&master.fd, Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 })
    }
}

impl Input {
    /// Writes as much as fits; false when nobody reads any more.
    fn flush(&mut self) -> bool {
        while self.sent < self.pending.len() {
            match rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, &self.pending[self.sent..])) {
                Ok(count) => self.sent += count,
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        self.pending = Vec::new();
        self.sent = 0;
        true
    }
}
