//! Packs one file or one folder, with everything in it, from a tree that others change at the same time.
//!
//! Every name is opened as a place (`O_PATH`, never following a link) before it is looked at, and read through that descriptor:
//! what was seen to be a file is not a device by the time it is opened. A folder is entered by descriptor, too, so that nobody
//! can move the walk elsewhere.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{Write, empty},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FileType, Mode, OFlags, Stat},
    io::Errno,
};

use crate::{Error, Kind, Member, Result, Time, Writer, pack, tree};

/// Magic numbers of the kernel's own file systems: their "files" are interfaces, and reading all of them is never meant.
const KERNEL: [i64; 12] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x27_e0eb,   // cgroup
    0x6367_7270, // cgroup2
    0x1cd1,      // devpts
    0x1980_0202, // mqueue
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0x6265_6570, // configfs
];

/// Packs what `place` (any descriptor, `O_PATH` will do) refers to under the name `shown`; answers how many bytes were written.
/// `shown` is a name, `.` or `/`. `check` is asked before every member and can stop the work with an error.
///
/// # Errors
/// What the kernel and the sink say.
pub fn pack_resource(place: OwnedFd, shown: &Path, out: impl Write, check: &dyn Fn() -> Result<()>) -> Result<u64> {
    let mut packer = Packer { writer: Writer::new(out), check, seen: HashMap::new() };
    let stat = rustix::fs::fstat(&place).map_err(Error::io("stat", shown))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        packer.tree(place, &stat, shown)?;
    } else {
        packer.single(&place, &stat, shown)?;
    }
    Ok(packer.writer.finish()?.1)
}

/// Whether a folder belongs to one of the kernel's own file systems.
pub fn is_kernel_interface(folder: impl AsFd) -> bool {
    rustix::fs::fstatfs(folder).is_ok_and(|fs| KERNEL.contains(&(fs.f_type as _)))
}

struct Packer<'a, W> {
    writer: Writer<W>,
    check: &'a dyn Fn() -> Result<()>,
    /// Device and inode of files with several names, with the first one.
    seen: HashMap<(u64, u64), PathBuf>,
}

struct Level {
    fd: OwnedFd,
    path: PathBuf,
    device: u64,
    /// Still to do, last first.
    names: Vec<OsString>,
}

impl<W: Write> Packer<'_, W> {
    /// Packs a folder and what is in it. Explicit stack: the depth is chosen by whoever made the files.
    fn tree(&mut self, place: OwnedFd, stat: &Stat, shown: &Path) -> Result<()> {
        (self.check)()?;
        let mut stack = Vec::new();
        stack.extend(self.folder(&place, stat, shown)?);
        while let Some(level) = stack.last_mut() {
            let Some(name) = level.names.pop() else {
                stack.pop();
                continue;
            };
            (self.check)()?;
            let path = level.path.join(&name);
            let place = match open_place(level.fd.as_fd(), &name) {
                Ok(place) => place,
                // removed at this moment
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(Error::io("open", path)(e)),
            };
            let stat = rustix::fs::fstat(&place).map_err(Error::io("stat", &path))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                self.single(&place, &stat, &path)?;
                continue;
            }
            if stat.st_dev != level.device && is_kernel_interface(&place) {
                self.header(&path, &stat, Vec::new())?;
                continue;
            }
            stack.extend(self.folder(&place, &stat, &path)?);
        }
        Ok(())
    }

    fn folder(&mut self, place: &OwnedFd, stat: &Stat, path: &Path) -> Result<Option<Level>> {
        let fd = match tree::open_folder(place.as_fd(), OsStr::new(".")) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(Error::io("open", path)(e)),
        };
        self.header(path, stat, pack::portable_xattrs(fd.as_fd(), path)?)?;
        let mut names = tree::names(fd.as_fd())?;
        names.reverse();
        Ok(Some(Level { fd, path: path.to_owned(), device: stat.st_dev, names }))
    }

    fn header(&mut self, path: &Path, stat: &Stat, xattrs: Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
        let mut shown = path.as_os_str().to_owned();
        if !shown.as_bytes().ends_with(b"/") {
            shown.push("/");
        }
        let mut folder = member(Path::new(&shown), Kind::Dir, stat);
        folder.xattrs = xattrs;
        self.writer.append(&folder, &mut empty())
    }

    /// Packs what is no folder.
    fn single(&mut self, place: &OwnedFd, stat: &Stat, path: &Path) -> Result<()> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if stat.st_nlink > 1 && kind != FileType::Socket {
            if let Some(first) = self.seen.get(&(stat.st_dev, stat.st_ino)) {
                let link = member(path, Kind::HardLink(first.clone()), stat);
                return self.writer.append(&link, &mut empty());
            }
            self.seen.insert((stat.st_dev, stat.st_ino), path.to_owned());
        }
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match kind {
            FileType::RegularFile => return self.file(place, stat, path),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(place, "", Vec::new()).map_err(Error::io("readlink", path))?;
                Kind::Symlink(OsString::from_vec(target.into_bytes()).into())
            }
            FileType::CharacterDevice => Kind::Char { major, minor },
            FileType::BlockDevice => Kind::Block { major, minor },
            FileType::Fifo => Kind::Fifo,
            // sockets mean nothing without their process; Docker leaves them out too
            _ => return Ok(()),
        };
        self.writer.append(&member(path, kind, stat), &mut empty())
    }

    fn file(&mut self, place: &OwnedFd, stat: &Stat, path: &Path) -> Result<()> {
        let itself = format!("/proc/self/fd/{}", place.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = rustix::fs::open(itself, flags, Mode::empty()).map_err(Error::io("open", path))?;
        let mut member = member(path, Kind::File, stat);
        member.size = u64::try_from(stat.st_size).unwrap_or(0);
        member.xattrs = pack::portable_xattrs(fd.as_fd(), path)?;
        self.writer.append(&member, &mut Checked { file: File::from(fd), check: self.check })
    }
}

/// A file that stops being readable when the work is called off.
struct Checked<'a> {
    file: File,
    check: &'a dyn Fn() -> Result<()>,
}

impl std::io::Read for Checked<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        (self.check)().map_err(std::io::Error::other)?;
        self.file.read(buf)
    }
}

fn open_place(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn member(path: &Path, kind: Kind, stat: &Stat) -> Member {
    let mut member = Member::new(path, kind, stat.st_mode & 0o7777);
    (member.uid, member.gid) = (stat.st_uid, stat.st_gid);
    // whole seconds, as Docker
    member.mtime = Time { seconds: stat.st_mtime, nanos: 0 };
    member
}
