//! `/dev`: device nodes and the links that every container has.

use super::mounts::{attach, open_source};
use super::paths;
use crate::Step;
use crate::channel::{At, Done};
use crate::plan::{DeviceNode, Plan};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
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
