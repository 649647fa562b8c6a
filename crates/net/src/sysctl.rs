//! Settings of network namespaces, by a proc of our own.
//!
//! A look-up below `/proc/sys/net` walks the names of all namespaces that anybody has asked for in the same proc, as they hash
//! alike: with five hundred containers each costs ten times what the first does. So we have an instance that nobody else uses
//! and replace it before it knows many.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::netns::lock;
use crate::{Error, Result};

/// What interfaces made from now on inherit.
pub(crate) const DEFAULT_DISABLE_IPV6: &str = "net/ipv6/conf/default/disable_ipv6";

/// Look-ups after which an instance is replaced: making one costs about as much as this many names make a look-up slower.
const LOOKUPS: u32 = 64;

/// A proc that is mounted nowhere, and how many look-ups it may still have.
struct Proc {
    root: OwnedFd,
    left: u32,
}

static PROC: Mutex<Option<Proc>> = Mutex::new(None);

/// Opens a setting of the namespace of the calling thread for writing; the key has slashes. What is written later goes to that
/// namespace, wherever the writer is then.
pub(crate) fn open(key: &str) -> Result<File> {
    let error =
        |source: rustix::io::Errno| Error::System { op: format!("open `/proc/sys/{key}`"), source: source.into() };
    let mut proc = lock(&PROC);
    let current = match proc.take().filter(|proc| proc.left > 0) {
        Some(proc) => proc,
        None => Proc { root: mount().map_err(error)?, left: LOOKUPS },
    };
    let current = proc.insert(current);
    current.left -= 1;
    let path = format!("sys/{key}");
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(&current.root, path, flags, Mode::empty()).map(File::from).map_err(error)
}

/// Writes a setting of the namespace of the calling thread; the key has slashes.
pub(crate) fn write(key: &str, value: &str) -> Result<()> {
    set(&open(key)?, key, value)
}

/// Writes a setting that was opened before. Always at its beginning: the kernel ignores what is written behind it.
pub(crate) fn set(file: &File, key: &str, value: &str) -> Result<()> {
    file.write_all_at(value.as_bytes(), 0)
        .map_err(|source| Error::System { op: format!("write `/proc/sys/{key}`"), source })
}

/// A kernel without IPv6 has no settings of it.
pub(crate) fn ignore_missing(error: Error) -> Result<()> {
    match error {
        Error::System { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => Err(other),
    }
}

/// A new instance; without the right to mount one, that of everybody.
fn mount() -> rustix::io::Result<OwnedFd> {
    let new = || {
        let context = fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    };
    match new() {
        Err(rustix::io::Errno::PERM) => {
            rustix::fs::open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        }
        other => other,
    }
}
