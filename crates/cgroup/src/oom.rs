//! Out of memory: how often the kernel killed inside the cgroup, and a descriptor that tells when.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, inotify};

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::files::table_value;

/// A descriptor that becomes readable when the cgroup runs out of memory (v1) or its memory events change (v2).
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
    /// v1 ends the notification when this is closed.
    _control: Option<OwnedFd>,
}

impl OomWatch {
    /// Takes what is pending; the descriptor is unreadable until the next event. Whether it was an OOM kill tells
    /// [`Cgroup::oom_kills`]: removing a v1 cgroup and any v2 memory event wake it too.
    pub fn drain(&self) {
        let mut buffer = [0u8; 1024];
        while rustix::io::read(&self.fd, &mut buffer).is_ok_and(|count| count == buffer.len()) {}
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Cgroup {
    /// How many processes the kernel has killed here for want of memory. 0 when there is no memory controller.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn oom_kills(&self) -> Result<u64, Error> {
        let (dir, file) = match (self.v1_dir("memory"), self.unified_dir()) {
            (Some(dir), _) => (dir, "memory.oom_control"),
            // counts the groups below as well, unlike memory.events.local
            (None, Some(dir)) => (dir, "memory.events"),
            (None, None) => return Ok(0),
        };
        Ok(dir.read_if_any(file)?.and_then(|text| table_value(&text, "oom_kill")).unwrap_or(0))
    }

    /// Starts watching.
    ///
    /// # Errors
    /// [`Error::Unsupported`] without a memory controller, [`Error::Kernel`].
    pub fn watch_oom(&self) -> Result<OomWatch, Error> {
        if let Some(dir) = self.v1_dir("memory") {
            let fail = |errno| Error::kernel("make eventfd for", dir.path(), errno);
            let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(fail)?;
            let control = dir.open_file("memory.oom_control", OFlags::RDONLY)?;
            dir.write("cgroup.event_control", &format!("{} {}", fd.as_raw_fd(), control.as_raw_fd()))?;
            return Ok(OomWatch { fd, _control: Some(control) });
        }
        let missing = || Error::Unsupported { what: "watching for OOM".to_owned() };
        let dir = self.unified_dir().filter(|dir| dir.exists("memory.events")).ok_or_else(missing)?;
        let fail = |errno| Error::kernel("watch memory.events of", dir.path(), errno);
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(fail)?;
        inotify::add_watch(&fd, dir.path().join("memory.events"), inotify::WatchFlags::MODIFY).map_err(fail)?;
        Ok(OomWatch { fd, _control: None })
    }
}
