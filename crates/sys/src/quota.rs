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

/// `struct fsxattr` of `linux/fs.h`.
#[repr(C)]
#[derive(Default)]
struct FsXattr {
    xflags: u32,
    extsize: u32,
    nextents: u32,
    project: u32,
    cowextsize: u32,
    pad: [u8; 8],
}

const FS_IOC_FSGETXATTR: libc::c_ulong = 0x801c_581f;
const FS_IOC_FSSETXATTR: libc::c_ulong = 0x401c_5820;
const FS_XFLAG_PROJINHERIT: u32 = 0x200;

/// Puts the folder `dir`, and everything that will be made in it, into `project`.
///
/// # Errors
/// `ENOTTY`/`EOPNOTSUPP` when the file system has no projects.
pub fn set_project(dir: impl AsFd, project: u32) -> Result<()> {
    let fd = dir.as_fd().as_raw_fd();
    let mut attributes = FsXattr::default();
    // SAFETY: attributes is valid for writes of an fsxattr.
    check(unsafe { libc::syscall(libc::SYS_ioctl, fd, FS_IOC_FSGETXATTR, &raw mut attributes) })?;
    attributes.project = project;
    attributes.xflags |= FS_XFLAG_PROJINHERIT;
    // SAFETY: attributes is valid for reads of an fsxattr.
    check(unsafe { libc::syscall(libc::SYS_ioctl, fd, FS_IOC_FSSETXATTR, &raw const attributes) }).map(drop)
}

fn quotactl(dir: impl AsFd, command: u32, project: u32, block: &mut libc::dqblk) -> Result<()> {
    let command = (command << 8) | PRJQUOTA;
    let dir = dir.as_fd().as_raw_fd();
    // SAFETY: block is valid for reads and writes of a dqblk, which both commands use.
    check(unsafe { libc::syscall(libc::SYS_quotactl_fd, dir, command, project, std::ptr::from_mut(block)) }).map(drop)
}
