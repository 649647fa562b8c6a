//! New processes that go on in our own code: clone3 for containers, fork for the single-threaded template, unshare.
//!
//! Nothing here may be called from a process with several threads (a daemon spawns with [`crate::spawn`]): the child would
//! own copies of locks whose holders do not exist in it. Debug builds check that.

use crate::{Result, check};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::process::Pid;

/// Which side of a fork the caller is on.
#[derive(Debug)]
pub enum Side {
    /// The caller; holds the new process.
    Parent {
        /// The child as the caller's PID namespace numbers it.
        pid: Pid,
        /// Its pidfd, close-on-exec.
        pidfd: OwnedFd,
    },
    /// The new process. It must end in an exec or [`exit`].
    Child,
}

/// Flags of clone3 and unshare that create namespaces, and `CLONE_PARENT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u64);

impl Flags {
    /// `CLONE_NEWNS`
    pub const MOUNT: Flags = Flags(libc::CLONE_NEWNS as u64);
    /// `CLONE_NEWUTS`
    pub const UTS: Flags = Flags(libc::CLONE_NEWUTS as u64);
    /// `CLONE_NEWIPC`
    pub const IPC: Flags = Flags(libc::CLONE_NEWIPC as u64);
    /// `CLONE_NEWPID`
    pub const PID: Flags = Flags(libc::CLONE_NEWPID as u64);
    /// `CLONE_NEWNET`
    pub const NETWORK: Flags = Flags(libc::CLONE_NEWNET as u64);
    /// `CLONE_NEWUSER`
    pub const USER: Flags = Flags(libc::CLONE_NEWUSER as u64);
    /// `CLONE_NEWCGROUP`
    pub const CGROUP: Flags = Flags(libc::CLONE_NEWCGROUP as u64);
    /// `CLONE_NEWTIME`; with unshare it is the namespace of future children and of the next exec.
    pub const TIME: Flags = Flags(linux_raw_sys::general::CLONE_NEWTIME as u64);
    /// `CLONE_FS`; with unshare the calling thread gets a root and a working folder of its own.
    pub const ROOT: Flags = Flags(libc::CLONE_FS as u64);
    /// `CLONE_PARENT`: the new process becomes a sibling of the caller.
    pub const PARENT: Flags = Flags(libc::CLONE_PARENT as u64);

    /// No flag.
    pub const fn empty() -> Flags {
        Flags(0)
    }

    /// The kernel's bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// These without `other`.
    #[must_use]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

/// clone3 with a pidfd, SIGCHLD as exit signal, and optionally straight into a cgroup v2 directory (`CLONE_INTO_CGROUP`,
/// which needs no migration and so no grace period).
///
/// # Errors
/// The kernel's; `EBUSY` when the cgroup is not empty in the sense of the no-internal-process rule.
pub fn clone3(flags: Flags, cgroup: Option<BorrowedFd<'_>>) -> Result<Side> {
    debug_assert!(single_threaded(), "clone3 in a process with several threads");
    let mut pidfd: libc::c_int = -1;
    // CLONE_PARENT forbids an exit signal of one's own: the sibling has that of its new parent's child
    let exit_signal = if flags.contains(Flags::PARENT) { 0 } else { libc::SIGCHLD as u64 };
    let mut args = linux_raw_sys::general::clone_args {
        flags: flags.bits() | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(cgroup) = cgroup {
        args.flags |= linux_raw_sys::general::CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: args is valid for its size, and without CLONE_VM the child runs on its own copy of this stack and memory; the
    // process has one thread (checked above), so no lock in that copy has a missing holder.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) })?;
    match Pid::from_raw(pid as i32) {
        None => Ok(Side::Child),
        Some(pid) => {
            // SAFETY: the kernel has just stored this new descriptor for us alone.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent { pid, pidfd })
        }
    }
}

/// fork through libc, so that the C library's own state (allocator, thread id) is right in the child. For the template and
/// for tests: this one is safe in a process with several threads as far as the C library makes it so.
///
/// # Errors
/// The kernel's.
pub fn fork() -> Result<Side> {
    // SAFETY: fork has no memory preconditions; the child has its own copy of everything.
    let pid = check(unsafe { libc::fork() }.into())?;
    match Pid::from_raw(pid as i32) {
        None => Ok(Side::Child),
        Some(pid) => {
            let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
            Ok(Side::Parent { pid, pidfd })
        }
    }
}

/// Ends the process at once: no destructors, no exit handlers (they are the parent's).
pub fn exit(code: i32) -> ! {
    // SAFETY: _exit has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

/// unshare(2) of namespaces.
///
/// # Errors
/// The kernel's.
pub fn unshare(flags: Flags) -> Result<()> {
    // SAFETY: the type holds no CLONE_FILES and no CLONE_VM, the two that can break Rust's view of the process.
    check(unsafe { libc::syscall(libc::SYS_unshare, flags.bits()) }).map(drop)
}

/// setns(2): by namespace descriptor (one flag or none) or by pidfd (any set of flags).
///
/// # Errors
/// The kernel's.
pub fn setns(fd: impl AsFd, flags: Flags) -> Result<()> {
    // SAFETY: only integers are passed; namespaces are no part of memory safety.
    check(unsafe { libc::syscall(libc::SYS_setns, fd.as_fd().as_raw_fd(), flags.bits()) }).map(drop)
}

/// Whether the calling process has exactly one thread.
pub fn single_threaded() -> bool {
    // the link count of task/ is 2 + the number of threads
    rustix::fs::stat("/proc/self/task").map_or(true, |stat| stat.st_nlink <= 3)
}
