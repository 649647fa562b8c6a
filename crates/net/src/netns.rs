//! Network namespaces without a name: held by a descriptor, mounted nowhere, gone with the last process and descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::Result;

/// A network namespace.
#[derive(Debug)]
pub struct Netns {
    fd: OwnedFd,
}

impl Netns {
    /// The namespace behind a descriptor of `/proc/<pid>/ns/net`.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// The namespace of a process.
    pub fn of_process(pid: i32) -> Result<Self> {
        let path = format!("/proc/{pid}/ns/net");
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, rustix::fs::Mode::empty())
            .map_err(crate::Error::system(format!("open `{path}`")))?;
        Ok(Self { fd })
    }

    /// The descriptor, for somebody who will enter it.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
