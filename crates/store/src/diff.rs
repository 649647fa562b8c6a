//! What a container changed, and its whole file system as a tar.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Write,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};
use wharf_archive::{Merged, MergedFolder, Source};
use wharf_spec::id::{ContainerId, DiffId};

use crate::{
    Change, ChangeKind, Driver, Error, Job, Result, layout::DIFF, make::stop_if_cancelled, snapshot::mount_overlay,
    store::Store,
};

impl Store {
    /// What the container changed against its image, sorted by path (`docker diff`).
    pub fn snapshot_changes(&self, id: &ContainerId) -> Result<Vec<Change>> {
        let row = self.snapshot_row(id)?;
        if self.driver() != Driver::Overlay2 {
            return self.compare(id, &row.layers);
        }
        let below = self.layers_view(&row.layers)?;
        let upper = self.layout().snapshot(id).join(DIFF);
        let upper_fd = File::open(&upper).map_err(Error::io("open", &upper))?;
        let mut walk = Walk { below: below.as_fd(), changes: Vec::new() };
        walk.folder(upper_fd.as_fd(), Path::new("/"))?;
        walk.changes.sort_unstable();
        Ok(walk.changes)
    }

    /// The same where the container has a full copy: compares it with the stack of layers.
    fn compare(&self, id: &ContainerId, layers: &[DiffId]) -> Result<Vec<Change>> {
        let below = MergedFolder::root(self.open_lower(layers)?)?;
        let path = self.layout().snapshot(id).join(DIFF);
        let root: OwnedFd = File::open(&path).map_err(Error::io("open", &path))?.into();
        let mut compare = Compare { changes: Vec::new() };
        compare.folder(Some(&below), &root, Path::new("/"))?;
        compare.changes.sort_unstable();
        Ok(compare.changes)
    }

    /// Writes the container's whole file system as a tar (`docker export`).
    pub fn snapshot_export(&self, id: &ContainerId, writer: &mut dyn Write, job: &Job) -> Result<()> {
        let root = self.snapshot_view(id)?;
        let out = std::io::BufWriter::with_capacity(256 << 10, writer);
        wharf_archive::pack(root.as_fd(), Source::Tree, out, &|| stop_if_cancelled(job))?;
        job.check()
    }

    /// The layers of an image without a container on top, as one read-only tree.
    fn layers_view(&self, layers: &[DiffId]) -> Result<OwnedFd> {
        let lower = self.lower(layers);
        match &lower[..] {
            [only] => Ok(File::open(only).map_err(Error::io("open", only))?.into()),
            _ => mount_overlay(&lower, None),
        }
    }
}

struct Walk<'a> {
    below: BorrowedFd<'a>,
    changes: Vec<Change>,
}

impl Walk<'_> {
    /// Adds the changes in one folder of the upper layer; says whether there are any.
    fn folder(&mut self, folder: BorrowedFd<'_>, path: &Path) -> Result<bool> {
        let before = self.changes.len();
        let entries = rustix::fs::Dir::read_from(folder).map_err(Error::io("read folder", path))?;
        for entry in entries {
            let entry = entry.map_err(Error::io("read folder", path))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
                self.entry(folder, name, &path.join(name))?;
            }
        }
        Ok(self.changes.len() > before)
    }

    fn entry(&mut self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<()> {
        let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(Error::io("stat", path)(e)),
        };
        let below = self.stat_below(path)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            // a deletion of what is not below says nothing
            if below.is_some() {
                self.push(path, ChangeKind::Deleted);
            }
            return Ok(());
        }
        let change = if below.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        if kind != FileType::Directory {
            self.push(path, change);
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(e) => return Err(Error::io("open", path)(e)),
        };
        let inside = self.folder(fd.as_fd(), path)?;
        // a folder is in the upper layer also when only something in it was read for writing
        if inside || below.is_none_or(|below| !same(&below, &stat)) {
            self.push(path, change);
        }
        Ok(())
    }

    fn push(&mut self, path: &Path, kind: ChangeKind) {
        self.changes.push(Change { path: path.to_owned(), kind });
    }

    fn stat_below(&self, path: &Path) -> Result<Option<Stat>> {
        let relative: PathBuf = path.strip_prefix("/").unwrap_or(path).to_owned();
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat2(self.below, &relative, flags, Mode::empty(), resolve) {
            Ok(fd) => Ok(Some(rustix::fs::fstat(fd).map_err(Error::io("stat", path))?)),
            Err(Errno::LOOP) => self.stat_link(&relative, path),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(e) => Err(Error::io("stat", path)(e)),
        }
    }

    /// The last component is a link itself (which the strict lookup refuses), or a folder above became one.
    fn stat_link(&self, relative: &Path, path: &Path) -> Result<Option<Stat>> {
        let parent = relative.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(folder) = rustix::fs::openat2(self.below, parent, flags, Mode::empty(), resolve) else {
            return Ok(None);
        };
        let name: OsString = relative.file_name().unwrap_or_default().to_owned();
        match rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::io("stat", path)(e)),
        }
    }
}

/// Compares a full copy with the layers it was made from.
struct Compare {
    changes: Vec<Change>,
}

impl Compare {
    fn folder(&mut self, below: Option<&MergedFolder>, folder: &OwnedFd, path: &Path) -> Result<()> {
        let mut expected = below.map(MergedFolder::entries).transpose()?.unwrap_or_default();
        for entry in rustix::fs::Dir::read_from(folder).map_err(Error::io("read folder", path))? {
            let entry = entry.map_err(Error::io("read folder", path))?;
            let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            self.entry(expected.remove(name).as_ref(), folder, name, &path.join(name))?;
        }
        self.changes.extend(expected.keys().map(|name| Change { path: path.join(name), kind: ChangeKind::Deleted }));
        Ok(())
    }

    fn entry(&mut self, below: Option<&Merged>, folder: &OwnedFd, name: &OsStr, path: &Path) -> Result<()> {
        let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(Error::io("stat", path)(e)),
        };
        let before = self.changes.len();
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_folder {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(folder, name, flags, Mode::empty()).map_err(Error::io("open", path))?;
            let below = match below {
                Some(Merged::Folder(folder)) => Some(folder),
                _ => None,
            };
            self.folder(below, &fd, path)?;
        }
        let unchanged = match below {
            None => false,
            Some(Merged::File { stat: old, .. }) => !is_folder && same(old, &stat) && same_contents(old, &stat),
            Some(Merged::Folder(old)) => is_folder && self.changes.len() == before && same(&old.stat()?, &stat),
        };
        if !unchanged {
            let kind = if below.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
            self.changes.push(Change { path: path.to_owned(), kind });
        }
        Ok(())
    }
}

/// Whether a file was not written to, by what the kernel records of writing.
fn same_contents(a: &Stat, b: &Stat) -> bool {
    (a.st_size, a.st_rdev, a.st_mtime_nsec) == (b.st_size, b.st_rdev, b.st_mtime_nsec)
}

/// Whether two folders are the same as far as `docker diff` looks.
fn same(a: &Stat, b: &Stat) -> bool {
    (a.st_mode, a.st_uid, a.st_gid, a.st_mtime) == (b.st_mode, b.st_uid, b.st_gid, b.st_mtime)
}
