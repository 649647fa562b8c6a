//! The facade's container operations: find the container, send its actor a command or read its snapshot.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use wharf_api::container::{Config as ContainerConfig, HostConfig, NetworkingConfig, UpdateConfig};
use wharf_spec::id::ContainerId;

use crate::container::snapshot::{Container, Size};
use crate::{ByteStream, Engine, Filters, Result, pending};

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
    result: tokio::sync::oneshot::Receiver<WaitResult>,
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
    pub async fn finish(self) -> WaitResult {
        self.result.await.unwrap_or_default()
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

/// Usage of a container at one moment (`GET /containers/x/stats`).
#[derive(Debug, Clone)]
pub struct Stats {
    /// Its identifier.
    pub id: ContainerId,
    /// Its name without slash.
    pub name: String,
    /// When.
    pub read: Timestamp,
    /// The control group's figures; `None`: it does not run.
    pub cgroup: Option<wharf_cgroup::Stats>,
    /// Nanoseconds of CPU time of the whole machine since boot (Docker's `system_cpu_usage`).
    pub system_cpu: u64,
    /// Online CPUs.
    pub online_cpus: u32,
    /// Bytes of memory of the machine, which is the limit where none is set.
    pub memory_total: u64,
    /// Interface name to counters.
    pub networks: BTreeMap<String, LinkStats>,
    /// Version 2 of the control groups (the JSON differs).
    pub unified: bool,
}

/// Counters of an interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct LinkStats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
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
}

impl Attachment {
    /// Hands the client's socket over and ends when nothing of ours has to be done with it any more. `early`: bytes that the
    /// client sent behind its request.
    pub async fn run(self, socket: OwnedFd, early: Bytes) -> Result<()> {
        drop((socket, early));
        pending("attach")
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

impl Engine {
    /// Makes a container: rows and folders, no process.
    pub async fn container_create(&self, request: CreateContainer) -> Result<Created> {
        drop(request);
        pending("create")
    }

    /// Starts it.
    pub async fn container_start(&self, name: &str) -> Result<()> {
        pending(name)
    }

    /// Stops it: the stop signal, then SIGKILL.
    pub async fn container_stop(&self, name: &str, options: StopOptions) -> Result<()> {
        drop(options);
        pending(name)
    }

    /// Stops it when it runs, then starts it.
    pub async fn container_restart(&self, name: &str, options: StopOptions) -> Result<()> {
        drop(options);
        pending(name)
    }

    /// Sends a signal (name or number); SIGKILL when absent.
    pub async fn container_kill(&self, name: &str, signal: Option<&str>) -> Result<()> {
        let _ = signal;
        pending(name)
    }

    /// Freezes it.
    pub async fn container_pause(&self, name: &str) -> Result<()> {
        pending(name)
    }

    /// Thaws it.
    pub async fn container_unpause(&self, name: &str) -> Result<()> {
        pending(name)
    }

    /// Registers a wait: send the response's headers after this, its body after [`Wait::finish`].
    pub async fn container_wait(&self, name: &str, condition: WaitCondition) -> Result<Wait> {
        let _ = condition;
        pending(name)
    }

    /// Removes it.
    pub async fn container_remove(&self, name: &str, options: RemoveOptions) -> Result<()> {
        let _ = options;
        pending(name)
    }

    /// Gives it another name.
    pub async fn container_rename(&self, name: &str, new_name: &str) -> Result<()> {
        let _ = new_name;
        pending(name)
    }

    /// Changes limits and the restart policy; answers warnings.
    pub async fn container_update(&self, name: &str, update: UpdateConfig) -> Result<Vec<String>> {
        drop(update);
        pending(name)
    }

    /// Tells its terminal its size in cells.
    pub async fn container_resize(&self, name: &str, height: u16, width: u16) -> Result<()> {
        let _ = (height, width);
        pending(name)
    }

    /// Lists containers, newest first. Never waits for a container.
    pub async fn container_list(&self, options: ListOptions) -> Result<Vec<Listed>> {
        drop(options);
        pending("list")
    }

    /// Everything about one. Never waits for it.
    pub async fn container_inspect(&self, name: &str, size: bool) -> Result<Inspected> {
        let _ = size;
        pending(name)
    }

    /// Its processes, as `ps` with these arguments would show them (`-ef` when empty).
    pub async fn container_top(&self, name: &str, ps_args: &str) -> Result<Top> {
        let _ = ps_args;
        pending(name)
    }

    /// Its log.
    pub async fn container_logs(&self, name: &str, options: LogOptions) -> Result<Logs> {
        let _ = options;
        pending(name)
    }

    /// Usage. `stream`: one picture a second until the receiver is dropped; else one. The edge computes `precpu_stats` from
    /// consecutive pictures; with `one_shot` false and no stream, two pictures a second apart are sent.
    pub async fn container_stats(&self, name: &str, stream: bool, one_shot: bool) -> Result<mpsc::Receiver<Stats>> {
        let _ = (stream, one_shot);
        pending(name)
    }

    /// What it changed in its file system.
    pub async fn container_changes(&self, name: &str) -> Result<Vec<Change>> {
        pending(name)
    }

    /// Its file system as one tar stream.
    pub async fn container_export(&self, name: &str) -> Result<ByteStream> {
        pending(name)
    }

    /// Promises an attach: send the response's headers after this, then hand over the socket with [`Attachment::run`].
    pub async fn container_attach(&self, name: &str, options: AttachOptions) -> Result<Attachment> {
        drop(options);
        pending(name)
    }

    /// Removes all that do not run.
    pub async fn container_prune(&self, filters: Filters) -> Result<Pruned> {
        drop(filters);
        pending("prune")
    }
}
