//! Project quotas (volumes and container layers with a size limit), by descriptor.

use crate::{Result, check};
use rustix::fd::{AsFd, AsRawFd};

/// A project's space limit and use, in bytes; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProjectQuota {
    /// Hard limit.
    pub limit: u64,
    /// Bytes in use.
    pub used: u64,
}

const PRJQUOTA: u32 = 2;
const Q_GETQUOTA: u32 = 0x80_0007;
const Q_SETQUOTA: u32 = 0x80_0008;
/// Unit of the kernel's block limits.
const BLOCK: u64 = 1024;

/// quotactl_fd(2) `Q_SETQUOTA`: sets the hard limit of `project` on the file system that holds `dir`.
///
/// # Errors
/// `ENOSYS`/`ESRCH` when the file system has no project quotas.
pub fn set_project_limit(dir: impl AsFd, project: u32, limit: u64) -> Result<()> {
    // SAFETY: an all-zero dqblk is valid: it is plain integers.
    let mut block: libc::dqblk = unsafe { std::mem::zeroed() };
    block.dqb_bhardlimit = limit.div_ceil(BLOCK);
    block.dqb_bsoftlimit = block.dqb_bhardlimit;
    block.dqb_valid = 1; // QIF_BLIMITS
    quotactl(dir, Q_SETQUOTA, project, &mut block)
}

/// quotactl_fd(2) `Q_GETQUOTA`.
///
/// # Errors
/// `ENOSYS`/`ESRCH` when the file system has no project quotas.
pub fn project_quota(dir: impl AsFd, project: u32) -> Result<ProjectQuota> {
    // SAFETY: an all-zero dqblk is valid: it is plain integers.
    let mut block: libc::dqblk = unsafe { std::mem::zeroed() };
    quotactl(dir, Q_GETQUOTA, project, &mut block)?;
    Ok(ProjectQuota { limit: block.dqb_bhardlimit * BLOCK, used: block.dqb_curspace })
}

fn quotactl(dir: impl AsFd, command: u32, project: u32, block: &mut libc::dqblk) -> Result<()> {
    let command = (command << 8) | PRJQUOTA;
    let dir = dir.as_fd().as_raw_fd();
    // SAFETY: block is valid for reads and writes of a dqblk, which both commands use.
    check(unsafe { libc::syscall(libc::SYS_quotactl_fd, dir, command, project, std::ptr::from_mut(block)) }).map(drop)
}
