//! The socket between the launching side and the child.
//!
//! ```text
//! child → parent   8 bytes: word u16 │ index u16 │ value i32     (native order)
//!                  word < 0x8000: a step failed; index says at which item, value is the errno
//!                  word ≥ 0x8000: an event (below); value is a PID for Sibling; a descriptor may come along
//!                  end of file after Ready: the program runs
//! parent → child   4 bytes: go on; the child's PID as the parent numbers it
//! ```

use crate::Step;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use wharf_sys::{Errno, Result, fd};

/// What the child tells beside failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Event {
    /// The container's process is this sibling of the one cloned first.
    Sibling = 0x8000,
    /// Namespaces and mounts are there: time for the runtime's hooks. An answer is awaited.
    Hooks = 0x8001,
    /// The terminal's master comes along.
    Console = 0x8002,
    /// The filter's listener comes along. An answer is awaited.
    Listener = 0x8003,
    /// Nothing but the filter and the exec is left.
    Ready = 0x8004,
    /// Limits are due that only rights outside the user namespace can set. An answer is awaited.
    Limits = 0x8005,
    /// The offsets of the new time namespace are due. An answer is awaited.
    TimeOffsets = 0x8006,
}

/// A step that failed in the child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fail {
    pub(crate) step: Step,
    pub(crate) index: u16,
    pub(crate) errno: Errno,
}

/// The result of a step in the child.
pub(crate) type Done<T> = std::result::Result<T, Fail>;

/// Turns an errno into a failed step.
pub(crate) trait At<T> {
    /// The step, and the item of the plan it was at.
    fn at(self, step: Step, index: usize) -> Done<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, step: Step, index: usize) -> Done<T> {
        self.map_err(|errno| Fail { step, index: index as u16, errno })
    }
}

/// What arrives at the parent.
#[derive(Debug)]
pub(crate) enum Message {
    /// A step failed.
    Failed(Fail),
    /// Something happened.
    Event(Event, i32, Option<OwnedFd>),
    /// The child has executed its program, or ended.
    End,
}

fn pack(word: u16, index: u16, value: i32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..2].copy_from_slice(&word.to_ne_bytes());
    bytes[2..4].copy_from_slice(&index.to_ne_bytes());
    bytes[4..].copy_from_slice(&value.to_ne_bytes());
    bytes
}

/// Child: tells of an event.
pub(crate) fn tell(socket: impl AsFd, event: Event, value: i32, fd: Option<BorrowedFd<'_>>) -> Result<()> {
    fd::send(socket, &pack(event as u16, 0, value), fd.as_slice()).map(drop)
}

/// Child: tells that a step failed. Nobody may be listening any more.
pub(crate) fn tell_failure(socket: impl AsFd, fail: &Fail) {
    let _ = fd::send(socket, &pack(fail.step.wire(), fail.index, fail.errno.raw_os_error()), &[]);
}

/// Child: waits for the parent's word. `EPIPE` when the parent is gone.
pub(crate) fn await_go(socket: impl AsFd) -> Result<i32> {
    let mut bytes = [0; 4];
    match rustix::io::retry_on_intr(|| rustix::io::read(&socket, &mut bytes))? {
        4 => Ok(i32::from_ne_bytes(bytes)),
        _ => Err(Errno::PIPE),
    }
}

/// Parent: lets the child go on.
pub(crate) fn go(socket: impl AsFd, pid: i32) -> Result<()> {
    fd::send(socket, &pid.to_ne_bytes(), &[]).map(drop)
}

/// Parent: the next message.
pub(crate) fn next(socket: impl AsFd) -> Result<Message> {
    let mut bytes = [0; 8];
    let received = match fd::receive(socket, &mut bytes) {
        // the child was killed with something of ours unread
        Err(Errno::CONNRESET) => return Ok(Message::End),
        other => other?,
    };
    if received.len == 0 {
        return Ok(Message::End);
    }
    let word = u16::from_ne_bytes([bytes[0], bytes[1]]);
    let index = u16::from_ne_bytes([bytes[2], bytes[3]]);
    let value = i32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let event = match word {
        0x8000 => Event::Sibling,
        0x8001 => Event::Hooks,
        0x8002 => Event::Console,
        0x8003 => Event::Listener,
        0x8004 => Event::Ready,
        0x8005 => Event::Limits,
        0x8006 => Event::TimeOffsets,
        step => {
            return Ok(Message::Failed(Fail {
                step: Step::from_wire(step),
                index,
                errno: Errno::from_raw_os_error(value),
            }));
        }
    };
    Ok(Message::Event(event, value, received.fds.into_iter().next()))
}
