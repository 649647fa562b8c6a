//! A stack of layers in overlayfs's form, seen and copied without the kernel's overlay: for file systems and drivers that have none.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};

use crate::{
    Error, Result,
    pack::{is_opaque, portable_xattrs},
    tree::{self, is_whiteout},
};

/// What was found under a name of a merged folder.
#[derive(Debug)]
pub enum Merged {
    /// Anything but a folder, in the layer whose folder is given.
    File {
        /// Its metadata.
        stat: Box<Stat>,
        /// The folder that holds it.
        holder: usize,
    },
    /// A folder, in one or more layers.
    Folder(MergedFolder),
}

/// One folder of a stack of layers.
#[derive(Debug)]
pub struct MergedFolder {
    /// The same folder in each layer that adds to it, top first; never empty.
    levels: Vec<OwnedFd>,
}

impl MergedFolder {
    /// The root of a stack, top layer first.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for an empty stack.
    pub fn root(layers: Vec<OwnedFd>) -> Result<Self> {
        if layers.is_empty() {
            return Err(Error::Corrupt("a stack without layers".into()));
        }
        Ok(Self { levels: layers })
    }

    /// Metadata of the folder: that of the topmost layer.
    pub fn stat(&self) -> Result<Stat> {
        rustix::fs::fstat(&self.levels[0]).map_err(Error::io("stat", ""))
    }

    /// What is in the folder when all layers are laid over each other.
    pub fn entries(&self) -> Result<BTreeMap<OsString, Merged>> {
        let mut found: BTreeMap<OsString, Option<Merged>> = BTreeMap::new();
        let mut closed: std::collections::HashSet<OsString> = std::collections::HashSet::new();
        for (holder, level) in self.levels.iter().enumerate() {
            for name in tree::names(level.as_fd())? {
                if closed.contains(&name) {
                    continue;
                }
                let stat =
                    rustix::fs::statat(level, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::io("stat", &name))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    closed.insert(name.clone());
                    let file = (!is_whiteout(&stat)).then(|| Merged::File { stat: Box::new(stat), holder });
                    // under a folder of an upper layer a file of a lower one is hidden
                    found.entry(name).or_insert(file);
                    continue;
                }
                let fd = tree::open_folder(level.as_fd(), &name).map_err(Error::io("open", &name))?;
                if is_opaque(&fd) {
                    closed.insert(name.clone());
                }
                match found.entry(name).or_insert_with(|| Some(Merged::Folder(Self { levels: Vec::new() }))) {
                    Some(Merged::Folder(folder)) => folder.levels.push(fd),
                    Some(Merged::File { .. }) | None => {}
                }
            }
        }
        Ok(found.into_iter().filter_map(|(name, entry)| Some((name, entry?))).collect())
    }

    fn holder(&self, holder: usize) -> BorrowedFd<'_> {
        self.levels[holder].as_fd()
    }
}

/// Copies the merged tree of a stack of layers (top first) into the empty folder `to`: contents, owners, modes, times, attributes
/// and hard links. Data is shared with the layers where the file system can.
pub fn copy_merged(layers: Vec<OwnedFd>, to: BorrowedFd<'_>) -> Result<()> {
    let mut copy = Copy { to_root: to, links: HashMap::new() };
    let root = MergedFolder::root(layers)?;
    copy.folder(&root, to, Path::new(""))
}

struct Copy<'a> {
    to_root: BorrowedFd<'a>,
    /// Device and inode of files with several names, with the first copied name.
    links: HashMap<(u64, u64), PathBuf>,
}

impl Copy<'_> {
    fn folder(&mut self, from: &MergedFolder, to: BorrowedFd<'_>, path: &Path) -> Result<()> {
        for (name, entry) in from.entries()? {
            let path = path.join(&name);
            match entry {
                Merged::File { stat, holder } => self.file(from.holder(holder), &name, &stat, to, &path)?,
                Merged::Folder(folder) => {
                    rustix::fs::mkdirat(to, &name, Mode::from_raw_mode(0o700)).map_err(Error::io("mkdir", &path))?;
                    let fd = tree::open_folder(to, &name).map_err(Error::io("open", &path))?;
                    self.folder(&folder, fd.as_fd(), &path)?;
                }
            }
        }
        // after what is in it: making names changes the times
        metadata(from.levels[0].as_fd(), &from.stat()?, to, path)
    }

    fn file(
        &mut self,
        holder: BorrowedFd<'_>,
        name: &OsStr,
        stat: &Stat,
        to: BorrowedFd<'_>,
        path: &Path,
    ) -> Result<()> {
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                return rustix::fs::linkat(self.to_root, first, to, name, AtFlags::empty())
                    .map_err(Error::io("link", path));
            }
            self.links.insert((stat.st_dev, stat.st_ino), path.to_owned());
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return copy_file(holder, name, stat, to, path),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(holder, name, Vec::new()).map_err(Error::io("readlink", path))?;
                rustix::fs::symlinkat(&target, to, name).map_err(Error::io("symlink", path))?;
            }
            kind => rustix::fs::mknodat(to, name, kind, Mode::from_raw_mode(0o600), stat.st_rdev)
                .map_err(Error::io("mknod", path))?,
        }
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(to, name, Some(uid), Some(gid), nofollow).map_err(Error::io("chown", path))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            rustix::fs::chmodat(to, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())
                .map_err(Error::io("chmod", path))?;
        }
        rustix::fs::utimensat(to, name, &times(stat), nofollow).map_err(Error::io("utimes", path))
    }
}

fn copy_file(holder: BorrowedFd<'_>, name: &OsStr, stat: &Stat, to: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let open = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from = rustix::fs::openat(holder, name, open, Mode::empty()).map_err(Error::io("open", path))?;
    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(to, name, create, Mode::from_raw_mode(0o600)).map_err(Error::io("create", path))?;
    // a clone on btrfs and xfs, a copy elsewhere
    if rustix::fs::ioctl_ficlone(&file, &from).is_err() {
        copy_data(&from, &file, path)?;
    }
    metadata(from.as_fd(), stat, file.as_fd(), path)
}

fn copy_data(from: &OwnedFd, to: &OwnedFd, path: &Path) -> Result<()> {
    /// As much as the kernel takes at once.
    const MOST: usize = 1 << 30;
    loop {
        match rustix::fs::copy_file_range(from, None, to, None, MOST) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => break,
            Err(e) => return Err(Error::io("copy", path)(e)),
        }
    }
    // another file system: the position of both files is where the kernel left it
    let clone = |fd: &OwnedFd| fd.try_clone().map(std::fs::File::from);
    let (mut from, mut to) = (clone(from).map_err(Error::io("dup", path))?, clone(to).map_err(Error::io("dup", path))?);
    std::io::copy(&mut from, &mut to).map(drop).map_err(Error::io("copy", path))
}

fn metadata(from: BorrowedFd<'_>, stat: &Stat, to: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(to, Some(uid), Some(gid)).map_err(Error::io("chown", path))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode)).map_err(Error::io("chmod", path))?;
    for (name, value) in portable_xattrs(from, path)? {
        match rustix::fs::fsetxattr(to, OsStr::from_bytes(&name), &value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(e) => return Err(Error::io("setxattr", path)(e)),
        }
    }
    rustix::fs::futimens(to, &times(stat)).map_err(Error::io("utimes", path))
}

fn times(stat: &Stat) -> Timestamps {
    let spec = |seconds, nanos: u64| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanos).unwrap_or(0) };
    Timestamps {
        last_access: spec(stat.st_atime, stat.st_atime_nsec),
        last_modification: spec(stat.st_mtime, stat.st_mtime_nsec),
    }
}
