//! How far the write-ahead log has reached the disk, and the one way to bring it there.
//!
//! Commits are counted. Whoever wants a commit to be safe brings the log to the disk itself, unless somebody did so after that
//! commit: everybody who comes while the disk is busy finds that the next turn was for him, too.

use std::fs::File;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::{Error, Reach, Result};

/// Closures committed between two checkpoints (log into database): about four megabytes of log.
const CHECKPOINT: usize = 200;

#[derive(Debug)]
pub(crate) struct Disk {
    log: File,
    /// Commits so far.
    committed: AtomicU64,
    /// Closures in them since the last checkpoint.
    closures: AtomicUsize,
    synced: Mutex<Synced>,
}

/// The last commit that has reached the disk.
#[derive(Debug, Default)]
struct Synced {
    rows: u64,
    folders: u64,
}

impl Disk {
    pub(crate) fn new(log: File) -> Self {
        Self { log, committed: AtomicU64::new(0), closures: AtomicUsize::new(0), synced: Mutex::default() }
    }

    /// Counts a commit of so many closures. For whoever has the connection that wrote it.
    pub(crate) fn committed(&self, closures: usize) {
        self.closures.fetch_add(closures, Ordering::Relaxed);
        self.committed.fetch_add(1, Ordering::Release);
    }

    /// The number of the last commit.
    pub(crate) fn last(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Whether everything that was committed has reached the disk.
    pub(crate) fn is_current(&self) -> bool {
        self.synced().rows >= self.last()
    }

    /// Brings the log to the disk, at least up to a commit.
    pub(crate) fn sync(&self, commit: u64, reach: Reach) -> Result<()> {
        let mut synced = self.synced();
        let done = match reach {
            Reach::Processes => return Ok(()),
            Reach::Disk => synced.rows,
            Reach::DiskWithFolders => synced.folders,
        };
        if done >= commit {
            return Ok(());
        }
        let last = self.last();
        let _ = wharf_sys::failpoint::hit("state.sync");
        let all = reach == Reach::DiskWithFolders;
        // on most file systems the log's own metadata goes with everything that was done before, folders above all
        let done = if all { self.log.sync_all() } else { self.log.sync_data() };
        done.map_err(|error| Error::Commit(error.to_string()))?;
        synced.rows = last;
        if all {
            synced.folders = last;
        }
        Ok(())
    }

    /// Whether it is time for a checkpoint.
    pub(crate) fn wants_checkpoint(&self) -> bool {
        self.closures.load(Ordering::Relaxed) >= CHECKPOINT
    }

    /// One is being made: the next is counted from here.
    pub(crate) fn checkpointed(&self) {
        self.closures.store(0, Ordering::Relaxed);
    }

    fn synced(&self) -> std::sync::MutexGuard<'_, Synced> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
