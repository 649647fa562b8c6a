//! Walks over unpacked folders by descriptor: size, removal, listing.

use std::{
    collections::HashSet,
    ffi::{CStr, OsStr, OsString},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::PathBuf,
    rc::Rc,
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

/// More files than this are brought to the disk together with everything else on their file system: one long wait is shorter than
/// many short ones.
const SYNC_EACH: usize = 64;

/// Brings everything below `root`, and `root` itself, to the disk, so that a rename of it after this makes it visible whole.
pub fn sync(root: BorrowedFd<'_>) -> Result<()> {
    let mut files = 0;
    // first all is set going, then each is waited for: the disk works on all of them at once
    each(root, &mut |kind, fd| {
        if kind == FileType::RegularFile {
            files += 1;
            // a file system that cannot is only slower: the sync below is what counts
            let _ = wharf_sys::writeback::start(fd, 0, 0);
        }
        Ok(())
    })?;
    if files > SYNC_EACH {
        return rustix::fs::syncfs(root).map_err(Error::io("syncfs", "."));
    }
    each(root, &mut |_, fd| rustix::fs::fsync(fd))
}

/// Shows `visit` every file and folder below `root`, opened, and `root`.
fn each(root: BorrowedFd<'_>, visit: &mut dyn FnMut(FileType, BorrowedFd<'_>) -> rustix::io::Result<()>) -> Result<()> {
    // a folder stays open as long as one of its subfolders waits: not more descriptors than levels and a few
    let mut stack =
        vec![(Rc::new(open_folder(root, OsStr::new(".")).map_err(Error::io("open", "."))?), OsString::from("."))];
    while let Some((parent, name)) = stack.pop() {
        let folder = Rc::new(open_folder(parent.as_fd(), &name).map_err(Error::io("open", &name))?);
        drop(parent);
        for entry in Dir::read_from(&*folder).map_err(Error::io("read folder", &name))? {
            let entry = entry.map_err(Error::io("read folder", &name))?;
            let child = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            if child == "." || child == ".." {
                continue;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                let stat = rustix::fs::statat(&*folder, &child, AtFlags::SYMLINK_NOFOLLOW);
                kind = FileType::from_raw_mode(stat.map_err(Error::io("stat", &child))?.st_mode);
            }
            match kind {
                FileType::Directory => stack.push((folder.clone(), child)),
                FileType::RegularFile => {
                    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                    let file = rustix::fs::openat(&*folder, &child, flags, Mode::empty());
                    let file = file.map_err(Error::io("open", &child))?;
                    visit(kind, file.as_fd()).map_err(Error::io("fsync", &child))?;
                }
                _ => {}
            }
        }
        visit(FileType::Directory, folder.as_fd()).map_err(Error::io("fsync", &name))?;
    }
    Ok(())
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
    let open = |parent: BorrowedFd<'_>, name: &OsStr| -> Result<(OsString, OwnedFd, Vec<OsString>)> {
        let folder = open_for_removal(parent, name)?;
        let subfolders = remove_files(&folder)?;
        Ok((name.to_owned(), folder, subfolders))
    };
    let mut stack = vec![open(parent, name)?];
    while let Some((folder_name, folder, mut subfolders)) = stack.pop() {
        let Some(next) = subfolders.pop() else {
            drop(folder);
            let holder = stack.last().map_or(parent, |(_, fd, _)| fd.as_fd());
            match rustix::fs::unlinkat(holder, &folder_name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(e) => return Err(Error::io("rmdir", folder_name)(e)),
            }
            continue;
        };
        // this folder again when that one is gone: one open descriptor per level
        let child = open(folder.as_fd(), &next)?;
        stack.push((folder_name, folder, subfolders));
        stack.push(child);
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
