//! Packs a folder into a tar: the changes of an overlay's upper folder as a layer, or a whole tree as it is.
//!
//! Order, headers and whiteouts are Docker's: names sorted within each folder, a folder before what is in it, whole seconds,
//! the first name of a hard-linked file is the file.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{Write, empty},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::FileExt,
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, SeekFrom, Stat},
    io::Errno,
};

use crate::{
    Error, Extent, Kind, Member, Result, Time, Writer,
    tree::{self, OPAQUE_XATTR, is_whiteout},
};

/// What the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The upper folder of an overlay: deletions and opaque folders become `.wh.` members.
    OverlayUpper,
    /// A tree as it is.
    Tree,
    /// The same with times as exact as the file system has them: for backups, which nobody takes a digest of.
    Exact,
}

/// Writes everything below `root` (not the root itself) as a tar; answers how many bytes that were. `check` is asked before
/// every member and can stop the work with an error.
pub fn pack(root: BorrowedFd<'_>, source: Source, out: impl Write, check: &dyn Fn() -> Result<()>) -> Result<u64> {
    let mut packer = Packer { writer: Writer::new(out), source, check, seen: HashMap::new() };
    let root = tree::open_folder(root, OsStr::new(".")).map_err(Error::io("open", "/"))?;
    packer.folder(&root, Path::new(""))?;
    Ok(packer.writer.finish()?.1)
}

/// Writes a volume: its root folder (`./`), and everything below but the names `except` in the root.
pub fn pack_volume(
    root: BorrowedFd<'_>,
    except: &[&str],
    out: impl Write,
    check: &dyn Fn() -> Result<()>,
) -> Result<u64> {
    let mut packer = Packer { writer: Writer::new(out), source: Source::Exact, check, seen: HashMap::new() };
    let root = tree::open_folder(root, OsStr::new(".")).map_err(Error::io("open", "/"))?;
    let stat = rustix::fs::fstat(&root).map_err(Error::io("stat", "/"))?;
    let mut folder = packer.member(Path::new("./"), Kind::Dir, &stat);
    folder.xattrs = portable_xattrs(root.as_fd(), Path::new("/"))?;
    packer.writer.append(&folder, &mut empty())?;
    let mut top = Level::read(root, PathBuf::new())?;
    top.names.retain(|name| !except.iter().any(|own| name == own));
    packer.levels(vec![top])?;
    Ok(packer.writer.finish()?.1)
}

/// One name that changed, for [`pack_changes`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changed {
    /// Relative to the root.
    pub path: PathBuf,
    /// It is gone.
    pub deleted: bool,
}

/// Writes the given names below `root` as a layer: what is deleted becomes a whiteout. `changes` must be sorted, and name the
/// parents of what is in it.
pub fn pack_changes(
    root: BorrowedFd<'_>,
    changes: &[Changed],
    out: impl Write,
    check: &dyn Fn() -> Result<()>,
) -> Result<u64> {
    let mut packer = Packer { writer: Writer::new(out), source: Source::Tree, check, seen: HashMap::new() };
    for change in changes {
        (packer.check)()?;
        let name = change.path.file_name().unwrap_or_default();
        if change.deleted {
            let mut hidden = OsString::from(".wh.");
            hidden.push(name);
            let whiteout = Member::new(change.path.with_file_name(hidden), Kind::File, 0o600);
            packer.writer.append(&whiteout, &mut empty())?;
            continue;
        }
        let parent = change.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let strict = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(root, parent, flags, Mode::empty(), strict) {
            Ok(parent) => drop(packer.entry(parent.as_fd(), name, &change.path)?),
            // gone since the changes were found
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(e) => return Err(Error::io("open", parent)(e)),
        }
    }
    Ok(packer.writer.finish()?.1)
}

struct Packer<'a, W> {
    writer: Writer<W>,
    source: Source,
    check: &'a dyn Fn() -> Result<()>,
    /// Device and inode of files with several names, with the first one.
    seen: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packer<'_, W> {
    /// Packs what is in a folder. Explicit stack: the depth is chosen by whoever made the files.
    fn folder(&mut self, root: &OwnedFd, at: &Path) -> Result<()> {
        let open = root.try_clone().map_err(Error::io("open", at))?;
        self.levels(vec![Level::read(open, at.to_owned())?])
    }

    fn levels(&mut self, mut stack: Vec<Level>) -> Result<()> {
        while let Some(level) = stack.last_mut() {
            let Some(name) = level.names.pop() else {
                stack.pop();
                continue;
            };
            (self.check)()?;
            let path = level.path.join(&name);
            if let Some(child) = self.entry(level.fd.as_fd(), &name, &path)? {
                stack.push(Level::read(child, path)?);
            }
        }
        Ok(())
    }

    /// Packs one name; answers the folder to go into.
    fn entry(&mut self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<Option<OwnedFd>> {
        let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // a running container may remove it at this moment
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(Error::io("stat", path)(e)),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            return self.subfolder(parent, name, path, &stat);
        }
        if self.source == Source::OverlayUpper && is_whiteout(&stat) {
            let mut hidden = OsString::from(".wh.");
            hidden.push(name);
            let mut member = self.member(&path.with_file_name(hidden), Kind::File, &stat);
            member.mode = 0o600;
            return self.writer.append(&member, &mut empty()).map(|()| None);
        }
        if stat.st_nlink > 1 {
            if let Some(first) = self.seen.get(&(stat.st_dev, stat.st_ino)) {
                let link = self.member(path, Kind::HardLink(first.clone()), &stat);
                return self.writer.append(&link, &mut empty()).map(|()| None);
            }
            self.seen.insert((stat.st_dev, stat.st_ino), path.to_owned());
        }
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match kind {
            FileType::RegularFile => return self.file(parent, name, path, &stat).map(|()| None),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new()).map_err(Error::io("readlink", path))?;
                Kind::Symlink(OsString::from_vec(target.into_bytes()).into())
            }
            FileType::CharacterDevice => Kind::Char { major, minor },
            FileType::BlockDevice => Kind::Block { major, minor },
            FileType::Fifo => Kind::Fifo,
            // sockets mean nothing without their process; Docker leaves them out too
            _ => return Ok(None),
        };
        self.writer.append(&self.member(path, kind, &stat), &mut empty()).map(|()| None)
    }

    fn subfolder(&mut self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path, stat: &Stat) -> Result<Option<OwnedFd>> {
        let fd = match tree::open_folder(parent, name) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(e) => return Err(Error::io("open", path)(e)),
        };
        let mut shown = path.as_os_str().to_owned();
        shown.push("/");
        let mut folder = self.member(Path::new(&shown), Kind::Dir, stat);
        folder.xattrs = portable_xattrs(fd.as_fd(), path)?;
        self.writer.append(&folder, &mut empty())?;
        if self.source == Source::OverlayUpper && is_opaque(&fd) {
            let mut marker = self.member(&path.join(".wh..wh..opq"), Kind::File, stat);
            marker.mode &= 0o777;
            marker.mtime = Time::default();
            marker.size = 0;
            self.writer.append(&marker, &mut empty())?;
        }
        Ok(Some(fd))
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path, stat: &Stat) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::LOOP) => return Ok(()),
            Err(e) => return Err(Error::io("open", path)(e)),
        };
        let mut member = self.member(path, Kind::File, stat);
        member.size = u64::try_from(stat.st_size).unwrap_or(0);
        member.xattrs = portable_xattrs(fd.as_fd(), path)?;
        let has_holes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512) < member.size;
        if self.source == Source::Exact && has_holes {
            let extents = data_of(fd.as_fd(), member.size).map_err(Error::io("seek", path))?;
            return self.sparse(&member, &extents, File::from(fd));
        }
        self.writer.append(&member, &mut File::from(fd))
    }

    fn sparse(&mut self, member: &Member, extents: &[Extent], file: File) -> Result<()> {
        let stored = self.writer.sparse_header(member, extents)?;
        let mut buffer = vec![0; 256 << 10];
        for extent in extents {
            let (mut at, end) = (extent.offset, extent.offset + extent.length);
            while at < end {
                (self.check)()?;
                let want = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
                let count = match file.read_at(&mut buffer[..want], at) {
                    // shrunk since: zeros, as with other files
                    Ok(0) => {
                        buffer[..want].fill(0);
                        want
                    }
                    Ok(count) => count,
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(e) => return Err(Error::io("read", &member.path)(e)),
                };
                self.writer.put(&buffer[..count])?;
                at += count as u64;
            }
        }
        self.writer.finish_file(stored)
    }

    fn member(&self, path: &Path, kind: Kind, stat: &Stat) -> Member {
        let mut member = member(path, kind, stat);
        if self.source == Source::Exact {
            member.mtime.nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        }
        member
    }
}

/// Where a file has data: everything between holes.
fn data_of(file: BorrowedFd<'_>, size: u64) -> rustix::io::Result<Vec<Extent>> {
    let mut extents = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) if start < size => start,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(e) => return Err(e),
        };
        let end = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap_or(size).clamp(start, size);
        if end == start {
            break;
        }
        extents.push(Extent { offset: start, length: end - start });
        at = end;
    }
    Ok(extents)
}

struct Level {
    fd: OwnedFd,
    path: PathBuf,
    /// Still to do, last first.
    names: Vec<OsString>,
}

impl Level {
    fn read(fd: OwnedFd, path: PathBuf) -> Result<Self> {
        let mut names = tree::names(fd.as_fd())?;
        names.reverse();
        Ok(Self { fd, path, names })
    }
}

fn member(path: &Path, kind: Kind, stat: &Stat) -> Member {
    let mut member = Member::new(path, kind, stat.st_mode & 0o7777);
    member.uid = stat.st_uid;
    member.gid = stat.st_gid;
    // whole seconds, as Docker: a digest must not depend on the precision of a file system
    member.mtime = Time { seconds: stat.st_mtime, nanos: 0 };
    member
}

pub(crate) fn is_opaque(folder: &OwnedFd) -> bool {
    let mut value = [0; 1];
    matches!(rustix::fs::fgetxattr(folder, OPAQUE_XATTR, &mut value[..]), Ok(1)) && value == *b"y"
}

/// Attributes that belong to the file and mean the same elsewhere: capabilities, access lists and the users' own.
pub(crate) fn portable_xattrs(fd: BorrowedFd<'_>, path: &Path) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = [0; 4096];
    let length = match rustix::fs::flistxattr(fd, &mut names[..]) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(n) => n,
        Err(Errno::RANGE) => {
            return Err(Error::Unsupported(format!("{}: too many extended attributes", path.display())));
        }
        Err(e) => return Err(Error::io("listxattr", path)(e)),
    };
    let mut found = Vec::new();
    for name in names[..length].split(|b| *b == 0).filter(|name| is_portable(name)) {
        let mut value = vec![0; 64 << 10];
        match rustix::fs::fgetxattr(fd, OsStr::from_bytes(name), &mut value[..]) {
            Ok(n) => value.truncate(n),
            Err(Errno::NODATA) => continue,
            Err(e) => return Err(Error::io("getxattr", path)(e)),
        }
        found.push((name.to_vec(), value));
    }
    found.sort();
    Ok(found)
}

fn is_portable(name: &[u8]) -> bool {
    let users = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
    users || name == b"security.capability" || name.starts_with(b"system.posix_acl_")
}
