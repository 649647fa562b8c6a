//! Subvolumes of btrfs with a limit (`linux/btrfs.h`), by descriptor.

use crate::{Errno, Result, check};
use rustix::fd::{AsFd, AsRawFd};
use std::ffi::CStr;

/// `f_type` of btrfs.
const MAGIC: u64 = 0x9123_683e;
/// The inode of every subvolume's root, and of nothing else that is a folder with users' files.
const SUBVOLUME_INODE: u64 = 256;

const SUBVOL_CREATE: libc::c_ulong = 0x5000_940e;
const SNAP_DESTROY: libc::c_ulong = 0x5000_940f;
const INO_LOOKUP: libc::c_ulong = 0xd000_9412;
const QUOTA_CTL: libc::c_ulong = 0xc010_9428;
const QGROUP_CREATE: libc::c_ulong = 0x4010_942a;
const QGROUP_LIMIT: libc::c_ulong = 0x8030_942b;

/// `BTRFS_QUOTA_CTL_ENABLE`.
const ENABLE: u64 = 1;
/// `BTRFS_QGROUP_LIMIT_MAX_RFER`: what the subvolume refers to, whoever shares it.
const LIMIT_REFERENCED: u64 = 1;

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct VolumeArgs {
    fd: i64,
    name: [u8; 4088],
}

impl VolumeArgs {
    fn new(name: &CStr) -> Result<Self> {
        let mut args = Self { fd: 0, name: [0; 4088] };
        let bytes = name.to_bytes_with_nul();
        args.name.get_mut(..bytes.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(bytes);
        Ok(args)
    }
}

/// As a limit: none.
pub const NO_LIMIT: u64 = u64::MAX;

/// Whether `dir` lies on btrfs.
///
/// # Errors
/// Those of fstatfs(2).
pub fn is_btrfs(dir: impl AsFd) -> Result<bool> {
    let kind = rustix::fs::fstatfs(dir)?.f_type;
    Ok(u64::try_from(kind).unwrap_or(0) & 0xffff_ffff == MAGIC)
}

/// The number of the subvolume whose root `dir` is; `None` when it is an ordinary folder, or no folder of btrfs.
///
/// # Errors
/// Those of fstat(2) and of the look-up.
pub fn subvolume(dir: impl AsFd) -> Result<Option<u64>> {
    if !is_btrfs(&dir)? || rustix::fs::fstat(&dir)?.st_ino != SUBVOLUME_INODE {
        return Ok(None);
    }
    /// `struct btrfs_ioctl_ino_lookup_args`.
    #[repr(C)]
    struct Lookup {
        tree: u64,
        object: u64,
        name: [u8; 4080],
    }
    let mut lookup = Lookup { tree: 0, object: SUBVOLUME_INODE, name: [0; 4080] };
    // SAFETY: lookup is valid for reads and writes of the structure.
    check(unsafe { libc::syscall(libc::SYS_ioctl, dir.as_fd().as_raw_fd(), INO_LOOKUP, &raw mut lookup) })?;
    Ok(Some(lookup.tree))
}

/// Makes the empty subvolume `name` in `parent`.
///
/// # Errors
/// `EEXIST`, `ENOTTY` (not btrfs) and those of mkdir(2).
pub fn create_subvolume(parent: impl AsFd, name: &CStr) -> Result<()> {
    let args = VolumeArgs::new(name)?;
    // SAFETY: args is valid for reads of the structure.
    check(unsafe { libc::syscall(libc::SYS_ioctl, parent.as_fd().as_raw_fd(), SUBVOL_CREATE, &raw const args) })
        .map(drop)
}

/// Removes the subvolume `name` in `parent` with all its files; its space comes back in the background.
///
/// # Errors
/// `ENOTEMPTY` when other subvolumes lie in it, `EINVAL` when it is none.
pub fn destroy_subvolume(parent: impl AsFd, name: &CStr) -> Result<()> {
    let args = VolumeArgs::new(name)?;
    // SAFETY: args is valid for reads of the structure.
    check(unsafe { libc::syscall(libc::SYS_ioctl, parent.as_fd().as_raw_fd(), SNAP_DESTROY, &raw const args) })
        .map(drop)
}

/// Counts what each subvolume of the file system uses from now on. Doing it twice does no harm.
///
/// # Errors
/// `ENOTTY` when the file system is not btrfs, `EPERM`.
pub fn enable_quota(dir: impl AsFd) -> Result<()> {
    let mut args = [ENABLE, 0];
    // SAFETY: args is valid for reads and writes of two u64, `struct btrfs_ioctl_quota_ctl_args`.
    let done = check(unsafe { libc::syscall(libc::SYS_ioctl, dir.as_fd().as_raw_fd(), QUOTA_CTL, args.as_mut_ptr()) });
    match done {
        // counted already
        Err(Errno::EXIST) => Ok(()),
        done => done.map(drop),
    }
}

/// Sets the most bytes that the subvolume with this number may refer to.
///
/// # Errors
/// `ENOTCONN` where quotas are off.
pub fn set_limit(dir: impl AsFd, subvolume: u64, limit: u64) -> Result<()> {
    // struct btrfs_ioctl_qgroup_limit_args: the group, then flags, max_rfer, max_excl, rsv_rfer, rsv_excl
    let args = [subvolume, LIMIT_REFERENCED, limit, 0, 0, 0];
    // SAFETY: args is valid for reads of the structure, six u64.
    check(unsafe { libc::syscall(libc::SYS_ioctl, dir.as_fd().as_raw_fd(), QGROUP_LIMIT, args.as_ptr()) }).map(drop)
}

/// Forgets the group of a subvolume that is gone.
///
/// # Errors
/// `EBUSY` as long as the kernel is not done with removing it.
pub fn forget_limit(dir: impl AsFd, subvolume: u64) -> Result<()> {
    // struct btrfs_ioctl_qgroup_create_args: 0 is "remove"
    let args = [0, subvolume];
    // SAFETY: args is valid for reads of the structure, two u64.
    check(unsafe { libc::syscall(libc::SYS_ioctl, dir.as_fd().as_raw_fd(), QGROUP_CREATE, args.as_ptr()) }).map(drop)
}
