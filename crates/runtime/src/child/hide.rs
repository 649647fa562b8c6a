//! Masked and read-only paths.

use super::mounts::{attach, clone_mount, filesystem};
use super::paths;
use crate::Step;
use crate::channel::{At, Done};
use crate::plan::Plan;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::{Errno, Result};
use wharf_sys::mount::{Change, attr, set_attr};

/// Read-only paths, then masked ones, then the mounts that are made read-only at last.
pub(super) fn all(plan: &Plan, root: BorrowedFd<'_>) -> Done<()> {
    for (i, path) in plan.readonly.iter().enumerate() {
        if let Some(target) = existing(paths::find(root, path)).at(Step::ReadonlyPath, i)? {
            readonly(&target).at(Step::ReadonlyPath, i)?;
        }
    }
    let mut masks = Masks { root, null: None, folder: None };
    for (i, path) in plan.masked.iter().enumerate() {
        if let Some(target) = existing(paths::find(root, path)).at(Step::MaskedPath, i)? {
            masks.cover(&target).at(Step::MaskedPath, i)?;
        }
    }
    for (i, path) in plan.late_readonly.iter().enumerate() {
        let target = paths::find(root, path).at(Step::MountAttributes, i)?;
        set_attr(&target, &Change { set: attr::RDONLY, ..Change::default() }).at(Step::MountAttributes, i)?;
    }
    Ok(())
}

/// What does not exist needs no hiding.
fn existing(found: Result<OwnedFd>) -> Result<Option<OwnedFd>> {
    match found {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn readonly(target: &OwnedFd) -> Result<()> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(target, c"", flags)?;
    set_attr(&tree, &Change { set: attr::RDONLY, recursive: true, ..Change::default() })?;
    attach(tree, target)
}

/// What lies over masked paths: one null device over files, one empty read-only tmpfs over folders.
struct Masks<'a> {
    root: BorrowedFd<'a>,
    null: Option<OwnedFd>,
    folder: Option<OwnedFd>,
}

impl Masks<'_> {
    fn cover(&mut self, target: &OwnedFd) -> Result<()> {
        if !paths::is_dir(target)? {
            if self.null.is_none() {
                self.null = Some(null_device(self.root)?);
            }
            let null = self.null.as_ref().ok_or(Errno::NODEV)?;
            return attach(clone_mount(null)?, target);
        }
        match &self.folder {
            Some(folder) => attach(clone_mount(folder)?, target),
            None => {
                let options = [
                    (c"ro".into(), None),
                    (c"size".into(), Some(c"4k".into())),
                    (c"nr_inodes".into(), Some(c"1".into())),
                ];
                let folder = filesystem(c"tmpfs", c"tmpfs", &options, attr::RDONLY)?;
                attach(&folder, target)?;
                self.folder = Some(folder);
                Ok(())
            }
        }
    }
}

/// The container's null device if it is one, else the host's: an image must not choose what covers the masked paths
/// (CVE-2025-31133).
fn null_device(root: BorrowedFd<'_>) -> Result<OwnedFd> {
    let inside = paths::find_plain(root, c"/dev/null").ok();
    if let Some(file) = inside.filter(|file| is_null(file).unwrap_or(false)) {
        return Ok(file);
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let outside = rustix::fs::openat(CWD, c"/dev/null", flags, Mode::empty())?;
    if is_null(&outside)? { Ok(outside) } else { Err(Errno::NODEV) }
}

fn is_null(file: &OwnedFd) -> Result<bool> {
    let stat = rustix::fs::fstat(file)?;
    let char_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    Ok(char_device && stat.st_rdev == rustix::fs::makedev(1, 3))
}
