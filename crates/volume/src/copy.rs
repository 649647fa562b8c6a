//! Copies a tree with everything that makes it up, never leaving the two roots.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    self, AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use crate::{Error, Result};

/// Folders below folders, at most: a hostile tree must not overflow the stack.
const DEEPEST: usize = 512;

/// Copies the folder `path` of `root` into the empty folder `target`.
pub(crate) fn copy_up(root: BorrowedFd<'_>, path: &Path, target: &Path) -> Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let source =
        match fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(errno) => return Err(Error::io("open", path)(errno)),
        };
    let into = fs::open(target, flags, Mode::empty()).map_err(Error::io("open", target))?;
    if !is_empty(&into).map_err(Error::io("read", target))? {
        return Ok(());
    }
    let mut copy = Copy { links: HashMap::new(), at: PathBuf::from(path) };
    copy.folder(&source, &into, 0)
}

fn is_empty(dir: &OwnedFd) -> rustix::io::Result<bool> {
    for entry in Dir::read_from(dir)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Copy {
    /// Files with several links, by device and inode: their first copy, from the target's root.
    links: HashMap<(u64, u64), (OwnedFd, CString)>,
    at: PathBuf,
}

impl Copy {
    fn folder(&mut self, from: &OwnedFd, into: &OwnedFd, depth: usize) -> Result<()> {
        let fail = |op, at: &Path| Error::io::<Errno>(op, at);
        if depth > DEEPEST {
            return Err(Error::Invalid(format!("copy `{}`: folders are too deep", self.at.display())));
        }
        let entries = Dir::read_from(from).map_err(fail("read", &self.at))?;
        for entry in entries {
            let entry = entry.map_err(fail("read", &self.at))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.at.push(OsStr::from_bytes(name.to_bytes()));
            self.entry(from, into, name, depth)?;
            self.at.pop();
        }
        let stat = fs::fstat(from).map_err(fail("stat", &self.at))?;
        attributes(from.as_fd(), into.as_fd()).map_err(fail("copy attributes of", &self.at))?;
        fs::fchown(into, Some(uid(&stat)), Some(gid(&stat))).map_err(fail("chown", &self.at))?;
        fs::fchmod(into, mode(&stat)).map_err(fail("chmod", &self.at))?;
        fs::futimens(into, &times(&stat)).map_err(fail("set times of", &self.at))
    }

    fn entry(&mut self, from: &OwnedFd, into: &OwnedFd, name: &CStr, depth: usize) -> Result<()> {
        let fail = |op, at: &Path| Error::io::<Errno>(op, at);
        let stat = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail("stat", &self.at))?;
        let key = (stat.st_dev, stat.st_ino);
        let kind = FileType::from_raw_mode(stat.st_mode);
        let several = stat.st_nlink > 1 && kind != FileType::Directory;
        if several && let Some((folder, first)) = self.links.get(&key) {
            return fs::linkat(folder, first, into, name, AtFlags::empty()).map_err(fail("link", &self.at));
        }
        match kind {
            FileType::Directory => {
                let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                fs::mkdirat(into, name, Mode::RWXU).map_err(fail("mkdir", &self.at))?;
                let source = fs::openat(from, name, flags, Mode::empty()).map_err(fail("open", &self.at))?;
                let target = fs::openat(into, name, flags, Mode::empty()).map_err(fail("open", &self.at))?;
                return self.folder(&source, &target, depth + 1);
            }
            FileType::RegularFile => self.file(from, into, name, &stat)?,
            FileType::Symlink => {
                let content = fs::readlinkat(from, name, Vec::new()).map_err(fail("readlink", &self.at))?;
                fs::symlinkat(&content, into, name).map_err(fail("symlink", &self.at))?;
                fs::chownat(into, name, Some(uid(&stat)), Some(gid(&stat)), AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(fail("chown", &self.at))?;
            }
            _ => {
                fs::mknodat(into, name, kind, mode(&stat), stat.st_rdev).map_err(fail("mknod", &self.at))?;
                fs::chownat(into, name, Some(uid(&stat)), Some(gid(&stat)), AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(fail("chown", &self.at))?;
                fs::chmodat(into, name, mode(&stat), AtFlags::empty()).map_err(fail("chmod", &self.at))?;
            }
        }
        fs::utimensat(into, name, &times(&stat), AtFlags::SYMLINK_NOFOLLOW).map_err(fail("set times of", &self.at))?;
        if several {
            let folder = into.try_clone().map_err(Error::io("dup", &self.at))?;
            self.links.insert(key, (folder, name.to_owned()));
        }
        Ok(())
    }

    fn file(&self, from: &OwnedFd, into: &OwnedFd, name: &CStr, stat: &Stat) -> Result<()> {
        let fail = |op| Error::io::<Errno>(op, &self.at);
        let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = fs::openat(from, name, read, Mode::empty()).map_err(fail("open"))?;
        let target = fs::openat(into, name, write, Mode::RUSR | Mode::WUSR).map_err(fail("create"))?;
        // std uses copy_file_range and sendfile where they work
        let (mut source, mut target) = (File::from(source), File::from(target));
        std::io::copy(&mut source, &mut target).map_err(Error::io("copy", &self.at))?;
        attributes(source.as_fd(), target.as_fd()).map_err(fail("copy attributes of"))?;
        fs::fchown(&target, Some(uid(stat)), Some(gid(stat))).map_err(fail("chown"))?;
        fs::fchmod(&target, mode(stat)).map_err(fail("chmod"))
    }
}

/// Copies extended attributes; those that the target's file system does not take are left out, as `cp -a` does.
fn attributes(from: BorrowedFd<'_>, into: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let mut names = vec![0_u8; 4096];
    let length = match fs::flistxattr(from, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    for name in names[..length].split(|&b| b == 0).filter(|name| !name.is_empty()) {
        if name.starts_with(b"trusted.overlay.") {
            continue;
        }
        let mut value = vec![0_u8; 65536];
        let size = fs::fgetxattr(from, name, &mut value[..])?;
        match fs::fsetxattr(into, name, &value[..size], XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn uid(stat: &Stat) -> Uid {
    Uid::from_raw(stat.st_uid)
}

fn gid(stat: &Stat) -> Gid {
    Gid::from_raw(stat.st_gid)
}

fn mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & 0o7777)
}

fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
    }
}

/// Bytes of all files below a folder; what vanishes meanwhile does not count.
pub(crate) fn size(folder: &Path) -> u64 {
    let mut todo = vec![folder.to_owned()];
    let mut sum = 0;
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => todo.push(entry.path()),
                Ok(meta) => sum += meta.len(),
                Err(_) => {}
            }
        }
    }
    sum
}
