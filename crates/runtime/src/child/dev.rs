//! `/dev`: device nodes, the links that every container has, and the copying of a folder into a new tmpfs.

use super::mounts::{attach, open_source};
use super::paths;
use crate::Step;
use crate::channel::{At, Done};
use crate::plan::{DeviceNode, Plan};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, Result};
use std::ffi::CStr;

/// OCI runtime spec, "Default Devices" and "/dev symbolic links".
const LINKS: [(&CStr, &CStr); 4] = [
    (c"/dev/fd", c"/proc/self/fd"),
    (c"/dev/stdin", c"/proc/self/fd/0"),
    (c"/dev/stdout", c"/proc/self/fd/1"),
    (c"/dev/stderr", c"/proc/self/fd/2"),
];

/// Nodes and links. The file mode creation mask is 0.
pub(super) fn populate(plan: &Plan, root: BorrowedFd<'_>) -> Done<()> {
    let mut parent: Option<(Vec<u8>, OwnedFd)> = None;
    for (i, node) in plan.devices.iter().enumerate() {
        device(node, plan.bind_devices, root, &mut parent).at(Step::Device, i)?;
    }
    if !plan.setup_dev {
        return Ok(());
    }
    let dev = paths::find_or_make(root, c"/dev", paths::Make::Dir(0o755)).at(Step::DeviceLink, 0)?;
    for (i, (path, content)) in LINKS.iter().enumerate() {
        let name = &path.to_bytes()[c"/dev/".count_bytes()..];
        match rustix::fs::symlinkat(*content, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).at(Step::DeviceLink, i),
        }
    }
    // whatever an image has there, the container's own devpts instance is meant
    match rustix::fs::unlinkat(&dev, c"ptmx", AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno).at(Step::DeviceLink, 4),
    }
    rustix::fs::symlinkat(c"pts/ptmx", &dev, c"ptmx").at(Step::DeviceLink, 4)
}

/// `parent` keeps the folder of the previous node: most lie in one.
fn device(node: &DeviceNode, bind: bool, root: BorrowedFd<'_>, parent: &mut Option<(Vec<u8>, OwnedFd)>) -> Result<()> {
    let path = node.path.to_bytes();
    let cut = path.iter().rposition(|byte| *byte == b'/').ok_or(Errno::INVAL)?;
    let (folder, name) = (&path[..cut], &path[cut + 1..]);
    if parent.as_ref().is_none_or(|(known, _)| known != folder) {
        *parent = Some((folder.to_vec(), paths::parent_of(root, &node.path)?.0));
    }
    let (_, dir) = parent.as_ref().ok_or(Errno::INVAL)?;
    if bind { bind_device(node, dir, name) } else { make_node(node, dir, name) }
}

fn make_node(node: &DeviceNode, dir: &OwnedFd, name: &[u8]) -> Result<()> {
    let kind = FileType::from_raw_mode(node.mode);
    let mode = Mode::from_raw_mode(node.mode & 0o7777);
    match rustix::fs::mknodat(dir, name, kind, mode, node.device) {
        Err(Errno::EXIST) => {
            let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let same = FileType::from_raw_mode(stat.st_mode) == kind
                && (stat.st_rdev == node.device || kind == FileType::Fifo);
            if !same {
                // an image may not pass something of its own off as a device (CVE-2025-31133)
                rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
                rustix::fs::mknodat(dir, name, kind, mode, node.device)?;
            }
        }
        other => other?,
    }
    if node.uid != 0 || node.gid != 0 {
        let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Where device nodes cannot be made, the host's node of the same path is bound.
fn bind_device(node: &DeviceNode, dir: &OwnedFd, name: &[u8]) -> Result<()> {
    let source = open_source(&node.path, None, false)?;
    let stat = rustix::fs::fstat(&source)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::from_raw_mode(node.mode) || stat.st_rdev != node.device {
        return Err(Errno::NODEV);
    }
    match paths::make_file(dir, name) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let target = rustix::fs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    attach(source, target)
}

/// Copies what lies below the folder `from` into the empty folder `to`, with modes and owners.
pub(super) fn copy_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let source = reopen_dir(from, c".")?;
    let stat = rustix::fs::fstat(&source)?;
    let target = reopen_dir(to, c".")?;
    rustix::fs::fchmod(&target, Mode::from_raw_mode(stat.st_mode))?;
    rustix::fs::fchown(&target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    for entry in Dir::read_from(&source)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        copy_entry(source.as_fd(), target.as_fd(), name)?;
    }
    Ok(())
}

fn reopen_dir(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    rustix::fs::openat(
        dir,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn copy_entry(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let stat = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(target, name, mode)?;
            return copy_tree(reopen_dir(source, name)?.as_fd(), reopen_dir(target, name)?.as_fd());
        }
        FileType::Symlink => {
            let content = rustix::fs::readlinkat(source, name, Vec::new())?;
            rustix::fs::symlinkat(&content, target, name)?;
        }
        FileType::RegularFile => copy_file(source, target, name, mode)?,
        kind => rustix::fs::mknodat(target, name, kind, mode, stat.st_rdev)?,
    }
    let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
    rustix::fs::chownat(target, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn copy_file(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr, mode: Mode) -> Result<()> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let from = rustix::fs::openat(source, name, read, Mode::empty())?;
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let to = rustix::fs::openat(target, name, write, mode)?;
    while rustix::fs::sendfile(&to, &from, None, 1 << 20)? > 0 {}
    Ok(())
}
