//! Reading and writing the files of one cgroup folder, relative to an open descriptor of it.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::Error;

/// An open folder of a hierarchy; the path is for messages only.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// What [`Dir::make`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    New,
    Existed,
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

impl Dir {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        // CLONE_INTO_CGROUP takes no O_PATH descriptor
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| Error::kernel("open", path, errno))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder below; `None` when it does not exist.
    pub(crate) fn child(&self, relative: &Path) -> Result<Option<Self>, Error> {
        match rustix::fs::openat(&self.fd, relative, OFlags::RDONLY | FOLDER, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.path.join(relative) })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::kernel("open", &self.path.join(relative), errno)),
        }
    }

    /// Makes one folder below.
    pub(crate) fn make(&self, name: &Path) -> Result<Made, Error> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => Ok(Made::New),
            Err(Errno::EXIST) => Ok(Made::Existed),
            Err(errno) => Err(Error::kernel("mkdir", &self.path.join(name), errno)),
        }
    }

    /// Removes one empty folder below; its absence is success.
    pub(crate) fn remove_child(&self, relative: &Path) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.fd, relative, rustix::fs::AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }

    /// Names of the folders directly below.
    pub(crate) fn children(&self) -> Result<Vec<PathBuf>, Error> {
        let fail = |errno| Error::kernel("read folder", &self.path, errno);
        let mut names = Vec::new();
        let entries = match rustix::fs::Dir::read_from(&self.fd) {
            Err(Errno::NOENT) => return Ok(names),
            other => other.map_err(fail)?,
        };
        for entry in entries {
            let entry = match entry {
                // removed under our feet
                Err(Errno::NOENT | Errno::NODEV) => break,
                other => other.map_err(fail)?,
            };
            let name = entry.file_name();
            if entry.file_type() == rustix::fs::FileType::Directory && name != c"." && name != c".." {
                names.push(PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(
                    name.to_bytes(),
                )));
            }
        }
        Ok(names)
    }

    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Error> {
        rustix::fs::openat(&self.fd, name, flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| Error::kernel("open", &self.path.join(name), errno))
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        rustix::fs::accessat(&self.fd, name, rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty()).is_ok()
    }

    /// The whole text of a file.
    pub(crate) fn read(&self, name: &str) -> Result<String, Error> {
        let fd = self.open_file(name, OFlags::RDONLY)?;
        read_all(&fd, 4096).map_err(|errno| Error::kernel("read", &self.path.join(name), errno))
    }

    /// The text of a file; `None` when the kernel has no such file (or, `ENODEV`, the folder is gone).
    pub(crate) fn read_if_any(&self, name: &str) -> Result<Option<String>, Error> {
        match self.read(name) {
            Ok(text) => Ok(Some(text)),
            Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A number; `max` and −1 are `u64::MAX`; an absent file is `None`.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Error> {
        Ok(self.read_if_any(name)?.map(|text| parse_number(&text)))
    }

    /// Writes a value in one call.
    pub(crate) fn write(&self, name: &str, value: &str) -> Result<(), Error> {
        let fail = |errno| self.not_written(name, value, errno);
        let fd = rustix::fs::openat(&self.fd, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
        write_once(&fd, value).map_err(fail)
    }

    /// Writes values one after the other, one call each. A file that is missing means that this machine cannot do it.
    pub(crate) fn write_lines(&self, name: &str, lines: impl Iterator<Item = String>) -> Result<(), Error> {
        let fd = match rustix::fs::openat(&self.fd, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => return Err(Error::Unsupported { what: name.to_owned() }),
            other => other.map_err(|errno| Error::kernel("open", &self.path.join(name), errno))?,
        };
        for line in lines {
            write_once(&fd, &line).map_err(|errno| self.not_written(name, &line, errno))?;
        }
        Ok(())
    }

    fn not_written(&self, name: &str, value: &str, errno: Errno) -> Error {
        Error::kernel(format!("write `{}` to", value.trim_end()), &self.path.join(name), errno)
    }

    /// Writes a limit: a file that is missing means that this machine cannot do it.
    pub(crate) fn write_limit(&self, name: &str, value: &str) -> Result<(), Error> {
        match self.write(name, value) {
            Err(error) if error.errno() == Some(Errno::NOENT) => Err(Error::Unsupported { what: name.to_owned() }),
            other => other,
        }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn write_once(fd: &OwnedFd, value: &str) -> Result<(), Errno> {
    loop {
        match rustix::io::write(fd, value.as_bytes()) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The rest of a file of the kernel, which has no size to ask for; `guess` bytes at a time.
pub(crate) fn read_all(fd: &OwnedFd, guess: usize) -> Result<String, Errno> {
    let mut bytes = Vec::with_capacity(guess);
    loop {
        bytes.reserve(guess / 2);
        match rustix::io::read(fd, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `max`, −1 and anything unreadable count as unlimited or zero respectively.
pub(crate) fn parse_number(text: &str) -> u64 {
    let text = text.trim();
    match text {
        "max" | "-1" => u64::MAX,
        _ => text.parse().unwrap_or(0),
    }
}

/// Lines of `key value`.
pub(crate) fn parse_table(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, parse_number(value)))
    })
}

/// The value of one key in lines of `key value`.
pub(crate) fn table_value(text: &str, key: &str) -> Option<u64> {
    parse_table(text).find(|entry| entry.0 == key).map(|entry| entry.1)
}
