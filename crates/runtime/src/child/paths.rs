//! Paths inside the container's root, which its image controls: every look-up is the kernel's with `RESOLVE_IN_ROOT`, so
//! that no symlink and no `..` leads out, and what is found is used by descriptor, never by name again.

use crate::Step;
use crate::channel::{At, Done, Fail};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat2, readlinkat, statat};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString};

/// What is made when a path does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Make {
    /// A folder with this mode.
    Dir(u32),
    /// An empty file.
    File,
}

/// Opens `path` (`O_PATH`) inside `root`, following symlinks inside it.
pub(super) fn find(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    lookup(root, path, ResolveFlags::empty())
}

/// Opens `path` (`O_PATH`) inside `root` if no part of it is a symlink; `ELOOP` otherwise.
pub(super) fn find_plain(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    lookup(root, path, ResolveFlags::NO_SYMLINKS)
}

/// Opens `path` (`O_PATH`) below `folder`; `EXDEV` when a symlink or `..` would lead out.
pub(super) fn find_beneath(folder: impl AsFd, path: &CStr) -> Result<OwnedFd> {
    look(folder.as_fd(), path, ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
}

fn lookup(root: BorrowedFd<'_>, path: &CStr, more: ResolveFlags) -> Result<OwnedFd> {
    look(root, path, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more)
}

fn look(root: BorrowedFd<'_>, path: &CStr, resolve: ResolveFlags) -> Result<OwnedFd> {
    loop {
        match openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // a rename somewhere raced with the look-up
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

/// As [`find`], making what is missing.
pub(super) fn find_or_make(root: BorrowedFd<'_>, path: &CStr, make: Make) -> Result<OwnedFd> {
    match find(root, path) {
        Err(Errno::NOENT) => {
            if !make_last(root, path, make) {
                make_missing(root, path, make)?;
            }
            find(root, path)
        }
        other => other,
    }
}

/// Makes the last part of `path` where all before it are there, as nearly always; `false`: it takes [`make_missing`].
fn make_last(root: BorrowedFd<'_>, path: &CStr, make: Make) -> bool {
    let bytes = path.to_bytes();
    let Some(cut) = bytes.iter().rposition(|byte| *byte == b'/').filter(|cut| *cut > 0) else { return false };
    let name = &bytes[cut + 1..];
    if matches!(name, b"" | b"." | b"..") {
        return false;
    }
    let parent = CString::new(&bytes[..cut]).ok().and_then(|parent| find(root, &parent).ok());
    parent.is_some_and(|parent| make_one(&parent, name, make).is_ok())
}

fn make_one(parent: &OwnedFd, name: &[u8], make: Make) -> Result<()> {
    match make {
        Make::File => make_file(parent, name),
        Make::Dir(mode) => mkdirat(parent, name, Mode::from_raw_mode(mode)),
    }
}

/// Makes every missing part of `path`. Dangling symlinks on the way are followed inside the root, and their targets made.
fn make_missing(root: BorrowedFd<'_>, path: &CStr, make: Make) -> Result<()> {
    // as many as the kernel follows
    let mut links = 40;
    let mut done = Vec::new();
    let mut rest: Vec<Vec<u8>> = parts(path.to_bytes());
    while let Some(name) = rest.pop() {
        let parent = find(root, &CString::new(slashed(&done)).map_err(|_| Errno::INVAL)?)?;
        let last = rest.is_empty();
        let made = make_one(&parent, &name, if last { make } else { Make::Dir(0o755) });
        match made {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat = statat(&parent, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                    links -= 1;
                    if links == 0 {
                        return Err(Errno::LOOP);
                    }
                    let target = readlinkat(&parent, &*name, Vec::new())?;
                    if target.to_bytes().starts_with(b"/") {
                        done.clear();
                    }
                    rest.extend(parts(target.to_bytes()));
                    continue;
                }
            }
            Err(errno) => return Err(errno),
        }
        done.push(name);
    }
    Ok(())
}

/// The parts of a path, last one first. `..` is taken literally against what was walked: it cannot lead above the root,
/// because look-ups happen inside it.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let real = |part: &&[u8]| !part.is_empty() && *part != b".";
    path.split(|byte| *byte == b'/').filter(real).map(<[u8]>::to_vec).rev().collect()
}

fn slashed(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut path = b"/".to_vec();
    path.extend(parts.join(&b'/'));
    path
}

/// An empty file that did not exist.
pub(super) fn make_file(parent: impl AsFd, name: &[u8]) -> Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
}

/// The folder that `path` lies in (made when missing) and the last part of the path.
pub(super) fn parent_of<'a>(root: BorrowedFd<'_>, path: &'a CStr) -> Result<(OwnedFd, &'a [u8])> {
    let bytes = path.to_bytes();
    let cut = bytes.iter().rposition(|byte| *byte == b'/').ok_or(Errno::INVAL)?;
    let (parent, name) = (&bytes[..cut], &bytes[cut + 1..]);
    if matches!(name, b"" | b"." | b"..") {
        return Err(Errno::INVAL);
    }
    let parent = if parent.is_empty() { c"/".into() } else { CString::new(parent).map_err(|_| Errno::INVAL)? };
    Ok((find_or_make(root, &parent, Make::Dir(0o755))?, name))
}

/// Whether an open file is a folder.
pub(super) fn is_dir(fd: impl AsFd) -> Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) == FileType::Directory)
}

/// Makes the working directory when the image lacks it (runc does; images rely on it).
pub(super) fn make_cwd(root: BorrowedFd<'_>, cwd: &CStr) -> Done<()> {
    match find_or_make(root, cwd, Make::Dir(0o755)) {
        // a read-only root or a plain file in the way shows at chdir, with the better message
        Ok(_) | Err(Errno::ROFS | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => Ok(()),
        Err(errno) => Err(Fail { step: Step::Chdir, index: 0, errno }),
    }
}

/// Whether the file lies in a proc file system.
pub(super) fn in_proc(fd: impl AsFd, step: Step, index: usize) -> Done<bool> {
    const PROC_SUPER_MAGIC: i64 = 0x9fa0;
    Ok(rustix::fs::fstatfs(fd).at(step, index)?.f_type as i64 == PROC_SUPER_MAGIC)
}
