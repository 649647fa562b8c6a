//! Errors of the commands, with the sentences that callers of OCI runtimes look for.

use std::path::PathBuf;

/// Why a command ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// No such container. containerd and dockerd look for this sentence.
    #[error("container does not exist")]
    NotFound,
    /// The ID is taken.
    #[error("container with given ID already exists")]
    Exists,
    /// The ID has letters that a folder name should not have.
    #[error("invalid container ID format")]
    BadId,
    /// The container has ended. containerd looks for this sentence.
    #[error("container not running")]
    NotRunning,
    /// The container is in the wrong state.
    #[error("{0}")]
    State(String),
    /// The document breaks the specification.
    #[error("{0}")]
    Spec(#[from] wharf_spec::runtime::ValidationError),
    /// A document that is no JSON, or not of the right shape.
    #[error("parse `{}`: {reason}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// The document asks for what the runtime cannot do.
    #[error("{0}")]
    Plan(#[from] wharf_runtime::Error),
    /// cgroups.
    #[error(transparent)]
    Cgroup(#[from] wharf_cgroup::Error),
    /// The container's process could not be made. Docker takes its exit codes from the words of the inner error.
    #[error("unable to start container process: {0}")]
    Launch(wharf_runtime::LaunchError),
    /// A process in a running container could not be made.
    #[error("exec failed: unable to start container process: {0}")]
    Exec(wharf_runtime::LaunchError),
    /// A hook failed.
    #[error(transparent)]
    Hook(#[from] wharf_runtime::HookError),
    /// A file or a system call.
    #[error("{op} `{}`: {source}", .path.display())]
    File {
        /// The operation.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The specification knows it, this runtime does not.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
}

impl Error {
    /// An error of a file operation.
    pub(crate) fn file(op: &'static str, path: impl Into<PathBuf>, source: impl Into<std::io::Error>) -> Self {
        Self::File { op, path: path.into(), source: source.into() }
    }

    /// The exit code of this program: 255 for an exec, which has exit codes of its own below that.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Exec(_) => 255,
            _ => 1,
        }
    }
}
