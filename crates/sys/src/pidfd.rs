//! Waiting for and signalling processes by pidfd.

use crate::{Errno, Result, check};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::mem::MaybeUninit;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal {
        /// Signal number.
        number: i32,
        /// Whether a core file was written.
        core: bool,
    },
}

impl Exit {
    /// The shell's number: the code, or 128 + signal.
    pub fn status(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal { number, .. } => 128 + number,
        }
    }
}

/// Waits for the child behind `pidfd` and reaps it.
///
/// # Errors
/// `ECHILD` when it is not a child of the caller.
pub fn wait(pidfd: impl AsFd) -> Result<Exit> {
    wait_with(pidfd, 0)?.ok_or(Errno::CHILD)
}

/// Reaps the child behind `pidfd` if it has ended.
///
/// # Errors
/// `ECHILD` when it is not a child of the caller.
pub fn try_wait(pidfd: impl AsFd) -> Result<Option<Exit>> {
    wait_with(pidfd, libc::WNOHANG)
}

fn wait_with(pidfd: impl AsFd, flags: libc::c_int) -> Result<Option<Exit>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let id = pidfd.as_fd().as_raw_fd() as libc::id_t;
    loop {
        // SAFETY: info is valid for writes of a siginfo_t.
        match check(unsafe { libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), flags | libc::WEXITED) }.into()) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        break;
    }
    // SAFETY: zeroed is a valid siginfo_t, and waitid has filled it in.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills in the SIGCHLD member of the union.
    if unsafe { info.si_pid() } == 0 {
        return Ok(None);
    }
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    Ok(Some(match info.si_code {
        libc::CLD_EXITED => Exit::Code(status),
        code => Exit::Signal { number: status, core: code == libc::CLD_DUMPED },
    }))
}

/// pidfd_send_signal(2) with any number from 1 to 64 (real-time signals too).
///
/// # Errors
/// `ESRCH` when the process has ended, `EINVAL` for a wrong number.
pub fn kill(pidfd: impl AsFd, signal: i32) -> Result<()> {
    // SAFETY: integers and a NULL siginfo.
    check(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, std::ptr::null::<u8>(), 0)
    })
    .map(drop)
}

/// The mount namespace of a process. Linux 6.11.
///
/// # Errors
/// The kernel's; `ENOTTY` before Linux 6.11, `ESRCH` when the process has ended.
pub fn mount_namespace(pidfd: impl AsFd) -> Result<OwnedFd> {
    /// `_IO(0xFF, 3)`
    const PIDFD_GET_MNT_NAMESPACE: libc::c_ulong = 0xff03;
    // SAFETY: the request takes no argument.
    let fd = check(unsafe { libc::syscall(libc::SYS_ioctl, pidfd.as_fd().as_raw_fd(), PIDFD_GET_MNT_NAMESPACE, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clone::{Side, exit, fork};

    #[test]
    fn ends_are_told_apart() {
        let Side::Parent { pidfd, .. } = fork().expect("fork") else { exit(7) };
        assert_eq!(wait(&pidfd), Ok(Exit::Code(7)));
        assert_eq!(wait(&pidfd), Err(Errno::CHILD));
        let Side::Parent { pidfd, .. } = fork().expect("fork") else {
            loop {
                // until the signal comes
                let _ = rustix::event::poll(&mut [], None);
            }
        };
        assert_eq!(try_wait(&pidfd), Ok(None));
        kill(&pidfd, 9).expect("alive");
        let exit = wait(&pidfd).expect("our child");
        assert_eq!((exit, exit.status()), (Exit::Signal { number: 9, core: false }, 137));
        assert_eq!(kill(&pidfd, 9), Err(Errno::SRCH));
    }
    #[test]
    fn a_child_shares_its_parents_mounts() {
        let Side::Parent { pidfd, .. } = fork().expect("fork") else {
            loop {
                // until the signal comes
                let _ = rustix::event::poll(&mut [], None);
            }
        };
        let found = mount_namespace(&pidfd);
        kill(&pidfd, 9).expect("alive");
        wait(&pidfd).expect("our child");
        match found {
            Ok(namespace) => {
                let own = rustix::fs::stat("/proc/self/ns/mnt").expect("stat");
                assert_eq!(rustix::fs::fstat(&namespace).expect("fstat").st_ino, own.st_ino);
            }
            // a kernel that cannot say
            Err(errno) => assert_eq!(errno, Errno::NOTTY),
        }
    }
}
