//! Waiting for more: inotify on the log's folder, and a handle that ends the wait from another thread.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify;

use crate::{Error, Result};

/// How often the file is looked at when the kernel has no inotify instance left (`fs.inotify.max_user_instances`, 128 by
/// default, is shared with everything that root runs): a reader must work all the same.
const WITHOUT_NOTIFICATION: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

const RUNNING: u8 = 0;
const FINISHING: u8 = 1;
const STOPPED: u8 = 2;

/// Ends a follower, from any thread. Clones act on the same follower.
#[derive(Clone, Debug)]
pub struct StopHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    wake: OwnedFd,
}

impl StopHandle {
    fn new() -> Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| Error::io("eventfd for", Path::new("a log reader"), error))?;
        Ok(Self { shared: Arc::new(Shared { state: AtomicU8::new(RUNNING), wake }) })
    }

    /// The reader's client is gone: reading ends at once.
    pub fn stop(&self) {
        self.enter(STOPPED);
    }

    /// The container has ended: reading ends when everything in the log was read.
    pub fn finish(&self) {
        self.enter(FINISHING);
    }

    fn enter(&self, state: u8) {
        self.shared.state.fetch_max(state, Ordering::SeqCst);
        // the counter is never read, so one write leaves it readable for good
        let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.state.load(Ordering::SeqCst) == STOPPED
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.shared.state.load(Ordering::SeqCst) != RUNNING
    }
}

/// Waits for changes of a log.
#[derive(Debug)]
pub(crate) struct Watch {
    notify: Option<OwnedFd>,
    stop: StopHandle,
}

impl Watch {
    /// Nothing is watched: for a reader that only needs to be stopped.
    pub(crate) fn idle() -> Result<Self> {
        Ok(Self { notify: None, stop: StopHandle::new()? })
    }

    /// From here on no change of the log at `path` is missed. The folder is watched, as the file is renamed away at a
    /// rotation.
    pub(crate) fn folder_of(path: &Path) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        let watched = inotify::init(flags).and_then(|fd| inotify::add_watch(&fd, folder, events).map(|_| fd));
        let notify = match watched {
            Ok(fd) => Some(fd),
            Err(rustix::io::Errno::MFILE | rustix::io::Errno::NOSPC) => None,
            Err(error) => return Err(Error::io("watch", folder, error)),
        };
        Ok(Self { notify, stop: StopHandle::new()? })
    }

    pub(crate) fn stop(&self) -> &StopHandle {
        &self.stop
    }

    /// Waits until something may have changed or the follower is ended.
    pub(crate) fn wait(&self) {
        let wake = PollFd::new(&self.stop.shared.wake, PollFlags::IN);
        let Some(notify) = &self.notify else {
            let _ = poll(&mut [wake], Some(&WITHOUT_NOTIFICATION));
            return;
        };
        let _ = poll(&mut [PollFd::new(notify, PollFlags::IN), wake], None);
        // what happened does not matter, only that it was noted before the next read
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        while rustix::io::read(notify, &mut buffer).is_ok_and(|(seen, _)| !seen.is_empty()) {}
    }
}
