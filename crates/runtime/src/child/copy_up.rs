//! What a folder of the image holds, copied into the tmpfs that covers it (mount option `tmpcopyup`).

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Result;
use std::ffi::CStr;

/// Copies what lies below the folder `from` into the empty folder `to`, with modes and owners.
pub(super) fn tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let source = reopen_dir(from, c".")?;
    let stat = rustix::fs::fstat(&source)?;
    let target = reopen_dir(to, c".")?;
    rustix::fs::fchmod(&target, Mode::from_raw_mode(stat.st_mode))?;
    rustix::fs::fchown(&target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    for entry in Dir::read_from(&source)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        copy_entry(source.as_fd(), target.as_fd(), name)?;
    }
    Ok(())
}

fn reopen_dir(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    rustix::fs::openat(
        dir,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn copy_entry(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let stat = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(target, name, mode)?;
            return tree(reopen_dir(source, name)?.as_fd(), reopen_dir(target, name)?.as_fd());
        }
        FileType::Symlink => {
            let content = rustix::fs::readlinkat(source, name, Vec::new())?;
            rustix::fs::symlinkat(&content, target, name)?;
        }
        FileType::RegularFile => copy_file(source, target, name, mode)?,
        kind => rustix::fs::mknodat(target, name, kind, mode, stat.st_rdev)?,
    }
    let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
    rustix::fs::chownat(target, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
    if stat.st_mode & 0o6000 != 0 {
        // a change of owner takes the set-user-ID and set-group-ID bits away, chown(2)
        rustix::fs::chmodat(target, name, mode, AtFlags::empty())?;
    }
    Ok(())
}

fn copy_file(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr, mode: Mode) -> Result<()> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let from = rustix::fs::openat(source, name, read, Mode::empty())?;
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let to = rustix::fs::openat(target, name, write, mode)?;
    while rustix::fs::sendfile(&to, &from, None, 1 << 20)? > 0 {}
    Ok(())
}
