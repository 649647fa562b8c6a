//! Walks over unpacked folders by descriptor: size, removal, listing.

use std::{
    collections::HashSet,
    ffi::{CStr, OsStr, OsString},
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::PathBuf,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat},
    io::Errno,
};

use crate::{Error, Result};

/// Marks a folder of an upper layer that hides the one below.
pub(crate) const OPAQUE_XATTR: &CStr = c"trusted.overlay.opaque";

/// A deletion in overlayfs's form.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// A path to `name` in the folder `parent`, for the calls that have no `at` form.
pub(crate) fn proc_path(parent: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name)
}

/// Names in a folder, sorted by bytes.
pub(crate) fn names(folder: BorrowedFd<'_>) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder).map_err(Error::io("read folder", ""))? {
        let entry = entry.map_err(Error::io("read folder", ""))?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens the folder `name` itself, never through a link.
pub(crate) fn open_folder(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Bytes of all files and links below `root`, each inode once; folders count nothing (as Docker counts).
pub fn size(root: BorrowedFd<'_>) -> Result<u64> {
    let mut seen = HashSet::new();
    let mut total = 0;
    let mut stack = vec![open_folder(root, OsStr::new(".")).map_err(Error::io("open", "."))?];
    while let Some(folder) = stack.pop() {
        for entry in Dir::read_from(&folder).map_err(Error::io("read folder", ""))? {
            let entry = entry.map_err(Error::io("read folder", ""))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // a running container may remove it at this moment
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(Error::io("stat", OsStr::from_bytes(name.to_bytes()))(e)),
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                match rustix::fs::openat(
                    &folder,
                    name,
                    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                ) {
                    Ok(fd) => stack.push(fd),
                    Err(Errno::NOENT | Errno::NOTDIR) => {}
                    Err(e) => return Err(Error::io("open", OsStr::from_bytes(name.to_bytes()))(e)),
                }
            } else if stat.st_nlink < 2 || seen.insert((stat.st_dev, stat.st_ino)) {
                total += u64::try_from(stat.st_size).unwrap_or(0);
            }
        }
    }
    Ok(total)
}

/// Removes `name` in `parent` with everything below. Links are removed, never followed; what is not there is no error.
pub fn remove(parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(Error::io("unlink", name)(e)),
    }
    // explicit stack: the depth is chosen by whoever made the files (a few thousand levels; deeper ones run into the
    // limit of open descriptors and are an error)
    let mut stack = vec![(name.to_owned(), open_for_removal(parent, name)?)];
    while let Some((folder_name, folder)) = stack.pop() {
        let subfolders = remove_files(&folder)?;
        if subfolders.is_empty() {
            drop(folder);
            let holder = stack.last().map_or(parent, |(_, fd)| std::os::fd::AsFd::as_fd(fd));
            match rustix::fs::unlinkat(holder, &folder_name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(e) => return Err(Error::io("rmdir", folder_name)(e)),
            }
            continue;
        }
        // this folder again when the first of its subfolders is gone: one open descriptor per level
        let first = subfolders[0].clone();
        let child = open_for_removal(std::os::fd::AsFd::as_fd(&folder), &first)?;
        stack.push((folder_name, folder));
        stack.push((first, child));
    }
    Ok(())
}

fn open_for_removal(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    open_folder(parent, name).map_err(Error::io("open", name))
}

/// Removes everything that is no folder; answers the folders.
fn remove_files(folder: &OwnedFd) -> Result<Vec<OsString>> {
    let mut subfolders = Vec::new();
    for entry in Dir::read_from(folder).map_err(Error::io("read folder", ""))? {
        let entry = entry.map_err(Error::io("read folder", ""))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let os = || OsString::from_vec(name.to_bytes().to_vec());
        if entry.file_type() == FileType::Directory {
            match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::NOTEMPTY | Errno::EXIST) => subfolders.push(os()),
                Err(e) => return Err(Error::io("rmdir", os())(e)),
            }
            continue;
        }
        match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => subfolders.push(os()),
            Err(e) => return Err(Error::io("unlink", os())(e)),
        }
    }
    Ok(subfolders)
}
