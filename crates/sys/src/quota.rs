//! Project quotas (volumes and container layers with a size limit), by descriptor.

use crate::{Result, check};
use rustix::fd::{AsFd, AsRawFd};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::marker::PhantomData;

/// A project's limit and use; all zero: nobody has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProjectQuota {
    /// Hard limit in bytes; 0: none.
    pub limit: u64,
    /// Bytes in use.
    pub used: u64,
    /// Files and folders that belong to it.
    pub inodes: u64,
}

const PRJQUOTA: u32 = 2;
const Q_GETQUOTA: u32 = 0x80_0007;
const Q_SETQUOTA: u32 = 0x80_0008;
const Q_XGETQSTATV: u32 = 0x5808;
/// `FS_QUOTA_PDQ_ENFD` of `linux/dqblk_xfs.h`.
const PROJECTS_ENFORCED: u16 = 1 << 5;
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
    Ok(ProjectQuota { limit: block.dqb_bhardlimit * BLOCK, used: block.dqb_curspace, inodes: block.dqb_curinodes })
}

/// quotactl_fd(2) `Q_XGETQSTATV`: whether the file system that holds `dir` keeps projects to their limits. One can count without
/// (ext4 with the feature but without `prjquota`, XFS with `pqnoenforce`), and takes limits all the same.
pub fn enforces_project_limits(dir: impl AsFd) -> bool {
    /// `struct fs_quota_statv`, its first version, of which the flags are wanted.
    #[repr(C, align(8))]
    struct State {
        version: i8,
        pad: u8,
        flags: u16,
        rest: [u8; 156],
    }
    let mut state = State { version: 1, pad: 0, flags: 0, rest: [0; 156] };
    let command = (Q_XGETQSTATV << 8) | PRJQUOTA;
    let dir = dir.as_fd().as_raw_fd();
    // SAFETY: state is valid for reads and writes of an fs_quota_statv.
    let asked = check(unsafe { libc::syscall(libc::SYS_quotactl_fd, dir, command, 0, &raw mut state) });
    asked.is_ok() && state.flags & PROJECTS_ENFORCED != 0
}

/// While it lives, the calling thread is held to limits as everybody else is: on ext4 `CAP_SYS_RESOURCE` writes beyond them.
#[derive(Debug)]
pub struct HeldToLimits {
    before: Option<CapabilitySets>,
    /// Capabilities belong to the thread.
    thread: PhantomData<*const ()>,
}

impl HeldToLimits {
    /// Begins now.
    pub fn begin() -> Self {
        let held = capabilities(None).ok().filter(|now| now.effective.contains(CapabilitySet::SYS_RESOURCE));
        let before = held.filter(|now| {
            let effective = now.effective - CapabilitySet::SYS_RESOURCE;
            set_capabilities(None, CapabilitySets { effective, ..*now }).is_ok()
        });
        Self { before, thread: PhantomData }
    }
}

impl Drop for HeldToLimits {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // it was ours before, and stayed permitted
            let _ = set_capabilities(None, before);
        }
    }
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

/// The project that `dir` belongs to; 0: none.
///
/// # Errors
/// `ENOTTY`/`EOPNOTSUPP` when the file system has no projects.
pub fn project(dir: impl AsFd) -> Result<u32> {
    attributes(dir.as_fd().as_raw_fd()).map(|found| found.project)
}

fn attributes(fd: i32) -> Result<FsXattr> {
    let mut attributes = FsXattr::default();
    // SAFETY: attributes is valid for writes of an fsxattr.
    check(unsafe { libc::syscall(libc::SYS_ioctl, fd, FS_IOC_FSGETXATTR, &raw mut attributes) })?;
    Ok(attributes)
}

/// Puts the folder `dir`, and everything that will be made in it, into `project`.
///
/// # Errors
/// `ENOTTY`/`EOPNOTSUPP` when the file system has no projects.
pub fn set_project(dir: impl AsFd, project: u32) -> Result<()> {
    let fd = dir.as_fd().as_raw_fd();
    let mut attributes = attributes(fd)?;
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
