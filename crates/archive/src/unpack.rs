//! Unpacks a tar below a folder and never outside of it.
//!
//! Every name is resolved with `openat2(RESOLVE_IN_ROOT)` relative to the root's descriptor, so that symbolic links,
//! absolute or full of `..`, lead back into the root; the last component is never followed. What stands in the way of a
//! member is replaced, folders are merged.

use std::{
    ffi::OsStr,
    io::BufRead,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};

use crate::{
    Error, Kind, Member, Moved, Observer, Reader, Recorder, Result, Time,
    tree::{self, is_whiteout},
};

/// Mode of folders that the archive does not mention.
const IMPLIED_DIR: u32 = 0o755;
/// Of large files the disk gets this much at a time while the rest is still coming, so that little is left to wait for.
const WRITE_BEHIND: u64 = 8 << 20;
const WHITEOUT: &[u8] = b".wh.";
const WHITEOUT_META: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What `.wh.` names mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteouts {
    /// A layer for overlayfs: a deletion becomes a character device 0/0, an opaque folder gets `trusted.overlay.opaque`.
    Overlay,
    /// An ordinary archive: names like any other.
    Literal,
}

/// How to unpack.
#[derive(Debug, Clone)]
pub struct Unpack<'a> {
    /// What `.wh.` names mean.
    pub whiteouts: Whiteouts,
    /// Most bytes of file contents; more is [`Error::TooLarge`].
    pub limit: u64,
    /// Where files go that a later member replaces (a folder that is made when needed); `None`: they are removed.
    pub aside: Option<&'a Path>,
}

/// What was unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Bytes of files and links, hard links once.
    pub size: u64,
    /// Number of members.
    pub members: u64,
    /// What was moved aside.
    pub moved: Vec<Moved>,
}

/// Hears the raw bytes like an [`Observer`] and where the payload went.
pub trait Record: Observer {
    /// A range of the unpacked file `path` stands here.
    fn file(&mut self, path: &Path, offset: u64, length: u64) -> Result<()>;
    /// How many ranges there were so far.
    fn files(&self) -> u64;
}

impl Record for () {
    fn file(&mut self, _: &Path, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn files(&self) -> u64 {
        0
    }
}

impl<W: std::io::Write> Record for Recorder<W> {
    fn file(&mut self, path: &Path, offset: u64, length: u64) -> Result<()> {
        Recorder::file(self, path, offset, length)
    }

    fn files(&self) -> u64 {
        Recorder::files(self)
    }
}

/// Unpacks the tar stream `input` below `root`. `record` hears what is needed to write the same stream again.
pub fn unpack<O: Record>(
    root: BorrowedFd<'_>,
    input: impl BufRead,
    options: &Unpack<'_>,
    record: O,
) -> Result<(Unpacked, O)> {
    let mut reader = Reader::observed(input, record);
    let mut unpacker =
        Unpacker { root, options, parent: None, folders: Vec::new(), done: Unpacked::default(), recount: false };
    while let Some(member) = reader.next_member()? {
        unpacker.member(&mut reader, &member)?;
    }
    unpacker.set_folder_times()?;
    if unpacker.recount {
        unpacker.done.size = tree::size(root)?;
    }
    Ok((unpacker.done, reader.into_observer()))
}

struct Unpacker<'a> {
    root: BorrowedFd<'a>,
    options: &'a Unpack<'a>,
    /// The folder of the last member: consecutive members are mostly neighbours.
    parent: Option<(PathBuf, OwnedFd)>,
    /// Times of folders are set last: making files inside changes them.
    folders: Vec<(PathBuf, Timestamps)>,
    done: Unpacked,
    recount: bool,
}

impl Unpacker<'_> {
    fn member<R: BufRead, O: Record>(&mut self, reader: &mut Reader<R, O>, member: &Member) -> Result<()> {
        self.done.members += 1;
        let path = clean(&member.path)?;
        let Some(name) = path.file_name() else {
            // the root itself: only its metadata
            if member.kind == Kind::Dir {
                self.folder_metadata(self.root, &path, member)?;
            }
            return reader.payload_as_raw();
        };
        let parent = self.open_parent(path.parent().unwrap_or(Path::new("")))?;
        if self.options.whiteouts == Whiteouts::Overlay
            && let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT)
        {
            self.whiteout(&parent, &path, name, OsStr::from_bytes(hidden), reader.observer().files())?;
            return reader.payload_as_raw();
        }
        let result = self.make(reader, member, &path, &parent, name);
        // keeps the folder for the next member
        self.parent = Some((path.parent().unwrap_or(Path::new("")).to_owned(), parent));
        result
    }

    fn make<R: BufRead, O: Record>(
        &mut self,
        reader: &mut Reader<R, O>,
        member: &Member,
        path: &Path,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> Result<()> {
        match &member.kind {
            Kind::Dir => return self.folder(parent, path, name, member, reader.observer().files()),
            Kind::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let open = || rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600));
                let file = self.instead(parent, path, name, reader.observer().files(), open)?;
                self.contents(reader, member, path, &file)?;
                self.done.size += member.size;
                return file_metadata(&file, path, member);
            }
            Kind::HardLink(target) => return self.hard_link(parent, path, name, target, reader.observer().files()),
            Kind::Symlink(target) => {
                let make = || rustix::fs::symlinkat(target, parent, name);
                self.instead(parent, path, name, reader.observer().files(), make)?;
                self.done.size += target.as_os_str().len() as u64;
            }
            Kind::Char { major, minor } => {
                self.node(parent, path, name, FileType::CharacterDevice, (*major, *minor), reader.observer().files())?;
            }
            Kind::Block { major, minor } => {
                self.node(parent, path, name, FileType::BlockDevice, (*major, *minor), reader.observer().files())?;
            }
            Kind::Fifo => self.node(parent, path, name, FileType::Fifo, (0, 0), reader.observer().files())?,
        }
        name_metadata(parent, path, name, member)
    }

    fn node(
        &mut self,
        parent: &OwnedFd,
        path: &Path,
        name: &OsStr,
        kind: FileType,
        (major, minor): (u32, u32),
        files: u64,
    ) -> Result<()> {
        let device = rustix::fs::makedev(major, minor);
        let make = || rustix::fs::mknodat(parent, name, kind, Mode::from_raw_mode(0o600), device);
        self.instead(parent, path, name, files, make)
    }

    /// Runs `make`; when something is in the way, removes it and runs `make` again.
    fn instead<T>(
        &mut self,
        parent: &OwnedFd,
        path: &Path,
        name: &OsStr,
        files: u64,
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                self.displace(parent, path, name, files)?;
                make().map_err(Error::io("create", path))
            }
            other => other.map_err(Error::io("create", path)),
        }
    }

    fn folder(&mut self, parent: &OwnedFd, path: &Path, name: &OsStr, member: &Member, files: u64) -> Result<()> {
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat =
                    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::io("stat", path))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    // deleted below and made anew here: the folder hides what is below
                    let opaque = self.options.whiteouts == Whiteouts::Overlay && is_whiteout(&stat);
                    self.displace(parent, path, name, files)?;
                    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)).map_err(Error::io("mkdir", path))?;
                    if opaque {
                        set_opaque(parent, name, path)?;
                    }
                }
            }
            Err(e) => return Err(Error::io("mkdir", path)(e)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(Error::io("open", path))?;
        self.folder_metadata(fd.as_fd(), path, member)
    }

    fn folder_metadata(&mut self, fd: BorrowedFd<'_>, path: &Path, member: &Member) -> Result<()> {
        owner_mode_xattrs(fd, path, member)?;
        self.folders.push((path.to_owned(), timestamps(member)));
        Ok(())
    }

    fn hard_link(&mut self, parent: &OwnedFd, path: &Path, name: &OsStr, target: &Path, files: u64) -> Result<()> {
        let target = clean(target)?;
        let hostile = |reason| Error::Hostile { path: path.to_owned(), reason };
        let target_name = target.file_name().ok_or_else(|| hostile("hard link to the root"))?.to_owned();
        if target == path {
            return Err(hostile("hard link to itself"));
        }
        let folder = open_beneath(self.root, target.parent().unwrap_or(Path::new("")))
            .map_err(Error::io("open folder of link target", &target))?;
        // the target itself is not followed: a link to a symbolic link is a second name of that link
        let make = || rustix::fs::linkat(&folder, &target_name, parent, name, AtFlags::empty());
        self.instead(parent, path, name, files, make)
    }

    fn contents<R: BufRead, O: Record>(
        &mut self,
        reader: &mut Reader<R, O>,
        member: &Member,
        path: &Path,
        file: &OwnedFd,
    ) -> Result<()> {
        let limit = self.options.limit;
        if self.done.size.saturating_add(reader.payload_left()) > limit {
            return Err(Error::TooLarge { limit });
        }
        match &member.sparse {
            None => {
                let length = reader.payload_left();
                if length > 0 {
                    reader.observer().file(path, 0, length)?;
                }
                write_range(reader, path, file, 0, length)?;
            }
            Some(extents) => {
                for extent in extents.iter().filter(|e| e.length > 0) {
                    reader.observer().file(path, extent.offset, extent.length)?;
                    write_range(reader, path, file, extent.offset, extent.length)?;
                }
                rustix::fs::ftruncate(file, member.size).map_err(Error::io("truncate", path))?;
            }
        }
        Ok(())
    }

    fn whiteout(&mut self, parent: &OwnedFd, path: &Path, name: &OsStr, hidden: &OsStr, files: u64) -> Result<()> {
        if name.as_bytes() == OPAQUE {
            return set_opaque_fd(parent, path);
        }
        if name.as_bytes().starts_with(WHITEOUT_META) {
            // bookkeeping of AUFS
            return Ok(());
        }
        if hidden.is_empty() || hidden == "." || hidden == ".." {
            return Err(Error::Hostile { path: path.to_owned(), reason: "whiteout of no file" });
        }
        let make = || {
            rustix::fs::mknodat(
                parent,
                hidden,
                FileType::CharacterDevice,
                Mode::from_raw_mode(0),
                rustix::fs::makedev(0, 0),
            )
        };
        match make() {
            Err(Errno::EXIST) => self.whiteout_of_own(parent, path, hidden, files),
            other => other.map_err(Error::io("mknod", path)),
        }
    }

    /// A whiteout only means lower layers (OCI image layer specification, "Whiteouts"): what this layer has stays, and
    /// hides what is below.
    fn whiteout_of_own(&mut self, parent: &OwnedFd, path: &Path, hidden: &OsStr, _: u64) -> Result<()> {
        let stat = rustix::fs::statat(parent, hidden, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::io("stat", path))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => set_opaque(parent, hidden, path),
            _ => Ok(()),
        }
    }

    /// Takes away what is in the way of a member.
    fn displace(&mut self, parent: &OwnedFd, path: &Path, name: &OsStr, files: u64) -> Result<()> {
        self.recount = true;
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::io("stat", path))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        match (self.options.aside, kind) {
            (Some(aside), FileType::RegularFile | FileType::Directory) => {
                let number = self.done.moved.len() as u64;
                if number == 0 {
                    std::fs::create_dir_all(aside).map_err(Error::io("mkdir", aside))?;
                }
                rustix::fs::renameat(parent, name, rustix::fs::CWD, aside.join(number.to_string()))
                    .map_err(Error::io("move aside", path))?;
                self.done.moved.push(Moved { before: files, path: path.to_owned(), name: number });
                Ok(())
            }
            (None, FileType::Directory) => tree::remove(parent.as_fd(), name),
            _ => rustix::fs::unlinkat(parent, name, AtFlags::empty()).map_err(Error::io("unlink", path)),
        }
    }

    /// The folder `path`, made when it is not there.
    fn open_parent(&mut self, path: &Path) -> Result<OwnedFd> {
        if let Some((known, fd)) = self.parent.take()
            && known == path
        {
            return Ok(fd);
        }
        match open_beneath(self.root, path) {
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(Error::Hostile { path: path.to_owned(), reason: "a parent is not a folder" });
            }
            other => return other.map_err(Error::io("open", path)),
        }
        let name = path.file_name().ok_or_else(|| Error::Corrupt("the root is gone".into()))?;
        let upper = self.open_parent(path.parent().unwrap_or(Path::new("")))?;
        match rustix::fs::mkdirat(&upper, name, Mode::from_raw_mode(IMPLIED_DIR)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                return Err(Error::Hostile { path: path.to_owned(), reason: "a parent is a link that leads nowhere" });
            }
            Err(e) => return Err(Error::io("mkdir", path)(e)),
        }
        // whatever the umask says
        rustix::fs::chmodat(&upper, name, Mode::from_raw_mode(IMPLIED_DIR), AtFlags::empty())
            .map_err(Error::io("chmod", path))?;
        open_beneath(self.root, path).map_err(Error::io("open", path))
    }

    fn set_folder_times(&mut self) -> Result<()> {
        for (path, times) in std::mem::take(&mut self.folders) {
            let fd = match open_beneath(self.root, &path) {
                Ok(fd) => fd,
                // replaced by a later member
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                Err(e) => return Err(Error::io("open", path)(e)),
            };
            rustix::fs::utimensat(&fd, c".", &times, AtFlags::empty()).map_err(Error::io("utimes", &path))?;
        }
        Ok(())
    }
}

fn write_range<R: BufRead, O: Record>(
    reader: &mut Reader<R, O>,
    path: &Path,
    file: &OwnedFd,
    mut offset: u64,
    length: u64,
) -> Result<()> {
    let end = offset + length;
    let mut started = offset;
    while offset < end {
        let piece = reader.fill_payload()?;
        let n = piece.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
        if n == 0 {
            return Err(Error::Corrupt("sparse map does not match the size".into()));
        }
        let n = rustix::io::pwrite(file, &piece[..n], offset).map_err(Error::io("write", path))?;
        reader.consume(n);
        offset += n as u64;
        if offset - started >= WRITE_BEHIND {
            // only a hint: what cannot be started early is written later
            let _ = wharf_sys::writeback::start(file, started, offset - started);
            started = offset;
        }
    }
    Ok(())
}

/// Makes a member's name relative to the root: no leading slash, no `.`, no `..`.
///
/// # Errors
/// [`Error::Hostile`] when it climbs out of the root.
pub fn clean(path: &Path) -> Result<PathBuf> {
    let hostile = |reason| Error::Hostile { path: path.to_owned(), reason };
    let mut out: Vec<&OsStr> = Vec::new();
    let absolute = path.is_absolute();
    for part in path.as_os_str().as_bytes().split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if out.pop().is_none() && !absolute => return Err(hostile("it leads outside of the root")),
            b".." => {}
            part if part.contains(&0) => return Err(hostile("it contains NUL")),
            part => out.push(OsStr::from_bytes(part)),
        }
    }
    Ok(out.iter().collect())
}

/// Opens the folder `path` inside `root`, whatever links are on the way.
fn open_beneath(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

fn set_opaque(parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(Error::io("open", path))?;
    set_opaque_fd(&fd, path)
}

fn set_opaque_fd(folder: &OwnedFd, path: &Path) -> Result<()> {
    rustix::fs::fsetxattr(folder, tree::OPAQUE_XATTR, b"y", XattrFlags::empty()).map_err(Error::io("setxattr", path))
}

fn timestamps(member: &Member) -> Timestamps {
    let spec = |time: Time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanos.into() };
    Timestamps { last_access: spec(member.atime.unwrap_or(member.mtime)), last_modification: spec(member.mtime) }
}

fn file_metadata(file: &OwnedFd, path: &Path, member: &Member) -> Result<()> {
    owner_mode_xattrs(file.as_fd(), path, member)?;
    rustix::fs::futimens(file, &timestamps(member)).map_err(Error::io("utimes", path))
}

/// In this order: a change of the owner clears set-uid bits and capabilities.
fn owner_mode_xattrs(fd: BorrowedFd<'_>, path: &Path, member: &Member) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
    rustix::fs::fchown(fd, Some(uid), Some(gid)).map_err(Error::io("chown", path))?;
    rustix::fs::fchmod(fd, Mode::from_raw_mode(member.mode)).map_err(Error::io("chmod", path))?;
    for (name, value) in member.xattrs.iter().filter(|(name, _)| is_carried(name)) {
        let result = rustix::fs::fsetxattr(fd, name.as_slice(), value, XattrFlags::empty());
        ignore_unsupported(result).map_err(Error::io("setxattr", path))?;
    }
    Ok(())
}

/// Metadata of what cannot be opened without effect: links, devices, pipes.
fn name_metadata(parent: &OwnedFd, path: &Path, name: &OsStr, member: &Member) -> Result<()> {
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    let (uid, gid) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
    rustix::fs::chownat(parent, name, Some(uid), Some(gid), nofollow).map_err(Error::io("chown", path))?;
    if !matches!(member.kind, Kind::Symlink(_)) {
        rustix::fs::chmodat(parent, name, Mode::from_raw_mode(member.mode), AtFlags::empty())
            .map_err(Error::io("chmod", path))?;
    }
    for (key, value) in member.xattrs.iter().filter(|(key, _)| is_carried(key)) {
        let link = tree::proc_path(parent.as_fd(), name);
        let result = rustix::fs::lsetxattr(&link, key.as_slice(), value, XattrFlags::empty());
        ignore_unsupported(result).map_err(Error::io("setxattr", path))?;
    }
    rustix::fs::utimensat(parent, name, &timestamps(member), nofollow).map_err(Error::io("utimes", path))
}

/// Attributes that steer overlayfs itself must not come from an archive.
fn is_carried(name: &[u8]) -> bool {
    !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.")
}

/// A file system without this kind of attribute, or a name space that may not set it, is no reason to refuse the image.
fn ignore_unsupported(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        other => other,
    }
}
