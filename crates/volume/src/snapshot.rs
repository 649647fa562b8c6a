//! Snapshots: named copies of a volume's files, kept with it.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use wharf_sys::failpoint;

use crate::open::remove_tree;
use crate::row::Backing;
use crate::{Check, Error, Result, Volumes, copy, fill, options};

/// The folder of a volume's snapshots.
pub(crate) const FOLDER: &str = "snapshots";

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Nanoseconds since 1970.
    pub created: i64,
}

impl Volumes {
    /// Copies the files as they are now under `snapshot`.
    pub fn snapshot(&self, name: &str, snapshot: &str, check: Check<'_>) -> Result<()> {
        if !options::is_name(snapshot) {
            return Err(Error::Invalid(format!(
                "snapshot {name}: {snapshot:?} includes invalid characters, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed"
            )));
        }
        if self.get(name)?.backing == Backing::Plugin {
            return Err(Error::Unsupported(format!("snapshot {name}: volumes of plugins have no snapshots here")));
        }
        let folder = self.shared.folder(name).join(FOLDER);
        let target = folder.join(snapshot);
        let user = format!("snapshot-{snapshot}");
        let base = self.mount(name, &user)?;
        let made = (|| {
            if target.exists() {
                return Err(Error::Conflict(format!("snapshot {name}: {snapshot} exists already")));
            }
            fs::create_dir_all(&folder).map_err(Error::io("mkdir", &folder))?;
            let staged = folder.join(format!(".{snapshot}"));
            remove_tree(&staged)?;
            fs::create_dir(&staged).map_err(Error::io("mkdir", &staged))?;
            let copied = copy_folder(&base, &staged, check);
            if let Err(error) = copied {
                // the first error is the one to tell; what stays goes at the next start
                let _ = remove_tree(&staged);
                return Err(error);
            }
            fs::rename(&staged, &target).map_err(Error::io("rename", &staged))
        })();
        let unmounted = self.unmount(name, &user);
        made.and(unmounted)
    }

    /// All of a volume, by name.
    pub fn snapshots(&self, name: &str) -> Result<Vec<Snapshot>> {
        self.get(name)?;
        let entries = fs::read_dir(self.shared.folder(name).join(FOLDER)).into_iter().flatten().flatten();
        let mut found: Vec<Snapshot> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok().filter(|name| options::is_name(name))?;
                // the folder's own times are the volume's: its change is the rename
                let changed = std::os::unix::fs::MetadataExt::ctime(&entry.metadata().ok()?);
                Some(Snapshot { name, created: changed.saturating_mul(1_000_000_000) })
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Removes one.
    pub fn snapshot_remove(&self, name: &str, snapshot: &str) -> Result<()> {
        let path = self.snapshot_path(name, snapshot)?;
        let _lock = self.shared.lock(&[name]);
        // a half removed one is none
        let hidden = path.with_file_name(format!(".gone-{snapshot}"));
        remove_tree(&hidden)?;
        fs::rename(&path, &hidden).map_err(Error::io("rename", &path))?;
        remove_tree(&hidden)
    }

    /// Makes the volume's files those of the snapshot. No running container may have it.
    pub fn restore(&self, name: &str, snapshot: &str, check: Check<'_>) -> Result<()> {
        let path = self.snapshot_path(name, snapshot)?;
        self.replace(name, "restore", &mut |into| {
            let source = open(&path)?;
            copy::copy(source.as_fd(), into, &path, check)
        })
    }

    /// Replaces all files of a volume that nobody has mounted.
    pub(crate) fn replace(
        &self,
        name: &str,
        what: &str,
        contents: &mut dyn FnMut(std::os::fd::BorrowedFd<'_>) -> Result<()>,
    ) -> Result<()> {
        let _lock = self.shared.lock(&[name]);
        let running: Vec<String> =
            self.shared.world().mounts.get(name).map(|m| m.users.iter().cloned().collect()).unwrap_or_default();
        if !running.is_empty() {
            return Err(Error::Conflict(format!("{what} {name}: volume is in use - [{}]", running.join(", "))));
        }
        let base = self.mount_locked(name, what)?;
        let done =
            self.place(name, &base).and_then(|place| place.fill(fill::Existing::Replace, self.project(name), contents));
        let unmounted = self.unmount_locked(name, what);
        done.and(unmounted)
    }

    fn snapshot_path(&self, name: &str, snapshot: &str) -> Result<std::path::PathBuf> {
        self.get(name)?;
        let path = self.shared.folder(name).join(FOLDER).join(snapshot);
        if options::is_name(snapshot) && path.is_dir() {
            return Ok(path);
        }
        Err(Error::Missing(format!("volume {name}: no such snapshot: {snapshot}")))
    }
}

fn copy_folder(from: &Path, into: &Path, check: Check<'_>) -> Result<()> {
    let (source, target) = (open(from)?, open(into)?);
    copy::copy(source.as_fd(), target.as_fd(), from, check)?;
    failpoint::hit("volume.snapshot.after_copy").map_err(Error::io("fail point", into))?;
    rustix::fs::syncfs(&target).map_err(Error::io("sync", into))
}

pub(crate) fn open(path: &Path) -> Result<std::os::fd::OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(Error::io("open", path))
}
