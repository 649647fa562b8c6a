//! How others reach a container: commands to the task that owns it, and the picture that it publishes.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{RwLock, mpsc, oneshot, watch};
use wharf_api::container::{EndpointSettings, UpdateConfig};
use wharf_archive::Writing;
use wharf_cgroup::Cgroup;
use wharf_shim::client::Keeper;
use wharf_spec::id::ContainerId;

use super::snapshot::{Container, HealthProbe};
use super::view::Views;
use crate::{AttachOptions, Error, RemoveOptions, Result};

/// Commands waiting for one container.
pub(crate) const QUEUE: usize = 16;

/// Where the answer to a command goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;

/// What a container's task can be told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Start it.
    Start(Reply<()>),
    /// Send a signal; see [`Why`].
    Signal(i32, Why, Reply<()>),
    /// Freeze.
    Pause(Reply<()>),
    /// Thaw.
    Unpause(Reply<()>),
    /// Freeze, but not beyond the life of this daemon.
    StandStill(Reply<()>),
    /// Remove; it does not run.
    Remove(RemoveOptions, Reply<()>),
    /// Another name; it is reserved already.
    Rename(String, Reply<()>),
    /// Other limits or policy.
    Update(Box<UpdateConfig>, Reply<Vec<String>>),
    /// Keep it when it ends next, whatever its policies say (`restart`).
    Hold(bool, Reply<()>),
    /// Give a place to a client that wants to be attached.
    Attach(AttachOptions, Reply<Grant>),
    /// A probe of its health was made, by the monitor with this number.
    Probed(u64, HealthProbe),
    /// Take a legacy link away.
    Unlink(String, Reply<()>),
    /// Join (with settings) or leave a network.
    Networks(String, Option<Box<EndpointSettings>>, Reply<()>),
}

/// Why a signal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// `kill`: what the user said, with Docker's rules of what it means for the restart policy.
    Kill,
    /// `stop`: the restart policy has nothing to say afterwards.
    Stop,
    /// `rm -f`: the same, without an event of its own.
    Remove,
}

/// What an attaching client gets.
#[derive(Debug)]
pub(crate) enum Grant {
    /// The container runs: hand the socket to its keeper.
    Live(Arc<Live>),
    /// It does not: the next start takes the socket.
    Slot(oneshot::Sender<Socket>),
}

/// A client's socket with what it has sent already.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) fd: OwnedFd,
    pub(crate) early: Bytes,
}

/// What exists only while a container runs.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) keeper: Keeper,
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) cgroup: Arc<Cgroup>,
    /// Its processes write into its files.
    pub(crate) _writing: Writing<ContainerId>,
}

/// What a container's task shows.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) container: Arc<Container>,
    pub(crate) live: Option<Arc<Live>>,
    /// How often a run of it has ended since the daemon started: a wait for the next end compares.
    pub(crate) ends: u64,
    /// It has been removed (`Err`: removing it did not succeed, and why).
    pub(crate) removed: Option<Result<(), String>>,
}

/// A container, for everybody but its own task.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) id: ContainerId,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) picture: watch::Receiver<Picture>,
    /// Read: its files are being looked at from outside. Write: they are about to be mounted anew or removed.
    pub(crate) files: Arc<RwLock<()>>,
    /// Who has them in view.
    pub(crate) views: Arc<Views>,
}

impl Handle {
    pub(crate) fn new(
        id: ContainerId,
        commands: mpsc::Sender<Command>,
        picture: watch::Receiver<Picture>,
        files: Arc<RwLock<()>>,
    ) -> Handle {
        Handle { id, commands, picture, files, views: Arc::default() }
    }

    /// How it looks now.
    pub(crate) fn container(&self) -> Arc<Container> {
        self.picture.borrow().container.clone()
    }

    /// What there is while it runs.
    pub(crate) fn live(&self) -> Option<Arc<Live>> {
        self.picture.borrow().live.clone()
    }

    /// Sends a command and waits for the answer. The command is carried out even when nobody waits any more.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let gone = || Error::no_such_container(self.id.as_str());
        self.commands.send(command(sender)).await.map_err(|_| gone())?;
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }
}
