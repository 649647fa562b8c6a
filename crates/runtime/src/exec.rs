//! [`exec`]: one more process in a running container.

use crate::LaunchError;
use crate::child;
use crate::launch::{CgroupFds, Init, Start, Stdio, Streams, follow, in_pid_namespace, spawn};
use crate::plan::ExecPlan;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use wharf_spec::runtime::NamespaceType;
use wharf_sys::clone::{Flags, Side, clone3};

/// The container that a process joins.
#[derive(Debug, Clone, Copy)]
pub struct ExecTarget<'a> {
    /// Its first process.
    pub pidfd: BorrowedFd<'a>,
    /// The same as a number of the caller's PID namespace, for messages.
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
    let ExecFds { stdio, cgroup, preserve, start } = fds;
    let pid_namespace = plan.namespaces.contains(&NamespaceType::Pid).then_some(target.pidfd);
    let spawned = spawn(
        &plan.process,
        &Streams { stdio: &stdio, preserve: &preserve, start: &start },
        plan.user_namespace,
        |prepared| {
            let clone = || clone3(Flags::empty(), cgroup.v2.as_ref().map(AsFd::as_fd));
            match in_pid_namespace(pid_namespace, clone)? {
                Side::Parent { pid, pidfd } => Ok((pid, pidfd)),
                Side::Child => child::run_exec(plan, target.pidfd, &cgroup.tasks, prepared),
            }
        },
        |_| Ok(()),
    )?;
    drop((stdio, preserve, cgroup));
    follow(spawned, &plan.process, None, &start).map_err(|mut error| {
        if error.step == crate::Step::Chdir {
            error.object = Some(plan.process.cwd.to_string_lossy().into_owned());
        }
        error
    })
}
