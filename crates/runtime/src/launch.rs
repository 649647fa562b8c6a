//! [`launch`]: a [`Plan`] becomes a process. The parent's side: what must be open before clone3, the id maps, the hooks.

use crate::plan::Plan;
use crate::{LaunchError, Step};
use rustix::fd::OwnedFd;
use rustix::process::Pid;
use wharf_spec::runtime::NamespaceType;

/// Descriptors for a launch. All are consumed: the caller's copies are closed when `launch` returns.
#[derive(Debug, Default)]
pub struct LaunchFds {
    /// The program's input and output.
    pub stdio: Stdio,
    /// The cgroup it starts in.
    pub cgroup: CgroupFds,
    /// Namespaces joined by descriptor; they take the place of the plan's (made or joined by path) of the same kind.
    pub namespaces: Vec<(NamespaceType, OwnedFd)>,
    /// Become descriptors 3, 4, … of the program.
    pub preserve: Vec<OwnedFd>,
    /// When the program starts.
    pub start: Start,
}

/// The program's input and output.
#[derive(Debug, Default)]
pub enum Stdio {
    /// Those of the caller.
    #[default]
    Inherit,
    /// These.
    Fds {
        /// Input.
        stdin: OwnedFd,
        /// Output.
        stdout: OwnedFd,
        /// Error output.
        stderr: OwnedFd,
    },
    /// A pseudo terminal of the container's devpts; its master comes back in [`Init::console`].
    Console,
}

/// How the new process gets into its cgroup.
#[derive(Debug, Default)]
pub struct CgroupFds {
    /// v1 `tasks` files, open for writing: the process writes "0" itself, which needs no migration lock.
    pub tasks: Vec<OwnedFd>,
    /// v2 folder for `CLONE_INTO_CGROUP`.
    pub v2: Option<OwnedFd>,
}

/// When the program starts.
#[derive(Debug, Default)]
pub enum Start {
    /// At once.
    #[default]
    Now,
    /// When [`Init::proceed`] is called.
    Held,
    /// When a byte can be read from this descriptor (a FIFO opened for reading and writing, so that the opener may go away).
    Gate(OwnedFd),
}

/// A launched process.
#[derive(Debug)]
pub struct Init {
    /// As the caller's PID namespace numbers it.
    pub pid: Pid,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    /// Master of its pseudo terminal.
    pub console: Option<OwnedFd>,
    pub(crate) held: Option<OwnedFd>,
}

impl Init {
    /// Lets a process launched with [`Start::Held`] execute its program. Does nothing when it runs already.
    ///
    /// # Errors
    /// The exec's.
    pub fn proceed(&mut self) -> Result<(), LaunchError> {
        let _ = self.held.take();
        Err(LaunchError::new(Step::Gate, wharf_sys::Errno::NOSYS))
    }
}

/// Makes the container and executes its program. Returns when the program runs, or, with [`Start::Held`] and
/// [`Start::Gate`], when all is done but the exec. After an error nothing is left of it.
///
/// The caller must have a single thread. SIGCHLD of the new process is the caller's to handle; it is reaped here only when
/// the launch fails.
///
/// # Errors
/// The step that failed, with the kernel's number.
pub fn launch(plan: &Plan, fds: LaunchFds) -> Result<Init, LaunchError> {
    let _ = (plan, fds);
    Err(LaunchError::new(Step::Clone, wharf_sys::Errno::NOSYS))
}
