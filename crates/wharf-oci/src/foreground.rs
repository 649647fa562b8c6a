//! Standing beside a process until it ends: its signals, and its terminal when it has one.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use wharf_sys::signal::SignalFd;

use crate::error::Error;

const SIGWINCH: i32 = 28;

/// Passed on to the process: everything that means something to a program as a whole. Not: KILL and STOP, which cannot
/// be caught, those that a fault of our own raises, CHLD and URG.
const FORWARDED: [i32; 17] = [1, 2, 3, 6, 10, 12, 13, 14, 15, 18, 20, 24, 25, 26, 27, 29, 30];

fn fail(op: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::file(op, "/proc/self", errno)
}

/// Takes the signals that are to be passed on. To be called before the program runs, so that none is lost.
pub(crate) fn signals() -> Result<SignalFd, Error> {
    let signals: Vec<i32> = FORWARDED.into_iter().chain([SIGWINCH]).collect();
    SignalFd::new(&signals).map_err(fail("signalfd"))
}

/// Waits for the end of a child; returns its exit code, 128 + n after signal n.
pub(crate) fn attend(process: &OwnedFd, signals: &SignalFd, console: Option<OwnedFd>) -> Result<u8, Error> {
    let terminal = console.map(Terminal::new);
    let mut stdin_open = terminal.is_some();
    loop {
        let stdin = rustix::stdio::stdin();
        let mut fds = vec![PollFd::new(process, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        if let Some(terminal) = &terminal {
            fds.push(PollFd::new(&terminal.master, PollFlags::IN));
            if stdin_open {
                fds.push(PollFd::new(&stdin, PollFlags::IN));
            }
        }
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(fail("poll")(errno)),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        while let Some(info) = signals.next().map_err(fail("read signalfd"))? {
            match (&terminal, info.signal) {
                (Some(terminal), SIGWINCH) => terminal.take_size(),
                (None, SIGWINCH) => {}
                // it may just have ended
                (_, signal) => drop(wharf_sys::pidfd::kill(process, signal)),
            }
        }
        if let Some(terminal) = &terminal {
            if ready.get(3) == Some(&true) {
                stdin_open = copy(stdin, &terminal.master);
            }
            if ready.get(2) == Some(&true) && !copy(&terminal.master, rustix::stdio::stdout()) && !ready[0] {
                // every slave is closed; only the end of the process is left to wait for
                let mut end = [PollFd::new(process, PollFlags::IN)];
                let _ = poll(&mut end, None);
            }
        }
        if ready[0] {
            if let Some(terminal) = &terminal {
                terminal.drain();
            }
            let exit = wharf_sys::pidfd::wait(process).map_err(fail("wait"))?;
            return Ok((exit.status() & 0xff) as u8);
        }
    }
}

/// Our own terminal in raw mode beside the container's; dropped, it is as before.
struct Terminal {
    master: OwnedFd,
    before: Option<Termios>,
}

impl Terminal {
    fn new(master: OwnedFd) -> Self {
        let stdin = rustix::stdio::stdin();
        let before = if isatty(stdin) { tcgetattr(stdin).ok() } else { None };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            // output processing is done by the container's side
            let _ = tcsetattr(stdin, OptionalActions::Now, &raw);
        }
        let terminal = Self { master, before };
        terminal.take_size();
        terminal
    }

    fn take_size(&self) {
        if self.before.is_some()
            && let Ok(size) = tcgetwinsize(rustix::stdio::stdin())
        {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// What the process has written last.
    fn drain(&self) {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            let more = poll(&mut fds, Some(&now)).is_ok_and(|count| count > 0);
            if !more || !copy(&self.master, rustix::stdio::stdout()) {
                return;
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Copies what is there; `false` at the end. EIO is how a pseudo terminal says that all slaves are closed.
fn copy(from: impl AsFd, to: impl AsFd) -> bool {
    let mut buffer = [0u8; 16384];
    let count = match rustix::io::read(from, &mut buffer) {
        Ok(0) => return false,
        Ok(count) => count,
        Err(Errno::INTR | Errno::AGAIN) => return true,
        Err(_) => return false,
    };
    let mut rest = &buffer[..count];
    while !rest.is_empty() {
        match rustix::io::write(&to, rest) {
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            // nobody reads: the process may go on writing
            Err(_) => return true,
        }
    }
    true
}
