//! An interface leaves a namespace that goes on: nobody sees it any more when we say so, while the kernel still frees it.
//!
//! The kernel takes a link off its lists within a millisecond and broadcasts that it is gone; the call that removes it returns after
//! two grace periods of RCU more, ten to thirty milliseconds later. So a thread makes the call, and whoever asked waits for the broadcast.
//! Nothing is lost with the daemon: what the kernel has begun it finishes, and what was not begun was not answered either.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, channel};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use wharf_netlink::{Change, Monitor, Socket};

use crate::{Error, Result, bridge};

/// What it takes to remove a link of one namespace.
#[derive(Debug)]
pub(crate) struct Departure {
    socket: Socket,
    monitor: Monitor,
}

impl Departure {
    /// For links of the namespace of the calling thread.
    pub(crate) fn prepare() -> Result<Self> {
        Ok(Self { monitor: Monitor::links()?, socket: Socket::route()? })
    }

    /// Removes a link, if it is there. It is out of everybody's sight then.
    pub(crate) fn remove(self, name: &str) -> Result<()> {
        let Self { mut socket, mut monitor } = self;
        // its other end hangs up when the thread ends, however it does
        let (ended, alive) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::system("pipe"))?;
        let (result, answer) = channel();
        let link = name.to_owned();
        let call = move || {
            // nobody listens to the answer any more when the broadcast was first
            let _ = result.send(bridge::unplug(&mut socket, &link));
            drop(alive);
        };
        std::thread::Builder::new()
            .name("wharf-departs".into())
            .spawn(call)
            .map_err(|source| Error::System { op: "spawn a thread".into(), source })?;
        wait(&mut monitor, &ended, &answer, name)
    }
}

fn wait(monitor: &mut Monitor, ended: &OwnedFd, answer: &Receiver<Result<()>>, name: &str) -> Result<()> {
    loop {
        let mut fds = [PollFd::new(&*monitor, PollFlags::IN), PollFd::new(ended, PollFlags::empty())];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::system("poll of a netlink socket")(errno)),
        }
        if !fds[1].revents().is_empty() {
            let silent = || Error::Conflict(format!("nobody knows whether interface {name} is gone"));
            return answer.recv().unwrap_or_else(|_| Err(silent()));
        }
        let gone = |change: &Change| matches!(change, Change::LinkGone(link) if link.name == name);
        if monitor.changes()?.iter().any(gone) {
            return Ok(());
        }
    }
}
