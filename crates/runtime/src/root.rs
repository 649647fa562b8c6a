//! The root file system as a detached mount: nothing of it is in any mount table before the child attaches it in its own.

use crate::plan::{Overlay, Root};
use crate::{Step, child};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::ffi::CStr;
use wharf_sys::Result;

/// Opens or mounts it.
pub(crate) fn open(root: &Root) -> Result<OwnedFd> {
    match root {
        Root::Dir(path) => child::open_source(path, true),
        Root::Overlay(overlay) => mount_overlay(overlay),
    }
}

/// What fails when [`open`] does.
pub(crate) fn step(root: &Root) -> Step {
    match root {
        Root::Dir(_) => Step::Root,
        Root::Overlay(_) => Step::Overlay,
    }
}

/// The path that tells which root it is.
pub(crate) fn name(root: &Root) -> &CStr {
    match root {
        Root::Dir(path) => path,
        Root::Overlay(Overlay { upper: Some((upper, _)), .. }) => upper,
        Root::Overlay(overlay) => &overlay.source,
    }
}

/// An overlay, detached. Index and metacopy are off as with Docker: layers must stay plain folders.
fn mount_overlay(overlay: &Overlay) -> Result<OwnedFd> {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
    use rustix::mount::{fsconfig_set_flag, fsconfig_set_string};
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    fsconfig_set_string(context, c"source", &overlay.source)?;
    for lower in &overlay.lower {
        set_folder(context, c"lowerdir+", lower)?;
    }
    if let Some((upper, work)) = &overlay.upper {
        set_folder(context, c"upperdir", upper)?;
        set_folder(context, c"workdir", work)?;
        for key in [c"index", c"metacopy"] {
            if !overlay.options.iter().any(|(own, _)| own.as_c_str() == key) {
                fsconfig_set_string(context, key, c"off")?;
            }
        }
    }
    for (key, value) in &overlay.options {
        match value {
            Some(value) => fsconfig_set_string(context, key.as_c_str(), value.as_c_str())?,
            None => fsconfig_set_flag(context, key.as_c_str())?,
        }
    }
    fsconfig_create(context)?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// A folder of an overlay: by name, so that the mount table shows it, or, when the name is longer than the kernel takes, by
/// descriptor (Linux 6.13).
fn set_folder(context: BorrowedFd<'_>, key: &CStr, path: &CStr) -> Result<()> {
    const LONGEST: usize = 255;
    if path.count_bytes() <= LONGEST {
        return rustix::mount::fsconfig_set_string(context, key, path);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty())?;
    rustix::mount::fsconfig_set_fd(context, key, folder.as_fd())
}
