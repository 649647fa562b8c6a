//! The mount steps of a plan, each by descriptor: source, then target, then `move_mount`.

use super::paths::{self, Make};
use crate::Step;
use crate::channel::{At, Done, Fail};
use crate::plan::{MountSource, MountStep, Plan};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::ffi::{CStr, CString};
use wharf_sys::mount::{Change, set_attr};

/// All steps in order. `sources` are those the parent had to open.
pub(super) fn all(plan: &Plan, root: BorrowedFd<'_>, sources: &[Option<OwnedFd>]) -> Done<()> {
    for (i, step) in plan.mounts.iter().enumerate() {
        one(step, i, root, sources.get(i).and_then(Option::as_ref))?;
    }
    Ok(())
}

fn one(step: &MountStep, i: usize, root: BorrowedFd<'_>, opened: Option<&OwnedFd>) -> Done<()> {
    match &step.source {
        MountSource::Remount => remount(step, i, root),
        MountSource::Link { content } => link(step, i, root, content),
        MountSource::Overlay(_) => {
            let tree = opened.ok_or(Fail { step: Step::MountSource, index: i as u16, errno: Errno::BADF })?;
            overlay(step, i, root, tree)
        }
        MountSource::Bind { path, recursive } => {
            let tree = source(step, i, path, *recursive, opened)?;
            let make = if paths::is_dir(&tree).at(Step::MountSource, i)? { Make::Dir(0o755) } else { Make::File };
            bind(step, i, root, &tree, make)
        }
        MountSource::Filesystem { kind, source, options, directory_mode } => {
            let target = target(step, i, root, Make::Dir(*directory_mode))?;
            let tree = filesystem(kind, source, options, step.set).at(Step::Mount, i)?;
            attributes(step, i, &tree)?;
            if step.copy_up {
                super::copy_up::tree(target.as_fd(), tree.as_fd()).at(Step::CopyUp, i)?;
            }
            attach(&tree, &target).at(Step::Mount, i)
        }
    }
}

/// The bind source. In a user namespace the child's own view of it is preferred: there the host's restrictions (read-only,
/// nosuid, what lies under other mounts) are locked. What it may not reach or take apart, the parent has opened.
fn source(step: &MountStep, i: usize, path: &CStr, recursive: bool, opened: Option<&OwnedFd>) -> Done<OwnedFd> {
    let copy = |tree: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(tree, 0).at(Step::MountSource, i);
    match (opened, open_source(path, step.subpath.as_deref(), recursive)) {
        (Some(tree), _) if step.idmap.is_some() => copy(tree),
        (Some(tree), Err(_)) => copy(tree),
        (_, own) => own.at(Step::MountSource, i),
    }
}

fn bind(step: &MountStep, i: usize, root: BorrowedFd<'_>, tree: &OwnedFd, make: Make) -> Done<()> {
    let target = target(step, i, root, make)?;
    if step.allow_in_proc && step.target.as_c_str() == c"/proc" && !paths::in_proc(tree, Step::MountSource, i)? {
        return Err(Fail { step: Step::InsideProc, index: i as u16, errno: Errno::PERM });
    }
    if make == Make::File && paths::is_dir(&target).at(Step::MountTarget, i)? {
        return Err(Fail { step: Step::Mount, index: i as u16, errno: Errno::NOTDIR });
    }
    attributes(step, i, tree)?;
    attach(tree, &target).at(Step::Mount, i)
}

/// An overlay that the parent has mounted, or what lies at a path in it.
fn overlay(step: &MountStep, i: usize, root: BorrowedFd<'_>, tree: &OwnedFd) -> Done<()> {
    let Some(subpath) = &step.subpath else { return bind(step, i, root, tree, Make::Dir(0o755)) };
    let inside = paths::find_beneath(tree, subpath).at(Step::MountSource, i)?;
    let make = if paths::is_dir(&inside).at(Step::MountSource, i)? { Make::Dir(0o755) } else { Make::File };
    match clone_mount(&inside) {
        Ok(part) => bind(step, i, root, &part, make),
        // before Linux 6.15 only what is attached can be copied: the part then hides the whole
        Err(Errno::INVAL) => {
            let place = target(step, i, root, make)?;
            attach(tree, &place).at(Step::Mount, i)?;
            let part = clone_mount(&inside).at(Step::MountSource, i)?;
            attributes(step, i, &part)?;
            attach(&part, &place).at(Step::Mount, i)
        }
        Err(errno) => Err(Fail { step: Step::MountSource, index: i as u16, errno }),
    }
}

/// A detached copy of a host path's mount, or of the path `subpath` in it.
pub(crate) fn open_source(path: &CStr, subpath: Option<&CStr>, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let Some(subpath) = subpath else { return open_tree(CWD, path, flags) };
    let whole = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let part = paths::find_beneath(&whole, subpath)?;
    open_tree(&part, c"", flags | OpenTreeFlags::AT_EMPTY_PATH)
}

/// A detached copy of the mount at an open file.
pub(super) fn clone_mount(file: impl AsFd) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(file, c"", flags)
}

/// The mount's target, made when missing. What lies in proc is refused but for the few files that the planner allows: an
/// image could lead a mount there by symlink and so switch off what confines its processes (CVE-2019-16884).
fn target(step: &MountStep, i: usize, root: BorrowedFd<'_>, make: Make) -> Done<OwnedFd> {
    let found = if step.strict_target || step.allow_in_proc {
        match paths::find_plain(root, &step.target) {
            Err(Errno::NOENT) => {
                paths::find_or_make(root, &step.target, make).and_then(|_| paths::find_plain(root, &step.target))
            }
            other => other,
        }
    } else {
        paths::find_or_make(root, &step.target, make)
    };
    let target = found.at(Step::MountTarget, i)?;
    if !step.allow_in_proc && paths::in_proc(&target, Step::MountTarget, i)? {
        return Err(Fail { step: Step::InsideProc, index: i as u16, errno: Errno::PERM });
    }
    Ok(target)
}

/// A new instance of a file system, detached.
pub(super) fn filesystem(
    kind: &CStr,
    source: &CStr,
    options: &[(CString, Option<CString>)],
    set: u64,
) -> rustix::io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), c"source", source)?;
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(context.as_fd(), key.as_c_str(), value.as_c_str())?,
            None => fsconfig_set_flag(context.as_fd(), key.as_c_str())?,
        }
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::from_bits_retain(set as u32);
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Attributes and propagation of a tree that nobody can see yet.
fn attributes(step: &MountStep, i: usize, tree: &OwnedFd) -> Done<()> {
    let fresh = matches!(step.source, MountSource::Filesystem { .. });
    // a new file system got its attributes from fsmount, and is private
    if !fresh && (step.set | step.clear) != 0 {
        let change = Change { set: step.set, clear: step.clear, ..Change::default() };
        set_attr(tree, &change).at(Step::MountAttributes, i)?;
    }
    if (step.set_recursive | step.clear_recursive) != 0 {
        let (set, clear) = (step.set_recursive, step.clear_recursive);
        set_attr(tree, &Change { set, clear, recursive: true, ..Change::default() }).at(Step::MountAttributes, i)?;
    }
    for (propagation, recursive) in &step.propagation {
        if fresh && *propagation == crate::Propagation::Private {
            continue;
        }
        let change = Change { propagation: Some((*propagation).into()), recursive: *recursive, ..Change::default() };
        set_attr(tree, &change).at(Step::MountAttributes, i)?;
    }
    Ok(())
}

/// Puts a detached tree on an open target.
pub(super) fn attach(tree: impl AsFd, target: impl AsFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", target, c"", flags)
}

fn remount(step: &MountStep, i: usize, root: BorrowedFd<'_>) -> Done<()> {
    let target = paths::find(root, &step.target).at(Step::MountTarget, i)?;
    let change = Change { set: step.set, clear: step.clear, ..Change::default() };
    set_attr(&target, &change).at(Step::MountAttributes, i)
}

fn link(step: &MountStep, i: usize, root: BorrowedFd<'_>, content: &CStr) -> Done<()> {
    let (parent, name) = paths::parent_of(root, &step.target).at(Step::MountTarget, i)?;
    rustix::fs::symlinkat(content, &parent, name).at(Step::Mount, i)
}
