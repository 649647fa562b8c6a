//! Installing seccomp filters.

use crate::{Errno, Result, check};
use rustix::fd::{FromRawFd, OwnedFd};

/// One instruction of classic BPF, as the kernel lays it out.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump offset when true.
    pub jt: u8,
    /// Jump offset when false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// `SECCOMP_FILTER_FLAG_*`
pub mod flag {
    /// `SECCOMP_FILTER_FLAG_TSYNC`
    pub const TSYNC: u32 = 1;
    /// `SECCOMP_FILTER_FLAG_LOG`
    pub const LOG: u32 = 2;
    /// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`
    pub const SPEC_ALLOW: u32 = 4;
    /// `SECCOMP_FILTER_FLAG_NEW_LISTENER`
    pub const NEW_LISTENER: u32 = 8;
    /// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`
    pub const WAIT_KILLABLE_RECV: u32 = 32;
}

/// seccomp(2) `SECCOMP_SET_MODE_FILTER`. Returns the listener with [`flag::NEW_LISTENER`].
///
/// # Errors
/// `EACCES` without CAP_SYS_ADMIN and without no_new_privs; `EINVAL` for a filter that the kernel refuses.
pub fn install(program: &[Instruction], flags: u32) -> Result<Option<OwnedFd>> {
    #[repr(C)]
    struct SockFprog {
        len: u16,
        filter: *const Instruction,
    }
    const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let fprog = SockFprog { len, filter: program.as_ptr() };
    // SAFETY: fprog points at `len` instructions that outlive the call; the kernel copies them.
    let value = check(unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &raw const fprog) })?;
    if flags & flag::NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with NEW_LISTENER a non-negative result is a new descriptor for us alone.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(value as i32) }))
}

/// Whether the kernel knows `action` (a `SECCOMP_RET_*` value), by `SECCOMP_GET_ACTION_AVAIL`.
pub fn action_available(action: u32) -> bool {
    const SECCOMP_GET_ACTION_AVAIL: libc::c_uint = 2;
    // SAFETY: action is valid for reads of a u32.
    check(unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) }).is_ok()
}
