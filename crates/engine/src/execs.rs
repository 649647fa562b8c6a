//! The facade's exec operations: another process in a running container.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use wharf_spec::id::{ContainerId, ExecId};

use crate::{Engine, Result, pending};

/// `POST /containers/x/exec`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecConfig {
    /// Feed standard input.
    pub attach_stdin: bool,
    /// Standard output.
    pub attach_stdout: bool,
    /// Standard error.
    pub attach_stderr: bool,
    /// Keys that detach, Docker's notation.
    pub detach_keys: Option<String>,
    /// With a terminal.
    pub tty: bool,
    /// Its first size (height, width) in cells.
    pub console_size: Option<(u16, u16)>,
    /// More environment, `NAME=value`.
    pub env: Vec<String>,
    /// The program and its arguments.
    pub cmd: Vec<String>,
    /// With all rights.
    pub privileged: bool,
    /// `user[:group]`; the container's when empty.
    pub user: String,
    /// Working directory; the container's when empty.
    pub working_dir: String,
}

/// `POST /exec/x/start`.
#[derive(Debug, Clone, Default)]
pub struct ExecStart {
    /// Answer when it runs, with no stream.
    pub detach: bool,
    /// The client expects a terminal's raw stream.
    pub tty: bool,
    /// First size of the terminal (height, width) in cells.
    pub console_size: Option<(u16, u16)>,
}

/// An exec as it is at one moment.
#[derive(Debug, Clone)]
pub struct Exec {
    /// Its identifier.
    pub id: ExecId,
    /// Its container.
    pub container: ContainerId,
    /// The declaration.
    pub config: Arc<ExecConfig>,
    /// It runs.
    pub running: bool,
    /// Exit code; `None` until it has ended.
    pub exit_code: Option<i32>,
    /// The process as the host sees it; 0 until it runs.
    pub pid: u32,
    /// It may be removed.
    pub can_remove: bool,
}

/// A start that has been promised: send the response's headers, then [`ExecSession::run`].
#[derive(Debug)]
pub struct ExecSession {
    /// It has a terminal: the stream is raw.
    pub tty: bool,
}

impl ExecSession {
    /// Starts it with its stream on the client's socket and ends when nothing of ours has to be done with the socket any more.
    /// What goes wrong is written to the client, as Docker does. `early`: bytes that the client sent behind its request.
    pub async fn run(self, socket: OwnedFd, early: Bytes) -> Result<()> {
        drop((socket, early));
        pending("exec")
    }
}

impl Engine {
    /// Declares a process in a running container.
    pub async fn exec_create(&self, container: &str, config: ExecConfig) -> Result<ExecId> {
        drop(config);
        pending(container)
    }

    /// Starts it in the background and answers when it runs.
    pub async fn exec_start_detached(&self, id: &str, options: ExecStart) -> Result<()> {
        drop(options);
        pending(id)
    }

    /// Promises a start with a stream.
    pub async fn exec_start(&self, id: &str, options: ExecStart) -> Result<ExecSession> {
        drop(options);
        pending(id)
    }

    /// Everything about one.
    pub async fn exec_inspect(&self, id: &str) -> Result<Exec> {
        pending(id)
    }

    /// Tells its terminal its size in cells.
    pub async fn exec_resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        let _ = (height, width);
        pending(id)
    }
}
