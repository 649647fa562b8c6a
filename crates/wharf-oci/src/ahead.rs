//! The network namespace, made beside everything else.
//!
//! It is by far the dearest of all namespaces, about as dear as all control groups together, and neither depends on the other: on a
//! machine with a second processor it costs nothing. Where anything is out of the ordinary the launch makes it, as ever.

use std::thread::JoinHandle;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use wharf_spec::runtime::{NamespaceType, Spec};
use wharf_sys::clone::{Flags, unshare};

/// A namespace under way.
pub(crate) struct Network(Option<JoinHandle<Option<OwnedFd>>>);

/// A thread with the namespace that the document wants anew. One that would belong to a user namespace can only be made there.
pub(crate) fn network(spec: &Spec, rootless: bool) -> Network {
    let namespaces = spec.linux.as_ref().map(|linux| linux.namespaces.as_slice()).unwrap_or_default();
    let is_new = namespaces.iter().any(|one| one.kind == NamespaceType::Network && one.path.is_none());
    let owned = namespaces.iter().any(|one| one.kind == NamespaceType::User);
    if !is_new || owned || rootless {
        return Network(None);
    }
    Network(std::thread::Builder::new().stack_size(64 * 1024).spawn(|| make().ok()).ok())
}

impl Network {
    /// The namespace, and no thread any more. `None`: the launch has to make it, and says why if it cannot.
    pub(crate) fn take(self) -> Option<OwnedFd> {
        self.0?.join().ok().flatten()
    }
}

/// One with its loopback interface up.
fn make() -> wharf_sys::Result<OwnedFd> {
    unshare(Flags::NETWORK)?;
    wharf_sys::net::loopback_up()?;
    rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}
