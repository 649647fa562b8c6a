//! The template: a small process with one thread that does nothing but fork keepers.
//!
//! A fork of it costs a fraction of what starting an executable does, its memory is shared by all keepers until they write
//! to it, and it has none of the daemon's threads, locks and descriptors. It is started by the daemon from a sealed copy of
//! the executable and ends with it; the keepers stay.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use wharf_sys::{Errno, clone, failpoint, fd, prctl, signal};

use crate::protocol::Kind;
use crate::{keeper, wire};

/// Number of its socket, as the daemon starts it.
pub const SOCKET_FD: i32 = 3;

/// Serves launches until the daemon closes its end.
///
/// # Errors
/// The kernel's, for what is done once at the start.
pub fn run() -> Result<(), Errno> {
    let socket = fd::inherited(SOCKET_FD)?;
    // the name of a process that was executed from a memfd is a number
    prctl::set_name(c"wharf-shim")?;
    // a keeper lives longer than the daemon's terminal or the pipe that its messages go to
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    drop(null);
    rustix::process::chdir("/")?;
    // keepers that end are nobody's business: what they had to say is on the disk
    signal::ignore(rustix::process::Signal::CHILD.as_raw())?;
    // asked once here rather than by each keeper
    wharf_sys::overlay::probe();
    serve(socket)
}

fn serve(socket: OwnedFd) -> Result<(), Errno> {
    loop {
        let frame = match wire::receive_waiting(&socket) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            // a message that is none: its sender's descriptors are closed by now, which is an answer
            Err(Errno::PROTO | Errno::MSGSIZE) => continue,
            Err(error) => return Err(error),
        };
        if frame.kind != Kind::Launch || failpoint::hit("shim.template.fork").is_err() {
            continue;
        }
        match clone::fork() {
            Ok(clone::Side::Child) => {
                drop(socket);
                let _ = signal::reset();
                keeper::run(frame);
                clone::exit(0);
            }
            Ok(clone::Side::Parent { .. }) => {}
            Err(errno) => keeper::refuse(frame, "fork a keeper", errno),
        }
    }
}
