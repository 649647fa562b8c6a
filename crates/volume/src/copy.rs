//! Copies a tree with everything that makes it up, never leaving the two roots.
//!
//! Blocks are shared with the source where the file system can (reflink); holes stay holes.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    self, AtFlags, Dir, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use crate::{Check, Error, Result};

/// Folders below folders, at most: a hostile tree must not overflow the stack.
const DEEPEST: usize = 512;
/// One call of `copy_file_range`, at most, so that an interruption is noticed.
const STRIDE: usize = 8 << 20;

/// Copies what is in the folder `from` into the folder `into`, and its attributes. `check` is asked before each file.
pub(crate) fn copy(from: BorrowedFd<'_>, into: BorrowedFd<'_>, shown: &Path, check: Check<'_>) -> Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let source = fs::openat(from, ".", flags, Mode::empty()).map_err(Error::io("open", shown))?;
    let target = fs::openat(into, ".", flags, Mode::empty()).map_err(Error::io("open", shown))?;
    let mut copy = Copy { root: into, links: HashMap::new(), at: PathBuf::new(), check, reflink: true };
    copy.folder(&source, &target, 0)
}

struct Copy<'a> {
    root: BorrowedFd<'a>,
    /// Files with several links, by device and inode: the path of their first copy below the root. Whoever copies owns
    /// the target, so that nothing there can be swapped for a link.
    links: HashMap<(u64, u64), PathBuf>,
    at: PathBuf,
    check: Check<'a>,
    reflink: bool,
}

impl Copy<'_> {
    fn folder(&mut self, from: &OwnedFd, into: &OwnedFd, depth: usize) -> Result<()> {
        let fail = |op, at: &Path| Error::io::<Errno>(op, at);
        if depth > DEEPEST {
            return Err(Error::Invalid(format!("copy `{}`: folders are too deep", self.at.display())));
        }
        let entries = Dir::read_from(from).map_err(fail("read", &self.at))?;
        for entry in entries {
            let entry = entry.map_err(fail("read", &self.at))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || depth == 0 && is_ours(name.to_bytes()) {
                continue;
            }
            (self.check)()?;
            self.at.push(OsStr::from_bytes(name.to_bytes()));
            self.entry(from, into, name, depth)?;
            self.at.pop();
        }
        folder_attributes(from, into, &self.at)
    }

    fn entry(&mut self, from: &OwnedFd, into: &OwnedFd, name: &CStr, depth: usize) -> Result<()> {
        let fail = |op, at: &Path| Error::io::<Errno>(op, at);
        let stat = match fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // whoever uses the volume may remove it at this moment
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(fail("stat", &self.at)(errno)),
        };
        let key = (stat.st_dev, stat.st_ino);
        let kind = FileType::from_raw_mode(stat.st_mode);
        let several = stat.st_nlink > 1 && kind != FileType::Directory;
        if several && let Some(first) = self.links.get(&key) {
            return fs::linkat(self.root, first, into, name, AtFlags::empty()).map_err(fail("link", &self.at));
        }
        match kind {
            FileType::Directory => {
                let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let source = match fs::openat(from, name, flags, Mode::empty()) {
                    Ok(source) => source,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
                    Err(errno) => return Err(fail("open", &self.at)(errno)),
                };
                fs::mkdirat(into, name, Mode::RWXU).map_err(fail("mkdir", &self.at))?;
                let target = fs::openat(into, name, flags, Mode::empty()).map_err(fail("open", &self.at))?;
                return self.folder(&source, &target, depth + 1);
            }
            FileType::RegularFile => {
                if !self.file(from, into, name, &stat)? {
                    return Ok(());
                }
            }
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
            self.links.insert(key, self.at.clone());
        }
        Ok(())
    }

    /// Copies a file; `false` when it is gone by now.
    fn file(&mut self, from: &OwnedFd, into: &OwnedFd, name: &CStr, stat: &Stat) -> Result<bool> {
        let fail = |op, at: &Path| Error::io::<Errno>(op, at);
        let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = match fs::openat(from, name, read, Mode::empty()) {
            Ok(source) => source,
            Err(Errno::NOENT | Errno::LOOP) => return Ok(false),
            Err(errno) => return Err(fail("open", &self.at)(errno)),
        };
        let target = fs::openat(into, name, write, Mode::RUSR | Mode::WUSR).map_err(fail("create", &self.at))?;
        self.contents(&source, &target, u64::try_from(stat.st_size).unwrap_or(0))?;
        attributes(source.as_fd(), target.as_fd()).map_err(fail("copy attributes of", &self.at))?;
        fs::fchown(&target, Some(uid(stat)), Some(gid(stat))).map_err(fail("chown", &self.at))?;
        fs::fchmod(&target, mode(stat)).map_err(fail("chmod", &self.at))?;
        Ok(true)
    }

    fn contents(&mut self, source: &OwnedFd, target: &OwnedFd, size: u64) -> Result<()> {
        if size == 0 {
            return Ok(());
        }
        if self.reflink {
            match fs::ioctl_ficlone(target, source) {
                Ok(()) => return Ok(()),
                // neither here nor for any other file between these two file systems
                Err(_) => self.reflink = false,
            }
        }
        let fail = |op, at: &Path| Error::io::<Errno>(op, at);
        let mut at = 0;
        while at < size {
            let data = match fs::seek(source, SeekFrom::Data(at)) {
                Ok(data) => data,
                // a hole up to the end
                Err(Errno::NXIO) => break,
                Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
                Err(errno) => return Err(fail("seek", &self.at)(errno)),
            };
            let end = fs::seek(source, SeekFrom::Hole(data)).unwrap_or(size).min(size);
            self.range(source, target, data, end.max(data))?;
            if end <= data {
                break;
            }
            at = end;
        }
        fs::ftruncate(target, size).map_err(fail("truncate", &self.at))
    }

    fn range(&self, source: &OwnedFd, target: &OwnedFd, mut at: u64, end: u64) -> Result<()> {
        let fail = |op, at: &Path| Error::io::<Errno>(op, at);
        let mut buffer = Vec::new();
        while at < end {
            (self.check)()?;
            let want = usize::try_from(end - at).unwrap_or(STRIDE).min(STRIDE);
            let (mut from, mut to) = (at, at);
            let copied = match fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), want) {
                Ok(count) => count,
                Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                    buffer.resize(want.min(1 << 20), 0);
                    let count = rustix::io::pread(source, &mut buffer[..], at).map_err(fail("read", &self.at))?;
                    let mut written = 0;
                    while written < count {
                        written += rustix::io::pwrite(target, &buffer[written..count], at + written as u64)
                            .map_err(fail("write", &self.at))?;
                    }
                    count
                }
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(fail("copy", &self.at)(errno)),
            };
            if copied == 0 {
                // it shrinks while we read
                break;
            }
            at += copied as u64;
        }
        Ok(())
    }
}

/// Names in the root of a mounted volume that are the engine's own.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    crate::fill::OURS.iter().any(|own| own.as_bytes() == name)
}

/// Gives `into` the owner, mode, extended attributes and times of `from`.
pub(crate) fn folder_attributes(from: &OwnedFd, into: &OwnedFd, at: &Path) -> Result<()> {
    let fail = |op| Error::io::<Errno>(op, at);
    let stat = fs::fstat(from).map_err(fail("stat"))?;
    attributes(from.as_fd(), into.as_fd()).map_err(fail("copy attributes of"))?;
    fs::fchown(into, Some(uid(&stat)), Some(gid(&stat))).map_err(fail("chown"))?;
    fs::fchmod(into, mode(&stat)).map_err(fail("chmod"))?;
    fs::futimens(into, &times(&stat)).map_err(fail("set times of"))
}

/// Copies extended attributes; those that the target's file system does not take are left out, as `cp -a` does.
fn attributes(from: BorrowedFd<'_>, into: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let mut names = vec![0_u8; 4096];
    let length = loop {
        match fs::flistxattr(from, &mut names[..]) {
            Ok(length) => break length,
            Err(Errno::OPNOTSUPP) => return Ok(()),
            // the kernel's own limit is 64 KiB
            Err(Errno::RANGE) if names.len() < 1 << 16 => names.resize(1 << 16, 0),
            Err(errno) => return Err(errno),
        }
    };
    let mut value = Vec::new();
    for name in names[..length].split(|&b| b == 0).filter(|name| !name.is_empty()) {
        if name.starts_with(b"trusted.overlay.") {
            continue;
        }
        value.resize(1 << 16, 0);
        let size = match fs::fgetxattr(from, name, &mut value[..]) {
            Ok(size) => size,
            Err(Errno::NODATA) => continue,
            Err(errno) => return Err(errno),
        };
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

/// Whether a folder has no entry but the engine's own and `lost+found`.
pub(crate) fn is_empty(dir: &OwnedFd) -> rustix::io::Result<bool> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b".." | b"lost+found") && !is_ours(name) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The names in a folder.
pub(crate) fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}
