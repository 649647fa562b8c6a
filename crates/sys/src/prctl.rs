//! prctl(2) operations of the calling process.

use crate::{Result, check};
use std::ffi::CStr;

fn prctl(option: libc::c_int, value: libc::c_ulong) -> Result<()> {
    // SAFETY: the options used in this module take integers only.
    check(unsafe { libc::prctl(option, value, 0, 0, 0) }.into()).map(drop)
}

/// `PR_SET_NAME`: the thread's name in `/proc/<pid>/comm`, cut to 15 bytes.
///
/// # Errors
/// None known.
pub fn set_name(name: &CStr) -> Result<()> {
    // SAFETY: name is NUL-terminated; the kernel reads at most 16 bytes up to the NUL.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) }.into()).map(drop)
}

/// `PR_SET_CHILD_SUBREAPER`: orphans among the descendants become our children.
///
/// # Errors
/// None known.
pub fn set_child_subreaper(on: bool) -> Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, on.into())
}

/// `PR_SET_DUMPABLE`: whether others of the same user may look into the process (`/proc/<pid>/…`, ptrace).
///
/// # Errors
/// None known.
pub fn set_dumpable(on: bool) -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, on.into())
}

/// `PR_SET_PDEATHSIG`: the signal sent to us when the parent *thread* ends; 0 for none.
///
/// # Errors
/// `EINVAL` for a wrong signal.
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong)
}

/// `PR_SET_NO_NEW_PRIVS`.
///
/// # Errors
/// None known.
pub fn set_no_new_privs() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// `PR_SET_KEEPCAPS`: keep the permitted capabilities when the user becomes another one.
///
/// # Errors
/// None known.
pub fn set_keep_caps(on: bool) -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, on.into())
}

/// `PR_CAPBSET_DROP`.
///
/// # Errors
/// `EINVAL` when the kernel has no such capability, `EPERM` without CAP_SETPCAP.
pub fn drop_bounding(capability: u32) -> Result<()> {
    prctl(libc::PR_CAPBSET_DROP, capability.into())
}

/// `PR_CAP_AMBIENT_CLEAR_ALL`.
///
/// # Errors
/// `EINVAL` before Linux 4.3.
pub fn clear_ambient() -> Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong)
}

/// `PR_CAP_AMBIENT_RAISE`.
///
/// # Errors
/// `EPERM` when the capability is not both permitted and inheritable.
pub fn raise_ambient(capability: u32) -> Result<()> {
    let operation = libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong;
    // SAFETY: integers only.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, operation, libc::c_ulong::from(capability), 0, 0) }.into())
        .map(drop)
}

/// capset(2) of the calling thread; bit `n` is capability `n`.
///
/// # Errors
/// `EPERM` when the sets are not subsets of what the thread may have.
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: LINUX_CAPABILITY_VERSION_3, pid: 0 };
    let half = |shift: u32| [(effective >> shift) as u32, (permitted >> shift) as u32, (inheritable >> shift) as u32];
    let data = [half(0), half(32)];
    // SAFETY: header and the two data halves have the layout of version 3.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const data) }).map(drop)
}
