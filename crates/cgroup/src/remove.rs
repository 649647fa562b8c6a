//! Removing a cgroup with everything that a container has made below it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::files::Dir;
use crate::kill::{await_event, await_one, pause_for};

/// How long the last processes may take to leave a cgroup after they ended: their exit is still running in the kernel
/// when the parent already sees it.
const REMOVE_SECONDS: u64 = 10;

impl Cgroup {
    /// Removes the folders in every hierarchy, nested ones first. Waits for processes that are ending; kills nobody.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when a process stays; [`Error::Kernel`].
    pub fn remove(&self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(REMOVE_SECONDS);
        let path = self.path().as_path();
        // every hierarchy is tried, the first error is told
        let results: Vec<_> = self.hierarchy().roots().map(|root| self.remove_in(root, path, deadline)).collect();
        results.into_iter().collect()
    }

    fn remove_in(&self, root: &Dir, path: &Path, deadline: Instant) -> Result<(), Error> {
        loop {
            match root.remove_child(path) {
                Ok(()) => return Ok(()),
                Err(Errno::BUSY | Errno::NOTEMPTY) => {}
                Err(errno) => return Err(Error::kernel("rmdir", &root.path().join(path), errno)),
            }
            let mut nested = Vec::new();
            if let Some(dir) = root.child(path)? {
                list(&dir, path, &mut nested)?;
            }
            let mut progress = false;
            // deepest first
            for folder in nested.iter().rev() {
                progress |= root.remove_child(folder).is_ok();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let path = root.path().join(path);
                return Err(Error::TimedOut { op: "remove", path, seconds: REMOVE_SECONDS });
            }
            if !progress {
                self.await_exit(left)?;
            }
        }
    }

    /// Waits until something has changed that may let a folder be removed.
    fn await_exit(&self, left: Duration) -> Result<(), Error> {
        let open = |pid: i32| rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok();
        let processes: Vec<OwnedFd> = self.processes()?.into_iter().filter_map(open).collect();
        if !processes.is_empty() {
            await_one(&processes, left);
            return Ok(());
        }
        match self.unified_dir().and_then(|dir| dir.open_file("cgroup.events", OFlags::RDONLY).ok()) {
            Some(events) => await_event(&events, left.min(Duration::from_millis(1))),
            // v1 announces nothing: the last task is between leaving the list and letting go of the group
            None => pause_for(Duration::from_micros(200)),
        }
        Ok(())
    }
}

/// The folders below, parents before children, relative to the hierarchy's root.
fn list(dir: &Dir, path: &Path, into: &mut Vec<PathBuf>) -> Result<(), Error> {
    for name in dir.children()? {
        let below = path.join(&name);
        into.push(below.clone());
        if let Some(child) = dir.child(&name)? {
            list(&child, &below, into)?;
        }
    }
    Ok(())
}
