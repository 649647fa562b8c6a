//! Typed safe Linux calls that no other crate offers; the only crate with unsafe code.
//!
//! What rustix has safely (mount descriptors, openat2, pidfds, capabilities, epoll, pty …) is used from rustix directly.
//! Here is the rest: one module per noun of the kernel's own vocabulary. Every function returns the kernel's errno.

pub mod bpf;
pub mod btrfs;
pub mod clone;
pub mod early;
pub mod exec;
pub mod failpoint;
pub mod fd;
pub mod ids;
pub mod keyctl;
pub mod loopdev;
pub mod memfd;
pub mod memory;
pub mod mount;
pub mod net;
pub mod netlink;
pub mod overlay;
pub mod pidfd;
pub mod prctl;
pub mod quota;
pub mod rlimit;
pub mod sched;
pub mod seccomp;
pub mod signal;
pub mod spawn;
pub mod writeback;

/// The kernel's error number, as every function here returns it.
pub use rustix::io::{Errno, Result};

/// Turns the return value of `libc::syscall` (and of libc wrappers) into a result.
fn check(value: libc::c_long) -> Result<libc::c_long> {
    if value >= 0 {
        return Ok(value);
    }
    Err(last_errno())
}

/// The calling thread's errno.
fn last_errno() -> Errno {
    let code = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    Errno::from_raw_os_error(code)
}
