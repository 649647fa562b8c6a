//! [`exec`]: one more process in a running container.

use crate::launch::{CgroupFds, Init, Start, Stdio};
use crate::plan::ExecPlan;
use crate::{LaunchError, Step};
use rustix::fd::{BorrowedFd, OwnedFd};

/// The container that a process joins.
#[derive(Debug, Clone, Copy)]
pub struct ExecTarget<'a> {
    /// Its first process.
    pub pidfd: BorrowedFd<'a>,
    /// The same as a number of the caller's PID namespace.
    pub pid: rustix::process::Pid,
}

/// Descriptors for an exec. All are consumed.
#[derive(Debug, Default)]
pub struct ExecFds {
    /// The program's input and output.
    pub stdio: Stdio,
    /// The container's cgroup.
    pub cgroup: CgroupFds,
    /// Become descriptors 3, 4, … of the program.
    pub preserve: Vec<OwnedFd>,
    /// When the program starts.
    pub start: Start,
}

/// Executes a program in a running container. The process is a child of the caller. The caller must have a single thread.
///
/// # Errors
/// The step that failed, with the kernel's number; `ESRCH` when the container has ended.
pub fn exec(plan: &ExecPlan, target: ExecTarget<'_>, fds: ExecFds) -> Result<Init, LaunchError> {
    let _ = (plan, target, fds);
    Err(LaunchError::new(Step::Clone, wharf_sys::Errno::NOSYS))
}
