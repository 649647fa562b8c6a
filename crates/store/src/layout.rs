//! Where things are on disk.
//!
//! ```text
//! <data root>/<driver>/<diff ID>/diff       files of a layer, whiteouts in overlayfs's form
//!                                record     everything else of its tar stream (see `wharf_archive::Recorder`)
//!                                aside/     files that the layer itself replaces again
//!                      /<container ID>/diff, work, merged    a container's own layer
//!                      /init/diff           mount points that every root has; below all layers
//!                      /staging/<n>/…       what is being made or thrown away; emptied at start
//! ```
//! A folder enters `<driver>/` by one rename, after its data was synced, and leaves it by one rename into `staging`.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use wharf_spec::id::{ContainerId, DiffId};

use crate::{Driver, Error, Result};

pub(crate) const DIFF: &str = "diff";
pub(crate) const WORK: &str = "work";
pub(crate) const MERGED: &str = "merged";
pub(crate) const RECORD: &str = "record";
pub(crate) const ASIDE: &str = "aside";
pub(crate) const INIT: &str = "init";
pub(crate) const STAGING: &str = "staging";

/// The folders of one driver.
#[derive(Debug)]
pub(crate) struct Layout {
    base: PathBuf,
    /// Tells the staging folders of this start from those that a killed one left.
    start: i128,
    next: AtomicU64,
}

impl Layout {
    pub(crate) fn create(root: &Path, driver: Driver) -> Result<Self> {
        let base = root.join(driver.name());
        make_private(&base)?;
        let layout = Self { base, start: jiff::Timestamp::now().as_nanosecond(), next: AtomicU64::new(0) };
        make_private(&layout.staging())?;
        Ok(layout)
    }

    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.base.join(STAGING)
    }

    pub(crate) fn init(&self) -> PathBuf {
        self.base.join(INIT).join(DIFF)
    }

    pub(crate) fn layer(&self, diff: &DiffId) -> PathBuf {
        self.base.join(diff.hex())
    }

    pub(crate) fn layer_files(&self, diff: &DiffId) -> PathBuf {
        self.layer(diff).join(DIFF)
    }

    pub(crate) fn snapshot(&self, id: &ContainerId) -> PathBuf {
        self.base.join(id.as_str())
    }

    /// A fresh name in the staging folder.
    pub(crate) fn fresh(&self) -> PathBuf {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        self.staging().join(format!("{}-{n}", self.start))
    }

    /// A fresh folder that is removed again unless it is published.
    pub(crate) fn stage(&self) -> Result<Stage> {
        let path = self.fresh();
        std::fs::create_dir(&path).map_err(Error::io("mkdir", &path))?;
        Ok(Stage { path: Some(path) })
    }

    /// Moves `path` out of sight; its files are removed by whoever empties the staging folder.
    pub(crate) fn retire(&self, path: &Path) -> Result<Option<PathBuf>> {
        let to = self.fresh();
        match std::fs::rename(path, &to) {
            Ok(()) => Ok(Some(to)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("rename", path)(e)),
        }
    }

    /// Waits until renames in the base folder are on the disk.
    pub(crate) fn sync_names(&self) -> Result<()> {
        let base = File::open(&self.base).map_err(Error::io("open", &self.base))?;
        base.sync_all().map_err(Error::io("fsync", &self.base))
    }

    /// Bytes that may still be written: the free space of the file system, less a reserve.
    pub(crate) fn free(&self) -> u64 {
        const RESERVE: u64 = 64 << 20;
        rustix::fs::statvfs(&self.base).map_or(u64::MAX, |s| (s.f_bavail * s.f_frsize).saturating_sub(RESERVE))
    }
}

/// A folder in the making.
#[derive(Debug)]
pub(crate) struct Stage {
    path: Option<PathBuf>,
}

impl Stage {
    pub(crate) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new("/nonexistent"))
    }

    /// Moves it to its place.
    pub(crate) fn publish(mut self, to: &Path) -> Result<()> {
        std::fs::rename(self.path(), to).map_err(Error::io("rename", to))?;
        self.path = None;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = remove_tree(path)
        {
            // the next start of the daemon empties the folder
            tracing::warn!("unfinished folder stays until the next start: {error}");
        }
    }
}

/// Removes a folder and everything in it.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let parent_fd = File::open(parent).map_err(Error::io("open", parent))?;
    use std::os::fd::AsFd;
    Ok(wharf_archive::remove(parent_fd.as_fd(), name)?)
}

/// A folder that only root may enter: containers' files with set-uid bits are below it.
pub(crate) fn make_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o710).create(path).map_err(Error::io("mkdir", path))
}
