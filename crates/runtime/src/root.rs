//! The root file system as a detached mount: nothing of it is in any mount table before the child attaches it in its own.

use crate::plan::{Overlay, Root};
use crate::{Step, child};
use rustix::fd::OwnedFd;
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
