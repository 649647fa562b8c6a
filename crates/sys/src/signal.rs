//! Signals as descriptors, and a clean signal state for what is executed next.

use crate::{Result, check, last_errno};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::mem::MaybeUninit;

/// A signalfd: its signals are blocked for the calling thread and read here.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

/// One signal as a signalfd reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Signal number.
    pub signal: i32,
    /// Sender, or the child for SIGCHLD.
    pub pid: i32,
}

impl SignalFd {
    /// Blocks `signals` for the calling thread and opens a non-blocking, close-on-exec signalfd for them.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(signals: &[i32]) -> Result<SignalFd> {
        let set = set_of(signals);
        mask(libc::SIG_BLOCK, &set)?;
        // SAFETY: set is initialised.
        let fd = check(unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) }.into())?;
        // SAFETY: the kernel has just made this descriptor for us alone.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// The next pending signal.
    ///
    /// # Errors
    /// The kernel's, but not `EAGAIN`: that is `None`.
    pub fn next(&self) -> Result<Option<Info>> {
        let mut raw = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        // SAFETY: raw is valid for writes of its size.
        let n = unsafe { libc::read(self.0.as_raw_fd(), raw.as_mut_ptr().cast(), size_of::<libc::signalfd_siginfo>()) };
        if n < 0 {
            return match last_errno() {
                crate::Errno::AGAIN => Ok(None),
                errno => Err(errno),
            };
        }
        // SAFETY: zeroed plain integers, then filled in by the kernel.
        let raw = unsafe { raw.assume_init() };
        Ok(Some(Info { signal: raw.ssi_signo as i32, pid: raw.ssi_pid as i32 }))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Unblocks everything and gives every signal its default action: what a program may expect at its start. (Rust's own
/// runtime ignores SIGPIPE, and ignored signals stay ignored over exec.)
///
/// # Errors
/// The kernel's.
pub fn reset() -> Result<()> {
    for signal in 1..=64 {
        // the kernel's struct sigaction with SIG_DFL, no flags and an empty mask is all zeroes
        let default = [0u64; 4];
        // SAFETY: default is as long as the kernel's struct; no handler is installed. SIGKILL and SIGSTOP are refused.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8) };
    }
    mask(libc::SIG_SETMASK, &set_of(&[]))
}

/// Ignores `signal` from now on.
///
/// # Errors
/// `EINVAL`.
pub fn ignore(signal: i32) -> Result<()> {
    // SAFETY: SIG_IGN installs no handler.
    let old = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if old == libc::SIG_ERR { Err(last_errno()) } else { Ok(()) }
}

fn mask(how: libc::c_int, set: &libc::sigset_t) -> Result<()> {
    // SAFETY: set is initialised; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        code => Err(crate::Errno::from_raw_os_error(code)),
    }
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the whole set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the line above.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: set is initialised; a wrong number is refused.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}
