//! What is asked of containers, and what is answered.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;
use wharf_api::container::{Config as ContainerConfig, HostConfig, NetworkingConfig};
use wharf_spec::id::ContainerId;

use crate::container::handle::{Grant, Picture, Socket};
use crate::container::slots;
use crate::container::snapshot::{Container, Size};
use crate::{ByteStream, Engine, Error, Filters, Result, logs};

/// `POST /containers/create`.
#[derive(Debug, Clone, Default)]
pub struct CreateContainer {
    /// The wanted name, with or without the leading slash; one is made up when absent.
    pub name: Option<String>,
    /// `linux/amd64` …; any when absent.
    pub platform: Option<String>,
    /// What runs.
    pub config: ContainerConfig,
    /// How it sits on the host.
    pub host_config: HostConfig,
    /// Networks to join at start.
    pub networking: NetworkingConfig,
}

/// The answer to a create.
#[derive(Debug, Clone)]
pub struct Created {
    /// The new container.
    pub id: ContainerId,
    /// What was ignored or changed.
    pub warnings: Vec<String>,
}

/// Arguments of stop and restart.
#[derive(Debug, Clone, Default)]
pub struct StopOptions {
    /// Signal name or number instead of the container's.
    pub signal: Option<String>,
    /// Seconds to wait before SIGKILL instead of the container's; -1 waits for ever.
    pub timeout: Option<i64>,
}

/// When a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WaitCondition {
    /// Not running now or later.
    #[default]
    NotRunning,
    /// At its next end.
    NextExit,
    /// When it has been removed.
    Removed,
}

/// A registered wait: the condition is being watched from now on.
#[derive(Debug)]
pub struct Wait {
    pub(crate) picture: watch::Receiver<Picture>,
    pub(crate) condition: WaitCondition,
    pub(crate) ends: u64,
}

/// What a wait gives.
#[derive(Debug, Clone, Default)]
pub struct WaitResult {
    /// Exit code.
    pub exit_code: i32,
    /// Why there is none in truth (for instance that removal did not succeed).
    pub error: Option<String>,
}

impl Wait {
    /// Ends when the condition is met.
    pub async fn finish(mut self) -> WaitResult {
        let Wait { condition, ends, .. } = self;
        let met = |p: &Picture| match condition {
            WaitCondition::NotRunning => !p.container.state.status.is_running() || p.removed.is_some(),
            WaitCondition::NextExit => p.ends > ends || p.removed.is_some(),
            WaitCondition::Removed => p.removed.is_some(),
        };
        match self.picture.wait_for(met).await {
            Ok(picture) => WaitResult {
                exit_code: picture.container.state.exit_code,
                error: picture.removed.clone().and_then(Result::err),
            },
            Err(_) => WaitResult { exit_code: 0, error: Some("the engine is closing".into()) },
        }
    }
}

/// Arguments of remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Kill it first when it runs.
    pub force: bool,
    /// Remove its anonymous volumes, too.
    pub volumes: bool,
    /// Remove a legacy link instead of a container.
    pub link: bool,
}

/// Arguments of list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// At most so many of the newest, running or not; 0: no limit.
    pub limit: usize,
    /// Compute sizes.
    pub size: bool,
    /// Docker's filters.
    pub filters: Filters,
}

/// One row of a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The container.
    pub container: Arc<Container>,
    /// When asked for.
    pub size: Option<Size>,
    /// What `ps` shows as image: the name while it points at the image, else the short ID.
    pub image: String,
    /// Names that links to it have given it (`web/db`).
    pub links: Vec<String>,
    /// What `ps` shows as status (`Up 2 minutes`, `Exited (0) 3 hours ago`).
    pub status: String,
}

/// `GET /containers/x/json`.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The container.
    pub container: Arc<Container>,
    /// When asked for.
    pub size: Option<Size>,
}

/// Processes of a container.
#[derive(Debug, Clone, Default)]
pub struct Top {
    /// Column titles.
    pub titles: Vec<String>,
    /// One row per process.
    pub processes: Vec<Vec<String>>,
}

/// Arguments of logs.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Stay for what comes.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// The time before each line.
    pub timestamps: bool,
    /// The labels and environment recorded with each line.
    pub details: bool,
    /// Only so many of the last lines; `None`: all.
    pub tail: Option<u64>,
}

/// A log being read.
#[derive(Debug)]
pub struct Logs {
    /// `true`: the bytes are raw (a terminal's); `false`: framed (`stdcopy`).
    pub tty: bool,
    /// The bytes.
    pub stream: ByteStream,
}

/// One changed path of a container's own layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Absolute path in the container.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to a path; the numbers are Docker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// 0, `C`
    Modified = 0,
    /// 1, `A`
    Added = 1,
    /// 2, `D`
    Deleted = 2,
}

/// Arguments of attach.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    /// Feed standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// What is in the log first.
    pub logs: bool,
    /// Stay for what comes.
    pub stream: bool,
    /// Keys that detach, Docker's notation; `None`: ctrl-p,ctrl-q.
    pub detach_keys: Option<String>,
}

/// An attach that has been promised: the container, when it starts now, waits for the socket.
#[derive(Debug)]
pub struct Attachment {
    /// The container has a terminal: the stream is raw.
    pub tty: bool,
    pub(crate) engine: Engine,
    pub(crate) container: Arc<Container>,
    pub(crate) options: AttachOptions,
    pub(crate) grant: Grant,
}

impl Attachment {
    /// Hands the client's socket over and ends when nothing of ours has to be done with it any more. `early`: bytes that the
    /// client sent behind its request.
    pub async fn run(self, socket: OwnedFd, early: Bytes) -> Result<()> {
        let Attachment { engine, container, options, grant, .. } = self;
        let again = |socket: &OwnedFd| socket.try_clone().map_err(|e| Error::system("dup", e));
        let refused = |e| Error::system("attach", e);
        let request = slots::attach_request(&engine.inner, &container.config, &options, &early);
        if let (Grant::Live(live), true, true) = (&grant, options.logs, options.stream)
            && let Some(held) = live.keeper.attach_held(&request, again(&socket)?).await.map_err(refused)?
        {
            // not a line is lost between the log and what comes, and none comes twice
            let told = logs::replay(&engine.inner, &container, &options, held, socket).await;
            return live.keeper.release(request.id).await.map_err(refused).and(told);
        }
        if options.logs {
            let history = logs::history(&options);
            logs::write(&engine.inner, &container, history, None, again(&socket)?).await?;
        }
        if !options.stream {
            return Ok(());
        }
        match grant {
            Grant::Live(live) => live.keeper.attach(&request, socket).await.map_err(refused),
            // the container's task may be gone with the container
            Grant::Slot(slot) => {
                slot.send(Socket { fd: socket, early }).map_err(|_| Error::no_such_container(container.id.as_str()))
            }
        }
    }
}

/// What a prune removed.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// Names or identifiers.
    pub deleted: Vec<String>,
    /// Bytes.
    pub space: u64,
}
