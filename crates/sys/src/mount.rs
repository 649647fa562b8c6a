//! Mount calls that rustix does not have: mount_setattr and open_tree_attr.

use crate::{Result, check};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ffi::CStr;

/// Attributes of a mount (`MOUNT_ATTR_*`).
pub mod attr {
    /// `MOUNT_ATTR_RDONLY`
    pub const RDONLY: u64 = linux_raw_sys::general::MOUNT_ATTR_RDONLY as u64;
    /// `MOUNT_ATTR_NOSUID`
    pub const NOSUID: u64 = linux_raw_sys::general::MOUNT_ATTR_NOSUID as u64;
    /// `MOUNT_ATTR_NODEV`
    pub const NODEV: u64 = linux_raw_sys::general::MOUNT_ATTR_NODEV as u64;
    /// `MOUNT_ATTR_NOEXEC`
    pub const NOEXEC: u64 = linux_raw_sys::general::MOUNT_ATTR_NOEXEC as u64;
    /// `MOUNT_ATTR__ATIME`: the mask of the three access-time modes; must be cleared to set one.
    pub const ATIME_MASK: u64 = linux_raw_sys::general::MOUNT_ATTR__ATIME as u64;
    /// `MOUNT_ATTR_RELATIME`
    pub const RELATIME: u64 = linux_raw_sys::general::MOUNT_ATTR_RELATIME as u64;
    /// `MOUNT_ATTR_NOATIME`
    pub const NOATIME: u64 = linux_raw_sys::general::MOUNT_ATTR_NOATIME as u64;
    /// `MOUNT_ATTR_STRICTATIME`
    pub const STRICTATIME: u64 = linux_raw_sys::general::MOUNT_ATTR_STRICTATIME as u64;
    /// `MOUNT_ATTR_NODIRATIME`
    pub const NODIRATIME: u64 = linux_raw_sys::general::MOUNT_ATTR_NODIRATIME as u64;
    /// `MOUNT_ATTR_NOSYMFOLLOW`
    pub const NOSYMFOLLOW: u64 = linux_raw_sys::general::MOUNT_ATTR_NOSYMFOLLOW as u64;
}

/// How mount events travel (`MS_SHARED` …).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// `MS_SHARED`
    Shared,
    /// `MS_SLAVE`
    Slave,
    /// `MS_PRIVATE`
    Private,
    /// `MS_UNBINDABLE`
    Unbindable,
}

impl Propagation {
    fn bits(self) -> u64 {
        match self {
            Propagation::Shared => libc::MS_SHARED,
            Propagation::Slave => libc::MS_SLAVE,
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

/// A change of mount attributes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    /// Attributes to set ([`attr`]).
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// New propagation.
    pub propagation: Option<Propagation>,
    /// Map identities through this user namespace (only on a detached mount).
    pub idmap: Option<BorrowedFd<'a>>,
    /// The whole tree rather than the one mount.
    pub recursive: bool,
}

impl Change<'_> {
    fn raw(&self) -> linux_raw_sys::general::mount_attr {
        let idmap = if self.idmap.is_some() { linux_raw_sys::general::MOUNT_ATTR_IDMAP as u64 } else { 0 };
        linux_raw_sys::general::mount_attr {
            attr_set: self.set | idmap,
            attr_clr: self.clear,
            propagation: self.propagation.map_or(0, Propagation::bits),
            userns_fd: self.idmap.map_or(0, |fd| fd.as_raw_fd() as u64),
        }
    }

    fn flags(&self) -> u32 {
        if self.recursive { linux_raw_sys::general::AT_RECURSIVE } else { 0 }
    }
}

/// mount_setattr(2) on the mount that `mount` refers to (its root).
///
/// # Errors
/// The kernel's.
pub fn set_attr(mount: impl AsFd, change: &Change<'_>) -> Result<()> {
    set_attr_at(mount.as_fd(), c"", change)
}

/// mount_setattr(2) on the mount at `path`, relative to `dir`.
///
/// # Errors
/// The kernel's.
pub fn set_attr_at(dir: BorrowedFd<'_>, path: &CStr, change: &Change<'_>) -> Result<()> {
    let attr = change.raw();
    let empty = if path.is_empty() { libc::AT_EMPTY_PATH as u32 } else { 0 };
    // SAFETY: path is NUL-terminated, attr is valid for the size passed.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_raw_fd(),
            path.as_ptr(),
            change.flags() | empty,
            &raw const attr,
            size_of_val(&attr),
        )
    })
    .map(drop)
}

/// open_tree_attr(2) (Linux 6.15): a detached copy of the tree at `path`, changed before anyone can see it. Unlike
/// open_tree + mount_setattr it can give an already id-mapped mount another mapping.
///
/// # Errors
/// `ENOSYS` on older kernels; the kernel's.
pub fn open_tree_attr(dir: BorrowedFd<'_>, path: &CStr, change: &Change<'_>) -> Result<OwnedFd> {
    const SYS_OPEN_TREE_ATTR: libc::c_long = 467;
    let attr = change.raw();
    let empty = if path.is_empty() { libc::AT_EMPTY_PATH as u32 } else { 0 };
    let flags =
        linux_raw_sys::general::OPEN_TREE_CLONE | linux_raw_sys::general::OPEN_TREE_CLOEXEC | change.flags() | empty;
    // SAFETY: path is NUL-terminated, attr is valid for the size passed.
    let fd = check(unsafe {
        libc::syscall(SYS_OPEN_TREE_ATTR, dir.as_raw_fd(), path.as_ptr(), flags, &raw const attr, size_of_val(&attr))
    })?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
