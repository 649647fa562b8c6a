//! Clients that attach to a container before it runs: each is promised a place and hands its socket over when its answer has
//! left; the next start takes them all along, so that not a byte of output is missed.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wharf_shim::protocol::{Attach, Target, Wire};

use super::actor::Actor;
use super::declare;
use super::handle::{Grant, Socket};
use super::state::Status;
use crate::{AttachOptions, Error, Inner, Result};

/// How long a start waits for the sockets of clients that were promised an attach: they come as soon as the answer to their
/// request has left, which a client that reads nothing could hold up.
const SOCKETS: Duration = Duration::from_secs(5);

/// A client that waits for the next start.
pub(super) struct Slot {
    options: AttachOptions,
    coming: oneshot::Receiver<Socket>,
    here: Option<Socket>,
}

impl Slot {
    /// Looks whether the socket has come; `false` when the client has gone.
    pub(super) fn check(&mut self) -> bool {
        match (&self.here, self.coming.try_recv()) {
            (None, Ok(socket)) => self.here = Some(socket),
            (None, Err(oneshot::error::TryRecvError::Closed)) => return false,
            _ => {}
        }
        self.here.as_ref().is_none_or(|socket| is_open(&socket.fd))
    }
}

/// Is the other end of a client's socket still there?
fn is_open(fd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(fd, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && !fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

impl Actor {
    /// The sockets of all clients that were promised an attach.
    pub(super) async fn sockets(&mut self) -> Vec<(Attach, OwnedFd)> {
        let deadline = Instant::now() + SOCKETS;
        let mut sockets = Vec::new();
        for mut slot in std::mem::take(&mut self.slots) {
            let socket = match slot.here.take() {
                Some(socket) => socket,
                None => match tokio::time::timeout_at(deadline, slot.coming).await {
                    Ok(Ok(socket)) => socket,
                    // the client went away before its answer
                    Ok(Err(_)) => continue,
                    Err(_) => {
                        tracing::warn!(container = self.id.short(), "a client does not take the answer to its attach");
                        continue;
                    }
                },
            };
            let attach = attach_request(&self.inner, &self.declared.config, &slot.options, &socket.early);
            sockets.push((attach, socket.fd));
        }
        sockets
    }

    pub(super) fn attach(&mut self, options: AttachOptions) -> Result<Grant> {
        let id = &self.id;
        match self.lived.state.status {
            Status::Paused => {
                return Err(Error::Conflict(format!("container {id} is paused, unpause the container before attach")));
            }
            Status::Restarting => {
                return Err(Error::Conflict(format!(
                    "container {id} is restarting, wait until the container is running"
                )));
            }
            Status::Removing | Status::Dead => return Err(Error::no_such_container(id.as_str())),
            Status::Created | Status::Running | Status::Exited => {}
        }
        if let Some(live) = &self.live {
            return Ok(Grant::Live(live.clone()));
        }
        self.slots.retain_mut(Slot::check);
        let (sender, coming) = oneshot::channel();
        self.slots.push(Slot { options, coming, here: None });
        Ok(Grant::Slot(sender))
    }
}

/// How the keeper is asked to serve a client.
pub(crate) fn attach_request(
    inner: &Inner,
    config: &wharf_api::container::Config,
    options: &AttachOptions,
    early: &[u8],
) -> Attach {
    Attach {
        id: inner.next_attach(),
        target: Target::Init,
        stdin: options.stdin && config.open_stdin,
        stdout: options.stdout,
        stderr: options.stderr,
        wire: if config.tty { Wire::Raw } else { Wire::Stdcopy },
        detach_keys: declare::keys(options.detach_keys.as_deref()).unwrap_or_default(),
        input: early.to_vec(),
    }
}
