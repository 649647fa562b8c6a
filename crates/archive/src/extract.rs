//! Extracts a tar into a folder that others use at the same time: the root of a running container, or a user's folder.
//!
//! What [`crate::unpack`] may take for granted is not true here: a name may be exchanged for a link at any moment. So every
//! folder is looked up by descriptor ([`Links`] says what links may do), and the last component is never followed.
//!
//! A file is written without a name and gets it when it is whole: whoever is interrupted, by an error, by the other side's
//! hanging up or by `kill -9`, leaves whole files only, and an existing file is exchanged in one step.

use std::{
    ffi::{OsStr, OsString},
    io::BufRead,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};

use crate::{Error, Kind, Member, Reader, Result, Time, clean, tree};

/// How often a look-up is repeated that a rename elsewhere disturbed (`EAGAIN`): enough to outlast any honest rename, few enough
/// that nobody can hold us up for ever.
const DISTURBED: u32 = 10_000;
/// Blocks of this many zeros become holes of a file, in bytes: the page, and the block of nearly every file system.
const HOLE: usize = 4096;
/// Smaller files have no holes: they would save less than they cost.
const SPARSE: u64 = 16 * HOLE as u64;
/// Names tried for a temporary file before giving up.
const NAMES: u32 = 100;

/// Whom extracted files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// As the archive says.
    Archive,
    /// All to one user and group.
    Fixed(u32, u32),
    /// Whoever extracts.
    Caller,
}

/// What may stand in a member's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// Folders only for folders, other things only for other things; else [`Error::Clash`].
    SameKind,
    /// Anything, with everything in it.
    Anything,
}

/// What symbolic links on the way to a member mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// They are followed as if the destination were the root.
    InRoot,
    /// They are refused.
    Refuse,
}

/// How to extract.
#[derive(Clone, Copy)]
pub struct Extract<'a> {
    /// Whom the files belong to.
    pub owner: Owner,
    /// What may be replaced.
    pub replace: Replace,
    /// What links mean.
    pub links: Links,
    /// The name that is used instead of a member's.
    pub rename: &'a dyn Fn(&Path) -> PathBuf,
    /// Asked before every member and every piece of a file; its error ends the work.
    pub check: &'a dyn Fn() -> Result<()>,
}

impl std::fmt::Debug for Extract<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extract").field("owner", &self.owner).field("replace", &self.replace).finish_non_exhaustive()
    }
}

/// Extracts the tar stream `input` below the folder `into`; answers the number of members. The folder itself keeps its metadata.
///
/// # Errors
/// [`Error::Hostile`] for names that lead out, [`Error::Clash`] as [`Replace`] says, and what the stream and the kernel say.
pub fn extract(into: BorrowedFd<'_>, input: impl BufRead, options: &Extract<'_>) -> Result<u64> {
    let mut reader = Reader::new(input);
    let mut extractor = Extractor { into, options, parent: None, folders: Vec::new(), nameless: true };
    let mut members = 0;
    while let Some(member) = reader.next_member()? {
        (options.check)()?;
        extractor.member(&mut reader, member)?;
        members += 1;
    }
    extractor.finish_folders()?;
    Ok(members)
}

struct Extractor<'a> {
    into: BorrowedFd<'a>,
    options: &'a Extract<'a>,
    /// The folder of the last member: consecutive members are mostly neighbours.
    parent: Option<(PathBuf, OwnedFd)>,
    /// Mode and times of folders are set last: writing into them needs the one and changes the other.
    folders: Vec<(PathBuf, u32, Timestamps)>,
    /// The file system can make files without a name.
    nameless: bool,
}

/// Where a member goes.
struct Place<'a> {
    parent: BorrowedFd<'a>,
    name: &'a OsStr,
    path: &'a Path,
}

impl Extractor<'_> {
    fn member<R: BufRead>(&mut self, reader: &mut Reader<R>, mut member: Member) -> Result<()> {
        let path = clean(&(self.options.rename)(&clean(&member.path)?))?;
        match self.options.owner {
            Owner::Fixed(uid, gid) => (member.uid, member.gid) = (uid, gid),
            Owner::Archive | Owner::Caller => {}
        }
        let Some(name) = path.file_name() else { return Ok(()) };
        let folder = path.parent().unwrap_or(Path::new(""));
        let parent = self.open_parent(folder)?;
        let place = Place { parent: parent.as_fd(), name, path: &path };
        self.make(reader, &member, &place)?;
        self.parent = Some((folder.to_owned(), parent));
        Ok(())
    }

    fn make<R: BufRead>(&mut self, reader: &mut Reader<R>, member: &Member, place: &Place<'_>) -> Result<()> {
        let node = |kind, major, minor| {
            let device = rustix::fs::makedev(major, minor);
            move |name: &OsStr| rustix::fs::mknodat(place.parent, name, kind, Mode::from_raw_mode(0o600), device)
        };
        match &member.kind {
            Kind::Dir => self.folder(member, place),
            Kind::File => self.file(reader, member, place),
            Kind::HardLink(target) => self.hard_link(target, place),
            Kind::Symlink(target) => {
                self.instead(place, &|name| rustix::fs::symlinkat(target, place.parent, name), Some(member))
            }
            // overlayfs would take it for a deletion, and refuses
            Kind::Char { major: 0, minor: 0 } => Err(Error::io("mknod", place.path)(Errno::PERM)),
            Kind::Char { major, minor } => {
                self.instead(place, &node(FileType::CharacterDevice, *major, *minor), Some(member))
            }
            Kind::Block { major, minor } => {
                self.instead(place, &node(FileType::BlockDevice, *major, *minor), Some(member))
            }
            Kind::Fifo => self.instead(place, &node(FileType::Fifo, 0, 0), Some(member)),
        }
    }

    fn folder(&mut self, member: &Member, place: &Place<'_>) -> Result<()> {
        let Place { parent, name, path } = *place;
        let make = || rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700));
        match make() {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat =
                    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::io("stat", path))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    if self.options.replace == Replace::SameKind {
                        return Err(Error::Clash { path: path.to_owned(), folder: false });
                    }
                    rustix::fs::unlinkat(parent, name, AtFlags::empty()).map_err(Error::io("unlink", path))?;
                    make().map_err(Error::io("mkdir", path))?;
                }
            }
            Err(e) => return Err(Error::io("mkdir", path)(e)),
        }
        let fd = tree::open_folder(parent, name).map_err(Error::io("open", path))?;
        self.own(fd.as_fd(), path, member)?;
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(member.mode | 0o700)).map_err(Error::io("chmod", path))?;
        xattrs(fd.as_fd(), path, member)?;
        self.folders.push((path.to_owned(), member.mode, timestamps(member)));
        Ok(())
    }

    fn own(&self, fd: BorrowedFd<'_>, path: &Path, member: &Member) -> Result<()> {
        if self.options.owner == Owner::Caller {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
        rustix::fs::fchown(fd, Some(uid), Some(gid)).map_err(Error::io("chown", path))
    }

    fn file<R: BufRead>(&mut self, reader: &mut Reader<R>, member: &Member, place: &Place<'_>) -> Result<()> {
        let Place { parent, path, .. } = *place;
        let draft = self.draft(member, place)?;
        let written = self.contents(reader, member, path, &draft.fd).and_then(|()| {
            self.access(draft.fd.as_fd(), path, member)?;
            xattrs(draft.fd.as_fd(), path, member)?;
            rustix::fs::futimens(&draft.fd, &timestamps(member)).map_err(Error::io("utimes", path))
        });
        let done = written.and_then(|()| self.publish(&draft, member, place));
        if let (Err(_), Some(name)) = (&done, &draft.name) {
            let _ = rustix::fs::unlinkat(parent, name, AtFlags::empty());
        }
        done
    }

    /// Owner and mode of a file that was just made, as far as they are not right already: mostly they are, and to look is a
    /// fraction of the cost of a change that a journal and an overlay have part in.
    fn access(&self, fd: BorrowedFd<'_>, path: &Path, member: &Member) -> Result<()> {
        let made = rustix::fs::fstat(fd).map_err(Error::io("stat", path))?;
        let mut mode = made.st_mode & 0o7777;
        if self.options.owner != Owner::Caller && (made.st_uid, made.st_gid) != (member.uid, member.gid) {
            self.own(fd, path, member)?;
            // takes set-user-ID bits away
            mode &= 0o1777;
        }
        if mode == member.mode {
            return Ok(());
        }
        rustix::fs::fchmod(fd, Mode::from_raw_mode(member.mode)).map_err(Error::io("chmod", path))
    }

    /// A file that is being written: nameless where the file system can, else under a name that nobody looks for.
    fn draft(&mut self, member: &Member, place: &Place<'_>) -> Result<Draft> {
        let Place { parent, path, .. } = *place;
        if self.nameless {
            let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
            // nobody else can open it before it has a name
            match rustix::fs::openat(parent, ".", flags, Mode::from_raw_mode(member.mode & 0o777)) {
                Ok(fd) => return Ok(Draft { fd, name: None }),
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => self.nameless = false,
                Err(e) => return Err(Error::io("create", path)(e)),
            }
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (fd, name) = fresh(|name| rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)))
            .map_err(Error::io("create", path))?;
        Ok(Draft { fd, name: Some(name) })
    }

    fn contents<R: BufRead>(&self, reader: &mut Reader<R>, member: &Member, path: &Path, file: &OwnedFd) -> Result<()> {
        let whole = [crate::Extent { offset: 0, length: member.size }];
        let mut holes = member.sparse.is_some();
        for extent in member.sparse.as_deref().unwrap_or(&whole) {
            let (mut offset, end) = (extent.offset, extent.offset + extent.length);
            while offset < end {
                let piece = reader.fill_payload()?;
                if piece.is_empty() {
                    return Err(Error::Truncated("a file"));
                }
                let n = piece.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
                let n = match zeros(&piece[..n], offset) {
                    // what was never written reads as zeros, and takes no room
                    Run::Zeros(n) if member.size >= SPARSE => {
                        holes = true;
                        n
                    }
                    Run::Zeros(n) | Run::Data(n) => {
                        rustix::io::pwrite(file, &piece[..n], offset).map_err(Error::io("write", path))?
                    }
                };
                reader.consume(n);
                offset += n as u64;
                if offset < end {
                    (self.options.check)()?;
                }
            }
        }
        if holes {
            rustix::fs::ftruncate(file, member.size).map_err(Error::io("truncate", path))?;
        }
        Ok(())
    }

    /// Gives a whole file its name.
    fn publish(&self, draft: &Draft, member: &Member, place: &Place<'_>) -> Result<()> {
        let Place { parent, name, path } = *place;
        let Some(own) = &draft.name else {
            // nameless: linked under its name when that is free
            let link = |name: &OsStr| link_nameless(&draft.fd, parent, name);
            return match link(name) {
                Ok(()) => Ok(()),
                Err(Errno::EXIST) => {
                    self.may_replace(place)?;
                    let ((), own) = fresh(link).map_err(Error::io("link", path))?;
                    self.exchange(draft, &own, member, place)
                }
                Err(e) => Err(Error::io("link", path)(e)),
            };
        };
        if rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            self.may_replace(place)?;
        }
        self.exchange(draft, own, member, place)
    }

    /// Puts the whole file `own` in the place of what has its name.
    fn exchange(&self, draft: &Draft, own: &OsStr, member: &Member, place: &Place<'_>) -> Result<()> {
        let Place { parent, name, path } = *place;
        match rustix::fs::renameat(parent, own, parent, name) {
            Ok(()) => Ok(()),
            Err(errno) => {
                let _ = rustix::fs::unlinkat(parent, own, AtFlags::empty());
                // a single file is mounted there: only its contents can be exchanged
                if errno == Errno::BUSY {
                    self.overwrite(draft, member, place)
                } else {
                    Err(Error::io("rename", path)(errno))
                }
            }
        }
    }

    fn overwrite(&self, draft: &Draft, member: &Member, place: &Place<'_>) -> Result<()> {
        let Place { parent, name, path } = *place;
        let fail = |op| Error::io::<Errno>(op, path);
        let seen = rustix::fs::openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(fail("open"))?;
        let stat = rustix::fs::fstat(&seen).map_err(fail("stat"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::io("replace", path)(Errno::BUSY));
        }
        let itself = format!("/proc/self/fd/{}", seen.as_raw_fd());
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
        let target = rustix::fs::open(itself, flags, Mode::empty()).map_err(fail("open"))?;
        let mut left = member.size;
        let mut offset = 0;
        while left > 0 {
            let piece = usize::try_from(left.min(1 << 20)).unwrap_or(1 << 20);
            match rustix::fs::sendfile(&target, &draft.fd, Some(&mut offset), piece).map_err(fail("write"))? {
                0 => break,
                n => left -= n as u64,
            }
        }
        self.own(target.as_fd(), path, member)?;
        rustix::fs::fchmod(&target, Mode::from_raw_mode(member.mode)).map_err(fail("chmod"))?;
        rustix::fs::futimens(&target, &timestamps(member)).map_err(fail("utimes"))
    }

    /// Looks at what has the name of something that is no folder; a folder is removed when that is wanted.
    fn may_replace(&self, place: &Place<'_>) -> Result<()> {
        let Place { parent, name, path } = *place;
        match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => match self.options.replace {
                Replace::SameKind => Err(Error::Clash { path: path.to_owned(), folder: true }),
                Replace::Anything => tree::remove(parent, name),
            },
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::io("stat", path)(e)),
        }
    }

    /// Makes something without contents; what is in its way is exchanged for it in one step.
    fn instead(
        &self,
        place: &Place<'_>,
        make: &dyn Fn(&OsStr) -> rustix::io::Result<()>,
        member: Option<&Member>,
    ) -> Result<()> {
        let Place { parent, name, path } = *place;
        let metadata = |name: &OsStr| member.map_or(Ok(()), |member| self.name_metadata(parent, name, path, member));
        match make(name) {
            Ok(()) => return metadata(name),
            Err(Errno::EXIST) => self.may_replace(place)?,
            Err(e) => return Err(Error::io("create", path)(e)),
        }
        let ((), own) = fresh(make).map_err(Error::io("create", path))?;
        let moved = metadata(&own)
            .and_then(|()| rustix::fs::renameat(parent, &own, parent, name).map_err(Error::io("rename", path)));
        // also when it worked: a rename onto another name of the same file leaves both
        let _ = rustix::fs::unlinkat(parent, &own, AtFlags::empty());
        moved
    }

    /// Metadata of what cannot be opened without effect: links, devices, pipes.
    fn name_metadata(&self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path, member: &Member) -> Result<()> {
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        if self.options.owner != Owner::Caller {
            let (uid, gid) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), nofollow).map_err(Error::io("chown", path))?;
        }
        if !matches!(member.kind, Kind::Symlink(_)) {
            // by descriptor: a name could be a link by now, and that would be followed
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(Error::io("open", path))?;
            let stat = rustix::fs::fstat(&fd).map_err(Error::io("stat", path))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                let itself = format!("/proc/self/fd/{}", fd.as_raw_fd());
                rustix::fs::chmod(itself, Mode::from_raw_mode(member.mode)).map_err(Error::io("chmod", path))?;
            }
        }
        rustix::fs::utimensat(parent, name, &timestamps(member), nofollow).map_err(Error::io("utimes", path))
    }

    fn hard_link(&mut self, target: &Path, place: &Place<'_>) -> Result<()> {
        let path = place.path;
        let hostile = |reason| Error::Hostile { path: path.to_owned(), reason };
        let target = clean(&(self.options.rename)(&clean(target)?))?;
        let target_name = target.file_name().ok_or_else(|| hostile("hard link to the root"))?.to_owned();
        if target == path {
            return Err(hostile("hard link to itself"));
        }
        let folder = self
            .open(target.parent().unwrap_or(Path::new("")))
            .map_err(Error::io("open the folder of the link's target", &target))?;
        let make = |name: &OsStr| rustix::fs::linkat(&folder, &target_name, place.parent, name, AtFlags::empty());
        self.instead(place, &make, None)
    }

    /// The folder `path`, made when it is not there.
    fn open_parent(&mut self, path: &Path) -> Result<OwnedFd> {
        if let Some((known, fd)) = self.parent.take()
            && known == path
        {
            return Ok(fd);
        }
        match self.open(path) {
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(Error::Hostile { path: path.to_owned(), reason: "a parent is not a folder" });
            }
            other => return other.map_err(Error::io("open", path)),
        }
        let name = path.file_name().ok_or_else(|| Error::Corrupt("the destination is gone".into()))?;
        let upper = self.open_parent(path.parent().unwrap_or(Path::new("")))?;
        match rustix::fs::mkdirat(&upper, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                return Err(Error::Hostile { path: path.to_owned(), reason: "a parent is a link that leads nowhere" });
            }
            Err(e) => return Err(Error::io("mkdir", path)(e)),
        }
        self.open(path).map_err(Error::io("open", path))
    }

    /// Opens the folder `path` below the destination.
    fn open(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = match self.options.links {
            Links::InRoot => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            Links::Refuse => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        };
        for _ in 0..DISTURBED {
            match rustix::fs::openat2(self.into, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    fn finish_folders(&mut self) -> Result<()> {
        for (path, mode, times) in std::mem::take(&mut self.folders).into_iter().rev() {
            let fd = match self.open(&path) {
                Ok(fd) => fd,
                // replaced since
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => continue,
                Err(e) => return Err(Error::io("open", path)(e)),
            };
            if mode & 0o700 != 0o700 {
                rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode)).map_err(Error::io("chmod", &path))?;
            }
            rustix::fs::futimens(&fd, &times).map_err(Error::io("utimes", &path))?;
        }
        Ok(())
    }
}

/// What a piece of a file begins with, in bytes.
enum Run {
    Zeros(usize),
    Data(usize),
}

/// Tells blocks of zeros from data; `offset` is where in its file the piece begins. What is left of a block at either end of the
/// piece counts for itself: where nothing else is written the file reads as zeros.
fn zeros(piece: &[u8], offset: u64) -> Run {
    static ZEROS: [u8; HOLE] = [0; HOLE];
    let zero = |part: &[u8]| *part == ZEROS[..part.len()];
    let to_the_next_block = (offset + 1).next_multiple_of(HOLE as u64) - offset;
    let first = usize::try_from(to_the_next_block).unwrap_or(HOLE).min(piece.len());
    let (head, rest) = piece.split_at(first);
    let hole = zero(head);
    let n = first + rest.chunks(HOLE).take_while(|block| zero(block) == hole).map(<[u8]>::len).sum::<usize>();
    if hole { Run::Zeros(n) } else { Run::Data(n) }
}

struct Draft {
    fd: OwnedFd,
    /// `None`: it has none.
    name: Option<OsString>,
}

/// Runs `make` with names that nothing has until one is free.
fn fresh<T>(make: impl Fn(&OsStr) -> rustix::io::Result<T>) -> rustix::io::Result<(T, OsString)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    for _ in 0..NAMES {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = OsString::from(format!(".wharf-{:x}-{number:x}", std::process::id()));
        match make(&name) {
            Ok(made) => return Ok((made, name)),
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
    }
    Err(Errno::EXIST)
}

fn link_nameless(fd: &OwnedFd, parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<()> {
    let itself = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::linkat(CWD, itself, parent, name, AtFlags::SYMLINK_FOLLOW)
}

fn timestamps(member: &Member) -> Timestamps {
    let spec = |time: Time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanos.into() };
    Timestamps { last_access: spec(member.atime.unwrap_or(member.mtime)), last_modification: spec(member.mtime) }
}

/// Users' attributes, access lists and capabilities; those that steer the system are not an archive's to set.
fn xattrs(fd: BorrowedFd<'_>, path: &Path, member: &Member) -> Result<()> {
    let carried = |name: &[u8]| {
        name.starts_with(b"user.") && !name.starts_with(b"user.overlay.")
            || name == b"security.capability"
            || name.starts_with(b"system.posix_acl_")
    };
    for (name, value) in member.xattrs.iter().filter(|(name, _)| carried(name)) {
        match rustix::fs::fsetxattr(fd, OsStr::from_bytes(name), value, XattrFlags::empty()) {
            // a file system without them, or a caller who may not
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(e) => return Err(Error::io("setxattr", path)(e)),
        }
    }
    Ok(())
}
