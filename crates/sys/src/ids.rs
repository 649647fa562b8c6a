//! User, groups, and their pieces for a single-threaded process (the raw system calls change the calling thread only).

use crate::{Result, check};

/// setgroups(2).
///
/// # Errors
/// `EPERM` without CAP_SETGID or when the user namespace denies it; the kernel's.
pub fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: pointer and length belong together; gid_t is u32.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// setresgid(2) with all three the same.
///
/// # Errors
/// The kernel's.
pub fn set_gid(gid: u32) -> Result<()> {
    // SAFETY: only integers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// setresuid(2) with all three the same.
///
/// # Errors
/// The kernel's.
pub fn set_uid(uid: u32) -> Result<()> {
    // SAFETY: only integers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}
