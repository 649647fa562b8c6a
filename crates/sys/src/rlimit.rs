//! Resource limits, also those of other processes.

use crate::{Result, check};
use rustix::process::Pid;

/// One limit; [`INFINITY`] is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What the process feels.
    pub soft: u64,
    /// How far it may raise it.
    pub hard: u64,
}

/// `RLIM_INFINITY`
pub const INFINITY: u64 = u64::MAX;

/// prlimit(2): sets `resource` (`RLIMIT_*` number) of `pid`, or of the caller.
///
/// # Errors
/// `EPERM` when a hard limit is raised without CAP_SYS_RESOURCE, `EINVAL` when soft > hard.
pub fn set(pid: Option<Pid>, resource: u32, limit: Limit) -> Result<()> {
    let raw = libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
    let pid = pid.map_or(0, |pid| pid.as_raw_nonzero().get());
    // SAFETY: raw is a valid rlimit64; the old limit is not asked for.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, &raw const raw, std::ptr::null::<u8>()) })
        .map(drop)
}

/// prlimit(2): reads `resource` of `pid`, or of the caller.
///
/// # Errors
/// `ESRCH`, `EPERM`.
pub fn get(pid: Option<Pid>, resource: u32) -> Result<Limit> {
    let mut raw = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let pid = pid.map_or(0, |pid| pid.as_raw_nonzero().get());
    // SAFETY: raw is valid for writes; no new limit is set.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, std::ptr::null::<u8>(), &raw mut raw) })?;
    Ok(Limit { soft: raw.rlim_cur, hard: raw.rlim_max })
}

/// Raises the caller's soft limit of open files to its hard one, as far as that goes. Children inherit it.
pub fn raise_open_files() {
    const NOFILE: u32 = libc::RLIMIT_NOFILE;
    if let Ok(limit) = get(None, NOFILE) {
        // up to the hard limit everybody may
        let _ = set(None, NOFILE, Limit { soft: limit.hard, ..limit });
    }
}
