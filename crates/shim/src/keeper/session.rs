//! An attached client: its socket, what it has not read yet, what it typed.
//!
//! A client that does not read has [`QUEUE_MAX`] bytes of patience (and the kernel's socket buffer before that); then the
//! process's outputs are left in their pipes, so a container waits for a paused `docker run | less` as it does under Docker.
//! Others must not suffer from that for long: while another client is attached to the same process, one that has taken
//! nothing for [`STALL_MAX`] is cut off ([`AttachEnd::TooSlow`]).

use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use wharf_logs::Stream;
use wharf_sys::{Errno, Result};

use super::keys::Keys;
use super::poll::{EventFlags, Poller, Token, Watch};
use crate::protocol::{Attach, AttachEnd, Wire};

/// Bytes kept for a client that does not read before the process has to wait. Docker's figure.
pub(super) const QUEUE_MAX: usize = 1 << 20;

/// How long a client may take nothing while others wait.
pub(super) const STALL_MAX: Duration = Duration::from_secs(10);

/// Reads thrown away before a socket is closed: unread input would turn the close of a TCP connection into a reset, which
/// takes the last output with it.
const DISCARDS: usize = 16;

/// An attached client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) number: u32,
    /// The daemon's name for it.
    pub(super) id: u64,
    /// [`super::process::Process::number`].
    pub(super) process: u32,
    socket: OwnedFd,
    watch: Watch,
    wants: [bool; 2],
    /// What it sends goes to the process.
    pub(super) stdin: bool,
    pub(super) keys: Option<Keys>,
    wire: Wire,
    queue: Vec<u8>,
    sent: usize,
    /// Somebody on this connection gives the client the log first: until then its output is only queued.
    held_by: Option<u32>,
    /// Whether its input can still bring something.
    pub(super) input_open: bool,
    /// The peer has closed both directions.
    pub(super) hung_up: bool,
    /// How it ends once the queue is empty.
    pub(super) ending: Option<AttachEnd>,
    /// Since when the queue has been full without progress.
    pub(super) stalled_since: Option<Instant>,
}

/// What a read from the client gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Bytes.
    Bytes(usize),
    /// Nothing at present.
    Nothing,
    /// No more to come.
    End,
}

impl Session {
    pub(super) fn new(number: u32, process: u32, attach: &Attach, socket: OwnedFd, tty: bool) -> Self {
        let keys = (tty && attach.stdin).then(|| Keys::new(&attach.detach_keys));
        Self {
            number,
            id: attach.id,
            process,
            socket,
            watch: Watch::default(),
            wants: [attach.stdout, attach.stderr && !tty],
            stdin: attach.stdin,
            keys,
            wire: attach.wire,
            queue: Vec::new(),
            sent: 0,
            held_by: None,
            input_open: true,
            hung_up: false,
            ending: None,
            stalled_since: None,
        }
    }

    /// Whether it receives this stream.
    pub(super) fn wants(&self, stream: Stream) -> bool {
        self.wants[stream as usize]
    }

    /// No more of this stream will come.
    pub(super) fn output_ended(&mut self, stream: Stream) {
        self.wants[stream as usize] = false;
    }

    /// Whether it receives nothing (any more).
    pub(super) fn wants_nothing(&self) -> bool {
        self.wants == [false; 2]
    }

    /// Sends output, and queues what the socket does not take.
    pub(super) fn send(&mut self, stream: Stream, bytes: &[u8]) {
        let [a, b, c, d] = (bytes.len() as u32).to_be_bytes();
        let header = [stream as u8 + 1, 0, 0, 0, a, b, c, d];
        let header = match self.wire {
            Wire::Raw => &[][..],
            Wire::Stdcopy => &header,
        };
        let sent = if self.queue.is_empty() && self.held_by.is_none() {
            match self.transmit(&[IoSlice::new(header), IoSlice::new(bytes)]) {
                Ok(sent) => sent,
                Err(Errno::AGAIN) => 0,
                Err(_) => return self.lost(),
            }
        } else {
            0
        };
        let of_header = sent.min(header.len());
        self.queue.extend_from_slice(&header[of_header..]);
        self.queue.extend_from_slice(&bytes[sent - of_header..]);
        if self.is_full() && self.stalled_since.is_none() {
            self.stalled_since = Some(Instant::now());
        }
    }

    /// Nothing is sent until [`Session::release`], or until the connection is gone.
    pub(super) fn hold(&mut self, conn: u32) {
        self.held_by = Some(conn);
    }

    /// Sends what has come meanwhile, and what comes.
    pub(super) fn release(&mut self) {
        self.held_by = None;
        self.stalled_since = self.stalled_since.map(|_| Instant::now());
        self.flush();
    }

    /// The connection of who gives the client the log first.
    pub(super) fn held_by(&self) -> Option<u32> {
        self.held_by
    }

    /// Sends what is queued.
    pub(super) fn flush(&mut self) {
        if self.held_by.is_some() {
            return;
        }
        while self.sent < self.queue.len() {
            match self.transmit(&[IoSlice::new(&self.queue[self.sent..])]) {
                Ok(count) => {
                    self.sent += count;
                    self.stalled_since = self.stalled_since.map(|_| Instant::now());
                }
                Err(Errno::AGAIN) => break,
                Err(_) => return self.lost(),
            }
        }
        if self.sent == self.queue.len() {
            self.queue = Vec::new();
            self.sent = 0;
        } else if self.sent > QUEUE_MAX / 2 {
            self.queue.drain(..self.sent);
            self.sent = 0;
        }
        if !self.is_full() {
            self.stalled_since = None;
        }
    }

    fn transmit(&self, parts: &[IoSlice<'_>]) -> Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(&self.socket, parts, &mut SendAncillaryBuffer::default(), flags)
        })
    }

    /// Output cannot be delivered any more. What the client sent before it went away may still be worth reading.
    pub(super) fn lost(&mut self) {
        self.held_by = None;
        self.stop_output();
        if !(self.stdin && self.input_open) {
            self.end(AttachEnd::ClientClosed);
        }
    }

    /// Ends it once the client has what is queued; nothing is added to that.
    pub(super) fn end(&mut self, reason: AttachEnd) {
        self.wants = [false; 2];
        self.ending.get_or_insert(reason);
    }

    /// Ends it without what is queued.
    pub(super) fn give_up(&mut self, reason: AttachEnd) {
        self.held_by = None;
        self.stop_output();
        self.ending = Some(reason);
    }

    fn stop_output(&mut self) {
        self.queue = Vec::new();
        self.sent = 0;
        self.wants = [false; 2];
        self.stalled_since = None;
    }

    /// Whether the process has to wait for it.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() - self.sent >= QUEUE_MAX
    }

    /// Whether it has everything.
    pub(super) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.held_by.is_none()
    }

    /// Reads what the client sent.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Input {
        match rustix::io::retry_on_intr(|| rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT)) {
            Ok((_, 0)) => Input::End,
            Ok((_, count)) => Input::Bytes(count),
            Err(Errno::AGAIN) => Input::Nothing,
            Err(_) => {
                self.hung_up = true;
                Input::End
            }
        }
    }

    /// Watches the socket for what can be done now: `read` says whether input can be taken.
    pub(super) fn watch(&mut self, poller: &Poller, read: bool) -> Result<()> {
        let mut flags = EventFlags::empty();
        if read && self.input_open && self.ending.is_none() {
            flags |= EventFlags::IN;
        }
        if !self.queue.is_empty() && self.held_by.is_none() {
            flags |= EventFlags::OUT;
        }
        // a peer that hung up is reported whatever is watched for; out of the set it is not
        let flags = (!self.hung_up || !flags.is_empty()).then_some(flags);
        poller.watch(&mut self.watch, &self.socket, Token::Session(self.number), flags)
    }

    /// Ends the session: the client sees the end of its output.
    pub(super) fn close(self, poller: &Poller) {
        let Self { mut watch, socket, number, .. } = self;
        let _ = poller.watch(&mut watch, &socket, Token::Session(number), None);
        let mut discarded = [0; 4096];
        for _ in 0..DISCARDS {
            if !matches!(rustix::net::recv(&socket, &mut discarded, RecvFlags::DONTWAIT), Ok((_, count)) if count > 0) {
                break;
            }
        }
        // not only closed: the daemon may still have a copy of the descriptor
        let _ = rustix::net::shutdown(&socket, Shutdown::Both);
    }
}
