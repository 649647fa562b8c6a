//! The root file system as a detached mount: nothing of it is in any mount table before the child attaches it in its own.

use crate::plan::{Overlay, Root};
use crate::{LaunchError, Step, child};
use rustix::fd::OwnedFd;
use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, move_mount};
use std::ffi::CStr;
use std::path::Path;
use wharf_sys::Result;

/// Opens or mounts it.
pub(crate) fn open(root: &Root) -> Result<OwnedFd> {
    match root {
        Root::Dir(path) => child::open_source(path, None, true),
        Root::Overlay(overlay) => mount(overlay),
    }
}

/// Opens or mounts a root file system, to be given to a launch ([`crate::LaunchFds::root`]). It is in no mount table; a launch has to be
/// done in the same mount namespace.
///
/// # Errors
/// The step that failed, with the kernel's number.
pub fn open_named(root: &Root) -> std::result::Result<OwnedFd, LaunchError> {
    open(root).map_err(|errno| LaunchError::about(step(root), errno, name(root).to_string_lossy()))
}

/// Mounts a root file system on the folder `at`, for a runtime that wants to find it there. In the caller's mount namespace, so
/// that should be one of its own.
///
/// # Errors
/// The step that failed, with the kernel's number.
pub fn attach_root(root: &Root, at: &Path) -> std::result::Result<(), LaunchError> {
    let mount = open(root).map_err(|errno| LaunchError::new(step(root), errno))?;
    move_mount(&mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|errno| LaunchError::new(Step::Root, errno))
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
pub(crate) fn mount(overlay: &Overlay) -> Result<OwnedFd> {
    let mut options = overlay.options.clone();
    if overlay.upper.is_some() {
        for key in [c"index", c"metacopy"] {
            if !overlay.options.iter().any(|(own, _)| own.as_c_str() == key) {
                options.push((key.into(), Some(c"off".into())));
            }
        }
    }
    wharf_sys::overlay::mount(&wharf_sys::overlay::Overlay {
        source: &overlay.source,
        lower: &overlay.lower,
        upper: overlay.upper.as_ref().map(|(upper, work)| (upper.as_c_str(), work.as_c_str())),
        options: &options,
    })
}
